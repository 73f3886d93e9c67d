"""Events from text: Tetragon's JSON export as it is found, whole or with other things around it.

What writes and keeps such lines adds to them: a container runtime puts a time before each (CRI) or each into an object
(Docker's json-file), an editor indents them, a script makes one array of them, a log begins with lines of another kind,
and rotation cuts one in the middle. Every whole event is read, and everything else is named by its line.

Errors never quote a value: recordings hold private data.
"""

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from google.protobuf import json_format

from schemas.tetragon.events_pb2 import GetEventsResponse

_CRI_PREFIX: Final = re.compile(rb"\d{4}-\d\d-\d\dT[0-9:.]+(?:Z|[+-]\d\d:\d\d) std(?:out|err) ([FP]) ")
_BOM: Final = b"\xef\xbb\xbf"

# No delimited event of the contract begins like one of these: read as its length and first tag, they give no field.
_TEXT: Final = re.compile(
    rb"(?:\xef\xbb\xbf)?\s*"
    rb"(?:\{\s*[\"}]"  # an object, indented or not
    rb"|\[\s*[{\]]"  # an array of objects
    rb"|\d{4}-\d\d-\d\dT[0-9:.]+\S* std(?:out|err) [FP] "  # the prefix of a container runtime
    rb"|(?:[\x20-\x7e\t\r]+\n)+\s*(?:\d{4}\S+ std(?:out|err) [FP] )?\{\s*\")"  # printed lines, then an object
)

_TOKEN: Final = re.compile(r'"(?:[^"\\]|\\.)*"?|[{}\[\]]')
_OPEN: Final = re.compile(r"\s*\[?\s*\{\s*")
"""The first line of an indented object, in an array or not; a line that was cut has more in it."""

_UNKNOWN_FIELD: Final = re.compile(r'no field named "(?P<name>\w+)" at "(?P<where>[\w.\[\]]+)"')
_FAILED_FIELD: Final = re.compile(r"Failed to parse (\w+) field")


def is_text(head: bytes) -> bool:
    """Whether a file that begins like this holds text, not length-delimited events."""
    return _TEXT.match(head) is not None


@dataclass(frozen=True, slots=True)
class ReadEvent:
    """An event; `is_whole` says whether the contract knows all of its fields."""

    line: int
    event: bytes
    is_whole: bool


@dataclass(frozen=True, slots=True)
class UnreadLine:
    """A line, or a value that begins there, which is not an event, and why."""

    line: int
    problem: str


@dataclass(slots=True)
class _UnfinishedValue:
    """An indented value of which the end has not come."""

    line: int
    texts: list[str] = field(default_factory=list)
    depth: int = 0
    size: int = 0

    def add(self, text: str) -> None:
        """Take one more line."""
        self.texts.append(text)
        self.depth += _depth(text)
        self.size += len(text)


class EventTexts:
    """Reads the lines of one file."""

    def __init__(self, max_bytes: int) -> None:
        """`max_bytes` is the limit of one value over several lines."""
        self._max_bytes = max_bytes
        self._pending: _UnfinishedValue | None = None

    def read(self, lines: Iterable[tuple[int, bytes]]) -> Iterator[ReadEvent | UnreadLine]:
        """The events of numbered lines, and the lines that are not events, in order."""
        for number, line in _unwrapped(lines):
            try:
                text = line.decode()
            except UnicodeDecodeError:
                yield UnreadLine(number, "is not UTF-8")
                continue
            yield from self._line(number, text)
        if self._pending is not None:
            yield UnreadLine(self._pending.line, "the file ends before the value that begins here")

    def _line(self, number: int, text: str) -> Iterator[ReadEvent | UnreadLine]:
        pending = self._pending
        if pending is not None:
            if not _is_whole_object(text):
                pending.add(text)
                if pending.size > self._max_bytes:
                    self._pending = None
                    yield UnreadLine(pending.line, f"the value that begins here has over {self._max_bytes} bytes")
                elif pending.depth <= 0:
                    self._pending = None
                    yield from _events_in("\n".join(pending.texts), pending.line)
                return
            self._pending = None
            yield UnreadLine(pending.line, "the value that begins here is cut off")
        if text.strip() in {"", "[", "]", ","}:
            return
        if _OPEN.fullmatch(text):
            self._pending = _UnfinishedValue(number)
            self._pending.add(text.lstrip().removeprefix("["))
            return
        yield from _events_in(text, number)


