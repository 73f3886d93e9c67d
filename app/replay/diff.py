"""Two runs over the same raw records, event by event: what another configuration would have published.

The event id names an event, and both runs have events in the order of raw positions. So the comparison holds one span's
events at a time, whatever the runs' size. Spans with the same digests are not read; the files of a run are proved
before they are read. `redaction.policy_id` names a configuration, so it is not a difference of an event.

Paths of fields are written like `stack_frames[3].symbol`, and values as JSON.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from app.evidence import documents
from app.evidence.documents import Difference, DocumentError, differences
from app.evidence.span_lines import SpanLine, read_lines
from app.kafka.records import DamagedError
from app.operators.errors import OperatorError
from app.operators.regular_files import open_regular
from app.replay import call_file
from app.replay.manifest import MANIFEST_FILE, Manifest, OutputPart
from schemas import records

_CONFIGURED: Final = "redaction.policy_id"

_FIELD_ORDER: Final = {
    field["name"]: number for number, field in enumerate(records.parsed_schema(records.CALL)["fields"])
}
_INDEX: Final = re.compile(r"\[\d+\]")
_FIELD_END: Final = re.compile(r"[.\[]")

CallPair = tuple[dict[str, Any] | None, dict[str, Any] | None]


@dataclass(frozen=True, slots=True)
class ChangedEvent:
    """One event that differs: `fields` that differ, or `matter`, which says why one side does not have it."""

    event_id: str
    partition: int
    raw_offset: int
    matter: str
    fields: tuple[Difference, ...] = ()

    def lines(self) -> Iterator[str]:
        """For a person to read."""
        yield f"{self.event_id}, raw partition {self.partition}, offset {self.raw_offset}: {self.matter}"
        yield from lines_of(list(self.fields), "left ", "right")

    def document(self) -> dict[str, Any]:
        """For a machine."""
        return {
            "event_id": self.event_id,
            "partition": self.partition,
            "raw_offset": self.raw_offset,
            "matter": self.matter,
            "fields": [one._asdict() for one in self.fields],
        }


@dataclass(slots=True)
class RunDiff:
    """How two runs compare. `by_field` counts events in which a field differs; `events` are the first of them."""

    configuration: list[Difference] = field(default_factory=list)
    same: int = 0
    differing: int = 0
    only_left: int = 0
    only_right: int = 0
    by_field: Counter[str] = field(default_factory=Counter)
    events: list[ChangedEvent] = field(default_factory=list)

    @property
    def equal(self) -> bool:
        """Whether both runs have the same events."""
        return not (self.differing or self.only_left or self.only_right)

    def document(self) -> dict[str, Any]:
        """For a machine."""
        return {
            "equal": self.equal,
            "configuration": [one._asdict() for one in self.configuration],
            "same": self.same,
            "differing": self.differing,
            "only_left": self.only_left,
            "only_right": self.only_right,
            "by_field": dict(sorted(self.by_field.items())),
            "events": [one.document() for one in self.events],
        }


class DifferentInputError(OperatorError):
    """The two runs are not over the same raw records; the message says what differs."""


def compare(left: Path, right: Path, most: int, report: Callable[[int], None] = lambda _events: None) -> RunDiff:
    """Compare the runs in two folders, and keep the first `most` events that differ.

    `report` gets how many more records are compared. Raises DifferentInputError, DocumentError and DamagedError.
    """
    sides = _Side(left), _Side(right)
    _check_inputs(*sides)
    then, now = (asdict(side.manifest.configuration) for side in sides)
    diff = RunDiff(list(differences(then, now)))
    for one, other in zip(sides[0].manifest.output, sides[1].manifest.output, strict=True):
        _PartitionDiff(sides[0].open_part(one), sides[1].open_part(other), diff, most, report).run()
    return diff


def _check_inputs(left: "_Side", right: "_Side") -> None:
    then, now = ([asdict(part) for part in side.manifest.input] for side in (left, right))
    for one in differences(then, now, "input.partitions"):
        if not one.path.endswith((".state", ".state_from")):
            raise DifferentInputError(
                f"the runs are not over the same raw records: {one.path} is {one.left} and {one.right}"
            )


class _Side:
    """One of the two runs."""

    def __init__(self, folder: Path) -> None:
        path = folder / MANIFEST_FILE
        self._folder = folder
        self.manifest = Manifest.of_document(documents.read(path), str(path))
        if self.manifest.output_topic is not None:
            raise DocumentError(f"{path}: its calls went to topic {self.manifest.output_topic}, and no file has them")

    def open_part(self, part: OutputPart) -> "_OpenedPart":
        """Prove the files of one partition, and open them."""
        calls, refused, spans = call_file.paths(self._folder, part.partition)
        lines = read_lines(spans, part.spans)
        call_file.check(calls, part.partition, lines)
        try:
            with open_regular(refused) as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise DamagedError(f"{refused}: {error.strerror or error}") from None
        if digest != part.refused:
            raise DamagedError(f"{refused}, partition {part.partition}: was changed")
        return _OpenedPart(part.partition, calls, refused, {line.span: line for line in lines})


class _OpenedPart:
    """One partition of one run."""

    def __init__(self, partition: int, calls: Path, refused: Path, lines: dict[int, SpanLine]) -> None:
        self.partition = partition
        self.lines = lines
        self._calls = calls
        self._dead_letters = _dead_letters(refused)
        self._next = next(self._dead_letters, None)

    def span(self, number: int) -> tuple[list[dict[str, Any]], dict[int, str]]:
        """A span's calls, and the reasons of its dead letters by raw offset. Call it for spans in order."""
        line = self.lines[number]
        refused: dict[int, str] = {}
        while self._next is not None and self._next[0] <= line.last:
            if self._next[0] >= line.first:
                refused[self._next[0]] = self._next[1]
            self._next = next(self._dead_letters, None)
        return call_file.read_span(self._calls, self.partition, line), refused


