"""The names seen last, a bounded number of them, and how many different ones there have been.

The result depends only on which (name, time) pairs went in, not on their order, their repetition, or how they were
split before merging. So partial rows can be merged, repeated and recovered at will. The
times are the events' own, in nanoseconds since the Unix epoch.
"""

from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import blake2b
from itertools import accumulate, chain
from typing import Final

from agents.hot_symbols.reading.evidence import Name

MAX_NAMES: Final = 8
"""A row on every topic and in every table carries them, for each of three kinds: 8 of some 60 bytes."""

MAX_NAMES_BYTES: Final = 8 << 10
"""Of all names of a kind: any name fits, and eight of usual length. Like the number it cuts off the oldest, so the
result still depends on what went in alone."""

SKETCH_HASHES: Final = 32
"""The smallest hashes of all names ever seen: exact up to 32 different names, within some 18 % beyond."""

_MAX_BYTES_OF_CHARACTER: Final = 4  # in UTF-8

_HASH_BYTES: Final = 4
_HASH_RANGE: Final = 1 << 8 * _HASH_BYTES


@dataclass(slots=True, eq=False)
class Recent:
    """At most `MAX_NAMES` names with the time each was last seen: those that were seen last.

    `last_ns` by name, in no order. `sketch` is empty until a name had to go, then it has hashes in rising order.
    """

    last_ns: dict[Name, int] = field(default_factory=dict)
    sketch: tuple[int, ...] = ()

    def note(self, name: Name, when_ns: int) -> None:
        """Note that `name` was seen. Call `settle` after a round of these, before anything else."""
        if when_ns > self.last_ns.get(name, when_ns - 1):
            self.last_ns[name] = when_ns

    def add(self, other: "Recent") -> None:
        """Take over all that another has seen, and settle."""
        for name, when_ns in other.last_ns.items():
            self.note(name, when_ns)
        if other.sketch:
            self.sketch = _smallest({*self._hashes(), *other.sketch})
        self.settle()

    def settle(self, max_bytes: int = MAX_NAMES_BYTES) -> None:
        """Drop names beyond the limits, those that were seen longest ago."""
        names = self.last_ns
        fits = len(names) <= MAX_NAMES and (
            sum(map(len, chain.from_iterable(names))) <= max_bytes // _MAX_BYTES_OF_CHARACTER
            or sum(map(_bytes, names)) <= max_bytes
        )
        if self.sketch or not fits:
            self.sketch = _smallest(self._hashes())
        if not fits:
            newest = self.newest()[:MAX_NAMES]
            sizes = accumulate(_bytes(name) for name, _ in newest)
            self.last_ns = dict(entry for entry, size in zip(newest, sizes, strict=True) if size <= max_bytes)

    def newest(self) -> list[tuple[Name, int]]:
        """Names and times, the newest first; equal times by name."""
        return sorted(self.last_ns.items(), key=lambda entry: (-entry[1], entry[0]))

    def more(self) -> int:
        """How many different names were seen besides those that are kept: exact while few, an estimate beyond."""
        if len(self.sketch) < SKETCH_HASHES:
            return max(0, len(self.sketch) - len(self.last_ns))
        return round((SKETCH_HASHES - 1) * _HASH_RANGE / (self.sketch[-1] + 1)) - len(self.last_ns)

    def _hashes(self) -> set[int]:
        return {*self.sketch, *map(_hash, self.last_ns)}


def _bytes(name: Name) -> int:
    return sum(len(word) if word.isascii() else _MAX_BYTES_OF_CHARACTER * len(word) for word in name)


def _smallest(hashes: set[int]) -> tuple[int, ...]:
    return tuple(sorted(hashes)[:SKETCH_HASHES])


@lru_cache(maxsize=4096)  # rows of one process share their names
def _hash(name: Name) -> int:
    text = "\0".join(name).encode("utf-8", "surrogatepass")
    return int.from_bytes(blake2b(text, digest_size=_HASH_BYTES).digest(), "big")
