"""A row of the table `hot-symbols`: the newest partial of every raw partition, and what expired partials counted.

Layout: version (one byte), count of entries (two bytes, little-endian), for each entry its raw partition and its size
in bytes (four bytes each, signed, little-endian), then the entries: packed partials. Entries stand in the order of
their partitions, so equal rows are equal bytes.
"""

from itertools import accumulate
from struct import Struct, error
from typing import Final

from agents.hot_symbols.counting.partial import Partial, hits_and_last_ns, last_seen_ns, offsets
from agents.hot_symbols.counting.tally import NEVER_LAST, Tally
from agents.packing import StateError

VERSION: Final = 1
_HEAD: Final = Struct("<BH")
_ENTRY: Final = Struct("<ii")

EXPIRED: Final = -1
"""Entry of what expired partials counted, over all raw partitions."""


MAX_ROW_BYTES: Final = 800_000
"""What is left of the 1 MiB that a topic takes, with room for the key and for partials that are a bit larger than their
share. With a dozen partitions, only rows of texts at their limits come near it."""


class SymbolRow:
    """Packed partials by raw partition."""

    __slots__ = ("_partials",)

    def __init__(self, partials: dict[int, bytes] | None = None) -> None:
        self._partials = {} if partials is None else partials

    def take(self, source: int, partial: bytes) -> None:
        """Take over a partial of raw partition `source` if it includes more than the one that is known.

        A partial that begins behind the end of the known one is a new life of a partial that expired: both count.
        """
        known = self._partials.get(source)
        if known is not None:
            first, last = offsets(partial)
            _, known_last = offsets(known)
            if last <= known_last:
                return
            if first > known_last:
                self._keep(known)
        self._partials[source] = partial

    def _keep(self, partial: bytes) -> None:
        """Add a partial that will not come again to what expired."""
        kept = self._partials.get(EXPIRED)
        total = Partial(Partial.from_bytes(partial).tally)
        if kept is not None:
            total.tally.add(Partial.from_bytes(kept).tally)
        self._partials[EXPIRED] = total.to_bytes()

    @property
    def last_seen_ns(self) -> int:
        """Time of the last hit; there must be a partial."""
        return max(map(last_seen_ns, self._partials.values()))

    @property
    def sources(self) -> list[int]:
        """Raw partitions with a partial of their own."""
        return [source for source in sorted(self._partials) if source != EXPIRED]

    def tally(self) -> Tally:
        """The sum over all raw partitions; there must be a partial."""
        first, *others = [Partial.from_bytes(self._partials[source]).tally for source in sorted(self._partials)]
        for other in others:
            first.add(other)
        return first

    def to_bytes(self) -> bytes:
        """The row as state; its texts are cut where it would not fit into a record."""
        if sum(map(len, self._partials.values())) > MAX_ROW_BYTES:
            share = MAX_ROW_BYTES // len(self._partials)
            self._partials = {source: _shortened(partial, share) for source, partial in self._partials.items()}
        entries = sorted(self._partials.items())
        heads = b"".join([_ENTRY.pack(source, len(partial)) for source, partial in entries])
        return _HEAD.pack(VERSION, len(entries)) + heads + b"".join([partial for _, partial in entries])

    @classmethod
    def from_bytes(cls, state: bytes) -> "SymbolRow":
        """The row in packed state. Raises StateError."""
        return cls({source: state[at : at + size] for source, at, size in _entries(state)})


def hits_and_last_seen_ns(state: bytes) -> tuple[int, int]:
    """Hits of a row and the time of the last, without unpacking it. Raises StateError."""
    total, last_ns = 0, NEVER_LAST
    for _, at, _ in _entries(state):
        hits, seen_ns = hits_and_last_ns(state, at)
        total += hits
        last_ns = max(last_ns, seen_ns)
    return total, last_ns


def _entries(state: bytes) -> list[tuple[int, int, int]]:
    """Raw partition, position and size of each entry. Raises StateError."""
    try:
        version, count = _HEAD.unpack_from(state)
        heads = [_ENTRY.unpack_from(state, _HEAD.size + index * _ENTRY.size) for index in range(count)]
    except error:
        raise StateError("state that ends early") from None
    if version != VERSION:
        raise StateError(f"state of version {version}, not {VERSION}")
    *starts, end = accumulate((size for _, size in heads), initial=_HEAD.size + count * _ENTRY.size)
    if end != len(state):
        raise StateError("state that ends early or late")
    return [(source, at, size) for (source, size), at in zip(heads, starts, strict=True)]


def _shortened(state: bytes, max_bytes: int) -> bytes:
    """A packed partial with its texts cut to about a size."""
    partial = Partial.from_bytes(state)
    partial.tally.shorten(max_bytes // 2)  # its numbers have room in the other half
    return partial.to_bytes()
