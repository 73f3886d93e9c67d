"""What agents/contract.py promises, proved for every step.

Any cut into batches gives the same bytes, each record of a batch is in exactly one place, and no bytes make a step
raise. The next stage's step gets its promises proved by one more entry in `STEPS`.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import pairwise
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.canonicalize.events import Canonicalizer
from agents.canonicalize.stage import CanonicalizeStep
from agents.contract import SourceRecord, Step
from agents.coverage.covering import ALL_NODES_KEY, CoverageFolder, node_key
from agents.coverage.keys import node_in
from agents.hot_symbols.counting.symbol_counter import INCLUDED_KEY, SymbolCounter, parse_partial_key
from agents.hot_symbols.reading.meaning import PLACE_FIELDS
from agents.hot_symbols.reading.observations import CallReader
from agents.hot_symbols.table.merging import SymbolMerger
from agents.hot_symbols.table.published import published_value
from agents.privacy.calls import PrivacyFilter
from agents.privacy.policy_file import built_in_policy
from agents.privacy.redaction.engine import RedactionEngine
from agents.privacy.stage import PrivacyStep
from app.simulator.workload.generator import Workload, WorkloadOptions
from schemas import coverage
from schemas.call_layout import CallLayout
from schemas.coverage import CoverageGap, GapCause
from tests.support.calls import call_schema

SCHEMA_ID = 7
PARTITIONS = 2


class Record(NamedTuple):
    """A consumed record."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None


