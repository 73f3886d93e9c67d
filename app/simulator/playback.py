"""One client's way through a recording: how often, how fast, and how far it has come.

At a rate of R a second, event number n is due n / R seconds after the start. Due times count from the start, not from
the event before, so small delays do not add up, and a client that was slow catches up. Time comes in as an argument.
"""

import struct
from bisect import bisect_right
from typing import Final

from app.simulator.recording import Recording

FOREVER: Final = 0
"""The `repeat` of a playback without an end."""

_PREFIX: Final = struct.Struct(">BI")  # of a gRPC message: compressed flag, length
_NOTHING: Final = memoryview(b"")


class OneMessage:
    """Hands out the one answer to a call, which is not an event."""

    __slots__ = ("_rest",)

    events_taken: Final = 0

    def __init__(self, message: bytes) -> None:
        self._rest = memoryview(_PREFIX.pack(0, len(message)) + message)

    @property
    def finished(self) -> bool:
        """Whether all of it has been handed out."""
        return not self._rest

    def take(self, room_bytes: int, elapsed_seconds: float) -> memoryview:
        """The next bytes, at most `room_bytes`."""
        del elapsed_seconds
        piece = self._rest[: max(0, room_bytes)]
        self._rest = self._rest[len(piece) :]
        return piece


class Playback:
    """Hands out a recording piece by piece."""

    __slots__ = ("_passes", "_position", "_rate_per_s", "_recording", "_repeat")

    def __init__(self, recording: Recording, *, repeat: int = 1, rate_per_s: float | None = None) -> None:
        self._recording = recording
        self._repeat = repeat
        self._rate_per_s = rate_per_s
        self._passes = 0
        self._position = 0

    @property
    def finished(self) -> bool:
        """Whether everything has been handed out. A recording without events is finished before it starts."""
        return not len(self._recording) or (self._repeat != FOREVER and self._passes >= self._repeat)

    @property
    def events_taken(self) -> int:
        """Events handed out with their last byte."""
        return self._passes * len(self._recording) + bisect_right(self._recording.ends, self._position)

    def take(self, room_bytes: int, elapsed_seconds: float) -> memoryview:
        """The next bytes: at most `room_bytes`, of what is due, and never past the end of one pass.

        Empty if there is no room, if nothing is due yet or if the playback is finished.
        """
        if self.finished or room_bytes <= 0:
            return _NOTHING
        start = self._position
        end = min(start + room_bytes, self._due_position(elapsed_seconds))
        if end >= len(self._recording.payload):
            self._passes += 1
            self._position = 0
        elif end > start:
            self._position = end
        return self._recording.payload[start:end]

    def _due_position(self, elapsed_seconds: float) -> int:
        """How far into this pass the events reach that are due, in bytes."""
        if self._rate_per_s is None:
            return len(self._recording.payload)
        due = int(elapsed_seconds * self._rate_per_s) - self._passes * len(self._recording)
        if due <= 0:
            return 0
        return self._recording.ends[min(due, len(self._recording)) - 1]
