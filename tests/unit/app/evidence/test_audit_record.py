"""Audit records say what was published; a replay proves them, repetitions included, and notices every untruth."""

import random
from collections.abc import Sequence
from dataclasses import replace
from functools import cache

import pytest

from agents.contract import DeadLetter, OutRecord, SourceRecord, StepResult
from app.evidence.audit_record import AuditRecord, AuditRun, runs_of
from app.evidence.results import columns_of_result
from app.kafka.records import OffsetRange, Recorded
from app.replay.compare.audit_witness import AuditWitness, StageAudit
from app.replay.engine import CallsNowhere, build_steps
from app.replay.pipeline import Pipeline, Steps
from app.replay.request import ReplayRequest
from app.settings import Settings
from schemas.topics import Stage
from tests.support.archives import load_parts

SCHEMA_ID = 7
STAGES = (Stage.CANONICALIZE, Stage.PRIVACY)


@cache
def raw() -> list[Recorded]:
    """One partition of a generated load."""
    return load_parts(events=1_200, partitions=1)[0]


@cache
def steps() -> Steps:
    """The live stages' steps."""
    return build_steps(ReplayRequest(settings=Settings()), SCHEMA_ID)


class LivePartition:
    """The two stages on one partition, batch by batch, as live ones: what they publish and what they say of it."""

    def __init__(self) -> None:
        self.canonical: list[Recorded] = []
        self.audit: dict[Stage, list[AuditRecord]] = {stage: [] for stage in STAGES}

    def canonicalize(self, begin: int, end: int) -> None:
        """Take raw records number `begin` to before `end`, for the first time or again."""
        batch = raw()[begin:end]
        result = steps().canonicalize(batch)
        self._say(Stage.CANONICALIZE, batch, result)
        for offset, timestamp_ms, key, value in zip(*columns_of_result(result), strict=True):
            del offset
            self.canonical.append(Recorded("canonical", 0, len(self.canonical), timestamp_ms, key, value))

    def filter(self, begin: int, end: int) -> None:
        """Take canonical records number `begin` to before `end`."""
        batch = self.canonical[begin:end]
        self._say(Stage.PRIVACY, batch, steps().privacy(batch))

    def _say(self, stage: Stage, batch: Sequence[SourceRecord], result: StepResult) -> None:
        runs = tuple(runs_of(stage, steps().domain(stage), batch, result))
        said = AuditRecord(stage.value, "c", "1", 0, batch[0].offset, batch[-1].offset, len(batch), runs)
        self.audit[stage].append(said)


