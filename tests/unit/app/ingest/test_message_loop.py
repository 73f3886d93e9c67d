"""app/ingest/message_loop.py: the same messages and the same end as grpcio's own iterator."""

import threading
from collections.abc import Callable
from typing import Any

import grpc
import pytest

from app.ingest import message_loop
from app.ingest.link import AgentLink, open_channel
from app.ingest.message_loop import read_messages
from app.simulator.grpc_connection import Status
from app.simulator.recording import Recording
from app.simulator.server import SimulatorServer
from schemas.tetragon.events_pb2 import GetEventsResponse

EVENTS = [GetEventsResponse(node_name=f"n{number}" * 50).SerializeToString() for number in range(2000)]

Act = Callable[[SimulatorServer, Any], object]


def _read(recording: Recording, act: Act | None = None, *, close_at_end: bool = False) -> tuple[list[bytes], Any, str]:
    """All messages, code and details; `act` is called when the last event has arrived."""
    got: list[bytes] = []
    with SimulatorServer(recording, close_at_end=close_at_end) as server:
        channel = open_channel(AgentLink(server.address, None, "", 600))
        call = channel.unary_stream("/tetragon.FineGuidanceSensors/GetEvents")(b"")
        got.append(next(call))

        def put(event: bytes) -> None:
            got.append(event)
            if len(got) == len(recording) and act is not None:
                threading.Timer(0.05, act, (server, call)).start()

        code, details = read_messages(call, put)
        channel.close()
    return got, code, details


ENDS: dict[str, tuple[Act | None, bool]] = {
    "ok": (None, True),
    "status with details": (lambda server, _: server.end_calls(Status.INTERNAL, "because of ünicode"), False),
    "server stops": (lambda server, _: server.stop(), False),
    "connection reset": (lambda server, _: server.drop_connections(), False),
    "cancelled here": (lambda _, call: call.cancel(), False),
}


@pytest.mark.parametrize("end", ENDS)
def test_loop_and_iterator_agree(end: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever ends the stream, both give the same events, code and details."""
    act, close_at_end = ENDS[end]
    ours = _read(Recording.of(EVENTS), act, close_at_end=close_at_end)
    monkeypatch.setattr(message_loop, "ReceiveMessageOperation", None)
    theirs = _read(Recording.of(EVENTS), act, close_at_end=close_at_end)

    assert ours[0] == theirs[0] == EVENTS
    assert ours[1] == theirs[1]
    if end in {"ok", "status with details", "server stops"}:  # the others' words are gRPC's own
        assert ours[2] == theirs[2]


def test_oversized_message_ends_with_its_status() -> None:
    """The limit is ours, and the details say so."""
    _, code, details = _read(Recording.of([EVENTS[0], b"\x00" * ((16 << 20) + 1)]))

    assert code is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert "larger than max" in details


def test_grpcio_of_another_shape_is_read_by_its_iterator(monkeypatch: pytest.MonkeyPatch) -> None:
    """The names that are not promised may go; reading goes on."""
    monkeypatch.setattr(message_loop, "ReceiveMessageOperation", None)

    got, code, _ = _read(Recording.of(EVENTS), close_at_end=True)

    assert (got, code) == (EVENTS, grpc.StatusCode.OK)


def test_many_streams_leave_nothing_behind() -> None:
    """A hundred ends in a row neither hang nor crash."""
    for _ in range(100):
        got, code, _ = _read(Recording.of(EVENTS[:20]), close_at_end=True)
        assert (len(got), code) == (20, grpc.StatusCode.OK)
