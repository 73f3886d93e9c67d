"""app/serving/address.py: addresses as people and topics write them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.serving.address import HostPort, host_port, split_address


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("host", ("host", None)),
        ("pod-1.hot.svc:9467", ("pod-1.hot.svc", 9467)),
        ("10.0.0.1:1", ("10.0.0.1", 1)),
        ("[::1]", ("::1", None)),
        ("[2001:db8::5]:65535", ("2001:db8::5", 65535)),
    ],
)
def test_both_forms_are_read(text: str, parts: tuple[str, int | None]) -> None:
    """With and without a port."""
    assert split_address(text) == parts


@pytest.mark.parametrize(
    "text",
    [
        "",
        ":80",
        "host:",
        "host:0",
        "host:65536",
        "host:٨٠",
        "host:+80",
        "::1",
        "[::1",
        "[::1]80",
        "[::1]:",
        "[host]:80",
        "[fe80::1%eth0]:80",
        "user@host:80",
        "host/path:80",
        "ho st:80",
        "host\r\nX: y:80",
        "a" * 254,
        "http://host:80",
    ],
)
def test_anything_else_is_refused(text: str) -> None:
    """Nothing that could lead elsewhere, or end a header line, passes."""
    assert host_port(text) is None
    with pytest.raises(ValueError, match=r"^is "):
        split_address(text)


@given(
    st.one_of(st.ip_addresses(), st.from_regex(r"[a-z][a-z0-9-]{0,20}[a-z0-9]", fullmatch=True)), st.integers(1, 65_535)
)
def test_what_is_written_is_read_back(host: object, port: int) -> None:
    """As the same address."""
    address = HostPort(str(host), port)

    assert host_port(str(address)) == address