def proved(audit: dict[Stage, list[AuditRecord]]) -> dict[Stage, StageAudit]:
    """What a replay of the whole partition says of audit records."""
    whole = OffsetRange(0, raw()[0].offset, raw()[-1].offset + 1)
    records = [record for of_stage in audit.values() for record in of_stage]
    witness = AuditWitness(whole, records, {stage: steps().domain(stage) for stage in STAGES})
    pipeline = Pipeline(steps(), CallsNowhere(), witness)
    for begin in range(0, len(raw()), 100):
        part = raw()[begin : begin + 100]
        for span in sorted({record.offset // 4096 for record in part}):
            pipeline.take([record for record in part if record.offset // 4096 == span])
    pipeline.finish()
    return witness.result()


def cuts(chance: random.Random, size: int) -> list[tuple[int, int]]:
    """Batches of random sizes over `size` records."""
    ends = sorted({size, *(chance.randrange(1, size) for _ in range(9))})
    return list(zip([0, *ends[:-1]], ends, strict=True))


@pytest.mark.parametrize("seed", range(3))
def test_a_replay_proves_what_the_stages_say(seed: int) -> None:
    """However live batches were cut, a replay with other batches gives every run its digest."""
    chance, live = random.Random(seed), LivePartition()
    for begin, end in cuts(chance, len(raw())):
        live.canonicalize(begin, end)
    for begin, end in cuts(chance, len(live.canonical)):
        live.filter(begin, end)
    for found in proved(live.audit).values():
        assert (found.contradictions, found.unaudited, found.at_edges) == ([], 0, 0)
        assert found.proved == found.runs >= 10


@pytest.mark.parametrize("seed", range(3))
def test_repetitions_are_proved_too(seed: int) -> None:
    """Batches that were repeated with other ends, so that a privacy batch holds a step back, contradict nothing."""
    chance, live = random.Random(seed), LivePartition()
    once = LivePartition()
    once.canonicalize(0, len(raw()))
    for begin, end in cuts(chance, len(raw())):
        live.canonicalize(begin, end)
        live.canonicalize(chance.randrange(max(0, end - 100), max(1, end - 50)), end)
    for begin, end in cuts(chance, len(live.canonical)):
        live.filter(begin, end)
    assert len(live.canonical) > len(once.canonical)
    for found in proved(live.audit).values():
        assert (found.contradictions, found.unaudited, found.at_edges) == ([], 0, 0)
    runs = [len(record.runs) for record in live.audit[Stage.PRIVACY]]
    assert max(runs) > 1


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize(
    "untruth",
    [
        lambda run: replace(run, written=run.written + 1),
        lambda run: replace(run, dead_letters=run.dead_letters + 1),
        lambda run: replace(run, digest="0" * 64),
        lambda run: replace(run, raw_first=run.raw_first - 40),
    ],
    ids=["written", "dead letters", "digest", "range"],
)
def test_an_untruth_is_named(stage: Stage, untruth: object) -> None:
    """A run that says anything else than what the replay gives is found, with its range."""
    assert callable(untruth)
    live = whole()
    first, *rest = live.audit[stage]
    second, *others = rest
    changed: AuditRun = untruth(second.runs[0])
    live.audit[stage] = [first, replace(second, runs=(changed, *second.runs[1:])), *others]
    found = proved(live.audit)
    assert [one.run for one in found[stage].contradictions] == [changed]
    other = STAGES[1 - STAGES.index(stage)]
    assert not found[other].contradictions


def test_what_no_record_speaks_of_is_named() -> None:
    """A lost audit record leaves calls that nobody vouches for: they are counted, the first one named."""
    live = whole()
    lost = live.audit[Stage.PRIVACY].pop(1)
    found = proved(live.audit)[Stage.PRIVACY]
    assert found.unaudited == lost.runs[0].written + lost.runs[0].dead_letters
    assert found.first_unaudited == lost.runs[0].raw_first


def test_runs_that_reach_out_of_the_range_are_counted() -> None:
    """A run that began before the range cannot be proved, and contradicts nothing."""
    live = whole()
    first = live.audit[Stage.CANONICALIZE][0]
    early = replace(first.runs[0], raw_first=first.runs[0].raw_first - 1_000)
    live.audit[Stage.CANONICALIZE][0] = replace(first, runs=(early,))
    found = proved(live.audit)[Stage.CANONICALIZE]
    assert (found.at_edges, found.contradictions, found.unaudited) == (1, [], 0)


def whole() -> LivePartition:
    """A live partition without repetitions."""
    live = LivePartition()
    for begin in range(0, len(raw()), 400):
        live.canonicalize(begin, begin + 400)
    for begin in range(0, len(live.canonical), 400):
        live.filter(begin, begin + 400)
    return live


def test_dead_letters_take_part_at_their_raw_position() -> None:
    """A privacy batch of dead letters alone, or with a step back at one, is cut where raw offsets go back."""
    batch = [Recorded("canonical", 0, number, 1, b"k", b"v") for number in range(5)]
    frame = b"\x00\x00\x00\x00\x01"
    letters = [_letter(0, 10), _letter(2, 9), _letter(4, -1)]
    result = StepResult(
        outputs=[OutRecord(b"k", frame + b"a", 1), OutRecord(b"k", frame + b"b", 1)],
        raw_offsets=[11, 12],
        dead_letters=letters,
    )
    runs = list(runs_of(Stage.PRIVACY, "domain", batch, result))
    assert [(run.raw_first, run.raw_last, run.written, run.dead_letters) for run in runs] == [
        (10, 11, 1, 1),
        (9, 12, 1, 1),
    ]


def _letter(offset: int, raw_offset: int) -> DeadLetter:
    return DeadLetter("canonical", 0, offset, "privacy", "field_too_long", None, 0, raw_offset, 1)


def test_a_run_does_not_depend_on_the_registrys_numbering() -> None:
    """The same calls under another schema id have the same digest."""
    batch = [Recorded("canonical", 0, 0, 1, b"k", b"v")]
    digests = set()
    for schema_id in (1, 99):
        frame = b"\x00" + schema_id.to_bytes(4, "big")
        result = StepResult(outputs=[OutRecord(b"k", frame + b"body", 1)], raw_offsets=[3])
        digests |= {run.digest for run in runs_of(Stage.PRIVACY, "domain", batch, result)}
    assert len(digests) == 1


def test_audit_records_read_back_and_name_their_range() -> None:
    """What is encoded is decoded; records of the same range, stage and configuration share a key, others do not."""
    live = whole()
    record = live.audit[Stage.PRIVACY][0]
    assert AuditRecord.decode(record.encode(5)) == record
    same = replace(record, last=record.last + 5, program="2")
    others = [replace(record, first=9), replace(record, partition=1), replace(record, configuration="d")]
    assert same.key == record.key
    assert record.key not in {other.key for other in others}
