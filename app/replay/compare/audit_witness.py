"""Compares audit records with the replay of a partition.

An audit record speaks of runs: sequences of raw offsets, with the digest of what the stage published for them. The
witness sees all that the replay makes, and digests it run by run. Runs may overlap, because batches are repeated. A run
that is only partly inside the replayed range cannot be proved, and is counted. Records that no run speaks of were never
audited, and are counted too.
"""

from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from agents.contract import DeadLetter
from app.evidence.audit_record import AuditRecord, AuditRun, audit_run
from app.evidence.digests import Columns
from app.evidence.results import OutputDigest
from app.kafka.records import OffsetRange
from schemas.topics import Stage


@dataclass(frozen=True, slots=True)
class Contradiction:
    """A run for which an audit record and the replay differ."""

    record: AuditRecord
    run: AuditRun
    replayed: AuditRun


@dataclass(slots=True)
class StageAudit:
    """How many runs of a partition's audit records of one stage are proved; `unaudited` are records without a run."""

    runs: int = 0
    proved: int = 0
    at_edges: int = 0
    unaudited: int = 0
    first_unaudited: int | None = None
    contradictions: list[Contradiction] = field(default_factory=list)

    def document(self) -> dict[str, Any]:
        """The numbers, as they stand in a manifest."""
        return {
            "runs": self.runs,
            "proved": self.proved,
            "contradicted": len(self.contradictions),
            "at_edges": self.at_edges,
            "unaudited": self.unaudited,
        }


class AuditWitness:
    """A `Witness` for one partition. `domains` has the digest domain of each stage's records."""

    def __init__(self, whole: OffsetRange, records: Iterable[AuditRecord], domains: dict[Stage, str]) -> None:
        records = tuple(records)
        self._stages = {
            stage: _StageWitness(whole, [one for one in records if one.stage == stage.value], domain)
            for stage, domain in domains.items()
        }

    def saw(self, stage: Stage, records: Columns, dead_letters: Sequence[DeadLetter]) -> None:
        """Take what a stage made."""
        self._stages[stage].take(records, dead_letters)

    def result(self) -> dict[Stage, StageAudit]:
        """The counts by stage, after the last record."""
        return {stage: witness.end() for stage, witness in self._stages.items()}


class _StageWitness:
    """One stage's runs."""

    def __init__(self, whole: OffsetRange, records: Sequence[AuditRecord], domain: str) -> None:
        self._domain = domain
        self._found = StageAudit()
        runs = [(run, record) for record in records for run in record.runs]
        inside = [(run, record) for run, record in runs if whole.first <= run.raw_first and run.raw_last < whole.next]
        touching = [run for run, _ in runs if run.raw_first < whole.next and run.raw_last >= whole.first]
        self._found.runs = len(touching)
        self._found.at_edges = len(touching) - len(inside)
        self._waiting = deque(sorted(inside, key=lambda pair: (pair[0].raw_first, pair[0].raw_last)))
        self._active: list[tuple[AuditRun, AuditRecord, OutputDigest]] = []
        self._covered = _merged(touching)
        self._starts = [first for first, _ in self._covered]

    def take(self, records: Columns, dead_letters: Sequence[DeadLetter]) -> None:
        offsets = records.offsets
        places = [*offsets[:1], *offsets[-1:], *(one.raw_offset for one in dead_letters)]
        if not places:
            return
        highest = max(places)
        while self._waiting and self._waiting[0][0].raw_first <= highest:
            self._active.append((*self._waiting.popleft(), OutputDigest(self._domain)))
        for run, _, digest in self._active:
            part = records.part(bisect_left(offsets, run.raw_first), bisect_right(offsets, run.raw_last))
            digest.add(part, [one for one in dead_letters if run.raw_first <= one.raw_offset <= run.raw_last])
        self._settle([one for one in self._active if one[0].raw_last <= highest])
        self._active = [one for one in self._active if one[0].raw_last > highest]
        self._check_cover([*offsets, *(one.raw_offset for one in dead_letters)])

    def end(self) -> StageAudit:
        """Settle the runs that are left: their last records gave no calls."""
        self._settle([*self._active, *((run, record, OutputDigest(self._domain)) for run, record in self._waiting)])
        self._active, self._waiting = [], deque()
        return self._found

    def _settle(self, done: Sequence[tuple[AuditRun, AuditRecord, OutputDigest]]) -> None:
        for run, record, digest in done:
            replayed = audit_run(run.raw_first, run.raw_last, digest)
            if replayed == run:
                self._found.proved += 1
            else:
                self._found.contradictions.append(Contradiction(record, run, replayed))

    def _check_cover(self, offsets: Sequence[int]) -> None:
        for offset in offsets:
            at = bisect_right(self._starts, offset) - 1
            if at < 0 or self._covered[at][1] < offset:
                self._found.unaudited += 1
                known = self._found.first_unaudited
                self._found.first_unaudited = offset if known is None else min(known, offset)


def _merged(runs: Iterable[AuditRun]) -> list[tuple[int, int]]:
    """The offsets of all runs, as disjoint ascending ranges."""
    merged: list[tuple[int, int]] = []
    for first, last in sorted((run.raw_first, run.raw_last) for run in runs):
        if merged and first <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(merged[-1][1], last))
        else:
            merged.append((first, last))
    return merged
