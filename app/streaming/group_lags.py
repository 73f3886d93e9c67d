"""How far all stages of the pipeline are, read by every stage, so that one that is not there is seen by the others.

A thread of its own asks Kafka a few times a minute: what the groups have committed, where their sources end, and since
when the oldest record waits. The time of receipt is every record's Kafka timestamp and ascends in a partition, so it is
found by asking which offset a time has; nobody reads a record for it. That takes only the right to describe.
"""

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Final

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from app.kafka.group_offsets import OffsetsRefused, group_offsets
from app.kafka.log_ends import log_begins, log_ends, offsets_at
from app.kafka.records import Partition
from app.settings import Settings, SettingsError
from app.telemetry import state_metrics
from app.telemetry.meter import Meter
from app.topology import StageShape
from schemas import topics
from schemas.units import NS_PER_MS

log = logging.getLogger(__name__)

LOOK_SECONDS: Final = 10.0
"""Between two readings; Prometheus scrapes about as often, and an alert waits for minutes."""

STALE_SECONDS: Final = 60.0
"""After so long without an answer the lag is not known, and is not shown."""

_FIRST_STEP_MS: Final = 1_000
_REFINEMENTS: Final = 3
"""Questions after the time is known up to a factor of two; three make that an eighth."""

OffsetsAt = Callable[[Mapping[Partition, int]], Mapping[Partition, int | None]]
"""The first offset in each partition that is not older than a time in milliseconds; None if all are older."""


def waiting_since(ask: OffsetsAt, waiting: Mapping[Partition, int], now_ms: int) -> dict[Partition, int]:
    """Since when the record at each offset waits: a time up to an eighth of the wait before its receipt, never after.

    The questions go back from now by steps that double, and then halve what is left.
    """
    at_least: dict[Partition, int] = {}
    before, step_ms = dict.fromkeys(waiting, now_ms), _FIRST_STEP_MS
    while left := waiting.keys() - at_least.keys():
        asked = dict.fromkeys(left, max(0, now_ms - step_ms))
        for place, offset in ask(asked).items():
            if asked[place] == 0 or (offset is not None and offset <= waiting[place]):
                at_least[place] = asked[place]
            else:
                before[place] = asked[place]
        step_ms *= 2
    for _ in range(_REFINEMENTS if at_least else 0):
        middle = {place: (at_least[place] + before[place]) // 2 for place in at_least}
        for place, offset in ask(middle).items():
            is_since = offset is not None and offset <= waiting[place]
            (at_least if is_since else before)[place] = middle[place]
    return at_least


_StageSource = tuple[str, str]
"""A stage, and one of its sources by its live name."""

_Lag = tuple[int, float]
"""Records and seconds."""


class GroupLags:
    """Publishes the lag of every stage in records and seconds. `start` it once."""

    def __init__(
        self, settings: Settings, admin: AdminClient, shapes: Sequence[StageShape], partitions: int, meter: Meter
    ) -> None:
        """`shapes` are the stages, whose sources have so many `partitions` each."""
        self._settings = settings
        self._admin = admin
        self._shapes = shapes
        self._partitions = partitions
        self._meter = meter
        self._stop = threading.Event()
        self._since: dict[Partition, tuple[int, int]] = {}
        self._known_at: dict[StageShape, float] = {}
        self._said: dict[StageShape, str] = {}
        """Why the lag of a stage is not known, as the log has it."""
        self._lags: dict[_StageSource, _Lag] = {}

    def start(self) -> None:
        """Begin to look, until `stop`."""
        threading.Thread(target=self._run, name="group-lags", daemon=True).start()

    def stop(self) -> None:
        """Look no more."""
        self._stop.set()

    def _run(self) -> None:
        while self._shapes and not self._stop.wait(LOOK_SECONDS):
            self.look()

    def look(self) -> None:
        """Read everything once and publish it; what cannot be read is left out after a while."""
        name, now = self._settings.name, time.monotonic()
        wanted = {
            name(shape.group): {name(topic): self._partitions for topic in shape.sources} for shape in self._shapes
        }
        try:
            found = group_offsets(self._settings, wanted)
        except (SettingsError, OSError) as error:  # a file of the login is being renewed
            log.warning("how far the stages are is not known: %s", error)
            return
        for shape in self._shapes:
            committed = found[name(shape.group)]
            if isinstance(committed, OffsetsRefused):
                self._not_known(shape, committed.reason)
                continue
            try:
                self._lags |= self._of_stage(shape, committed)
            except KafkaException as error:
                self._not_known(shape, error.args[0].name())
                continue
            self._known_at[shape] = now
            self._said.pop(shape, None)
        self._publish(now)

    def _not_known(self, shape: StageShape, reason: str) -> None:
        """Say so once, until it is known again or the reason is another one."""
        if self._said.get(shape) == reason:
            return
        self._said[shape] = reason
        facts = {"stage": shape.stage.value, "group": self._settings.name(shape.group), "reason": reason}
        log.warning("how far a stage is cannot be read; deploy/kafka/acls.toml has the rights", extra={"facts": facts})

    def _of_stage(
        self, shape: StageShape, committed: Mapping[Partition, int]
    ) -> dict[tuple[str, str], tuple[int, float]]:
        """Records and seconds, by stage and source. Raises KafkaException."""
        names = {self._settings.name(topic): topic for topic in shape.sources}
        places = [(full, number) for full in names for number in range(self._partitions)]
        begins = log_begins(self._admin, places, patience_seconds=0.0)
        ends = log_ends(self._admin, places, patience_seconds=0.0, readable=True)
        next_of = {place: max(begins[place], committed.get(place, 0)) for place in places}
        waiting = {place: offset for place, offset in next_of.items() if offset < ends[place]}
        now_ms = time.time_ns() // NS_PER_MS
        since_ms = self._waiting_since(waiting, now_ms)
        return {
            (shape.stage.value, topics.live_name(topic)): (
                sum(ends[place] - offset for place, offset in waiting.items() if place[0] == full),
                max((now_ms - since_ms[place] for place in waiting if place[0] == full), default=0) / 1_000,
            )
            for full, topic in names.items()
        }

    def _waiting_since(self, waiting: Mapping[Partition, int], now_ms: int) -> dict[Partition, int]:
        """The same as `waiting_since`; for an offset that waited before, nobody is asked again."""
        known = {
            place: self._since[place][1] for place in waiting if self._since.get(place, (-1, 0))[0] == waiting[place]
        }
        new = {place: offset for place, offset in waiting.items() if place not in known}
        known |= waiting_since(partial(offsets_at, self._admin, patience_seconds=0.0), new, now_ms)
        self._since |= {place: (offset, known[place]) for place, offset in waiting.items()}
        return known

    def _publish(self, now: float) -> None:
        shown = {shape.stage.value for shape, known_at in self._known_at.items() if now - known_at < STALE_SECONDS}
        lags = {labels: lag for labels, lag in self._lags.items() if labels[0] in shown}
        with self._meter.together():
            self._meter.replace(state_metrics.GROUP_LAG, {labels: records for labels, (records, _) in lags.items()})
            self._meter.replace(
                state_metrics.GROUP_LAG_SECONDS, {labels: seconds for labels, (_, seconds) in lags.items()}
            )
