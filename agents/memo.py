"""A bounded cache for pure functions of small immutable keys, fast on a hit and harmless on a flood of distinct keys.

Rules: a hit costs one dictionary lookup. Two generations stand in for an LRU: when the young one is full it becomes the
old one, and what is still used moves back when it is asked for; so memory is bounded by two generations, and a burst of
keys that never repeat evicts at most what was idle. The cached function must depend on its key alone, for then no
eviction can change a result. This module refuses to know what is cached.
"""

from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Memo(dict[K, V], Generic[K, V]):
    """`memo[key]` is `compute(key)`, remembered for at most two generations of `max_entries` each.

    `max_entries` bounds memory together with the caller's bound on one key and value: choose it so that
    2 × max_entries × (key + value bytes) is what the process can spare.
    """

    __slots__ = ("_compute", "_max_entries", "_old")

    def __init__(self, compute: Callable[[K], V], max_entries: int) -> None:
        super().__init__()
        self._compute = compute
        self._max_entries = max_entries
        self._old: dict[K, V] = {}

    def __missing__(self, key: K) -> V:
        old = self._old
        value = old[key] if old and key in old else self._compute(key)
        if len(self) >= self._max_entries:
            self._old = dict(self)
            self.clear()
        self[key] = value
        return value
