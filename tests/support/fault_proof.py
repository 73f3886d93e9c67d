"""What must be true after a fault run, shown by event id over every record of the topics."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from agents.canonicalize.events import Canonicalizer
from agents.canonicalize.outcomes import Canonical, EventRefusal
from schemas import topics
from schemas.coverage import TELLING, CoverageGap, GapCause, decode
from tests.support.fault_run import LivedLife
from tests.support.live_agent import event_digest, happened
from tests.support.pipeline_run import PipelineRun

_ID_LENGTH = 64
"""Avro's length of the first field's 32 characters, after five bytes of framing."""


@dataclass(slots=True)
class RawAccount:
    """What is on the raw topic."""

    values: set[bytes] = field(default_factory=set)
    """A digest of each record's bytes."""
    records: int = 0
    calls: set[bytes] = field(default_factory=set)
    """Event ids, as hex, of all that are to become calls."""
    refused: int = 0


@dataclass(slots=True)
class CallAccount:
    """What is on the topic of calls."""

    records: int = 0
    ids: set[bytes] = field(default_factory=set)


@dataclass(slots=True)
class LossAccount:
    """Events that happened, and those that are not on the raw topic."""

    happened: int = 0
    missing: int = 0
    uncovered: list[int] = field(default_factory=list)
    """When those happened that are missing and in no gap."""


def raw_account(run: PipelineRun) -> RawAccount:
    """Read the raw topic; event ids are computed here, from its bytes alone."""
    account, canonicalizer = RawAccount(), Canonicalizer({})
    for record in run.records(topics.RAW):
        value = record.value
        assert value is not None
        account.records += 1
        account.values.add(event_digest(value))
        made = canonicalizer.canonicalize(value, record.partition, record.offset, 0)
        if isinstance(made, Canonical):
            account.calls.add(made.event_id.hex().encode())
        elif isinstance(made, EventRefusal):
            account.refused += 1
    return account


def call_account(run: PipelineRun) -> CallAccount:
    """Read the topic of calls."""
    account = CallAccount()
    for record in run.records(topics.CALLS):
        value = record.value
        assert value is not None
        assert value[5] == _ID_LENGTH
        account.records += 1
        account.ids.add(value[6:38])
    return account


def loss_account(
    lives: Iterable[LivedLife], raw: RawAccount, gaps: Sequence[CoverageGap], since_ns: int
) -> LossAccount:
    """Compute again everything that happened from `since_ns` on, and look for what is missing in the gaps."""
    account = LossAccount()
    for lived in lives:
        for time_ns, digest in happened(lived.life, lived.over_ns):
            if time_ns < since_ns:
                continue
            account.happened += 1
            if digest not in raw.values:
                account.missing += 1
                if not any(gap.from_ns <= time_ns < gap.to_ns for gap in gaps):
                    account.uncovered.append(time_ns)
    return account


def gaps_of(run: PipelineRun) -> list[CoverageGap]:
    """All gaps on the coverage topic, without heartbeats."""
    return [gap for gap in _coverage(run) if gap.cause is not GapCause.HEARTBEAT and gap.cause not in TELLING]


def _coverage(run: PipelineRun) -> Iterator[CoverageGap]:
    for record in run.records(topics.COVERAGE):
        yield decode(record.value or b"")
