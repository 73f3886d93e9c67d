"""All open connections of one server, and what is done to all of them at once.

Runs on the event loop's thread, like the sessions it holds.
"""

import asyncio
import contextlib

from app.simulator.session import Session


class Connections:
    """The open sessions."""

    def __init__(self) -> None:
        self._open: set[Session] = set()
        self._nobody: asyncio.Event | None = None

    def joined(self, session: Session) -> None:
        """A connection is up."""
        self._open.add(session)

    def left(self, session: Session) -> None:
        """A connection is gone."""
        self._open.discard(session)
        if self._nobody is not None and not self._open:
            self._nobody.set()

    def drop(self) -> int:
        """Resets all of them and gives their number."""
        sessions = list(self._open)
        for session in sessions:
            session.drop()
        return len(sessions)

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
