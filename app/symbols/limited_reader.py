"""The parent's side of the reading process: its requests, and what answers and failures mean.

Only the form of an answer is trusted. The index that a process wrote is checked when it is opened. A process that ran
out of memory is replaced.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

from agents.symbols.index_format import Segment
from agents.vulnerabilities.file_packages import FilePackages
from app.symbols.elf import DebugLink
from app.symbols.file_refusal import FileRefusalReason
from app.symbols.index_builder import Probe
from app.symbols.limited_process import LimitedProcess, NoAnswer, NoAnswerReason
from app.symbols.reader import Built

# Lines of a very large library take a minute; names of any take a second.
DEFAULT_SECONDS: Final = 300.0
# Starting a process takes 0.1 s.
_FILES_PER_PROCESS: Final = 500


@dataclass(frozen=True, slots=True)
class FileRefusal:
    """Why a file was not read; `detail` is for people."""

    reason: FileRefusalReason
    detail: str = ""


class LimitedReader:
    """Reads files in a process of its own; a context manager that ends it."""

    def __init__(self, seconds: float = DEFAULT_SECONDS) -> None:
        """`seconds` is the limit for one file."""
        self.process = LimitedProcess("app.symbols.reader", seconds=seconds, max_requests=_FILES_PER_PROCESS)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.end()

    def probe(self, path: Path) -> Probe | FileRefusal:
        """Look at the headers of the file at `path`."""
        answer = self._ask({"path": str(path)})
        if isinstance(answer, FileRefusal):
            return answer
        link = answer["debuglink"]
        return Probe(
            build_id=answer["build_id"],
            code_digest=answer["code_digest"],
            has_code=answer["has_code"],
            has_symtab=answer["has_symtab"],
            has_lines=answer["has_lines"],
            debuglink=None if link is None else DebugLink(link["file_name"], link["crc32"]),
            machine=answer["machine"],
            segments=tuple(Segment(**segment) for segment in answer["segments"]),
        )

    def content_digest(self, path: Path) -> str | FileRefusal:
        """SHA-256 of the whole file at `path`, in hex."""
        answer = self._ask({"path": str(path), "whole": True})
        return answer if isinstance(answer, FileRefusal) else str(answer["content"])

    def packages(self, path: Path, output: Path) -> FilePackages | FileRefusal:
        """What the file at `path` says of its packages; `output` is a file for that."""
        answer = self._ask({"path": str(path), "packages": str(output)})
        if isinstance(answer, FileRefusal):
            return answer
        read = FilePackages.decoded(output.read_bytes())
        if isinstance(read, FilePackages):
            return read
        return FileRefusal(FileRefusalReason.OVER_LIMIT, f"its packages: {read.fault.value} ({read.where})")

    def build(
        self, path: Path, debug_path: Path | None, output: Path, *, with_lines: bool, with_dwarf: bool = True
    ) -> Built | FileRefusal:
        """Write the index of the program or library at `path` to `output`; lines take DWARF."""
        paths = {"path": str(path), "debug_path": None if debug_path is None else str(debug_path)}
        return self._built({**paths, "output": str(output), "lines": with_lines, "dwarf": with_dwarf})

    def extend(self, index: Path, debug_path: Path, output: Path, *, with_lines: bool) -> Built | FileRefusal:
        """Write the index at `index` with the names and lines of its debug file to `output`."""
        paths = {"index": str(index), "debug_path": str(debug_path), "output": str(output)}
        return self._built({**paths, "lines": with_lines})

    def _built(self, request: Mapping[str, Any]) -> Built | FileRefusal:
        answer = self._ask(request)
        return answer if isinstance(answer, FileRefusal) else Built(**{**answer, "notes": tuple(answer["notes"])})

    def _ask(self, request: Mapping[str, Any]) -> dict[str, Any] | FileRefusal:
        answer = self.process.ask(request)
        if isinstance(answer, NoAnswer):
            slow = answer.reason is NoAnswerReason.TOO_SLOW
            return FileRefusal(FileRefusalReason.TOO_SLOW if slow else FileRefusalReason.READER_DIED, answer.detail)
        if "refused" not in answer:
            return answer
        refused = FileRefusal(FileRefusalReason[answer["refused"]], str(answer["detail"]))
        if refused.reason is FileRefusalReason.OVER_LIMIT:
            self.process.end()
        return refused
