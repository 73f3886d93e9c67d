"""What readers of records hand around: a stored record, a range of offsets, and the error for records that changed.

Nothing here needs a broker: an archive's records and a topic's records are the same values.
"""

from dataclasses import dataclass
from typing import NamedTuple

from app.operators.errors import OperatorError

Partition = tuple[str, int]
"""Topic name and partition number; the named tuples of Faust and aiokafka are equal to it."""


class Recorded(NamedTuple):
    """A Kafka record as it was stored; a `SourceRecord`. `timestamp` is in milliseconds since the Unix epoch.

    A named tuple, because one is made for every event.
    """

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None


@dataclass(frozen=True, slots=True)
class OffsetRange:
    """Offsets of one partition: from `first` to before `next`. Not each of them needs to have a record still."""

    partition: int
    first: int
    next: int

    @property
    def offsets(self) -> int:
        """How many offsets; at least as many as records."""
        return self.next - self.first


class DamagedError(OperatorError):
    """Records are not what was written, or are gone. The message names the file or topic, partition and offsets."""
