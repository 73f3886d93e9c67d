"""Tells standing still from having nothing to do, from samples of what is committed and where the logs end.

A partition stands still while its log's end is ahead of the committed offset and the committed offset does not move.
Time counts only between two samples that the broker answered. A rebalance and a recovery stop the partitions' clocks
and have clocks of their own. The first join of the group has one too: without it a process that never got partitions
would go unnoticed. Pure: the only clock is the time in the samples.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from app.kafka.records import Partition


@dataclass(frozen=True, slots=True, kw_only=True)
class StallLimits:
    """Seconds of standing still after which a process is to be ended."""

    commit: float = 60.0
    """Twenty times what a full window of batches may take, and far below what anybody waits for data."""
    rebalance: float = 120.0
    """Four times the group's rebalance timeout."""
    joining: float = 60.0
    """Twice the group's rebalance timeout: so long a member that others have to wait for may take to join."""
    recovery: float = 120.0
    """Without a single changelog record: fetches are answered within 1.5 s."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """The state of one consumer at one moment.

    `ends` is None when the broker did not answer. `recovery_remaining` is None outside a recovery, else the number
    of changelog records still to come.
    """

    at_seconds: float
    committed: Mapping[Partition, int]
    ends: Mapping[Partition, int] | None
    rebalancing: bool
    recovery_remaining: int | None = None
    joined: bool = True
    """Whether the group has ever assigned this process its partitions."""

    @property
    def lag(self) -> dict[Partition, int] | None:
        """Records between the committed offset and the end of the log, for each partition whose end is known."""
        if self.ends is None:
            return None
        return {p: max(0, self.ends[p] - offset) for p, offset in self.committed.items() if p in self.ends}


@dataclass(slots=True)
class Standstill:
    """Feed it samples in the order of time."""

    limits: StallLimits = field(default_factory=StallLimits)
    stalled_seconds: dict[Partition, float] = field(default_factory=dict)
    """How long each partition has stood still; only those that do."""

    _last: Sample | None = None
    _joining_seconds: float = 0.0
    _rebalancing_seconds: float = 0.0
    _recovering_seconds: float = 0.0

    def feed(self, sample: Sample) -> str | None:
        """Take a sample; returns why the process should end, or None."""
        last, self._last = self._last, sample
        if last is None:
            return None
        passed = sample.at_seconds - last.at_seconds
        both_answered = sample.ends is not None and last.ends is not None
        if sample.joined:
            self._joining_seconds = 0.0
        elif both_answered:
            self._joining_seconds += passed
        recovering = sample.recovery_remaining is not None
        moved = sample.recovery_remaining != last.recovery_remaining
        self._recovering_seconds = self._recovering_seconds + passed if recovering and not moved else 0.0
        self._rebalancing_seconds = self._rebalancing_seconds + passed if sample.rebalancing and not recovering else 0.0
        if sample.rebalancing or recovering:
            self.stalled_seconds.clear()
        elif both_answered:
            self._advance(last, sample, passed)
        return self._verdict()

    def _advance(self, last: Sample, sample: Sample, passed: float) -> None:
        lag = sample.lag or {}
        self.stalled_seconds = {
            partition: self.stalled_seconds.get(partition, 0.0) + passed
            for partition, offset in sample.committed.items()
            if lag.get(partition, 0) > 0 and last.committed.get(partition) == offset
        }

    def _verdict(self) -> str | None:
        if self._joining_seconds > self.limits.joining:
            return f"the broker answers and the group has not taken this process in for {self._joining_seconds:.0f} s"
        if self._rebalancing_seconds > self.limits.rebalance:
            return f"a rebalance has not ended for {self._rebalancing_seconds:.0f} s"
        if self._recovering_seconds > self.limits.recovery:
            return f"a table recovery has read nothing for {self._recovering_seconds:.0f} s"
        for (topic, number), seconds in sorted(self.stalled_seconds.items()):
            if seconds > self.limits.commit:
                return f"{topic}[{number}] has records to read and has committed nothing for {seconds:.0f} s"
        return None
