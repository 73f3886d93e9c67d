"""app/simulator/grpc_connection.py."""

import pytest
from h2.events import ConnectionTerminated, PingAckReceived
from h2.settings import SettingCodes

from app.simulator import grpc_connection
from app.simulator.grpc_connection import Cancelled, Ended, GrpcCall, GrpcConnection, Occurrence, Status
from tests.support.http2_client import DEFAULT_WINDOW_BYTES, Http2Client


def _exchange(client: Http2Client, server: GrpcConnection) -> list[Occurrence]:
    """Lets both sides talk until they have nothing more to say, and gives what happened at the server."""
    occurrences: list[Occurrence] = []
    while True:
        to_server, to_client = client.output(), server.output()
        if not to_server and not to_client:
            return occurrences
        if to_server:
            occurrences += server.receive(to_server)
        if to_client:
            client.receive(to_client)


def _framed(message: bytes) -> bytes:
    return b"\0" + len(message).to_bytes(4, "big") + message


def _accepted(client: Http2Client, server: GrpcConnection) -> int:
    stream_id = client.call("/s/m")
    _exchange(client, server)
    server.accept(stream_id)
    return stream_id


def test_a_call_carries_path_and_request() -> None:
    """A request that came in several frames is one call when it has ended, not before."""
    client, server = Http2Client(), GrpcConnection()
    stream_id = client.open("/tetragon.FineGuidanceSensors/GetEvents")
    framed = _framed(b"request")
    client.h2.send_data(stream_id, framed[:3])
    assert _exchange(client, server) == []

    client.h2.send_data(stream_id, framed[3:], end_stream=True)

    assert _exchange(client, server) == [GrpcCall(stream_id, "/tetragon.FineGuidanceSensors/GetEvents", b"request")]


def test_an_accepted_call_gets_headers_messages_and_trailers_in_this_order() -> None:
    """Response headers go out before the first message although messages bypass h2, and trailers come last."""
    client, server = Http2Client(), GrpcConnection()
    stream_id = _accepted(client, server)

    server.send(stream_id, memoryview(_framed(b"one") + _framed(b"two")))
    server.finish(stream_id, Status.OK, "")
    _exchange(client, server)

    answer = client.answers[stream_id]
    assert answer.headers == {b":status": b"200", b"content-type": b"application/grpc"}
    assert answer.messages() == [b"one", b"two"]
    assert (answer.trailers, answer.ended) == ({b"grpc-status": b"0"}, True)


def test_a_refused_call_gets_trailers_only() -> None:
    """Status and message come in the first and only headers, the message percent-encoded as gRPC asks."""
    client, server = Http2Client(), GrpcConnection()
    stream_id = client.call("/s/m")
    _exchange(client, server)

    server.refuse(stream_id, Status.UNIMPLEMENTED, "50% of µ\n")
    _exchange(client, server)

    answer = client.answers[stream_id]
    assert answer.ended
    assert answer.headers[b"grpc-status"] == b"12"
    assert answer.headers[b"grpc-message"] == b"50%25 of %C2%B5%0A"


def test_messages_are_cut_into_frames_of_the_peers_size() -> None:
    """No frame is larger than the peer allows, and one that allows more gets more."""
    for frame_bytes in (16_384, 50_000):
        client, server = Http2Client(frame_bytes=frame_bytes), GrpcConnection()
        stream_id = _accepted(client, server)
        _exchange(client, server)  # the peer's settings count from here

        server.send(stream_id, memoryview(_framed(bytes(60_000))))
        _exchange(client, server)

        assert client.answers[stream_id].messages() == [bytes(60_000)]
        assert client.answers[stream_id].largest_frame_bytes == frame_bytes


