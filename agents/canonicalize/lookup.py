"""What is subscripted for a value: a cache, or a function in a cache's place."""

from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

Key_contra = TypeVar("Key_contra", contravariant=True)
Value_co = TypeVar("Value_co", covariant=True)


class Lookup(Protocol[Key_contra, Value_co]):
    """Anything that is subscripted by a key."""

    def __getitem__(self, key: Key_contra, /) -> Value_co:
        """The value for `key`, computed where it is not there."""


class Compute(Generic[Key_contra, Value_co]):
    """A function in a cache's place: takes what `Memo` takes, and remembers nothing."""

    __slots__ = ("_compute",)

    def __init__(self, compute: Callable[[Key_contra], Value_co], _max_entries: int) -> None:
        self._compute = compute

    def __getitem__(self, key: Key_contra, /) -> Value_co:
        return self._compute(key)
