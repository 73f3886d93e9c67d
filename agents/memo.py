"""Caches for pure functions of small immutable keys: a bounded one, and one that remembers nothing."""

from collections.abc import Callable, Hashable
from marshal import dumps
from typing import Any, Final, Generic, Protocol, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")
K_contra = TypeVar("K_contra", contravariant=True)
V_co = TypeVar("V_co", covariant=True)

MAX_KEY_BYTES: Final = 32 << 20
"""Of the keys of one generation: what the largest of our caches has when it is full of ordinary keys."""

_SMALL: Final = 64


class Lookup(Protocol[K_contra, V_co]):
    """A read-only mapping that may compute its values."""

    def __getitem__(self, key: K_contra, /) -> V_co:
        """The value for `key`."""


def _size(key: object) -> int:
    """Bytes of a key, about: of the texts and bytes in it, and something for the rest."""
    if isinstance(key, str | bytes):
        return len(key) + _SMALL
    try:
        plain: Any = key
        # in C: most keys are plain tuples, and a call for each of their items is dear
        return len(dumps(plain)) + _SMALL
    except ValueError:
        pass
    if isinstance(key, tuple):
        return sum(map(_size, key), _SMALL)
    return sum([_size(getattr(key, name)) for name in getattr(type(key), "__slots__", ())], _SMALL)


class Memo(dict[K, V], Generic[K, V]):
    """`memo[key]` is `compute(key)`, remembered for at most two generations of `max_entries` each.

    A hit costs one dictionary lookup. Two generations stand in for an LRU: when the young one is full it becomes the
    old one, and a value that is used again moves back to the young one. So memory is bounded by two generations, and a
    burst of keys that never repeat evicts at most what was idle. `compute` must depend on its key alone; then no
    eviction can change a result.

    A generation ends, too, when its keys have more than `max_bytes`. So texts of strangers that are as long as they may
    be cost no more than ordinary ones. Values should not be much larger than keys.
    """

    __slots__ = ("_bytes", "_compute", "_max_bytes", "_max_entries", "_old", "_weigh")

    def __init__(
        self,
        compute: Callable[[K], V],
        max_entries: int,
        max_bytes: int = MAX_KEY_BYTES,
        *,
        weigh: Callable[[K], int] = _size,
    ) -> None:
        """`weigh` gives the bytes of a key; a cache that is filled fast can do with less than `_size` looks at."""
        super().__init__()
        self._compute = compute
        self._max_entries = max_entries
        self._max_bytes = max_bytes
        self._weigh = weigh
        self._bytes = 0
        self._old: dict[K, V] = {}

    def __missing__(self, key: K) -> V:
        old = self._old
        value = old[key] if old and key in old else self._compute(key)
        size = self._weigh(key)
        if len(self) >= self._max_entries or self._bytes + size > self._max_bytes:
            self._old = dict(self)
            self.clear()
            self._bytes = 0
        self._bytes += size
        self[key] = value
        return value


class Uncached(dict[K, V], Generic[K, V]):
    """Takes the place of a Memo and remembers nothing: `uncached[key]` is `compute(key)`, computed every time.

    For keys that are too large to keep.
    """

    __slots__ = ("_compute",)

    def __init__(self, compute: Callable[[K], V], _max_entries: int, *, weigh: Callable[[K], int] = _size) -> None:
        super().__init__()
        del weigh
        self._compute = compute

    def __missing__(self, key: K) -> V:
        return self._compute(key)
