"""Recorded events from files: Tetragon's JSON export lines, or length-delimited protobuf, either of them gzipped.

A file is recognised by its content, never by its name. JSON lines are what Tetragon's exporter writes (protojson with
the field names of the .proto files); null and empty lists mean absent. In a length-delimited file each event is a
base 128 varint with its length, then the `GetEventsResponse` bytes, handed on as they are, whether they parse or not.

Errors name the file and the line or entry, and the field where one is known, but never a value: recordings hold
private data.
"""

import contextlib
import gzip
import io
import json
import logging
import re
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from google.protobuf import json_format

from app.operators.errors import OperatorError
from schemas.proto_wire import varint
from schemas.tetragon.events_pb2 import GetEventsResponse

MAX_ENTRY_BYTES: Final = 64 * 1024 * 1024
"""Limit of one line or one delimited event: four times what ingest receives, and small enough that a file of another
kind, whose first bytes happen to say an enormous length, is refused instead of read into memory."""

_Source = io.BufferedReader | gzip.GzipFile

_GZIP_MAGIC: Final = b"\x1f\x8b"

# No delimited event of the contract begins like this: read as its length and first tag, they give no field of it.
_JSON_START: Final = re.compile(rb'\s*\{[ \t]*["}]')

_UNKNOWN_FIELD: Final = re.compile(r'no field named "(?P<name>\w+)" at "(?P<where>[\w.\[\]]+)"')
_FAILED_FIELD: Final = re.compile(r"Failed to parse (\w+) field")

_DOUBT: Final = "is this Tetragon's JSON export, or length-delimited protobuf?"

log = logging.getLogger(__name__)


class EventFileError(OperatorError):
    """A file cannot be read to its end: `str` names file, place and problem."""

    exit_code = 1


def read_events(paths: Iterable[Path]) -> Iterator[bytes]:
    """Yields the `GetEventsResponse` bytes of every event, file by file, in order; raises EventFileError."""
    for path in paths:
        yield from _read_file(path)


def delimited(event: bytes) -> bytes:
    """One entry of a length-delimited file."""
    return varint(len(event)) + event


def _read_file(path: Path) -> Iterator[bytes]:
    try:
        with contextlib.ExitStack() as stack:
            file: _Source = stack.enter_context(path.open("rb"))
            if file.peek(2).startswith(_GZIP_MAGIC):
                file = stack.enter_context(gzip.GzipFile(fileobj=file))
            entries = _json_lines if _JSON_START.match(file.peek(1)) else _delimited_entries
            yield from entries(path, file)
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


def _json_lines(path: Path, file: _Source) -> Iterator[bytes]:
    reduced: list[int] = []
    number = 0
    while line := file.readline(MAX_ENTRY_BYTES + 1):
        number += 1
        where = f"{path}: line {number}"
        if len(line) > MAX_ENTRY_BYTES:
            raise EventFileError(f"{where}: is longer than the {MAX_ENTRY_BYTES} bytes allowed")
        if not line.isspace():
            event, complete = _event_of_json(line, where)
            if not complete:
                reduced.append(number)
            yield event
    if reduced:
        log.warning(
            "%s: %d lines have fields outside this Tetragon contract, which are left out, first in line %d",
            path,
            len(reduced),
            reduced[0],
        )


def _event_of_json(line: bytes, where: str) -> tuple[bytes, bool]:
    """The event of an export line, and whether all of its fields are known to the contract."""
    try:
        content = json.loads(line)
    except UnicodeDecodeError:
        raise EventFileError(f"{where}: is not UTF-8") from None
    except json.JSONDecodeError as error:
        raise EventFileError(f"{where}: is not JSON: {error.msg} at column {error.colno}") from None
    except RecursionError:
        raise EventFileError(f"{where}: is nested too deeply") from None
    if not isinstance(content, dict):
        raise EventFileError(f"{where}: is a JSON value but not an object")
    event, complete = GetEventsResponse(), True
    try:
        json_format.ParseDict(content, event)
    except json_format.ParseError as strict_error:
        event, complete = GetEventsResponse(), False
        try:
            json_format.ParseDict(content, event, ignore_unknown_fields=True)
        except json_format.ParseError as error:
            raise EventFileError(f"{where}: {_problem(error)}") from None
        if event.WhichOneof("event") is None:
            raise EventFileError(f"{where}: {_problem(strict_error)}") from None
    if event.WhichOneof("event") is None:
        raise EventFileError(f"{where}: has no event of a known kind")
    return event.SerializeToString(deterministic=True), complete


def _problem(error: json_format.ParseError) -> str:
    """What is wrong, by field; the library's own text is not passed on because it quotes values."""
    text = str(error)
    if unknown := _UNKNOWN_FIELD.search(text):
        return f"{unknown['where']} has no field {unknown['name']}"
    path = ".".join(_FAILED_FIELD.findall(text))
    return f"the value of {path} does not fit the field" if path else "is not a Tetragon event"
