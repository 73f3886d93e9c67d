"""Reads a public topic, or a window or sample of it, and lets verifiers look at it: `callstream privacy audit`.

The audit reads up to where the partitions ended when it began, so it always finishes. Processes share the offsets; each
looks at its records by itself, and what must be compared is compared over all of them at the end. Records are decoded
with the packaged schema of their topic. A record that does not decode, and every record of a topic without a schema, is
looked at as bytes. A restricted topic holds private data by design and is refused. Findings name positions, fields and
rules, never values.
"""

from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from agents.contract import UNREADABLE_BATCH
from agents.privacy.audit.topic_words import TopicWords
from agents.privacy.verifier import PrivacyFinding, Verifier
from app.kafka.positions import First, Last, Position, RangeChoice, resolve
from app.kafka.records import OffsetRange, Recorded
from app.kafka.refused import RecordRefusal
from app.kafka.schemas import RecordFault
from app.kafka.topic_reader import TopicReader
from app.operators.errors import OperatorError
from app.settings import Settings
from schemas import records
from schemas.topics import TOPICS, Topic, live_name

MAX_FINDINGS: Final = 10_000
"""Whose positions are kept; what comes beyond is counted. A topic that was never filtered has millions."""

_BLOCK: Final = 500
"""Offsets of a sample that are read together: about what one fetch brings."""

_REPORT_EVERY: Final = 500


class RestrictedTopicError(OperatorError):
    """The topic holds private data by design; there is nothing to audit."""


@dataclass(frozen=True, slots=True)
class FindingAt:
    """A finding and where its record is."""

    partition: int
    offset: int
    finding: PrivacyFinding


@dataclass(frozen=True, slots=True)
class AuditChoice:
    """What to look at: a topic's records from `start` to before `end`, or about `sample` of them, evenly spread."""

    topic: str = "runtime.calls"
    start: Position = First()  # noqa: RUF009 - frozen
    end: Position = Last()  # noqa: RUF009 - frozen
    sample: int | None = None
    needles: tuple[str, ...] = ()
    processes: int = 1


@dataclass(frozen=True, slots=True)
class AuditPart:
    """What one process looks at."""

    topic: str
    """The name in Kafka."""
    ranges: tuple[OffsetRange, ...]
    needles: tuple[str, ...]

    @property
    def offsets(self) -> int:
        """At least as many as there are records."""
        return sum(one.offsets for one in self.ranges)


@dataclass(slots=True)
class PartFindings:
    """What was found in one part, and what must be compared with the others."""

    records: int = 0
    by_rule: Counter[str] = field(default_factory=Counter)
    findings: list[FindingAt] = field(default_factory=list)
    refused: list[RecordRefusal] = field(default_factory=list)
    topic: TopicWords = field(default_factory=TopicWords)

    def add(self, found: FindingAt) -> None:
        """Count a finding, and keep it while there is room."""
        self.by_rule[found.finding.rule] += 1
        if len(self.findings) < MAX_FINDINGS:
            self.findings.append(found)


def parts_of(settings: Settings, choice: AuditChoice) -> list[AuditPart]:
    """What each process is to look at.

    The topic is one of the pipeline's or a version of it, with or without prefix, or any other. Raises
    RestrictedTopicError, PositionError for a window that the topic does not have, and what `TopicReader` raises.
    """
    topic = _pipeline_topic(settings, choice.topic)
    if topic is not None and topic.restricted:
        raise RestrictedTopicError(
            f"{choice.topic} is restricted: it may hold what must not leave, and only operators read it"
        )
    bare = choice.topic.removeprefix(settings.topic_prefix)
    name = settings.name(bare) if topic is not None else choice.topic
    with TopicReader(settings) as reader:
        window = resolve(reader, name, RangeChoice(choice.start, choice.end, None, by_event_time=False))
    chosen = list(_sampled(window, choice.sample))
    return [AuditPart(name, tuple(some), choice.needles) for some in _shared(chosen, choice.processes)]