@dataclass(slots=True)
class Run:
    """What a step made of all batches: records in order, rows as they stand at the end, and the refused offsets."""

    records: list[tuple[object, ...]] = field(default_factory=list)
    rows: dict[bytes, bytes | None] = field(default_factory=dict)
    refused: list[int] = field(default_factory=list)

    def read(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """Rows by key, as a table gives them."""
        return [self.rows.get(key) for key in keys]


TakeBatch = Callable[[Sequence[Record], Run], int]
"""Gives a batch to a step, adds what it made to the run, and returns for how many records it accounted."""


def pure(step: Step) -> TakeBatch:
    """A step of the contract's own form."""

    def take(batch: Sequence[SourceRecord], run: Run) -> int:
        result = step(batch)
        run.records += result.outputs
        run.rows.update(result.state)
        run.refused += [letter.offset for letter in result.dead_letters]
        assert len(result.raw_offsets) == len(result.outputs)
        return len(result.outputs) + len(result.dead_letters) + sum(result.skipped.values())

    return take


def counting() -> TakeBatch:
    """The pure part of CountStep, with a flush after every batch."""
    counter = SymbolCounter(CallReader(_layout).gather, PARTITIONS)

    def take(batch: Sequence[Record], run: Run) -> int:
        counter.absorb(0, batch)
        flush = counter.flush(0, run.read)
        counter.acknowledged(flush)
        # How far an earlier flush got depends on the flushes, and nothing that is counted depends on it.
        run.rows.update((key, row) for key, row in flush.rows.items() if key != INCLUDED_KEY)
        run.refused += [refusal.offset for refusal in flush.refusals]
        return flush.counted + flush.repeated + len(flush.refusals)

    return take


def merging() -> TakeBatch:
    """The pure part of MergeStep, with a flush after every batch; the record published last for a symbol counts."""
    merger = SymbolMerger(lambda symbol, tally: published_value(SCHEMA_ID, symbol, tally))

    def take(batch: Sequence[Record], run: Run) -> int:
        merger.absorb(0, batch)
        flush = merger.flush(0, run.read)
        run.rows.update(flush.rows)
        run.rows.update((b"published " + (one.key or b""), one.value) for one in flush.published)
        symbols = {parse_partial_key(one.key or b"")[0] for one in batch}
        assert set(flush.rows) == symbols == {one.key for one in flush.published}
        return len(batch)

    return take


def covering() -> TakeBatch:
    """The pure part of CoverageStep, with a flush after every batch."""
    folder = CoverageFolder(_gap)

    def take(batch: Sequence[Record], run: Run) -> int:
        folder.absorb(0, batch)
        rows = folder.flush(0, run.read) if folder.unwritten() else {}
        run.rows.update(rows)
        assert set(rows) == {_coverage_key(record) for record in batch}
        return len(batch)

    return take


def _gap(value: bytes | None) -> CoverageGap | str:
    try:
        return coverage.decode(value or b"")
    except Exception:  # noqa: BLE001 - as RecordDecoder reads it
        return "strange"


def _coverage_key(record: Record) -> bytes:
    """Key of the row that a record goes to: by its value, or by its key where the value cannot be read."""
    gap = _gap(record.value)
    if isinstance(gap, CoverageGap):
        return node_key(gap.node_id)
    node = node_in(record.key)
    return ALL_NODES_KEY if node is None else node_key(node)


@cache
def _layout(schema_id: int) -> CallLayout | None:
    return CallLayout(schema_id, call_schema(), frozenset(PLACE_FIELDS)) if schema_id == SCHEMA_ID else None


@cache
def _engine() -> RedactionEngine:
    return RedactionEngine(built_in_policy("default").choices)


def _canonicalize() -> CanonicalizeStep:
    return CanonicalizeStep(Canonicalizer({}))


def _privacy() -> PrivacyStep:
    return PrivacyStep(PrivacyFilter(built_in_policy("default"), _engine()), SCHEMA_ID)


def _records(values: Sequence[tuple[bytes | None, bytes | None]]) -> list[Record]:
    return [Record("source", 0, offset, 5, key, value) for offset, (key, value) in enumerate(values)]


@cache
def raw_events() -> tuple[tuple[bytes | None, bytes | None], ...]:
    """Raw events as ingest writes them."""
    return tuple((b"key", raw) for raw in Workload(WorkloadOptions(events=60)).events())


@cache
def canonical_events() -> tuple[tuple[bytes | None, bytes | None], ...]:
    """What canonicalize makes of them."""
    return tuple((out.key, out.value) for out in _canonicalize()(_records(raw_events())).outputs)


@cache
def calls() -> tuple[tuple[bytes | None, bytes | None], ...]:
    """What the privacy filter makes of those. Few, so that no symbol has more callers than a tally keeps."""
    return tuple((out.key, out.value) for out in _privacy()(_records(canonical_events())).outputs)[:12]


@cache
def partials() -> tuple[tuple[bytes | None, bytes | None], ...]:
    """Partials of those calls, after each of them."""
    counter, run, found = SymbolCounter(CallReader(_layout).gather, PARTITIONS), Run(), []
    for record in _records(calls()):
        counter.absorb(0, [record])
        flush = counter.flush(0, run.read)
        counter.acknowledged(flush)
        run.rows.update(flush.rows)
        found += [(out.key, out.value) for sent in flush.partials.values() for out in sent]
    return tuple(found)


@cache
def gaps() -> tuple[tuple[bytes | None, bytes | None], ...]:
    """Coverage records of two nodes."""
    found = [
        CoverageGap(node=node, from_ns=begin, to_ns=begin + length, cause=cause)
        for node in ("a", "b")
        for begin in (0, 10, 15)
        for length in (0, 7)
        for cause in (GapCause.HEARTBEAT, GapCause.OVERFLOW)
    ]
    return tuple((gap.node.encode(), coverage.encode(gap, 1)) for gap in found)


@dataclass(frozen=True, slots=True)
class StepCase:
    """A step, real records for it, and whether anybody else can write what it reads."""

    name: str
    make: Callable[[], TakeBatch]
    real: Callable[[], Sequence[tuple[bytes | None, bytes | None]]]
    takes_any_bytes: bool = True


STEPS = (
    StepCase("canonicalize", lambda: pure(_canonicalize()), raw_events),
    StepCase("privacy", lambda: pure(_privacy()), canonical_events),
    StepCase("count", counting, calls),
    # Only our own workers write the internal topic. A damaged partial ends the process: it must not be left out.
    StepCase("merge", merging, partials, takes_any_bytes=False),
    StepCase("coverage", covering, gaps),
)


def batches(records: Sequence[Record], cuts: Sequence[int]) -> Iterator[Sequence[Record]]:
    """The records, cut at these places."""
    places = sorted({0, *(cut % len(records) for cut in cuts), len(records)})
    yield from (records[begin:end] for begin, end in pairwise(places))


def run(case: StepCase, records: Sequence[Record], cuts: Sequence[int]) -> Run:
    """A new step over the records; every batch must account for each of its records once."""
    made, take = Run(), case.make()
    for batch in batches(records, cuts):
        assert take(batch, made) == len(batch)
    assert len(made.refused) == len(set(made.refused))
    return made


def real_records(data: st.DataObject, case: StepCase) -> list[Record]:
    """Some of the case's records, in any order, some of them again."""
    return _records(data.draw(st.lists(st.sampled_from(case.real()), min_size=1, max_size=15)))


CUTS = st.lists(st.integers(0, 30), max_size=6)


@pytest.mark.parametrize("case", STEPS, ids=lambda case: case.name)
@given(data=st.data(), cuts=CUTS)
@settings(max_examples=40)
def test_any_cut_into_batches_gives_the_same_bytes(case: StepCase, data: Any, cuts: list[int]) -> None:
    """All at once, one by one, and cut anywhere."""
    records = real_records(data, case)
    whole = run(case, records, ())

    assert run(case, records, cuts) == whole
    assert run(case, records, range(len(records))) == whole


@pytest.mark.parametrize("case", [case for case in STEPS if case.takes_any_bytes], ids=lambda case: case.name)
@given(data=st.data(), cuts=CUTS)
@settings(max_examples=60)
def test_no_bytes_make_a_step_raise(case: StepCase, data: Any, cuts: list[int]) -> None:
    """Garbage, absent values and damaged records among real ones: each is accounted for, whatever the cut."""
    damaged = st.builds(
        lambda entry, at, byte: (entry[0], (entry[1] or b"")[:at] + byte + (entry[1] or b"")[at + 1 :]),
        st.sampled_from(case.real()),
        st.integers(0, 400),
        st.binary(max_size=2),
    )
    garbage = st.tuples(st.none() | st.binary(max_size=9), st.none() | st.binary(max_size=60))
    drawn = data.draw(st.lists(damaged | garbage | st.sampled_from(case.real()), min_size=1, max_size=10))
    records = _records(drawn)

    assert run(case, records, cuts) == run(case, records, ())
