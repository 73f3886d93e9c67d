"""How an event is put together from its parts: what the event id covers, in which order, and what stands where.

Both ways through the stage end here (plain_kprobe.py and events.py), so the same event gets the same id and bytes
whichever way it went.
"""

from collections.abc import Callable
from hashlib import blake2b
from typing import Final

from agents.canonicalize.identity import ABSENT, DIGEST_BYTES, digest

IdParts = tuple[bytes, bytes, bytes, bytes, bytes, bytes, bytes, bytes, bytes, bytes, bytes]
"""What an event id is made of: the time as sent (`TIME` in identity.py); the digests of process, parent, probe and
stack, arguments, data, return value, of what only this kind of event has, of node and ancestors; unknown fields."""

EventFields = tuple[bytes, bytes, bytes, bytes, bytes, bytes, bytes, bytes, bytes, bytes]
"""Fields of an event, in ascending order: head, process, parent, ancestors, probe and stack, arguments, data, return
value, exit, node. A part that was not sent is empty."""

# Both take one tuple: a call with eleven arguments would cost 1 % of a plain event.


def join_id(parts: IdParts) -> bytes:
    """The event id: a digest over the digests of the parts.

    Every digest has 16 bytes and its own place; ABSENT stands for a part that was not sent. So no two different events
    concatenate to the same bytes. The last part is empty where Tetragon sent nothing that we do not know.
    """
    return blake2b(b"".join(parts), digest_size=DIGEST_BYTES).digest()


join_event: Final[Callable[[EventFields], bytes]] = b"".join
"""An encoded CanonicalEvent."""


def lineage_digest(digests: list[bytes]) -> bytes:
    """One digest for all ancestors, the nearest first."""
    return digest(b"".join(digests)) if digests else ABSENT