def test_room_shrinks_by_what_was_sent_and_grows_by_what_was_read() -> None:
    """The windows that h2 keeps follow the frames that were written past it."""
    client, server = Http2Client(), GrpcConnection()
    stream_id = _accepted(client, server)
    assert server.room(stream_id) == DEFAULT_WINDOW_BYTES

    server.send(stream_id, memoryview(bytes(DEFAULT_WINDOW_BYTES)))
    _exchange(client, server)
    assert server.room(stream_id) == 0

    client.read(stream_id, DEFAULT_WINDOW_BYTES)
    _exchange(client, server)
    assert server.room(stream_id) == DEFAULT_WINDOW_BYTES


def test_calls_of_one_connection_share_its_window() -> None:
    """What one stream uses of the connection's window is gone for the other."""
    client, server = Http2Client(), GrpcConnection()
    first, second = _accepted(client, server), _accepted(client, server)

    server.send(first, memoryview(bytes(60_000)))

    assert server.room(second) == DEFAULT_WINDOW_BYTES - 60_000


def test_a_window_made_smaller_in_flight_leaves_no_room() -> None:
    """A peer may lower its initial window below what was sent; room is then negative, not an error."""
    client, server = Http2Client(), GrpcConnection()
    stream_id = _accepted(client, server)
    server.send(stream_id, memoryview(bytes(1000)))
    _exchange(client, server)

    client.h2.update_settings({4: 10})
    _exchange(client, server)

    assert server.room(stream_id) == 10 - 1000


def test_a_cancelled_call_is_reported() -> None:
    """A reset stream gives the stream to forget."""
    client, server = Http2Client(), GrpcConnection()
    stream_id = _accepted(client, server)

    client.h2.reset_stream(stream_id)

    assert _exchange(client, server) == [Cancelled(stream_id)]


def test_a_call_cancelled_in_the_same_bytes_can_be_answered_without_harm() -> None:
    """Request and reset may arrive together; answering the dead stream does nothing."""
    client, server = Http2Client(), GrpcConnection()
    _exchange(client, server)
    stream_id = client.call("/s/m")
    client.h2.reset_stream(stream_id)

    assert server.receive(client.output()) == [GrpcCall(stream_id, "/s/m", b""), Cancelled(stream_id)]
    server.accept(stream_id)
    server.refuse(stream_id, Status.INTERNAL, "")
    server.finish(stream_id, Status.OK, "")
    other = _accepted(client, server)
    assert server.room(other) == DEFAULT_WINDOW_BYTES


def test_a_call_that_was_cancelled_before_the_next_one_came_can_be_answered_without_harm() -> None:
    """GRPC's own clients allow a server no stream, and h2 forgets a cancelled one with the next call."""
    client, server = Http2Client(), GrpcConnection()
    client.h2.update_settings({SettingCodes.MAX_CONCURRENT_STREAMS: 0})
    _exchange(client, server)
    cancelled = client.call("/s/m")
    client.h2.reset_stream(cancelled)
    following = client.call("/s/m")

    calls = [one for one in server.receive(client.output()) if isinstance(one, GrpcCall)]
    for call in calls:
        server.refuse(call.stream_id, Status.UNIMPLEMENTED, "")
    _exchange(client, server)

    assert [call.stream_id for call in calls] == [cancelled, following]
    assert client.answers[following].headers[b"grpc-status"] == b"12"


