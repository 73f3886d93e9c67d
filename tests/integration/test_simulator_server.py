"""app/simulator/server.py, seen by an ordinary grpcio client over real sockets."""

import contextlib
import itertools
import logging
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import grpc
import pytest

from app.simulator.address import AddressError
from app.simulator.grpc_connection import Status
from app.simulator.recording import Recording
from app.simulator.server import ServerTlsFiles, TlsError
from schemas.tetragon.events_pb2 import GetEventsResponse, ProcessExec, ProcessThrottle
from schemas.tetragon.filters_pb2 import EventType, Filter, GetEventsRequest
from tests.support.certificates import Authority
from tests.support.dropping_simulator import DroppingSimulator
from tests.support.tetragon_client import OPTIONS, channel_to, get_events, status_of
from tests.support.watched_simulator import WatchedSimulator

PATIENCE_S = 20.0


def _event(number: int, size: int = 200) -> bytes:
    name = f"{number:08}" + "n" * size
    if number % 2:
        return GetEventsResponse(node_name=name, process_exec=ProcessExec()).SerializeToString()
    return GetEventsResponse(node_name=name, process_throttle=ProcessThrottle(cgroup="c")).SerializeToString()


EVENTS = [_event(number) for number in range(5000)]
RECORDING = Recording.of(EVENTS)


def _wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


@pytest.fixture(name="socket_folder")
def _socket_folder() -> Iterator[Path]:
    with TemporaryDirectory() as folder:  # pytest's own folders can be longer than a socket's path may be
        yield Path(folder)


@pytest.mark.parametrize("options", [OPTIONS, OPTIONS[1:]], ids=["single-threaded stream", "default stream"])
def test_every_event_arrives_unchanged_and_in_order(options: tuple[Any, ...]) -> None:
    """A client reads what was recorded, byte for byte, and status OK behind it."""
    with (
        WatchedSimulator(RECORDING, close_at_end=True) as server,
        channel_to(server.address, options=options) as channel,
    ):
        call = get_events(channel)

        assert list(call) == EVENTS
        assert call.code() is grpc.StatusCode.OK


def test_a_unix_socket_serves_the_same(socket_folder: Path) -> None:
    """Tetragon's default address form works, and the socket file is gone afterwards."""
    path = socket_folder / "tetragon.sock"
    server = WatchedSimulator(RECORDING, f"unix://{path}", close_at_end=True)
    with server, channel_to(server.address) as channel:
        assert list(get_events(channel)) == EVENTS

    assert not path.exists()


def test_repeat_serves_the_recording_again() -> None:
    """Three passes are three times the events."""
    with (
        WatchedSimulator(RECORDING, repeat=3, close_at_end=True) as server,
        channel_to(server.address) as channel,
    ):
        assert list(get_events(channel)) == EVENTS * 3


def test_a_rate_changes_nothing_but_the_pace() -> None:
    """Paced events are the same events."""
    with (
        WatchedSimulator(Recording.of(EVENTS[:100]), rate_per_s=2000, repeat=2, close_at_end=True) as server,
        channel_to(server.address) as channel,
    ):
        assert list(get_events(channel)) == EVENTS[:100] * 2


def test_a_message_of_ten_mebibytes_arrives_whole() -> None:
    """One message may be larger than every window and frame."""
    big = _event(1, 10 * 1024 * 1024)
    with (
        WatchedSimulator(Recording.of([EVENTS[0], big, EVENTS[1]]), close_at_end=True) as server,
        channel_to(server.address) as channel,
    ):
        assert list(get_events(channel)) == [EVENTS[0], big, EVENTS[1]]


def test_clients_at_the_same_time_each_get_everything() -> None:
    """Every connection, and every call of one connection, is a pass of its own."""
    with WatchedSimulator(RECORDING, close_at_end=True) as server, contextlib.ExitStack() as stack:
        channels = [stack.enter_context(channel_to(server.address)) for _ in range(3)]
        calls = [get_events(channel) for channel in (*channels, channels[0])]
        received: list[list[bytes]] = [[] for _ in calls]
        for events in itertools.zip_longest(*calls):
            for into, event in zip(received, events, strict=True):
                into.append(event)

        assert received == [EVENTS] * 4
        counters = server.counters()

    assert (counters.connections, counters.calls, counters.events_sent) == (3, 4, 4 * len(EVENTS))
    assert sorted(traffic.events_sent for traffic in counters.by_connection) == [5000, 5000, 10000]


