"""Topics that a worker reads from their beginning and then follows, outside of every consumer group.

Partitions are assigned and nothing is committed. The follower knows when it has handed out everything that existed
when reading began. Records whose batch cannot be inflated within the limit are refused, one by one.
"""

import logging
import time
from collections.abc import Mapping
from typing import Final

from aiokafka.errors import KafkaError

from agents.contract import UNREADABLE_BATCH
from app.kafka.fetched import DamagedBatchError
from app.kafka.log_fetcher import FOLLOWING_WAIT_MS, LogFetcher
from app.kafka.records import OffsetRange, Partition, Recorded
from app.kafka.refused import RecordRefusal, RefusedRecords
from app.kafka.schemas import RecordFault
from app.settings import Settings

log = logging.getLogger(__name__)
_retry_log = log.getChild("retries")

AT_ONCE: Final = 2_000
"""Records handed out at a time."""

_PAUSE_SECONDS: Final = 0.5
"""Between two attempts while no broker answers."""


class WholeTopics:
    """Reads topics from their beginning and goes on as they grow. Its methods block."""

    def __init__(self, settings: Settings, names: Mapping[str, int], refused: RefusedRecords | None = None) -> None:
        """`names` has the partition count of each topic, named in full.

        Records of batches that cannot be inflated go to `refused`.
        """
        self._refused = RefusedRecords() if refused is None else refused
        self._places = [(name, number) for name, count in names.items() for number in range(count)]
        self._fetcher = LogFetcher(settings, skips_expired=True, fetch_max_wait_ms=FOLLOWING_WAIT_MS)
        self._ends: dict[Partition, OffsetRange] | None = None
        """Where everything ended when reading began; None until a broker has said so."""
        self._unread = set(self._places)
        self.positions: dict[Partition, int] = {}
        """Offset after the last record handed out, by topic and partition."""

    @property
    def is_read(self) -> bool:
        """Whether everything has been handed out that was there when reading began."""
        return not self._unread

    def begin(self) -> None:
        """Read from the beginning, again if need be."""
        self._fetcher.release()  # the question where the logs end waits for one fetch then, and not for the next too
        self._ends, self._unread = None, set(self._places)
        self.positions = {}

    def close(self) -> None:
        """Close the connections."""
        self._fetcher.close()

    def next(self, seconds: float) -> list[Recorded]:
        """What comes within the time."""
        try:
            if self._ends is None:
                self._ends = self._fetcher.ends(self._places)
                self._fetcher.assign({place: there.first for place, there in self._ends.items()})
            found = self._fetcher.take(AT_ONCE, seconds)
            self.positions = self._fetcher.positions()
        except DamagedBatchError as error:
            log.warning("%s[%d] is damaged at offset %d", error.topic, error.partition, error.offset)
            self._refused.note(RecordRefusal(error.topic, error.partition, error.offset, RecordFault.MALFORMED))
            self._fetcher.seek((error.topic, error.partition), error.offset + 1)
            return []
        except KafkaError as error:
            _retry_log.warning("reading whole topics: %s, trying again", type(error).__name__)
            time.sleep(min(seconds, _PAUSE_SECONDS))
            return []
        self._unread -= {place for place in self._unread if self.positions.get(place, 0) >= self._ends[place].next}
        return [record for record in found if self._is_usable(record)]

    def _is_usable(self, record: Recorded) -> bool:
        if record.value is UNREADABLE_BATCH:
            self._refused.refuse(record, RecordFault.BATCH_TOO_LARGE)
            return False
        return True
