"""What all files of spans have in common: a line of canonical JSON for each span, and where its bytes are.

A line is the one text of its values, so a changed line is found even where it still reads as one.
"""

import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from io import BufferedReader
from pathlib import Path
from typing import Final, Self, TypeVar

from app.evidence.documents import MAX_SPANS_BYTES, canonical_text
from app.evidence.typed_fields import typed
from app.kafka.records import DamagedError
from app.operators.regular_files import open_regular, read_regular

_CHUNK: Final = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredSpan:
    """Records with offsets `first` to `last`.

    They are in the file's bytes `begin` to before `end`, and `stored` is the digest of these bytes; 0, 0 and "" if no
    file has them.
    """

    span: int
    first: int
    last: int
    begin: int = 0
    end: int = 0
    stored: str = ""

    def line(self) -> str:
        """The line in a span file, with its end."""
        return canonical_text(asdict(self)) + "\n"

    @classmethod
    def of_line(cls, line: str) -> Self:
        """Read a line. Raises ValueError."""
        found = typed(cls, json.loads(line))
        if found.line() != line:
            raise ValueError
        return found


_Span = TypeVar("_Span", bound=StoredSpan)


def opened(path: Path) -> BufferedReader:
    """The file, open for reading. Raises DamagedError, also for a file that is not regular."""
    try:
        return open_regular(path)
    except OSError as error:
        raise DamagedError(f"{path}: {error.strerror or error}") from None


def damaged(path: Path, spans: Iterable[_Span]) -> Iterator[_Span]:
    """The spans whose bytes in the file are not those that were written; in constant memory.

    Raises DamagedError if the file cannot be read.
    """
    with opened(path) as file:
        size = os.fstat(file.fileno()).st_size
        for span in spans:
            hashed = hashlib.sha256()
            if span.begin <= span.end <= size:  # a line that was made up could lead anywhere
                file.seek(span.begin)
                for position in range(span.begin, span.end, _CHUNK):
                    hashed.update(file.read(min(_CHUNK, span.end - position)))
            if hashed.hexdigest() != span.stored:
                yield span


def lines_digest(spans: Iterable[StoredSpan]) -> str:
    """Digest of a span file's bytes."""
    return hashlib.sha256("".join(span.line() for span in spans).encode()).hexdigest()


def read_lines(path: Path, kind: type[_Span]) -> tuple[list[_Span], str]:
    """The spans of a span file, and the digest of its bytes. Raises DamagedError, which names the line if it can."""
    try:
        content = read_regular(path, MAX_SPANS_BYTES)
    except OSError as error:
        raise DamagedError(f"{path}: {error.strerror or error}") from None
    spans: list[_Span] = []
    for number, text in enumerate(content.decode("utf-8", errors="replace").splitlines(keepends=True), start=1):
        try:
            spans.append(kind.of_line(text))
        except (ValueError, RecursionError):
            raise DamagedError(f"{path}, line {number}: was changed") from None
    return spans, hashlib.sha256(content).hexdigest()
