"""Where every record of a partition went since its group began: the part of the books that outlives processes.

A stage's counters end with its process. So the account goes into the metadata of every offset commit: Kafka stores
offset and account together or not at all, and at any time

    committed offset = start + outputs + not_calls + dead_letters + no_records + lost

`no_records` are offsets of the log that hold nothing to read: the marks of transactions, what an aborted transaction
wrote, what compaction removed. `lost` are records that were deleted before they were read. An account belongs to the
committed offset beside it. Where that offset has no account, or another program's text, a new account starts there.
"""

import re
from dataclasses import dataclass, replace
from typing import Final

# confluent-kafka's admin client reads metadata to the next zero byte instead of to its length, and librdkafka's copy
# ends in none: other bytes of its memory may follow, and where these are not text it raises. So a note ends in one; the
# semicolon keeps what follows an older note out of the last number.
_END: Final = ";\0"
_FORM: Final = re.compile(
    r"callstream/1 start=(\d+) outputs=(\d+) not-calls=(\d+) dead-letters=(\d+)"
    r"(?: no-records=(\d+))?(?: lost=(\d+))?(?: until=(\d+))?(?: topic=([A-Za-z0-9+/_=-]*))?;",
    re.ASCII,
)

MAX_NOTE_CHARS: Final = 384
"""Far above an account's seven numbers and the topic's id, far below the 4,096 bytes that a broker takes."""


@dataclass(frozen=True, slots=True)
class BatchOutcome:
    """Where the records of one batch went: the three numbers add up to its records."""

    outputs: int
    not_calls: int = 0
    dead_letters: int = 0


@dataclass(frozen=True, slots=True)
class Account:
    """One partition's account; `start` is the offset at which it begins.

    `topic` is the id that Kafka gave the topic when it was made, or empty when it was unknown: a topic that was
    deleted and created again has the same name, other records, and another id.
    """

    start: int
    outputs: int = 0
    not_calls: int = 0
    dead_letters: int = 0
    topic: str = ""
    no_records: int = 0
    lost: int = 0
    until_ms: int = 0
    """The Kafka timestamp of the last record accounted for; 0 where it is unknown."""

    def plus(self, outcome: BatchOutcome, *, no_records: int = 0, until_ms: int = 0) -> "Account":
        """The account with one more batch, in whose range `no_records` offsets hold none."""
        return replace(
            self,
            outputs=self.outputs + outcome.outputs,
            not_calls=self.not_calls + outcome.not_calls,
            dead_letters=self.dead_letters + outcome.dead_letters,
            no_records=self.no_records + no_records,
            until_ms=until_ms or self.until_ms,
        )

    @property
    def records(self) -> int:
        """Records accounted for."""
        return self.outputs + self.not_calls + self.dead_letters

    def passed_over(self, committed: int) -> int:
        """Offsets before `committed` that are not accounted for; negative when more are accounted for than exist."""
        return committed - self.start - self.records - self.no_records - self.lost

    def note(self) -> str:
        """The account as commit metadata."""
        later = {"no-records": self.no_records, "lost": self.lost, "until": self.until_ms, "topic": self.topic}
        return (
            f"callstream/1 start={self.start} outputs={self.outputs} not-calls={self.not_calls} "
            f"dead-letters={self.dead_letters}"
            f"{''.join(f' {name}={value}' for name, value in later.items() if value)}{_END}"
        )


def read_note(note: str | None) -> Account | None:
    """The account in commit metadata; None when the metadata holds no account of ours."""
    found = _FORM.match(note[:MAX_NOTE_CHARS]) if note else None
    if found is None:
        return None
    start, outputs, not_calls, dead_letters, no_records, lost, until_ms = (int(one or 0) for one in found.groups()[:7])
    return Account(start, outputs, not_calls, dead_letters, found[8] or "", no_records, lost, until_ms)