def test_a_slow_reader_holds_the_server_back() -> None:
    """A client that does not read stops the sender by flow control, and loses nothing when it reads on."""
    large = [_event(number, 20_000) for number in range(500)]
    with (
        WatchedSimulator(Recording.of(large), repeat=10, close_at_end=True) as server,
        channel_to(server.address) as channel,
    ):
        call = get_events(channel)
        first, before, sent = next(call), -1, 0
        while before != sent:
            time.sleep(0.2)
            before, sent = sent, server.counters().events_sent

        assert sent < 10 * len(large)
        assert [first, *call] == large * 10


def test_a_cancelled_call_leaves_the_connection_in_order() -> None:
    """After a cancel in mid-stream the next call on the same connection gets everything."""
    with WatchedSimulator(RECORDING, repeat=2, close_at_end=True) as server, channel_to(server.address) as channel:
        abandoned = get_events(channel)
        next(abandoned)
        abandoned.cancel()

        assert list(get_events(channel)) == EVENTS * 2
        assert server.counters().connections == 1


def test_after_the_last_event_the_stream_stays_open_until_the_server_stops() -> None:
    """An idle agent holds its streams; when it shuts down they end with UNAVAILABLE."""
    with WatchedSimulator(RECORDING) as server, channel_to(server.address) as channel:
        call = get_events(channel)
        assert list(itertools.islice(call, len(EVENTS))) == EVENTS
        assert call.is_active()

        server.stop()

        assert status_of(call) == (grpc.StatusCode.UNAVAILABLE, "the server is shutting down")


def test_a_restarted_server_has_the_same_address() -> None:
    """After stop and start the same channel finds the server again and gets a pass from the first event on."""
    with WatchedSimulator(RECORDING) as server, channel_to(server.address) as channel:
        call = get_events(channel)
        next(call)
        address = server.address
        server.stop()
        status_of(call)
        server.start()

        assert server.address == address
        assert list(itertools.islice(get_events(channel), len(EVENTS))) == EVENTS
        assert server.counters().connections == 2


def test_dropped_connections_look_like_a_crash() -> None:
    """A reset gives the client UNAVAILABLE without trailers; the server goes on accepting."""
    with DroppingSimulator(RECORDING) as server, channel_to(server.address) as channel:
        call = get_events(channel)
        next(call)

        assert server.drop_connections() == 1

        assert status_of(call)[0] is grpc.StatusCode.UNAVAILABLE
        assert next(get_events(channel)) == EVENTS[0]


def test_calls_can_be_ended_with_any_status() -> None:
    """The client sees status and message as given, and may call again on the same connection."""
    with WatchedSimulator(RECORDING) as server, channel_to(server.address) as channel:
        call = get_events(channel)
        next(call)

        server.end_calls(Status.UNAUTHENTICATED, "who are you, 50% of whom?")

        assert status_of(call) == (grpc.StatusCode.UNAUTHENTICATED, "who are you, 50% of whom?")
        assert next(get_events(channel)) == EVENTS[0]
        assert server.counters().connections == 1


def test_a_paused_server_sends_nothing_until_it_resumes() -> None:
    """Pausing holds events back without closing anything; nothing is lost by it."""
    with WatchedSimulator(RECORDING, close_at_end=True) as server, channel_to(server.address) as channel:
        server.pause()
        call = get_events(channel)
        _wait_for(lambda: server.counters().calls == 1)
        assert server.counters().events_sent == 0

        server.resume()

        assert list(call) == EVENTS


def test_event_type_filters_are_applied_and_logged_as_counts(caplog: pytest.LogCaptureFixture) -> None:
    """The client gets the types that it requested; the log says how many filters and events, not which."""
    request = GetEventsRequest(allow_list=[Filter(event_set=[EventType.PROCESS_EXEC])])
    with (
        caplog.at_level(logging.INFO),
        WatchedSimulator(RECORDING, close_at_end=True) as server,
        channel_to(server.address) as channel,
    ):
        assert list(get_events(channel, request)) == EVENTS[1::2]

    assert "1 allow and 0 deny filters select 2500 of 5000 events" in caplog.text


def test_other_filters_are_refused_by_name(caplog: pytest.LogCaptureFixture) -> None:
    """A condition that the simulator does not apply ends the call instead of being ignored; its value is not logged."""
    request = GetEventsRequest(deny_list=[Filter(binary_regex=["hunter2"])])
    with (
        caplog.at_level(logging.DEBUG),
        WatchedSimulator(RECORDING) as server,
        channel_to(server.address) as channel,
    ):
        code, details = status_of(get_events(channel, request))

    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert "deny_list[0] has binary_regex" in details
    assert "hunter2" not in caplog.text


