"""Standard error as a place for log lines that never holds a process up: what it does not take is lost and counted.

A pipe whose reader has stopped, a terminal that is paused and a full disk take no lines. Whoever logs must go on, above
all an event loop. So a pipe, a socket and a terminal are written without blocking, and a line waits a moment at most.
"""

import logging
import os
import select
import socket
import stat
import time
from collections.abc import Callable
from typing import Final, TextIO

PATIENCE_SECONDS: Final = 0.2
"""For a reader that is slow. Once it has not read for that long, lines are lost at once until it reads again."""

Send = Callable[[memoryview], int]
"""Takes the beginning of some bytes without waiting; returns how many. Raises OSError."""


class LogOutlet(logging.Handler):
    """Writes formatted records to a stream, whole lines or none."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__()
        self._stream = stream
        self._descriptor = _descriptor_of(stream)
        self._send: Send | None = None if self._descriptor is None else _sender(self._descriptor)
        self._rest = b""
        """Of a line that was begun."""
        self._lost = 0
        self._is_stuck = False

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record as a line."""
        try:
            line = self.format(record)
            notice = f"{self.format(_lost_lines(self._lost))}\n" if self._lost else ""
        except Exception:  # noqa: BLE001 - as in the standard library: no line may end the program
            self.handleError(record)
            return
        self._lost = 0 if self._write(f"{notice}{line}\n") else self._lost + 1

    def flush(self) -> None:
        """Write what is left of a line that was begun, as far as that is possible in a moment."""
        self.acquire()
        try:
            if self._send is None:
                self._stream.flush()
            elif self._rest:
                self._rest = self._sent(self._send, self._rest)
        except (OSError, ValueError):
            pass
        finally:
            self.release()

    def _write(self, text: str) -> bool:
        """Whether any of it was taken; then the rest follows before the next line."""
        try:
            if self._send is None:
                self._stream.write(text)
                self._stream.flush()
                return True
            content = text.encode(errors="backslashreplace")
            left = self._sent(self._send, self._rest + content)
        except (OSError, ValueError):
            return False
        is_begun = len(left) < len(content)
        self._rest = left if is_begun else left[: len(left) - len(content)]
        return is_begun

    def _sent(self, send: Send, content: bytes) -> bytes:
        """Send, and return what was not taken."""
        view = memoryview(content)
        deadline = time.monotonic() + (0 if self._is_stuck else PATIENCE_SECONDS)
        while view:
            taken = send(view)
            view = view[taken:]
            if not taken and not self._can_write(deadline - time.monotonic()):
                break
        self._is_stuck = bool(view)
        return bytes(view)

    def _can_write(self, seconds: float) -> bool:
        if seconds <= 0:
            return False
        poll = select.poll()
        poll.register(self._descriptor or 0, select.POLLOUT)
        return bool(poll.poll(seconds * 1000))


def _lost_lines(count: int) -> logging.LogRecord:
    text = "standard error took no lines for a while: lines of the log are lost"
    record = logging.LogRecord(__name__, logging.WARNING, __file__, 0, text, None, None)
    record.facts = {"lines": count}
    return record


def _descriptor_of(stream: TextIO) -> int | None:
    """Descriptor of a pipe, a socket or a terminal; None for what never blocks for long, such as a file."""
    try:
        descriptor = stream.fileno()
        mode = os.fstat(descriptor).st_mode
    except (OSError, ValueError, AttributeError):
        return None
    return descriptor if stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) or stat.S_ISCHR(mode) else None


def _sender(descriptor: int) -> Send:
    """A way to write that does not block, and leaves the descriptor, which other processes share, as it is."""
    if stat.S_ISSOCK(os.fstat(descriptor).st_mode):
        connection = socket.socket(fileno=os.dup(descriptor))
        return lambda content: _taken(lambda: connection.send(content, socket.MSG_DONTWAIT))
    try:
        own = os.open(f"/proc/self/fd/{descriptor}", os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError:  # of another user, or without /proc: what is left is to ask first
        return lambda content: _asked(descriptor, content)
    return lambda content: _taken(lambda: os.write(own, content))


def _taken(write: Callable[[], int]) -> int:
    try:
        return write()
    except BlockingIOError:
        return 0


def _asked(descriptor: int, content: memoryview) -> int:
    poll = select.poll()
    poll.register(descriptor, select.POLLOUT)
    return os.write(descriptor, content[: select.PIPE_BUF]) if poll.poll(0) else 0