def look_at(
    settings: Settings,
    part: AuditPart,
    report: Callable[[int], None],
    verifier_of: Callable[[Sequence[str]], Verifier] = Verifier,
) -> PartFindings:
    """What verifiers find in a part; `report` receives how many records are done. Raises what `TopicReader` raises."""
    topic, verifier, found = _pipeline_topic(settings, part.topic), verifier_of(part.needles), PartFindings()
    with TopicReader(settings) as reader:
        for one in part.ranges:
            starts, stops = {one.partition: one.first}, {one.partition: one.next}
            for record in reader.records(part.topic, starts, stops, partitions=[one.partition]):
                if record.value is UNREADABLE_BATCH:
                    found.refused.append(
                        RecordRefusal(record.topic, record.partition, record.offset, RecordFault.BATCH_TOO_LARGE)
                    )
                else:
                    for finding in _looked_at(record, topic, verifier):
                        found.add(finding)
                found.records += 1
                if not found.records % _REPORT_EVERY:
                    report(found.records)
    report(found.records)
    found.topic = verifier.topic
    return found


def joined(parts: Sequence[PartFindings]) -> PartFindings:
    """All parts as one, with what only comparing finds."""
    whole = PartFindings()
    for part in parts:
        whole.records += part.records
        whole.by_rule += part.by_rule
        whole.findings += part.findings
        whole.refused += part.refused
        whole.topic.merge(part.topic)
    for place, rule in whole.topic.findings():
        whole.by_rule[rule] += 1
        whole.findings.append(FindingAt(place.partition, place.offset, PrivacyFinding(place.field, rule)))
    whole.findings = sorted(whole.findings, key=_order)[:MAX_FINDINGS]
    return whole


def _order(found: FindingAt) -> tuple[int, int, str, str]:
    return found.partition, found.offset, found.finding.field, found.finding.rule


def _pipeline_topic(settings: Settings, name: str) -> Topic | None:
    live = live_name(name.removeprefix(settings.topic_prefix))
    return next((one for one in TOPICS if one.name == live), None)


def _sampled(window: Sequence[OffsetRange], sample: int | None) -> Iterator[OffsetRange]:
    """The window, or blocks of it that have the same distance from each other and about `sample` offsets together."""
    total = sum(one.offsets for one in window)
    if sample is None or sample >= total:
        yield from window
        return
    blocks = max(1, -(-sample // _BLOCK))
    size = max(1, sample // blocks)
    starts = deque(number * total // blocks for number in range(blocks))
    passed = 0
    for one in window:
        while starts and starts[0] < passed + one.offsets:
            first = one.first + starts.popleft() - passed
            yield OffsetRange(one.partition, first, min(first + size, one.next))
        passed += one.offsets


def _shared(ranges: Sequence[OffsetRange], processes: int) -> list[list[OffsetRange]]:
    """The ranges in as many shares of about the same size; a range may be cut."""
    total = sum(one.offsets for one in ranges)
    size = max(1, -(-total // processes))
    shares: list[list[OffsetRange]] = [[]]
    room = size
    for one in ranges:
        first = one.first
        while first < one.next:
            if not room:
                shares.append([])
                room = size
            taken = min(room, one.next - first)
            shares[-1].append(OffsetRange(one.partition, first, first + taken))
            first, room = first + taken, room - taken
    return shares


def _looked_at(record: Recorded, topic: Topic | None, verifier: Verifier) -> Iterator[FindingAt]:
    for field_name, content in (("key", record.key), ("value", _decoded(record.value, topic))):
        name = "" if isinstance(content, dict) else field_name
        for finding in verifier.findings(content, name, record.partition, record.offset):
            yield FindingAt(record.partition, record.offset, finding)


def _decoded(value: Any, topic: Topic | None) -> Any:
    if topic is None or topic.value_schema is None or not isinstance(value, bytes):
        return value
    try:
        return records.decode(topic.value_schema, value)
    except (ValueError, EOFError, IndexError, KeyError, TypeError):
        return value  # looked at as bytes: what cannot be decoded can still leak
