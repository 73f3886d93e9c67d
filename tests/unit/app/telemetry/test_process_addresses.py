"""One setting says where the processes are, and a name stands for all processes behind it."""

import socket
from typing import Any

import pytest

from app.settings import SettingsError, from_env
from app.telemetry.process_addresses import NoPlace, ProcessPlace, addresses_in, places_of


def test_the_setting_is_a_list_of_addresses() -> None:
    """Blanks and empty parts do not matter, and IPv6 addresses have brackets."""
    settings = from_env({"CALLSTREAM_PROCESS_ADDRESSES": "a:9463, [::1]:9464 ,,b.example:1"})
    assert addresses_in(settings) == ("a:9463", "[::1]:9464", "b.example:1")


@pytest.mark.parametrize("text", ["a", "a:0", "a:b", "::1:9464", "0.0.0.0:9464", "http://a:9464"])
def test_what_is_no_address_is_refused_by_name(text: str) -> None:
    """Together with the form that is right."""
    with pytest.raises(SettingsError, match="CALLSTREAM_PROCESS_ADDRESSES"):
        from_env({"CALLSTREAM_PROCESS_ADDRESSES": f"good:1,{text}"})


def test_without_the_setting_the_worker_of_this_host_is_meant() -> None:
    """If its port is known: three stages serve on three ports."""
    assert addresses_in(from_env({})) == ()
    settings = from_env({"CALLSTREAM_HTTP_PORT": "9464", "CALLSTREAM_HTTP_HOST": "0.0.0.0"})
    assert addresses_in(settings) == ("127.0.0.1:9464", "127.0.0.1:9465", "127.0.0.1:9466")


def test_each_address_of_a_name_is_a_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """As of a headless service. A process with an IPv4 and an IPv6 address is one process."""
    pods = {"pods": ["10.0.0.2", "10.0.0.1"], "dual": ["10.0.0.3", "fd00::3"], "six": ["fd00::4"]}

    def known(host: str, port: int, **_: Any) -> list[tuple[Any, ...]]:
        if host not in pods:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        family = {True: socket.AF_INET6, False: socket.AF_INET}
        return [(family[":" in ip], socket.SOCK_STREAM, 6, "", (ip, port)) for ip in pods[host]]

    monkeypatch.setattr(socket, "getaddrinfo", known)
    assert places_of(["pods:1", "dual:2", "six:3", "nobody:4", "pods:1"]) == [
        ProcessPlace("10.0.0.1:1", "http://10.0.0.1:1/metrics"),
        ProcessPlace("10.0.0.2:1", "http://10.0.0.2:1/metrics"),
        ProcessPlace("dual:2", "http://10.0.0.3:2/metrics"),
        ProcessPlace("six:3", "http://[fd00::4]:3/metrics"),
        NoPlace("nobody:4", "Name or service not known"),
    ]
