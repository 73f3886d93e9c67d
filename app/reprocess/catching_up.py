"""Tells when a version has caught up: how long ago its sources ended where it has got to.

Without lag it has. But where records keep arriving there always is some, so ends are noted, and when every stage has
committed past them, one after the other, the time that this took is how far the version is behind. Rules: pure; a
partition whose records have all expired is not waited for. This module refuses to know where samples come from, and its
only clock is the time in them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from app.streaming.account import Account

CAUGHT_UP_SECONDS: Final = 10.0
"""A commit a second, a fetch and a look each half a second, for each of two stages: in step takes three or four."""

BEHIND_SECONDS: Final = 60.0
"""So that a restarted broker or a rebalance is no news."""


@dataclass(frozen=True, slots=True)
class PartitionSample:
    """One partition of a stage's source: its extent, where the stage has got to, and what came of that."""

    first: int
    end: int
    committed: int
    account: Account

    @property
    def position(self) -> int:
        """Offset up to which nothing is left to do."""
        return max(self.first, self.committed)

    @property
    def lag(self) -> int:
        """Records to come."""
        return max(0, self.end - self.position)

    @property
    def done(self) -> int:
        """Offsets behind."""
        return max(0, self.position - self.account.start)

    @property
    def expired(self) -> int:
        """Offsets that were passed over, because Kafka had deleted their records before they were read."""
        return max(0, self.account.passed_over(self.position))


StageSample = Mapping[int, PartitionSample]
"""By partition number."""


@dataclass(slots=True)
class CatchUp:
    """Feed it samples in the order of time; committed offsets are to be read before ends.

    `behind_seconds` is how far behind the version was when that was last known; None before the first time.
    """

    behind_seconds: float | None = None
    is_caught_up: bool = False
    _stage: int = 0
    _since_seconds: float = 0.0
    _targets: dict[int, int] = field(default_factory=dict)
    _is_begun: bool = False

    def feed(self, at_seconds: float, stages: Sequence[StageSample]) -> bool:
        """Take a sample of all stages, in data order; returns whether `is_caught_up` has changed."""
        before = self.is_caught_up
        if not any(partition.lag for stage in stages for partition in stage.values()):
            self.behind_seconds, self.is_caught_up, self._is_begun = 0.0, True, True
            self._begin(at_seconds, stages)
            return not before
        if not self._is_begun:
            self._is_begun = True
            self._begin(at_seconds, stages)
        while self._stage < len(stages) and self._reached(stages[self._stage]):
            self._stage += 1
            if self._stage < len(stages):
                self._targets = _ends(stages[self._stage])
        if self._stage == len(stages):
            self.behind_seconds = at_seconds - self._since_seconds
            self.is_caught_up = self.behind_seconds <= (BEHIND_SECONDS if before else CAUGHT_UP_SECONDS)
            self._begin(at_seconds, stages)
        elif at_seconds - self._since_seconds > BEHIND_SECONDS:
            self.is_caught_up = False
        return self.is_caught_up is not before

    def _begin(self, at_seconds: float, stages: Sequence[StageSample]) -> None:
        self._stage, self._since_seconds, self._targets = 0, at_seconds, _ends(stages[0])

    def _reached(self, sample: StageSample) -> bool:
        return all(sample[number].position >= end for number, end in self._targets.items())


def _ends(sample: StageSample) -> dict[int, int]:
    return {number: partition.end for number, partition in sample.items()}
