"""All connections of one server: what they carried, and what is done to all of them at once.

Runs on the event loop's thread, like the sessions it holds; `counters` may also be called when that loop has ended.
"""

import asyncio
import contextlib
from collections import deque
from dataclasses import dataclass, replace
from typing import Final

from app.simulator.grpc_connection import Status
from app.simulator.session import Session, Traffic

REMEMBERED_CONNECTIONS: Final = 1000
"""Connections whose own counts can be read; those of older ones are in the totals only."""


@dataclass(frozen=True, slots=True)
class Counters:
    """What has been done; connections whose TLS handshake failed do not count."""

    connections: int
    connections_open: int
    calls: int
    events_sent: int
    by_connection: tuple[Traffic, ...]
    """The last REMEMBERED_CONNECTIONS, oldest first."""


class Connections:
    """The open sessions and the books on all that there were."""

    def __init__(self) -> None:
        self._open: set[Session] = set()
        self._traffic: deque[Traffic] = deque(maxlen=REMEMBERED_CONNECTIONS)
        self._closed = Traffic("", open=False)
        self._ever = 0
        self._paused = False
        self._nobody: asyncio.Event | None = None

    def joined(self, session: Session) -> None:
        """A connection is up."""
        self._traffic.append(session.traffic)
        self._ever += 1
        self._open.add(session)
        if self._paused:
            session.pause(paused=True)

    def left(self, session: Session) -> None:
        """A connection is gone."""
        self._open.discard(session)
        self._closed.calls += session.traffic.calls
        self._closed.events_sent += session.traffic.events_sent
        if self._nobody is not None and not self._open:
            self._nobody.set()

    def drop(self) -> int:
        """Resets all of them and gives their number."""
        sessions = list(self._open)
        for session in sessions:
            session.drop()
        return len(sessions)

    def end_calls(self, status: Status, message: str) -> None:
        """Ends the calls of all of them with this status."""
        for session in self._open:
            session.end_calls(status, message)

    def pause(self, *, paused: bool) -> None:
        """Stops or resumes the events of all of them and of those to come."""
        self._paused = paused
        for session in self._open:
            session.pause(paused=paused)

    async def say_goodbye(self, patience_seconds: float) -> None:
        """Asks all of them to leave and resets those that are still here after `patience_seconds`."""
        self._nobody = asyncio.Event()  # made here because an event belongs to one loop, and a restart has another
        for session in list(self._open):
            session.go_away()
        if self._open:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._nobody.wait(), patience_seconds)
        if self.drop():
            await self._nobody.wait()

    def counters(self) -> Counters:
        """The books as they stand, copied."""
        return Counters(
            connections=self._ever,
            connections_open=len(self._open),
            calls=self._closed.calls + sum(session.traffic.calls for session in self._open),
            events_sent=self._closed.events_sent + sum(session.traffic.events_sent for session in self._open),
            by_connection=tuple(replace(traffic) for traffic in self._traffic),
        )
