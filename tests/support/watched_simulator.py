"""The Tetragon simulator for tests that count what it has served, stop it from sending, or end its calls."""

from collections import deque
from dataclasses import dataclass, replace
from typing import Any, Final

from app.simulator.connections import Connections
from app.simulator.grpc_connection import Status
from app.simulator.server import SimulatorServer
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


class WatchedConnections(Connections):
    """The open sessions and the books on all that there were; `counters` may be called when the loop has ended."""

    def __init__(self) -> None:
        super().__init__()
        self._traffic: deque[Traffic] = deque(maxlen=REMEMBERED_CONNECTIONS)
        self._closed = Traffic("", open=False)
        self._ever = 0
        self._paused = False

    def joined(self, session: Session) -> None:
        """A connection is up."""
        super().joined(session)
        self._traffic.append(session.traffic)
        self._ever += 1
        if self._paused:
            session.pause_writing()

    def left(self, session: Session) -> None:
        """A connection is gone."""
        super().left(session)
        self._closed.calls += session.traffic.calls
        self._closed.events_sent += session.traffic.events_sent

    def end_calls(self, status: Status, message: str) -> None:
        """Ends the calls of all of them with this status."""
        for session in self._open:
            session.end_calls(status, message)

    def pause(self, *, paused: bool) -> None:
        """Stops or resumes the events of all of them and of those to come."""
        self._paused = paused
        for session in self._open:
            if paused:
                session.pause_writing()
            else:
                session.resume_writing()

    def counters(self) -> Counters:
        """The books as they stand, copied."""
        return Counters(
            connections=self._ever,
            connections_open=len(self._open),
            calls=self._closed.calls + sum(session.traffic.calls for session in self._open),
            events_sent=self._closed.events_sent + sum(session.traffic.events_sent for session in self._open),
            by_connection=tuple(replace(traffic) for traffic in self._traffic),
        )


class WatchedSimulator(SimulatorServer):
    """A simulator that a test looks into."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._connections: WatchedConnections = WatchedConnections()

    def end_calls(self, status: Status, message: str = "") -> None:
        """Ends every call with this status; connections stay."""
        self._on_loop(lambda: self._connections.end_calls(status, message))

    def pause(self) -> None:
        """Sends no more events, to old and new clients, until `resume`; pings are still answered."""
        self._on_loop(lambda: self._connections.pause(paused=True))

    def resume(self) -> None:
        """Sends events again; what a rate made due in the meantime comes at once."""
        self._on_loop(lambda: self._connections.pause(paused=False))

    def counters(self) -> Counters:
        """What has been done since this object was made, restarts included."""
        return self._connections.counters() if self._thread is None else self._on_loop(self._connections.counters)
