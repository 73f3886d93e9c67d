"""app/ingest/message_loop.py: the same messages and the same end as grpcio's own iterator."""

import threading
from collections.abc import Callable, Sequence
from itertools import permutations
from pathlib import Path
from typing import Any

import grpc
import pytest

from app.ingest import message_loop
from app.ingest.link import AgentLink, open_channel
from app.ingest.message_loop import read_messages
from app.simulator.grpc_connection import Status
from app.simulator.recording import Recording
from schemas.tetragon.events_pb2 import GetEventsResponse
from tests.support.dropping_simulator import DroppingSimulator

EVENTS = [GetEventsResponse(node_name=f"n{number}" * 50).SerializeToString() for number in range(2000)]

Act = Callable[[DroppingSimulator, Any], object]


def _read(recording: Recording, act: Act | None = None, *, close_at_end: bool = False) -> tuple[list[bytes], Any, str]:
    """All messages, code and details; `act` is called when the last event has arrived."""
    got: list[bytes] = []
    with DroppingSimulator(recording, close_at_end=close_at_end) as server:
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


def test_a_thousand_opens_give_all_events(tmp_path: Path) -> None:
    """In 1 of 3,000 opens the completion of the request comes after the first message; none of them may end ingest."""
    events = EVENTS[:20]
    with DroppingSimulator(Recording.of(events), f"unix://{tmp_path}/agent.sock", close_at_end=True) as server:
        for _ in range(1000):
            channel = open_channel(AgentLink(server.address, None, "", 600))
            call = channel.unary_stream("/tetragon.FineGuidanceSensors/GetEvents")(b"")
            got = [next(call)]
            end = read_messages(call, got.append)
            channel.close()
            assert (got, end[0]) == (events, grpc.StatusCode.OK)


class _Completion:
    """What the queue hands out: an operation that is done."""

    @property
    def batch_operations(self) -> tuple["_Completion"]:
        """The operations of the batch; one is enough."""
        return (self,)


class _Sent(_Completion):
    """The request is sent. It has no message and no status."""


class _Metadata(_Completion):
    """The server's initial metadata is there. It has no message and no status."""


class _Status(_Completion):
    def code(self) -> int:
        """OK."""
        return 0

    def details(self) -> bytes:
        """Some text."""
        return b"done"


class _Received(_Completion):
    def __init__(self, value: object) -> None:
        self._value = value

    def message(self) -> object:
        """A message, or None at the end."""
        return self._value


class _Queue:
    """A call whose completions come in a given order; a message comes only after it was requested."""

    def __init__(self, completions: Sequence[_Completion]) -> None:
        self._completions = list(completions)
        self._requested = 0
        self._call = self

    def done(self) -> bool:
        """The status was not taken by anybody else."""
        return False

    def operate(self, operations: tuple[_Received, ...], tag: None) -> bool:
        """Request one message."""
        del tag
        self._requested += len(operations)
        return True

    def next_event(self) -> _Completion:
        """The next completion; waiting for one that cannot come would hang."""
        completion = self._completions.pop(0)
        if isinstance(completion, _Received):
            assert self._requested, "a message that nobody requested"
            self._requested -= 1
        return completion


def test_completions_in_every_order(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sent request, metadata and status at all places among three messages and the end: 210 orders."""
    monkeypatch.setattr(message_loop, "ReceiveMessageOperation", _Received)
    monkeypatch.setattr(message_loop, "ReceiveStatusOnClientOperation", _Status)
    messages = [_Received(b"1"), _Received(b"2"), _Received(b"3"), _Received(None)]
    orders = 0
    for places in permutations(range(7), 3):
        others = dict(zip(places, (_Sent(), _Metadata(), _Status()), strict=True))
        rest = iter(messages)
        got: list[bytes] = []

        end = read_messages(_Queue([others.get(place) or next(rest) for place in range(7)]), got.append)

        assert got == [b"1", b"2", b"3"], places
        assert end == (grpc.StatusCode.OK, "done"), places
        orders += 1
    assert orders == 210
