"""The parent's side of the reading process: asks, waits for a limited time, replaces a process that does not answer.

Rules: an answer is believed in its form only, and the index that a process wrote is checked when it is opened. One
process at a time; it is replaced after a refusal for want of memory, and after a number of files. Refuses to know what
is in a file.
"""

import json
import selectors
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from app.symbols.elf import DebugLink
from app.symbols.index_builder import Probe
from app.symbols.reader import Built
from app.symbols.refusal import Refusal

# Lines of a very large library take a minute; names of any take a second.
DEFAULT_SECONDS: Final = 300.0
# What a process leaks is freed with it; starting one takes 0.1 s.
_FILES_PER_PROCESS: Final = 500
_MAX_ANSWER_BYTES: Final = 65_536


@dataclass(frozen=True, slots=True)
class Refused:
    """Why a file was not read; `detail` is for people."""

    reason: Refusal
    detail: str = ""


class LimitedReader:
    """Reads files in a process of its own; a context manager that ends it."""

    def __init__(self, seconds: float = DEFAULT_SECONDS) -> None:
        """`seconds` is the limit for one file."""
        self._seconds = seconds
        self._process: subprocess.Popen[bytes] | None = None
        self._answered = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def probe(self, path: Path) -> Probe | Refused:
        """Look at the headers of the file at `path`."""
        answer = self._ask({"path": str(path)})
        if isinstance(answer, Refused):
            return answer
        link = answer["debuglink"]
        return Probe(
            build_id=answer["build_id"],
            code_digest=answer["code_digest"],
            has_code=answer["has_code"],
            has_symtab=answer["has_symtab"],
            has_lines=answer["has_lines"],
            debuglink=None if link is None else DebugLink(link["file_name"], link["crc32"]),
        )

    def build(self, path: Path, debug_path: Path | None, output: Path, *, with_lines: bool) -> Built | Refused:
        """Write the index of the program or library at `path` to `output`."""
        debug = None if debug_path is None else str(debug_path)
        return self._built({"path": str(path), "debug_path": debug, "output": str(output), "lines": with_lines})

    def extend(self, index: Path, debug_path: Path, output: Path, *, with_lines: bool) -> Built | Refused:
        """Write the index at `index` with the names and lines of its debug file to `output`."""
        paths = {"index": str(index), "debug_path": str(debug_path), "output": str(output)}
        return self._built({**paths, "lines": with_lines})

    def _built(self, request: Mapping[str, Any]) -> Built | Refused:
        answer = self._ask(request)
        return answer if isinstance(answer, Refused) else Built(**answer)

    def _ask(self, request: Mapping[str, Any]) -> dict[str, Any] | Refused:
        process = self._running()
        assert process.stdin is not None
        try:
            process.stdin.write(json.dumps(request).encode() + b"\n")
            process.stdin.flush()
        except BrokenPipeError:
            self._end()
            return Refused(Refusal.READER_DIED)
        line = self._line(process)
        if isinstance(line, Refused):
            self._end()
            return line
        self._answered += 1
        answer: dict[str, Any] = json.loads(line)
        if "refused" not in answer:
            return answer
        refused = Refused(Refusal[answer["refused"]], str(answer["detail"]))
        if refused.reason is Refusal.OVER_LIMIT:
            self._end()
        return refused

    def _line(self, process: subprocess.Popen[bytes]) -> bytes | Refused:
        assert process.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ)
            if not selector.select(self._seconds):
                return Refused(Refusal.TOO_SLOW, f"{self._seconds:g} s")
        # written and flushed whole, and shorter than a pipe's buffer, so once it begins it is there
        line = process.stdout.readline(_MAX_ANSWER_BYTES)
        if not line.endswith(b"\n"):
            code = process.wait(timeout=self._seconds)
            return Refused(Refusal.READER_DIED, f"exit status {code}")
        return line

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is not None and self._answered >= _FILES_PER_PROCESS:
            self._end()
        if self._process is None:
            command = [sys.executable, "-I", "-m", "app.symbols.reader"]
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env={}
            )
            self._answered = 0
        return self._process

    def _end(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None
