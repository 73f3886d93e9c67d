"""How far behind the live topics a version is.

With no lag it has caught up. But while records keep arriving there is always some lag. So the ends of the topics are
noted. When every stage, one after the other, has committed past them, the time that this took is how far the version is
behind. A partition whose records have all expired is not waited for. The only clock is the time in the samples.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from app.streaming.account import Account

CAUGHT_UP_SECONDS: Final = 10.0
"""Each of two stages commits once a second, and fetches and is sampled twice: a version in step takes 3 or 4 s."""

BEHIND_SECONDS: Final = 60.0
"""A restarted broker or a rebalance takes less."""


@dataclass(frozen=True, slots=True)
class PartitionSample:
    """One partition of a stage's source: its first and end offset, the committed offset, and the stage's account."""

    first: int
    end: int
    committed: int
    account: Account

    @property
    def position(self) -> int:
        """The first offset that is still to do."""
        return max(self.first, self.committed)

    @property
    def lag(self) -> int:
        """How many offsets are still to do."""
        return max(0, self.end - self.position)

    @property
    def done(self) -> int:
        """How many offsets are done."""
        return max(0, self.position - self.account.start)

    @property
    def expired(self) -> int:
        """How many offsets were skipped because Kafka had deleted their records before they were read."""
        return max(0, self.account.lost + self.account.passed_over(self.position))


StageSample = Mapping[int, PartitionSample]
"""By partition number."""


@dataclass(slots=True)
class CatchUp:
    """Takes samples in the order of time. Whoever makes them must read committed offsets before ends.

    `behind_seconds` is how far behind the version was at the last measurement; None before the first.
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