def _unwrapped(lines: Iterable[tuple[int, bytes]]) -> Iterator[tuple[int, bytes]]:
    """Lines without what a container runtime put before them; a line that it cut in parts is one again."""
    first, parts = 0, list[bytes]()
    for number, raw in lines:
        line = raw.removeprefix(_BOM) if number == 1 else raw
        found = _CRI_PREFIX.match(line)
        if found is None:
            yield number, line.rstrip(b"\r\n")
            continue
        first = first if parts else number
        parts.append(line[found.end() :].rstrip(b"\r\n"))
        if found[1] == b"F":
            yield first, b"".join(parts)
            parts.clear()
    if parts:
        yield first, b"".join(parts)


def _is_whole_object(text: str) -> bool:
    """Whether a line is an object of its own. Inside of an indented value, it says that the value was cut."""
    return text.startswith("{") and _depth(text) == 0 and isinstance(_parsed(text), dict)


def _depth(text: str) -> int:
    """How many more brackets open than close, outside of texts."""
    brackets = [found for found in _TOKEN.findall(text) if not found.startswith('"')]
    return sum(1 if bracket in "{[" else -1 for bracket in brackets)


def _parsed(text: str) -> Any:
    """The JSON value of a text, in an array or not; the problem where there is none."""
    problem = ""
    stripped = text.strip()
    for form in dict.fromkeys((stripped, stripped.removeprefix("[").removesuffix("]").strip().strip(",").strip())):
        try:
            return json.loads(form)
        except json.JSONDecodeError as error:
            problem = problem or f"is not JSON: {error.msg} at column {error.colno}"
        except RecursionError:
            return _NotJson("is nested too deeply")
        except ValueError:  # a number of more digits than Python reads
            return _NotJson("is not JSON: a number is too long")
    return _NotJson(problem)


class _NotJson(str):
    """Why a text is not a JSON value."""

    __slots__ = ()


def _events_in(text: str, line: int) -> Iterator[ReadEvent | UnreadLine]:
    value = _parsed(text)
    for one in value if isinstance(value, list) else [value]:
        found = one if isinstance(one, _NotJson) else _event_of(one)
        yield UnreadLine(line, found) if isinstance(found, str) else ReadEvent(line, *found)


def _event_of(value: Any) -> tuple[bytes, bool] | str:
    """The event of an object, and whether the contract knows all of its fields; or what is wrong with it."""
    if not isinstance(value, dict):
        return "is a JSON value but not an object"
    if isinstance(value.get("log"), str) and "stream" in value:  # Docker's json-file
        inner = _parsed(value["log"])
        return inner if isinstance(inner, _NotJson) else _event_of(inner)
    event, is_whole = GetEventsResponse(), True
    try:
        json_format.ParseDict(value, event)
    except json_format.ParseError as strict_error:
        event, is_whole = GetEventsResponse(), False
        try:
            json_format.ParseDict(value, event, ignore_unknown_fields=True)
        except json_format.ParseError as error:
            return _problem(error)
        if event.WhichOneof("event") is None:
            return _problem(strict_error)
    if event.WhichOneof("event") is None:
        return "has no event of a known kind"
    return _encoded(event, is_whole)


def _encoded(event: GetEventsResponse, is_whole: bool) -> tuple[bytes, bool] | str:
    try:
        return event.SerializeToString(deterministic=True), is_whole
    except ValueError:  # half of a surrogate pair
        return "has a text that is not UTF-8"


def _problem(error: json_format.ParseError) -> str:
    """What is wrong, by field; the library's own text is not passed on because it quotes values."""
    text = str(error)
    if unknown := _UNKNOWN_FIELD.search(text):
        return f"{unknown['where']} has no field {unknown['name']}"
    path = ".".join(_FAILED_FIELD.findall(text))
    return f"the value of {path} does not fit the field" if path else "is not a Tetragon event"
