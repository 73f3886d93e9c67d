"""A process for input that strangers chose: one JSON line and a limited time for each request; replaced when it dies.

An answer is one line, shorter than a pipe holds. A missing answer is a value, never an exception. The process starts
with the first request, without the environment, and ends with its owner. Several threads may ask; one waits for the
other, so each gets its own answer.
"""

import enum
import json
import selectors
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

MAX_ANSWER_BYTES: Final = 65_536
"""What a Linux pipe holds, so an answer that has begun is there."""


class NoAnswerReason(enum.Enum):
    """Why there is no answer."""

    TOO_SLOW = "took longer than the limit on time"
    DIED = "ended its process"


@dataclass(frozen=True, slots=True)
class NoAnswer:
    """A request that was not answered; `detail` is for people."""

    reason: NoAnswerReason
    detail: str = ""


class LimitedProcess:
    """One process of `module`, run with `python -m`."""

    def __init__(self, module: str, *, seconds: float, max_requests: int) -> None:
        """`seconds` limits one request; the process is replaced after `max_requests`, and with it what it leaked."""
        self._command: Sequence[str] = (sys.executable, "-I", "-m", module)
        self._seconds = seconds
        self._max_requests = max_requests
        self._process: subprocess.Popen[bytes] | None = None
        self._requests = 0
        self._lock = threading.Lock()

    def ask(self, request: Mapping[str, Any]) -> dict[str, Any] | NoAnswer:
        """Send a request and wait for its answer."""
        with self._lock:
            return self._asked(request)

    def _asked(self, request: Mapping[str, Any]) -> dict[str, Any] | NoAnswer:
        process = self._running()
        assert process.stdin is not None
        self._requests += 1
        try:
            process.stdin.write(json.dumps(request).encode() + b"\n")
            process.stdin.flush()
        except BrokenPipeError:
            return self._failed(NoAnswer(NoAnswerReason.DIED))
        line = self._line(process)
        if isinstance(line, NoAnswer):
            return self._failed(line)
        answer: dict[str, Any] = json.loads(line)
        return answer

    def end(self) -> None:
        """End the process; the next request starts another."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def _failed(self, failure: NoAnswer) -> NoAnswer:
        self.end()
        return failure

    def _line(self, process: subprocess.Popen[bytes]) -> bytes | NoAnswer:
        assert process.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ)
            if not selector.select(self._seconds):
                return NoAnswer(NoAnswerReason.TOO_SLOW, f"{self._seconds:g} s")
        line = process.stdout.readline(MAX_ANSWER_BYTES)
        if not line.endswith(b"\n"):
            process.kill()
            return NoAnswer(NoAnswerReason.DIED, f"exit status {process.wait()}")
        return line

    def _running(self) -> subprocess.Popen[bytes]:
        if self._requests >= self._max_requests:
            self.end()
        if self._process is None:
            self._process = subprocess.Popen(
                self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env={}
            )
            self._requests = 0
        return self._process
