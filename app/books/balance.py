"""Whether the books balance: of each process at one moment, of each stage since its group began, and between them.

    ingest                received + restored = written + dropped + buffered
    a stage's process     consumed = converted + not-calls + dead letters + repeated + merged + in flight
    a stage in all        committed offset = start + outputs + not-calls + dead letters + offsets without a record
    between two stages    a topic has no fewer records than its writers say they wrote

These are pure functions over what was read. The numbers move on between two readings, so every comparison holds
whichever way the later one has grown. An imbalance names the process or stage to look at. Compacted topics lose offsets
by design, so offsets that a stage passed over there are not an imbalance.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from app.kafka.records import OffsetRange
from app.streaming.account import Account
from app.telemetry import metrics
from app.telemetry.metric_pages import Page
from app.topology import shape_of
from schemas import topics
from schemas.topics import Stage

OUTPUTS: Final = {Stage.CANONICALIZE: topics.CANONICAL, Stage.PRIVACY: topics.CALLS}
"""Topics that have one record for each output of a stage."""


@dataclass(frozen=True, slots=True)
class Imbalance:
    """Books that do not balance: `where` is a process or stage, `what` one sentence."""

    where: str
    what: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what}"


@dataclass(frozen=True, slots=True)
class Equation:
    """One process's numbers: what came in, and where it went."""

    process: str
    address: str
    came: Mapping[str, int]
    went: Mapping[str, int]

    @property
    def difference(self) -> int:
        """Records that came in and went nowhere; 0 if the books balance."""
        return sum(self.came.values()) - sum(self.went.values())


@dataclass(frozen=True, slots=True)
class SourcePartition:
    """A stage in one partition of a source: offset and account that its group committed, and the partition's ends."""

    committed: int | None
    account: Account | None
    ends: OffsetRange

    @property
    def begin(self) -> int:
        """The offset at which the account begins, or would if work began now."""
        return self.ends.first if self.account is None else self.account.start

    @property
    def waiting(self) -> int:
        """Records that exist and are not committed."""
        return max(0, self.ends.next - max(self.ends.first, self.committed or 0))


@dataclass(frozen=True, slots=True)
class StageSource:
    """A stage and one of its sources, an unprefixed topic name, by partition."""

    stage: Stage
    topic: str
    partitions: Mapping[int, SourcePartition]

    def total(self, of: str) -> int:
        """Sum of one of the accounts' numbers, by its name, over all accounts."""
        return sum(getattr(one.account, of) for one in self.partitions.values() if one.account is not None)

    @property
    def waiting(self) -> int:
        """Records not committed in all partitions."""
        return sum(one.waiting for one in self.partitions.values())


@dataclass(frozen=True, slots=True)
class PipelineBooks:
    """Raw records since the groups began, and where they are."""

    raw: int
    calls: int
    not_calls: int
    dead_letters: int
    lost: int
    waiting: int

    @property
    def counted_twice(self) -> int:
        """Records that were written downstream but wait upstream still, or that came again after a crash."""
        return self.calls + self.not_calls + self.dead_letters + self.lost + self.waiting - self.raw


def pipeline_books(sources: Iterable[StageSource]) -> PipelineBooks | None:
    """The books from the raw topic to the calls.

    None if the privacy stage did not read its source from the start: its numbers say nothing about earlier records.
    """
    by_stage = {source.stage: source for source in sources if source.stage in OUTPUTS}
    first, second = by_stage[Stage.CANONICALIZE], by_stage[Stage.PRIVACY]
    if any(one.account is not None and one.account.start for one in second.partitions.values()):
        return None
    return PipelineBooks(
        raw=sum(one.ends.next - one.begin for one in first.partitions.values()) - first.total("no_records"),
        calls=second.total("outputs"),
        not_calls=first.total("not_calls"),
        dead_letters=first.total("dead_letters") + second.total("dead_letters"),
        lost=first.total("lost") + second.total("lost"),
        waiting=first.waiting + second.waiting,
    )


def summed(counts: Mapping[str, int]) -> str:
    """One side of an equation as people read it."""
    return " + ".join(f"{name} {count}" for name, count in counts.items())


def equation_of(page: Page) -> Equation:
    """A process's equation."""
    if page.process == metrics.INGEST_PROCESS:
        return Equation(
            page.process,
            page.address,
            {"received": page.total(metrics.RECEIVED), "restored": page.total(metrics.RESTORED)},
            {
                "written": page.value(metrics.WRITTEN, topics.RAW),
                "dropped": page.total(metrics.DROPPED),
                "buffered": page.total(metrics.BUFFERED),
            },
        )
    source = shape_of(Stage(page.process)).sources[0]
    return Equation(
        page.process,
        page.address,
        {"consumed": page.total(metrics.CONSUMED)},
        {
            "converted": page.total(metrics.CONVERTED),
            "not calls": page.total(metrics.NOT_CALLS),
            "dead letters": page.total(metrics.DEAD_LETTERS),
            "repeated": page.total(metrics.DUPLICATES),
            "merged": page.total(metrics.FINISHED) - page.value(metrics.FINISHED, source),
            "in flight": page.total(metrics.IN_FLIGHT),
        },
    )