def _dead_letters(path: Path) -> Iterator[tuple[int, str]]:
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            try:
                offset, stage, reason, _ = line.split("\t")
                yield int(offset), f"{stage} refuses it: {reason}"
            except ValueError:
                raise DamagedError(f"{path}: has a line that is not of a dead letter") from None


class _PartitionDiff:
    """Compares one partition of both runs."""

    def __init__(
        self, left: _OpenedPart, right: _OpenedPart, diff: RunDiff, most: int, report: Callable[[int], None]
    ) -> None:
        self._left = left
        self._right = right
        self._diff = diff
        self._most = most
        self._report = report

    def run(self) -> None:
        """Compare span by span; both runs have the same spans, because they have the same input."""
        for number, line in self._left.lines.items():
            other = self._right.lines.get(number)
            if other is None:
                raise DamagedError(f"the runs have other spans of partition {self._left.partition}")
            if (line.canonical, line.calls) == (other.canonical, other.calls):
                self._diff.same += line.calls.written.count
            else:
                self._compare_span(number)
            self._report(line.records.count)

    def _compare_span(self, number: int) -> None:
        (left, refused_left), (right, refused_right) = self._left.span(number), self._right.span(number)
        for one, other in side_by_side(left, right):
            if one is not None and other is not None and one["event_id"] == other["event_id"]:
                self._compare_event(one, other)
                continue
            if one is not None:
                self._diff.only_left += 1
                self._keep(one, "is only in the left run", refused_right)
            if other is not None:
                self._diff.only_right += 1
                self._keep(other, "is only in the right run", refused_left)

    def _compare_event(self, one: dict[str, Any], other: dict[str, Any]) -> None:
        fields = [found for found in field_differences(one, other) if found.path != _CONFIGURED]
        if not fields:
            self._diff.same += 1
            return
        self._diff.differing += 1
        self._diff.by_field.update({_without_indices(found.path) for found in fields})
        if len(self._diff.events) < self._most:
            partition, offset = position_of(one)
            self._diff.events.append(ChangedEvent(one["event_id"], partition, offset, "differs", tuple(fields)))

    def _keep(self, call: dict[str, Any], matter: str, refused: dict[int, str]) -> None:
        if len(self._diff.events) < self._most:
            partition, offset = position_of(call)
            why = f"; {refused[offset]}" if offset in refused else ""
            self._diff.events.append(ChangedEvent(call["event_id"], partition, offset, matter + why))


def field_differences(left: dict[str, Any], right: dict[str, Any]) -> list[Difference]:
    """Every field that differs, in the order of the schema's fields."""
    last = len(_FIELD_ORDER)
    return sorted(differences(left, right), key=lambda one: _FIELD_ORDER.get(_FIELD_END.split(one.path)[0], last))


def position_of(call: dict[str, Any]) -> tuple[int, int]:
    """Partition and offset of the raw record."""
    return call["source"]["partition"], call["source"]["offset"]


def lines_of(found: list[Difference], left: str, right: str) -> Iterator[str]:
    """Differences for a person to read; `left` and `right` name the sides."""
    width = max((len(one.path) for one in found), default=0)
    for one in found:
        yield f"  {one.path:<{width}}  {left} {one.left}"
        yield f"  {'':<{width}}  {right} {one.right}"


def side_by_side(left: Iterable[dict[str, Any]], right: Iterable[dict[str, Any]]) -> Iterator[CallPair]:
    """Calls of two runs over the same partition, paired by raw offset; None stands for a call that one side lacks."""
    lefts, rights = iter(left), iter(right)
    one, other = next(lefts, None), next(rights, None)
    while one is not None or other is not None:
        at_left = None if one is None else position_of(one)[1]
        at_right = None if other is None else position_of(other)[1]
        if at_right is None or (at_left is not None and at_left < at_right):
            yield one, None
            one = next(lefts, None)
        elif at_left is None or at_right < at_left:
            yield None, other
            other = next(rights, None)
        else:
            yield one, other
            one, other = next(lefts, None), next(rights, None)


def _without_indices(path: str) -> str:
    """A path to count by: `stack_frames[].symbol`."""
    return _INDEX.sub("[]", path)
