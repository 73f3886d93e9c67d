"""The books of one ingest process, as it prints them at its end."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class IngestReport:
    """The books at the end of a process. `unbalanced` is 0 unless there is a bug."""

    received: int
    restored: int
    written: int
    dropped: int
    buffered: int
    lost_at_stop: int
    unbalanced: int
    seconds_to_stop: float


NOTHING_DONE: Final = IngestReport(0, 0, 0, 0, 0, 0, 0, 0.0)
