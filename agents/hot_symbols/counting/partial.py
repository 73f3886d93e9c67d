"""Partial counts: what the records of one raw partition say about one symbol, up to a raw offset that is part of it.

A partial is cumulative. It depends only on the raw partition's records up to `last_offset`, however they were cut into
batches and whoever processed them, once or twice. So of two partials of the same symbol and partition the one with the
higher `last_offset` is newer, and any of them may be lost or repeated as long as a newer one arrives. A partial that
was expired starts a new life with the next record: its `first_offset` lies behind the old `last_offset`, and both
count.
"""

from dataclasses import dataclass

from agents.hot_symbols.counting.tally import Tally
from agents.packing import first_numbers, first_two, pack, unpack

UNBORN = (1 << 63) - 1
"""`first_offset` of a partial that nothing was counted in."""


@dataclass(slots=True, eq=False)
class Partial:
    """A tally with the raw offsets of the first and the last record that it includes."""

    tally: Tally
    first_offset: int = UNBORN
    last_offset: int = -1

    def to_bytes(self) -> bytes:
        """Packed state; equal partials are equal bytes."""
        numbers = [self.first_offset, self.last_offset]
        texts: list[str] = []
        self.tally.write_to(numbers, texts)
        return pack(numbers, texts)

    @classmethod
    def from_bytes(cls, state: bytes) -> "Partial":
        """The partial in packed state. Raises StateError."""
        numbers, texts = unpack(state)
        rest = iter(numbers)
        first_offset, last_offset = next(rest), next(rest)
        return cls(Tally.read_from(rest, iter(texts)), first_offset, last_offset)


def offsets(state: bytes) -> tuple[int, int]:
    """`first_offset` and `last_offset` of a packed partial. Raises StateError."""
    return first_two(state)


_HITS, _LAST_NS = 2, 5
"""Indexes of what comes behind two offsets: hits, probe hits, the first and the last time."""


def hits_and_last_ns(state: bytes, at: int = 0) -> tuple[int, int]:
    """Hits of the packed partial that begins at `at`, and the time of the last. Raises StateError."""
    numbers = first_numbers(state, at)
    return numbers[_HITS], numbers[_LAST_NS]


def last_seen_ns(state: bytes) -> int:
    """Time of the last hit that a packed partial includes. Raises StateError."""
    return hits_and_last_ns(state)[1]
