"""Records of topics that could not be used: counted with their reasons, and said in the log or at a command's end.

Whoever may write a topic may write anything. A record that cannot be used ends nothing, but it is never passed over
unseen either.
"""

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from agents.contract import UNREADABLE_BATCH
from app.kafka.records import Recorded
from app.kafka.schemas import RecordFault

log = logging.getLogger(__name__)

REPEAT_SECONDS: Final = 60.0
"""Between two log lines of the same topic and reason, so that a flood is a line a minute."""


@dataclass(frozen=True, slots=True)
class RecordRefusal:
    """A record that was not used: where it is, and why."""

    topic: str
    partition: int
    offset: int
    reason: RecordFault


@dataclass(slots=True)
class _Kind:
    first: RecordRefusal
    count: int = 0
    unsaid: int = 0
    said_at: float = field(default=float("-inf"))


class RefusedRecords:
    """Refusals of one process by topic and reason; both are closed sets, so its memory is bounded."""

    def __init__(
        self,
        count: Callable[[RecordRefusal], None] = lambda _refusal: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`count` is called for each refusal, to count it as a metric."""
        self._count = count
        self._clock = clock
        self._kinds: dict[tuple[str, RecordFault], _Kind] = {}

    def refuse(self, record: Recorded, reason: RecordFault) -> None:
        """Note that this record was not used."""
        self.note(RecordRefusal(record.topic, record.partition, record.offset, reason))

    def refuse_keyless(self, record: Recorded) -> None:
        """Note a record without the key that its topic needs; what stands for a batch that is too large has none."""
        is_unreadable = record.value is UNREADABLE_BATCH
        self.refuse(record, RecordFault.BATCH_TOO_LARGE if is_unreadable else RecordFault.NO_KEY)

    def note(self, refusal: RecordRefusal) -> None:
        """Count a refusal, and log it where none like it was logged within a minute."""
        self._count(refusal)
        kind = self._kinds.setdefault((refusal.topic, refusal.reason), _Kind(refusal))
        kind.count += 1
        kind.unsaid += 1
        now = self._clock()
        if now - kind.said_at < REPEAT_SECONDS:
            return
        facts = {
            "topic": refusal.topic,
            "partition": refusal.partition,
            "offset": refusal.offset,
            "reason": refusal.reason.value,
            "records": kind.unsaid,
        }
        kind.said_at, kind.unsaid = now, 0
        log.warning("a record cannot be used and is passed over", extra={"facts": facts})

    def counts(self) -> Counter[tuple[str, RecordFault]]:
        """How many refusals there were, by topic and reason."""
        return Counter({of: kind.count for of, kind in self._kinds.items()})

    def document(self) -> dict[str, Any]:
        """What a document of JSON says of them, by topic and reason, under `unreadable`; nothing if there are none."""
        kinds = [
            {
                "topic": topic,
                "reason": reason.value,
                "records": kind.count,
                "first_partition": kind.first.partition,
                "first_offset": kind.first.offset,
            }
            for (topic, reason), kind in sorted(self._kinds.items())
        ]
        return {"unreadable": kinds} if kinds else {}

    def lines(self) -> Iterator[str]:
        """A line for each topic and reason, for the end of a command's output."""
        for (topic, reason), kind in sorted(self._kinds.items()):
            first = f"{kind.first.partition}@{kind.first.offset}"
            yield f"{kind.count} of {topic} could not be used ({reason.value}), the first is {first}"
