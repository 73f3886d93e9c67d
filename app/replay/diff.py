"""Two runs over the same raw records, event by event: what another configuration would have published.

The event id names an event, and both runs have events in the order of raw positions. So the comparison holds one span's
events at a time, whatever the runs' size. Spans with the same digests are not read; the files of a run are proved
before they are read. `redaction.policy_id` names a configuration, so it is not a difference of an event.

Paths of fields are written like `stack_frames[3].symbol`, and values as JSON.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from app.evidence import documents
from app.evidence.configuration import grown_call_schema
from app.evidence.documents import Difference, DocumentError, differences
from app.evidence.span_lines import read_lines
from app.evidence.written_schema import schema_text_in
from app.kafka.records import DamagedError
from app.operators.errors import OperatorError
from app.replay import call_file
from app.replay.manifest import MANIFEST_FILE, Manifest, OutputPart
from schemas import records

_CONFIGURED: Final = "redaction.policy_id"

_FIELD_ORDER: Final = {
    field["name"]: number for number, field in enumerate(records.parsed_schema(records.CALL)["fields"])
}
_INDEX: Final = re.compile(r"\[\d+\]")
"""Events are counted by path without indices: `stack_frames[].symbol`."""
_FIELD_END: Final = re.compile(r"[.\[]")

CallPair = tuple[dict[str, Any] | None, dict[str, Any] | None]

_OpenedSpan = tuple[list[dict[str, Any]], dict[int, str]]
"""Calls, and the reasons of dead letters by raw offset."""


@dataclass(frozen=True, slots=True)
class ChangedEvent:
    """One event that differs: `fields` that differ, or `matter`, which says why one side does not have it."""

    event_id: str
    partition: int
    raw_offset: int
    matter: str
    fields: tuple[Difference, ...] = ()

    def lines(self, left: str = "left", right: str = "right") -> Iterator[str]:
        """For a person to read; `left` and `right` name the sides."""
        yield f"{self.event_id}, raw partition {self.partition}, offset {self.raw_offset}: {self.matter}"
        path, side = max((len(one.path) for one in self.fields), default=0), max(len(left), len(right))
        for one in self.fields:
            yield f"  {one.path:<{path}}  {left:<{side}} {one.left}"
            yield f"  {'':<{path}}  {right:<{side}} {one.right}"

    def document(self, left: str = "left", right: str = "right") -> dict[str, Any]:
        """For a machine."""
        fields = [{"path": one.path, left: one.left, right: one.right} for one in self.fields]
        return {**asdict(self), "fields": fields}


@dataclass(slots=True)
class RunDiff:
    """How two runs compare. `by_field` counts events in which a field differs, and `events` are the first `most`."""

    most: int
    configuration: list[Difference]
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

    def compare(self, one: dict[str, Any], other: dict[str, Any]) -> None:
        """Compare the calls that both runs have for an event."""
        fields = tuple(found for found in field_differences(one, other) if found.path != _CONFIGURED)
        if fields:
            self.differing += 1
            self.by_field.update({_INDEX.sub("[]", found.path) for found in fields})
            self.keep(one, "differs", fields)
        else:
            self.same += 1

    def keep(self, call: dict[str, Any], matter: str, fields: tuple[Difference, ...] = ()) -> None:
        """Keep an event that differs, if it is one of the first."""
        if len(self.events) < self.most:
            self.events.append(ChangedEvent(call["event_id"], *position_of(call), matter, fields))

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
    then, now = manifest_of(left), manifest_of(right)
    _check_inputs(then, now)
    diff = RunDiff(most, list(differences(asdict(then.configuration), asdict(now.configuration))))
    for one, other in zip(then.output, now.output, strict=True):
        _compare_part(OpenedPart(left, one), OpenedPart(right, other), diff, report)
    return diff


def manifest_of(folder: Path) -> Manifest:
    """The manifest of a run whose calls are in its folder."""
    path = folder / MANIFEST_FILE
    manifest = Manifest.of_document(documents.read(path), str(path))
    if manifest.output_topic is not None:
        raise DocumentError(f"{path}: its calls went to topic {manifest.output_topic}, and no file has them")
    return manifest


def _check_inputs(left: Manifest, right: Manifest) -> None:
    then, now = ([asdict(part) for part in side.input] for side in (left, right))
    for one in differences(then, now, "input.partitions"):
        if not one.path.endswith((".state", ".state_from")):
            raise DifferentInputError(
                f"the runs are not over the same raw records: {one.path} is {one.left} and {one.right}"
            )


class OpenedPart:
    """One partition of one run."""

    def __init__(self, folder: Path, part: OutputPart) -> None:
        """Prove the partition's files, and open them."""
        self._calls, refused, spans = call_file.paths(folder, part.partition)
        self.partition = part.partition
        lines = read_lines(spans, part.spans)
        call_file.check(self._calls, part.partition, lines, grown_call_schema(schema_text_in(self._calls)))
        call_file.check_refused(refused, part.partition, part.refused)
        self.lines = {line.span: line for line in lines}
        self._dead_letters = _dead_letters(refused)
        self._next = next(self._dead_letters, None)

    def span(self, number: int) -> _OpenedSpan:
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


def _compare_part(left: OpenedPart, right: OpenedPart, diff: RunDiff, report: Callable[[int], None]) -> None:
    """Compare a partition span by span; both runs have the same spans, because they have the same input."""
    for number, line in left.lines.items():
        other = right.lines.get(number)
        if other is None:
            raise DamagedError(f"the runs have other spans of partition {left.partition}")
        if (line.canonical, line.calls) == (other.canonical, other.calls):
            diff.same += line.calls.written.count
        else:
            _compare_span(left.span(number), right.span(number), diff)
        report(line.records.count)


def _compare_span(left: _OpenedSpan, right: _OpenedSpan, diff: RunDiff) -> None:
    (calls_left, refused_left), (calls_right, refused_right) = left, right
    for one, other in side_by_side(calls_left, calls_right):
        if one is not None and other is not None and one["event_id"] == other["event_id"]:
            diff.compare(one, other)
            continue
        if one is not None:
            diff.only_left += 1
            diff.keep(one, "is only in the left run" + _why(one, refused_right))
        if other is not None:
            diff.only_right += 1
            diff.keep(other, "is only in the right run" + _why(other, refused_left))


def field_differences(left: dict[str, Any], right: dict[str, Any]) -> tuple[Difference, ...]:
    """Every field that differs, in the order of the schema's fields."""
    last = len(_FIELD_ORDER)
    found = differences(left, right)
    return tuple(sorted(found, key=lambda one: _FIELD_ORDER.get(_FIELD_END.split(one.path)[0], last)))


def position_of(call: dict[str, Any]) -> tuple[int, int]:
    """Partition and offset of the raw record."""
    return call["source"]["partition"], call["source"]["offset"]


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


def _why(call: dict[str, Any], refused: dict[int, str]) -> str:
    reason = refused.get(position_of(call)[1])
    return "" if reason is None else f"; {reason}"
