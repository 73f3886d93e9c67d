"""Where one ingest's events end in what its successor has received, so that none is written twice and none is missing.

An agent gives each reader a queue of its own and fills all of them in one order. So what two readers have in common is
in the same order, and one that began while the other still read goes on where that one ended. Bytes cannot be
compared, because an agent writes maps in any order: digests of messages are. A loader's event may come twice with the
same content, so it never says where we are; as many as the old one wrote are passed over.

    old one wrote   … a b L L c L
    successor has         L L c L d e      c is in both once: behind it, L was written, and d and e were not

An event may be missing in either queue, because the agent dropped it there; its loss counters tell. Then a successor
writes what the old one lost.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from google.protobuf.message import DecodeError

from agents.canonicalize.identity import digest, message_digest
from schemas.tetragon.events_pb2 import GetEventsResponse


@dataclass(slots=True)
class Cut:
    """The events to write, by their number in what the successor has received."""

    unwritten: list[int]
    still_to_come: Counter[str]
    """Events that the old one wrote and the successor has not received yet, with how often."""


_REPEATS: Final = "~"
"""Marks the digest of an event that may be there twice: a loader's, and one that cannot be read."""


def event_digests(events: Iterable[bytes]) -> list[str]:
    """A digest of each event that does not depend on the order of maps; of one that cannot be read, its bytes' own."""
    return [_digest_of(event) for event in events]


def find_cut(tail: Sequence[str], received: Sequence[str]) -> Cut | None:
    """Where the tail ends in what was received; None while no event shows the place.

    The place is the last event that is in both, once, and of a kind that does not repeat. What is behind it in the
    tail was written, too.
    """
    in_tail, in_received = Counter(tail), Counter(received)
    for number in range(len(tail) - 1, -1, -1):
        known = tail[number]
        if not known.startswith(_REPEATS) and in_tail[known] == 1 and in_received[known] == 1:
            written, begin = Counter(tail[number + 1 :]), received.index(known) + 1
            return Cut([at for at in range(begin, len(received)) if not take_one(written, received[at])], written)
    return None


def take_one(written: Counter[str], known: str) -> bool:
    """Whether an event is among the written ones, of which there is one less then."""
    if not written[known]:
        return False
    written[known] -= 1
    if not written[known]:
        del written[known]
    return True


def _digest_of(event: bytes) -> str:
    try:
        message = GetEventsResponse.FromString(event)
    except DecodeError:
        return _REPEATS + digest(event).hex()
    return (_REPEATS if message.HasField("process_loader") else "") + message_digest(message).hex()