def findings(
    equations: Iterable[Equation],
    sources: Sequence[StageSource],
    pages: Sequence[Page],
    ends: Mapping[str, Mapping[int, OffsetRange]],
) -> list[Imbalance]:
    """Everything that does not balance. `ends` has those of every topic, read after everything else."""
    return [
        *_unbalanced_processes(equations),
        *(finding for source in sources for finding in _of_source(source)),
        *_short_outputs(sources, ends),
        *_short_topics(pages, ends),
        *_unread_partitions(ends),
    ]


def unsettled(sources: Iterable[StageSource], equations: Iterable[Equation]) -> list[Imbalance]:
    """Records that wait, in a pipeline that should be at rest; heartbeats keep coming, and do not count."""
    waiting = [
        Imbalance(source.stage.value, f"{source.waiting} records of {source.topic} wait")
        for source in sources
        if source.waiting and source.topic != topics.COVERAGE
    ]
    places = ("buffered", "in flight")
    held = [(one, sum(one.went.get(place, 0) for place in places)) for one in equations]
    return waiting + [
        Imbalance(one.process, f"{count} events are held at {one.address}") for one, count in held if count
    ]


def _unbalanced_processes(equations: Iterable[Equation]) -> Iterator[Imbalance]:
    for one in equations:
        if one.difference:
            yield Imbalance(
                one.process,
                f"at {one.address}, {summed(one.came)} is not {summed(one.went)}: the difference is {one.difference}",
            )


def _of_source(source: StageSource) -> Iterator[Imbalance]:
    shape = next(topic for topic in topics.TOPICS if topic.name == source.topic)
    for number, partition in sorted(source.partitions.items()):
        where = f"{source.topic}[{number}]"
        committed, account, ends = partition.committed, partition.account, partition.ends
        if committed is None:
            if ends.first and not shape.compacted:
                what = f"{ends.first} records of {where} were deleted before any was read"
                yield Imbalance(source.stage.value, what)
            continue
        if committed > ends.next:
            yield Imbalance(
                source.stage.value,
                f"offset {committed} of {where} is committed, but it ends at {ends.next}: "
                "the topic was recreated or has lost records",
            )
        elif not shape.compacted:
            yield from _passed_over(source.stage, where, committed, account, ends)


def _passed_over(
    stage: Stage, where: str, committed: int, account: Account | None, ends: OffsetRange
) -> Iterator[Imbalance]:
    if committed < ends.first:
        yield Imbalance(
            stage.value, f"{ends.first - committed} records of {where} expired before they were read: {committed} on"
        )
    if account is not None and account.lost:
        what = f"{account.lost} records of {where} before offset {committed} were deleted before they were read"
        yield Imbalance(stage.value, what)
    if account is None:
        yield Imbalance(
            stage.value,
            f"offset {committed} of {where} was committed without an account: another program moved the group",
        )
    elif account.passed_over(committed):
        yield Imbalance(
            stage.value,
            f"{account.passed_over(committed)} of {committed - account.start} records of {where} before offset "
            f"{committed} are not accounted for",
        )
    elif account.start > ends.first:
        yield Imbalance(
            stage.value, f"{account.start - ends.first} records of {where} from offset {ends.first} were never read"
        )


def _short_outputs(
    sources: Iterable[StageSource], ends: Mapping[str, Mapping[int, OffsetRange]]
) -> Iterator[Imbalance]:
    """Topics with fewer records than stages account for: a topic was recreated, or a stage committed too early."""
    letters: dict[int, int] = {}
    for source in sources:
        output = OUTPUTS.get(source.stage)
        for number, partition in sorted(source.partitions.items()):
            account = partition.account
            if account is None:
                continue
            letters[number] = letters.get(number, 0) + account.dead_letters
            if output is not None and account.outputs > ends[output][number].next:
                yield Imbalance(
                    source.stage.value,
                    f"{account.outputs} records of {source.topic}[{number}] were made into outputs, but "
                    f"{output}[{number}] has had {ends[output][number].next} records only",
                )
    for number, count in sorted(letters.items()):
        if count > ends[topics.DEAD_LETTERS][number].next:
            yield Imbalance(
                topics.DEAD_LETTERS,
                f"the stages account for {count} dead letters of partition {number}, but there have been "
                f"{ends[topics.DEAD_LETTERS][number].next} only",
            )


def _short_topics(pages: Sequence[Page], ends: Mapping[str, Mapping[int, OffsetRange]]) -> Iterator[Imbalance]:
    """Topics with fewer records than the running processes say they wrote."""
    for topic, partitions in ends.items():
        writers = {page.process: page.value(metrics.WRITTEN, topic) for page in pages}
        written = sum(page.value(metrics.WRITTEN, topic) for page in pages)
        ever = sum(one.next for one in partitions.values())
        if written > ever:
            names = " and ".join(sorted(process for process, count in writers.items() if count))
            yield Imbalance(names, f"{written} records of {topic} count as written, but it has had {ever} only")


def _unread_partitions(ends: Mapping[str, Mapping[int, OffsetRange]]) -> Iterator[Imbalance]:
    """Partitions that were added to a topic: the stages read as many of each as the topic with the fewest has."""
    counts = {topic: len(ends[topic]) for topic in ends if topics.TOPICS_BY_NAME[topic].co_partitioned}
    fewest = min(counts.values(), default=0)
    for topic, count in sorted(counts.items()):
        if count > fewest:
            records = sum(one.offsets for number, one in ends[topic].items() if number >= fewest)
            yield Imbalance(
                topic,
                f"it has {count} partitions and others have {fewest}: nobody reads the {records} records of the "
                f"partitions from {fewest} on",
            )
