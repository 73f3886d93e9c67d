"""Events that differ from an earlier one only in their id, time and raw position: most events of a busy node.

A canonical event begins with a head of fixed width that holds exactly these three (schemas/canonical_head.py), and all
other parts follow. So the bytes behind the head name everything that the filter decides on. The call of a repeated
event is the remembered middle of a call, with its own head in front and its own position behind. An event that does not
begin with such a head, or whose call does not show the head's values, is never remembered.
"""

from binascii import hexlify
from typing import Final, NamedTuple

from agents.privacy.redaction.answers import Hits
from schemas import avro_wire
from schemas.canonical_head import EVENT_ID_TAG, HEAD, OFFSET_TAG, PARTITION_TAG, TIMESTAMP_TAG

MAX_REMEMBERED_BYTES: Final = 4_096
"""Of an event; above twice the mean. Bounds what one entry can hold."""

MAX_EVENTS: Final = 4_096
"""Two generations of some 3 kB each are 25 MB, and 64 MB at the very most; more of them would save little."""

_TAGS: Final = (EVENT_ID_TAG, TIMESTAMP_TAG, OFFSET_TAG, PARTITION_TAG)
_ID_LENGTH: Final = avro_wire.long(32)


class Head(NamedTuple):
    """What differs from event to event, as it stands at the beginning and at the end of a call, and the raw offset."""

    beginning: bytes
    ending: bytes
    raw_offset: int


class Repeated(NamedTuple):
    """What all calls of one tail have in common; `middle` is the body without a head's beginning and ending."""

    key: bytes
    middle: bytes
    hits: Hits
    probe_type: int


def tail_of(canonical: bytes) -> bytes:
    """Everything behind the head."""
    return canonical[HEAD.size :]


def head_of(canonical: bytes) -> Head | None:
    """The head, or None if the event does not begin with one."""
    if len(canonical) < HEAD.size:
        return None
    id_tag, event_id, time_tag, timestamp_ns, offset_tag, offset, partition_tag, partition = HEAD.unpack_from(canonical)
    if (id_tag, time_tag, offset_tag, partition_tag) != _TAGS:
        return None
    long = avro_wire.long
    return Head(_ID_LENGTH + hexlify(event_id) + long(timestamp_ns), long(partition) + long(offset), offset)


def middle_of(body: bytes, head: Head) -> bytes | None:
    """The body without what comes from the head; None if the body does not begin and end as the head says."""
    if not (body.startswith(head.beginning) and body.endswith(head.ending)):
        return None
    return body[len(head.beginning) : -len(head.ending)]


class RepeatedEvents:
    """What was filtered lately, by tail: two generations, as in agents/memo.py, but filled from outside."""

    __slots__ = ("_old", "_young")

    def __init__(self) -> None:
        self._young: dict[bytes, Repeated] = {}
        self._old: dict[bytes, Repeated] = {}

    def find(self, tail: bytes) -> Repeated | None:
        """What was filtered for this tail, if it is remembered."""
        found = self._young.get(tail)
        if found is None and (found := self._old.get(tail)) is not None:
            self.remember(tail, found)
        return found

    def remember(self, tail: bytes, repeated: Repeated) -> None:
        """Keep it for at most two generations."""
        if len(self._young) >= MAX_EVENTS:
            self._old, self._young = self._young, {}
        self._young[tail] = repeated
