"""One client's connection on an asyncio transport: it moves bytes between socket, protocol and playback.

Each call of GetEvents gets a playback of its own, from the first event on. Writing follows the slowest of three:
HTTP/2's windows, the transport's buffer and the playback's rate. One turn writes at most WRITE_BYTES, then other
connections get theirs. Everything here runs on the event loop's thread.
"""

import asyncio
import contextlib
import logging
import socket
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol, assert_never

from app.simulator.agent_file import AgentFile
from app.simulator.grpc_connection import Cancelled, Ended, GrpcCall, GrpcConnection, Occurrence, Status
from app.simulator.playback import OneMessage, Playback
from app.simulator.recording import Recording
from app.simulator.selection import CallRefusal, Selection, select

GET_EVENTS: Final = "/tetragon.FineGuidanceSensors/GetEvents"

WRITE_BYTES: Final = 256 * 1024
"""Bytes of one turn: measured, more makes the server no cheaper, and a quarter of it costs half as much again."""

TICK_SECONDS: Final = 0.005
"""How often a playback with a rate is looked at."""

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Traffic:
    """What a connection has carried so far."""

    peer: str
    calls: int = 0
    events_sent: int = 0
    """Events written to the socket with their last byte, whether or not the client has read them."""
    open: bool = True


class Pieces(Protocol):
    """What one call is served, piece by piece; `playback.Playback` is one."""

    @property
    def finished(self) -> bool:
        """Whether nothing more will come."""

    @property
    def events_taken(self) -> int:
        """Events handed out with their last byte."""

    def take(self, room_bytes: int, elapsed_seconds: float) -> memoryview:
        """The next bytes, at most `room_bytes`; empty where nothing is due."""


@dataclass(frozen=True, slots=True)
class Offer:
    """What every call is served."""

    recording: Recording
    repeat: int
    rate_per_s: float | None
    close_at_end: bool
    """End the stream with status OK behind the last event, instead of holding it open as an idle agent does."""

    agent: AgentFile | None
    """What it says of itself; without, it does not know such questions, as an older agent."""

    def pieces(self, selected: Recording) -> Pieces:
        """What one call is served that begins now and selects these events of the recording."""
        return Playback(selected, repeat=self.repeat, rate_per_s=self.rate_per_s)


@dataclass(slots=True)
class _CallAnswer:
    playback: Pieces
    started_seconds: float
    is_one_message: bool = False


