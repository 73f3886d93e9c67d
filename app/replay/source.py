"""Where raw records come from, as far as replay needs to know: an archive or a topic.

This module refuses to know either.
"""

from collections.abc import Iterator
from typing import Protocol

from app.kafka.records import OffsetRange, Recorded


class ReplaySource(Protocol):
    """Raw records by partition and offset, the same whenever they are asked for. It may be given to another process."""

    @property
    def topic(self) -> str:
        """Full name of the raw topic."""

    def ranges(self) -> tuple[OffsetRange, ...]:
        """What is to be replayed, one range for each partition, in the order of partitions."""

    def state_from(self, partition: int) -> int:
        """The raw offset from which loader events were read for the start state."""

    def start_rows(self, partition: int) -> Iterator[tuple[bytes, bytes]]:
        """Rows of module state that the first event of the partition's range sees."""

    def batches(self, partition: int, first: int, last: int, max_records: int) -> Iterator[list[Recorded]]:
        """Records with offsets `first` to `last` in lists of at most `max_records`, none of two spans in one list.

        Raises DamagedError where the records cannot be had as they were.
        """
