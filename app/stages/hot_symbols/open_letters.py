"""How many dead letters are open, as a metric: refused events that nobody has sent again.

A worker follows the topic of the dead letters, which is small: at most a share of all records is refused before a
stage stops. Letters that retention has taken are no longer open, for nobody can send them again.
"""

import asyncio
import logging
import time
from collections.abc import Mapping
from typing import Any, Final

from confluent_kafka import KafkaException

from agents.dead_letters import RETRY
from app.kafka.log_ends import log_begins
from app.kafka.records import Recorded
from app.kafka.registry import RegistryError, SchemaRegistry
from app.kafka.schemas import RecordDecoder, RecordFault
from app.kafka.topic_follower import WholeTopics
from app.streaming.stage_process import StageRuntime
from app.telemetry import state_metrics
from schemas import topics

log = logging.getLogger(__name__)

MAX_OPEN: Final = 50_000
"""Some 20 MB. There may be more letters than that; whoever looks at the metric knows enough by then."""

_TAKE_SECONDS: Final = 2.0
_FORGET_SECONDS: Final = 60.0
"""Between two looks at what retention has taken."""

_Event = tuple[str, int, int]
"""Where the raw record of a refused event is; the refused record's own place where that is not known."""


class OpenEvents:
    """Refused events that nobody has sent again."""

    def __init__(self, raw_topic: str) -> None:
        """`raw_topic` is its full name."""
        self._raw_topic = raw_topic
        self._open: dict[_Event, tuple[int, int]] = {}
        """Partition and offset of the letter, by event."""

    def __len__(self) -> int:
        return len(self._open)

    def clear(self) -> None:
        """Begin again."""
        self._open.clear()

    def take(self, letter: Mapping[str, Any], partition: int, offset: int) -> None:
        """Take a dead letter, or the note that an event was sent again, as fields of schemas/avro/dead_letter.avsc."""
        source = letter["source_topic"], letter["source_partition"], letter["source_offset"]
        if letter["stage"] == RETRY:
            if letter["reason"] == RETRY:
                self._open.pop(source, None)
            return
        raw = letter["raw_partition"], letter["raw_offset"]
        event = source if raw[1] < 0 else (self._raw_topic, *raw)
        if event in self._open or len(self._open) < MAX_OPEN:
            self._open[event] = (partition, offset)

    def forget(self, begins: Mapping[int, int]) -> None:
        """Forget letters before these offsets, by partition."""
        gone = [event for event, (partition, offset) in self._open.items() if offset < begins[partition]]
        for event in gone:
            del self._open[event]


class OpenLetters:
    """Counts until the process ends."""

    def __init__(self, runtime: StageRuntime) -> None:
        settings = runtime.settings
        self._runtime = runtime
        self._topic = settings.name(topics.DEAD_LETTERS)
        self._letters = WholeTopics(settings, {self._topic: runtime.partitions})
        self._decoder = RecordDecoder(
            settings, SchemaRegistry.from_settings(settings), topics.DEAD_LETTERS, follows=True
        )
        self._open = OpenEvents(settings.name(topics.RAW))
        self._forget_at = 0.0

    async def run(self) -> None:
        """Follow the topic; a worker without it does all else."""
        while True:
            try:
                await asyncio.to_thread(self._follow)
            except RegistryError as error:
                log.warning("open dead letters are not counted now: %s", error)
                await asyncio.sleep(_FORGET_SECONDS)
                self._open.clear()
                self._letters.begin()

    def _follow(self) -> None:
        """Take what comes; blocks for a while. Raises RegistryError."""
        for record in self._letters.next(_TAKE_SECONDS):
            self._take(record)
        if time.monotonic() >= self._forget_at:
            self._forget_at = time.monotonic() + _FORGET_SECONDS
            self._forget_deleted()
        if self._letters.is_read:
            self._runtime.meter.set(state_metrics.LETTERS_OPEN, len(self._open))

    def _take(self, record: Recorded) -> None:
        letter = self._decoder.decode(record.value)
        if isinstance(letter, RecordFault):
            return  # a stranger's: `callstream dead-letters list` counts those
        self._open.take(letter, record.partition, record.offset)

    def _forget_deleted(self) -> None:
        places = [(self._topic, number) for number in range(self._runtime.partitions)]
        try:
            begins = log_begins(self._runtime.admin, places, patience_seconds=0.0)
        except KafkaException as error:
            log.debug("which dead letters are left is not known: %s", error.args[0].name())
            return
        self._open.forget({number: offset for (_, number), offset in begins.items()})