class Session(asyncio.Protocol):
    """The server side of one connection."""

    def __init__(self, offer: Offer, *, joined: Callable[["Session"], None], left: Callable[["Session"], None]) -> None:
        self.traffic = Traffic("")
        self._offer = offer
        self._joined = joined
        self._left = left
        self._grpc = GrpcConnection()
        self._answers: dict[int, _CallAnswer] = {}
        self._events_of_ended_answers = 0
        self._write_blocked = False
        self._turn: asyncio.Handle | None = None
        self._ending = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Sends the server's half of the HTTP/2 preface."""
        assert isinstance(transport, asyncio.Transport)
        self._loop = asyncio.get_running_loop()
        self._transport = transport
        self._transport.set_write_buffer_limits(high=WRITE_BYTES)
        self.traffic.peer = _peer_name(transport.get_extra_info("peername"))
        self._joined(self)
        self._flush()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forgets the calls; `exc` is of no use here: the client has gone."""
        del exc
        self._ending = True
        self.traffic.open = False
        self._cancel_turn()
        self._count()
        self._answers.clear()
        self._left(self)

    def pause_writing(self) -> None:
        """The transport's buffer is full."""
        self._write_blocked = True

    def resume_writing(self) -> None:
        """The transport's buffer has room again."""
        self._write_blocked = False
        self._take_turn()

    def data_received(self, data: bytes) -> None:
        """Handles what the client sent; larger windows alone are reason enough for a turn."""
        for occurrence in self._grpc.receive(data):
            self._handle(occurrence)
        self._flush()
        self._take_turn()

    def end_calls(self, status: Status, message: str) -> None:
        """Ends every call with this status."""
        for stream_id in list(self._answers):
            self._finish(stream_id, status, message)
        self._flush()

    def go_away(self) -> None:
        """Ends the connection the polite way: calls with UNAVAILABLE, then GOAWAY; the client is left to hang up."""
        if self._ending:
            return
        self.end_calls(Status.UNAVAILABLE, "the server is shutting down")
        self._ending = True
        self._cancel_turn()
        self._grpc.go_away()
        self._flush()

    def drop(self) -> None:
        """Ends the connection the impolite way: a reset, and whatever was not sent yet is gone."""
        reset_on_close = struct.pack("ii", 1, 0)
        with contextlib.suppress(OSError):  # a unix socket knows no reset
            self._transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset_on_close)
        self._transport.abort()

    def _handle(self, occurrence: Occurrence) -> None:
        match occurrence:
            case GrpcCall():
                self._answer(occurrence)
            case Cancelled(stream_id):
                self._forget(stream_id)
            case Ended():
                self._ending = True
                self._flush()
                self._transport.close()
            case _:
                assert_never(occurrence)

    def _answer(self, call: GrpcCall) -> None:
        said = self._offer.agent.answer(call.path) if self._offer.agent is not None else None
        if isinstance(said, CallRefusal):
            self._grpc.refuse(call.stream_id, said.status, said.message)
            return
        if said is not None:
            self._grpc.accept(call.stream_id)
            self._answers[call.stream_id] = _CallAnswer(OneMessage(said), time.monotonic(), is_one_message=True)
            return
        if call.path != GET_EVENTS:
            self._grpc.refuse(call.stream_id, Status.UNIMPLEMENTED, f"tetragon-sim serves {GET_EVENTS} only")
            return
        selection = select(call.request)
        match selection:
            case CallRefusal(status, message):
                log.info("refused GetEvents from %s: %s", self.traffic.peer, status.name)
                self._grpc.refuse(call.stream_id, status, message)
            case Selection():
                self._serve(call.stream_id, selection)
            case _:
                assert_never(selection)

    def _serve(self, stream_id: int, selection: Selection) -> None:
        selected = self._offer.recording.only(selection.kinds)
        log.info(
            "GetEvents from %s: %d allow and %d deny filters select %d of %d events",
            self.traffic.peer,
            selection.allow_filters,
            selection.deny_filters,
            len(selected),
            len(self._offer.recording),
        )
        self.traffic.calls += 1
        self._grpc.accept(stream_id)
        self._answers[stream_id] = _CallAnswer(self._offer.pieces(selected), time.monotonic())

    def _take_turn(self) -> None:
        """Writes what may be written now and sees to the next turn, where nothing else will bring it about."""
        self._cancel_turn()
        if self._ending or self._write_blocked:
            return
        budget = WRITE_BYTES
        for stream_id in list(self._answers):
            budget = self._send(stream_id, budget)
        self._count()
        self._flush()
        if self._write_blocked:
            return
        if budget <= 0:
            self._turn = self._loop.call_soon(self._take_turn)
        elif self._offer.rate_per_s is not None and any(not one.playback.finished for one in self._answers.values()):
            self._turn = self._loop.call_later(TICK_SECONDS, self._take_turn)

    def _send(self, stream_id: int, budget: int) -> int:
        """Sends events of one call and gives what is left of the budget."""
        answer = self._answers.pop(stream_id)
        self._answers[stream_id] = answer  # to the end of the line: next time the others come first
        while messages := answer.playback.take(
            min(budget, self._grpc.room(stream_id)), time.monotonic() - answer.started_seconds
        ):
            self._grpc.send(stream_id, messages)
            budget -= len(messages)
        if answer.playback.finished and (answer.is_one_message or self._offer.close_at_end):
            self._finish(stream_id, Status.OK, "")
        return budget

    def _cancel_turn(self) -> None:
        if self._turn is not None:
            self._turn.cancel()
            self._turn = None

    def _finish(self, stream_id: int, status: Status, message: str) -> None:
        self._forget(stream_id)
        self._grpc.finish(stream_id, status, message)

    def _forget(self, stream_id: int) -> None:
        answer = self._answers.pop(stream_id, None)
        if answer is not None:
            self._events_of_ended_answers += answer.playback.events_taken

    def _count(self) -> None:
        running = sum(answer.playback.events_taken for answer in self._answers.values())
        self.traffic.events_sent = self._events_of_ended_answers + running

    def _flush(self) -> None:
        if data := self._grpc.output():
            self._transport.write(data)


def _peer_name(peer: object) -> str:
    return f"{peer[0]}:{peer[1]}" if isinstance(peer, tuple) else "unix socket"
