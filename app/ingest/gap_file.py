"""A file of gaps, one a line with its digest: appended and synced, or replaced as a whole.

After a power cut a line may be half there, zeros, or an old line of another file. A line whose digest is not its own is
left out and named in the log. A disk that refuses a line leaves none of it.
"""

import json
import logging
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

from app.evidence.documents import DIGEST, canonical_text, sealed
from app.files.replacing import PRIVATE, replace_file, sync_folder
from app.operators.regular_files import read_regular
from schemas.coverage import CoverageGap, from_record

log = logging.getLogger(__name__)

MAX_BYTES: Final = 256 << 20
"""Ten times as much as the journal's gaps take, with names of nodes of a kilobyte."""


class GapFile:
    """An open file of gaps."""

    def __init__(self, path: Path) -> None:
        """Open it, and make it where it is missing; `found` has its gaps. Raises OSError.

        A file that cannot be read is set aside as `NAME.damaged`.
        """
        self._path = path
        self._descriptor = -1
        self._size = 0
        content = self._content()
        self.found = tuple(self._whole(content))
        self._open(content.rfind(b"\n") + 1)
        os.ftruncate(self._descriptor, self._size)  # half a line

    def append(self, gaps: Iterable[CoverageGap]) -> None:
        """Store gaps behind the others, synced. Raises OSError and stores none then."""
        if self._descriptor < 0:
            self._open(self._size)
        content = memoryview(_encoded(gaps))
        position = self._size
        try:
            while content:
                written = os.pwrite(self._descriptor, content, position)
                content, position = content[written:], position + written
            os.fsync(self._descriptor)
        except OSError:
            os.ftruncate(self._descriptor, self._size)
            raise
        self._size = position

    def replace(self, gaps: Iterable[CoverageGap]) -> None:
        """Store these gaps and no others. Raises OSError and leaves the file as it was then."""
        content = _encoded(gaps)
        replace_file(self._path, content)
        self.close()
        self._open(len(content))

    def close(self) -> None:
        """Close it."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _open(self, size: int) -> None:
        self._size = size
        is_new = not self._path.exists()
        self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, PRIVATE)
        if is_new:
            sync_folder(self._path.parent)

    def _content(self) -> bytes:
        try:
            return read_regular(self._path, MAX_BYTES)
        except FileNotFoundError:
            return b""
        except OSError as error:
            aside = self._path.with_name(f"{self._path.name}.damaged")
            self._path.replace(aside)
            log.error("%s cannot be read (%s) and is set aside: %s", self._path, error.strerror, aside)
            return b""

    def _whole(self, content: bytes) -> Iterator[CoverageGap]:
        *lines, half = content.split(b"\n")
        for number, line in enumerate(lines + [half] * bool(half), start=1):
            try:
                yield _decoded(line)
            except (ValueError, KeyError, TypeError, RecursionError):
                log.warning("line %d of %s is damaged and is left out", number, self._path)


def _encoded(gaps: Iterable[CoverageGap]) -> bytes:
    return "".join(f"{canonical_text(sealed(gap.as_record()))}\n" for gap in gaps).encode()


def _decoded(line: bytes) -> CoverageGap:
    """The gap of a line. Raises ValueError, KeyError, TypeError or RecursionError for a line that is not as written."""
    record: dict[str, Any] = json.loads(line)
    if sealed(record)[DIGEST] != record[DIGEST]:
        raise ValueError
    return from_record(record)
