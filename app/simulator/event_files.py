"""Recorded events from files: Tetragon's JSON export, or length-delimited protobuf, either of them gzipped.

A file is recognised by its content, never by its name. JSON is what Tetragon's exporter writes (protojson with the
field names of the .proto files), in any of the forms in which it is found (json_events.py); null and empty lists mean
absent. In a length-delimited file each event is a base 128 varint with its length, then the `GetEventsResponse` bytes,
handed on as they are, whether they parse or not.

Errors name the file and the line or entry, and the field where one is known, but never a value: recordings hold
private data.
"""

import contextlib
import gzip
import io
import logging
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Final

from app.operators.errors import OperatorError
from app.simulator.json_events import EventTexts, UnreadLine, is_text
from schemas.proto_wire import varint

MAX_ENTRY_BYTES: Final = 64 * 1024 * 1024
"""Limit of one line or one delimited event: four times what ingest receives, and small enough that a file of another
kind, whose first bytes happen to say an enormous length, is refused instead of read into memory."""

_Source = io.BufferedReader | gzip.GzipFile

_GZIP_MAGIC: Final = b"\x1f\x8b"

_HEAD_BYTES: Final = 4096
"""So much of a file says what it holds; a buffered reader has this much at hand."""

_DOUBT: Final = "is this Tetragon's JSON export, or length-delimited protobuf?"

log = logging.getLogger(__name__)


class EventFileError(OperatorError):
    """A file cannot be read to its end: `str` names file, place and problem."""

    exit_code = 1


OnUnread = Callable[[EventFileError], None]
"""What to do with a line of text that is not an event."""


def _refuse(unread: EventFileError) -> None:
    raise unread


def read_events(paths: Iterable[Path], on_unread: OnUnread = _refuse) -> Iterator[bytes]:
    """Yields the `GetEventsResponse` bytes of every event, file by file, in order; raises EventFileError.

    A line of text that is not an event goes to `on_unread`, and reading goes on behind it, unless that raises.
    """
    for path in paths:
        yield from _read_file(path, on_unread)


def delimited(event: bytes) -> bytes:
    """One entry of a length-delimited file."""
    return varint(len(event)) + event


def _read_file(path: Path, on_unread: OnUnread) -> Iterator[bytes]:
    try:
        with contextlib.ExitStack() as stack:
            file: _Source = stack.enter_context(path.open("rb"))
            if file.peek(2).startswith(_GZIP_MAGIC):
                file = stack.enter_context(gzip.GzipFile(fileobj=file))
            if is_text(file.peek(_HEAD_BYTES)[:_HEAD_BYTES]):
                yield from _text_events(path, file, on_unread)
            else:
                yield from _delimited_entries(path, file)
    except EOFError as error:
        raise EventFileError(f"{path}: ends in the middle of its gzip stream") from error
    except (gzip.BadGzipFile, zlib.error) as error:
        raise EventFileError(f"{path}: its gzip stream is damaged") from error
    except OSError as error:
        raise EventFileError(f"{path}: {error.strerror or error}") from error


def _delimited_entries(path: Path, file: _Source) -> Iterator[bytes]:
    number, start = 0, 0
    while True:
        number += 1
        where = f"{path}: entry {number} at byte {start}"
        length, head_bytes = _length(file, where)
        if not head_bytes:
            return
        if length > MAX_ENTRY_BYTES:
            raise EventFileError(f"{where}: declares {length} bytes, more than the {MAX_ENTRY_BYTES} allowed; {_DOUBT}")
        event = file.read(length)
        if len(event) < length:
            raise EventFileError(f"{where}: the file ends after {len(event)} of its {length} bytes")
        yield event
        start += head_bytes + length


def _length(file: _Source, where: str) -> tuple[int, int]:
    """The varint at the file's position and how many bytes it has; zero bytes at the end of the file."""
    length = 0
    for index in range(5):  # 35 bits say more than MAX_ENTRY_BYTES
        byte = file.read(1)
        if not byte:
            if index:
                raise EventFileError(f"{where}: the file ends inside the length")
            return 0, 0
        length |= (byte[0] & 0x7F) << 7 * index
        if byte[0] < 0x80:
            return length, index + 1
    raise EventFileError(f"{where}: does not begin with a length; {_DOUBT}")


def _text_events(path: Path, file: _Source, on_unread: OnUnread) -> Iterator[bytes]:
    reduced: list[int] = []
    for found in EventTexts(MAX_ENTRY_BYTES).read(_numbered(path, file)):
        if isinstance(found, UnreadLine):
            on_unread(EventFileError(f"{path}: line {found.line}: {found.problem}"))
            continue
        if not found.is_whole:
            reduced.append(found.line)
        yield found.event
    if reduced:
        log.warning(
            "%s: %d lines have fields outside this Tetragon contract, which are left out, first in line %d",
            path,
            len(reduced),
            reduced[0],
        )


def _numbered(path: Path, file: _Source) -> Iterator[tuple[int, bytes]]:
    number = 0
    while line := file.readline(MAX_ENTRY_BYTES + 1):
        number += 1
        if len(line) > MAX_ENTRY_BYTES:
            raise EventFileError(f"{path}: line {number}: is longer than the {MAX_ENTRY_BYTES} bytes allowed")
        yield number, line