def test_frames_that_cross_the_end_of_a_call_do_no_harm() -> None:
    """A window update or a reset for a stream that the server has just ended leaves the connection in order."""
    client, server = Http2Client(), GrpcConnection()
    for cross in (lambda stream_id: client.read(stream_id, 40_000), client.h2.reset_stream):
        stream_id = _accepted(client, server)
        server.send(stream_id, memoryview(bytes(40_000)))
        client.receive(server.output())
        server.finish(stream_id, Status.OK, "")
        cross(stream_id)

        assert Ended() not in server.receive(client.output())

    other = _accepted(client, server)
    server.send(other, memoryview(_framed(b"still here")))
    _exchange(client, server)
    assert client.answers[other].messages() == [b"still here"]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", Status.INTERNAL),
        (b"\0\0\0", Status.INTERNAL),
        (_framed(b"abc")[:-1], Status.INTERNAL),
        (_framed(b"abc") * 2, Status.INTERNAL),
        (b"\1" + _framed(b"abc")[1:], Status.UNIMPLEMENTED),
    ],
    ids=["none", "no prefix", "cut short", "two messages", "compressed"],
)
def test_a_body_that_is_not_one_plain_message_is_refused(body: bytes, status: Status) -> None:
    """The stream ends with a status, and the connection goes on."""
    client, server = Http2Client(), GrpcConnection()
    stream_id = client.call("/s/m", body)

    assert _exchange(client, server) == []
    assert client.answers[stream_id].headers[b"grpc-status"] == str(int(status)).encode()
    assert _accepted(client, server) != stream_id


def test_a_request_over_the_limit_is_refused_while_it_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    """An endless request ends with RESOURCE_EXHAUSTED before it is complete, and what follows is ignored."""
    monkeypatch.setattr(grpc_connection, "MAX_REQUEST_BYTES", 100)
    client, server = Http2Client(), GrpcConnection()
    stream_id = client.open("/s/m")
    client.h2.send_data(stream_id, bytes(200))
    assert _exchange(client, server) == []
    client.h2.send_data(stream_id, bytes(200), end_stream=True)

    assert _exchange(client, server) == []
    assert client.answers[stream_id].headers[b"grpc-status"] == b"8"


@pytest.mark.parametrize(("method", "content_type"), [("GET", "application/grpc"), ("POST", "text/html")])
def test_what_is_no_grpc_request_gets_415(method: str, content_type: str) -> None:
    """A browser or a probe learns that it is at the wrong place."""
    client, server = Http2Client(), GrpcConnection()
    stream_id = client.open("/", method, content_type)
    client.h2.end_stream(stream_id)

    assert _exchange(client, server) == []
    assert client.answers[stream_id].headers == {b":status": b"415"}


def test_pings_are_answered() -> None:
    """A client that measures the path gets its ping back."""
    client, server = Http2Client(), GrpcConnection()
    _exchange(client, server)
    client.h2.ping(b"12345678")
    server.receive(client.output())

    assert [type(event) for event in client.receive(server.output())] == [PingAckReceived]


def test_a_peer_that_speaks_no_http2_is_told_and_left() -> None:
    """HTTP/1 or noise ends the connection with GOAWAY."""
    server = GrpcConnection()

    assert server.receive(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n") == [Ended()]
    assert server.output()


def test_a_peer_that_goes_away_ends_the_connection() -> None:
    """GOAWAY from the client means that nothing more will be read."""
    client, server = Http2Client(), GrpcConnection()
    _exchange(client, server)
    client.h2.close_connection()

    assert server.receive(client.output()) == [Ended()]


def test_what_comes_after_goodbye_is_ignored() -> None:
    """Pings and resets that crossed the server's GOAWAY are not protocol errors, and nothing is said to them."""
    client, server = Http2Client(), GrpcConnection()
    stream_id = _accepted(client, server)
    server.finish(stream_id, Status.UNAVAILABLE, "bye")
    server.go_away()
    client.receive(server.output())
    crossing = Http2Client()
    crossing.h2.ping(b"12345678")

    assert server.receive(crossing.output()) == []
    assert server.output() == b""


def test_go_away_names_the_last_call() -> None:
    """The client learns which of its calls the server has seen."""
    client, server = Http2Client(), GrpcConnection()
    stream_id = _accepted(client, server)
    _exchange(client, server)

    server.finish(stream_id, Status.UNAVAILABLE, "bye")
    server.go_away()
    [goodbye] = [event for event in client.receive(server.output()) if isinstance(event, ConnectionTerminated)]

    assert goodbye.last_stream_id == stream_id
    assert client.answers[stream_id].trailers == {b"grpc-status": b"14", b"grpc-message": b"bye"}
