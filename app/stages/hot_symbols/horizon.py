"""When everything that was on the raw topic at some moment has become published rows: the brokers know.

A symbol that was not hit up to noon may still be hit by an event of the morning that waits in a topic. So what is said
of coverage at a moment holds for the rows only when all records that were on the raw topic then have gone through every
stage. A step ends when a group has committed what its topic held when the step began.
"""

import logging
from collections.abc import Mapping
from typing import Final

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from app.kafka.client import KafkaUnreachableError, KafkaUnusableError
from app.kafka.group_reader import GroupReader
from app.kafka.log_ends import ANSWER_SECONDS, log_ends
from app.kafka.records import Partition
from app.settings import Settings
from schemas import topics
from schemas.topics import Stage

log = logging.getLogger(__name__)

_STEPS: Final = (
    (Stage.CANONICALIZE, topics.RAW),
    (Stage.PRIVACY, topics.CANONICAL),
    (Stage.HOT_SYMBOLS, topics.CALLS),
    (Stage.HOT_SYMBOLS, topics.HOT_PARTIALS),
    (Stage.HOT_SYMBOLS, topics.COVERAGE),
)
"""Groups and what they read, in data order. Coverage is last: a stage that passes records unread has said so there."""

_SEEN: Final = (topics.HOT_SYMBOLS, topics.changelog(Stage.HOT_SYMBOLS, topics.NODE_COVERAGE_TABLE))
"""What follows from all of that: rows, and the table of coverage."""


class Horizon:
    """Follows one moment through the pipeline. Its methods ask brokers and block."""

    def __init__(self, settings: Settings, admin: AdminClient, partitions: int) -> None:
        self._settings = settings
        self._admin = admin
        self._groups = GroupReader(settings)
        self._partitions = partitions
        self._step = 0
        self._told: str | None = None
        self._ends: Mapping[int, int] | None = None

    def rows_to_see(self) -> Mapping[Partition, int] | None:
        """Go on as far as it goes.

        At the end: offsets of `_SEEN`, the topics named in full; once records before them are seen, all that follows
        from the moment is seen. Before, and while no broker answers: None. The call after the end begins with a new
        moment.
        """
        try:
            while self._step < len(_STEPS):
                stage, topic = _STEPS[self._step]
                if self._ends is None:
                    self._ends = self.ends_of(topic)
                if not self.is_done(stage, topic, self._ends):
                    return None
                self._step, self._ends = self._step + 1, None
            ends = {
                (self._settings.name(topic), number): end
                for topic in _SEEN
                for number, end in self.ends_of(topic).items()
            }
        except (KafkaException, KafkaUnreachableError, KafkaUnusableError) as error:
            self._tell(error.args[0].str() if isinstance(error, KafkaException) else str(error))
            return None
        self._step, self._told = 0, None
        return ends

    def _tell(self, trouble: str) -> None:
        """Say once what keeps answers to watches from going on."""
        if trouble != self._told:
            log.warning("coverage is not followed through the pipeline: %s", trouble)
        self._told = trouble

    def ends_of(self, topic: str) -> dict[int, int]:
        """Where an unprefixed topic ends, by partition, those that no stage reads included. Raises KafkaException."""
        name = self._settings.name(topic)
        found = self._admin.list_topics(name, timeout=ANSWER_SECONDS).topics[name]
        asked = [(name, number) for number in range(max(self._partitions, len(found.partitions)))]
        return {number: end for (_, number), end in log_ends(self._admin, asked, patience_seconds=0).items()}

    def is_done(self, stage: Stage, topic: str, ends: Mapping[int, int]) -> bool:
        """Whether a stage's group has committed up to these ends.

        Raises KafkaUnreachableError and KafkaUnusableError.
        """
        done = self._groups.committed(stage.group, topic)
        return all(number in done and done[number][0] >= end for number, end in ends.items() if end)