def test_other_methods_are_unimplemented() -> None:
    """What the contract does not have is answered as gRPC wants it."""
    with WatchedSimulator(RECORDING) as server, channel_to(server.address) as channel:
        code, details = status_of(get_events(channel, method="/tetragon.FineGuidanceSensors/AddTracingPolicy"))

    assert code is grpc.StatusCode.UNIMPLEMENTED
    assert "GetEvents" in details


def test_tls_serves_clients_that_trust_the_authority(tmp_path: Path) -> None:
    """With a certificate events come over TLS; a client that does not trust it gets none."""
    pair = Authority.create(tmp_path).issue("server")
    stranger = Authority.create(tmp_path, "stranger")
    tls = ServerTlsFiles(pair.certificate, pair.key)
    with WatchedSimulator(RECORDING, close_at_end=True, tls=tls) as server:
        trusting = grpc.ssl_channel_credentials((tmp_path / "authority.pem").read_bytes())
        with channel_to(server.address, trusting) as channel:
            assert list(get_events(channel)) == EVENTS
        with channel_to(server.address, grpc.ssl_channel_credentials(stranger.file.read_bytes())) as channel:
            call = channel.unary_stream("/tetragon.FineGuidanceSensors/GetEvents")(b"")
            assert status_of(call)[0] is grpc.StatusCode.UNAVAILABLE


def test_mutual_tls_serves_clients_with_a_certificate_only(tmp_path: Path) -> None:
    """With a client CA a client needs a certificate from it."""
    authority = Authority.create(tmp_path)
    pair, client = authority.issue("server"), authority.issue("client")
    root = authority.file.read_bytes()
    with WatchedSimulator(
        RECORDING, close_at_end=True, tls=ServerTlsFiles(pair.certificate, pair.key, authority.file)
    ) as server:
        known = grpc.ssl_channel_credentials(root, client.key.read_bytes(), client.certificate.read_bytes())
        with channel_to(server.address, known) as channel:
            assert list(get_events(channel)) == EVENTS
        with channel_to(server.address, grpc.ssl_channel_credentials(root)) as channel:
            call = channel.unary_stream("/tetragon.FineGuidanceSensors/GetEvents")(b"")
            assert status_of(call)[0] is grpc.StatusCode.UNAVAILABLE
        assert server.counters().events_sent == len(EVENTS)


def test_tls_files_that_cannot_be_used_are_named(tmp_path: Path) -> None:
    """A key of another certificate, or a client CA that is none, is refused before anything listens."""
    authority = Authority.create(tmp_path)
    one, other = authority.issue("one"), authority.issue("other")

    with pytest.raises(TlsError, match=r"one\.pem with key .*other\.key"):
        WatchedSimulator(RECORDING, tls=ServerTlsFiles(one.certificate, other.key))
    with pytest.raises(TlsError, match=r"client CA .*one\.key"):
        WatchedSimulator(RECORDING, tls=ServerTlsFiles(one.certificate, one.key, one.key))


def test_a_peer_that_speaks_something_else_is_hung_up_on() -> None:
    """HTTP/1 gets its connection closed; other clients do not notice."""
    with WatchedSimulator(RECORDING, close_at_end=True) as server:
        host, _, port = server.address.rpartition(":")
        with socket.create_connection((host, int(port)), PATIENCE_S) as peer:
            peer.sendall(b"GET / HTTP/1.1\r\n\r\n")
            while peer.recv(65536):
                pass
        with channel_to(server.address) as channel:
            assert list(get_events(channel)) == EVENTS


def test_stopping_does_not_wait_for_a_client_that_does_not_read() -> None:
    """A client with full windows and no reader is cut off after the time for goodbyes."""
    with WatchedSimulator(RECORDING, repeat=0) as server, channel_to(server.address) as channel:
        call = get_events(channel)
        next(call)
        server.stop()

        assert server.counters().connections_open == 0
        assert status_of(call)[0] is grpc.StatusCode.UNAVAILABLE


def test_a_port_in_use_is_refused_and_the_server_can_be_used_later() -> None:
    """Starting on a taken port raises; once the port is free the same object starts."""
    with WatchedSimulator(RECORDING) as first:
        second = WatchedSimulator(RECORDING, first.address)
        with pytest.raises(AddressError, match="in use"):
            second.start()
        first.stop()
        with second, channel_to(second.address) as channel:
            assert next(get_events(channel)) == EVENTS[0]


def test_controls_of_a_stopped_server_say_so() -> None:
    """A control without a running server is an error of the test, except stopping and counting."""
    server = WatchedSimulator(RECORDING)
    server.stop()

    assert server.counters().connections == 0
    with pytest.raises(RuntimeError, match="not running"):
        server.pause()
    with server, pytest.raises(RuntimeError, match="already"):
        server.start()
