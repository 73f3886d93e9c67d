"""Fields of a newer Tetragon: those of an event that this version's contract does not have, counted by message.

Such a field is not part of a call: what is not understood does not leave. It may say what a call misses, a stack for
example. So each one is counted by the message that it is in and its number, and never by what it holds.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Final, Protocol, TypeVar

from google.protobuf.message import Message
from google.protobuf.unknown_fields import UnknownFieldSet

UnknownFields = tuple[str, ...]
"""One `Message.number` for each field; numbers from MAX_NUMBER on are one."""

NONE: Final[UnknownFields] = ()

UNKNOWN_TALLY: Final = "unknown_fields"
"""The tally of the canonicalize stage that counts them."""

MAX_NUMBER: Final = 64
"""The largest message of the contract has some thirty fields in a row. Anybody who reaches the agent may send any
number up to 2^29, and each is a series of a metric."""

_SEPARATOR: Final = "."


class _PartOfEvent(Protocol):
    """What was made of a part of an event."""

    @property
    def unknown(self) -> UnknownFields:
        """Fields that the contract does not have."""


K = TypeVar("K")
Part = TypeVar("Part", bound=_PartOfEvent)


class UnknownFieldCounter:
    """Counts until it is read."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self.is_needed = False
        """Whether any part had such a field. Until then nobody needs to look through the parts of an event."""

    def watching(self, make: Callable[[K], Part]) -> Callable[[K], Part]:
        """The same function, whose parts are looked at as they are made."""

        def made(key: K) -> Part:
            part = make(key)
            if part.unknown:
                self.is_needed = True
            return part

        return made

    def note(self, found: UnknownFields) -> None:
        """Count the fields of one event."""
        if found:
            self._counts.update(found)

    def take(self) -> dict[str, int]:
        """What was counted since the last call."""
        counts, self._counts = self._counts, Counter()
        return counts


def message_and_number(field: str) -> tuple[str, str]:
    """The two words of a field, for a metric's labels."""
    message, _, number = field.partition(_SEPARATOR)
    return message, number


def unknown_of(parts: Iterable[_PartOfEvent | None]) -> UnknownFields:
    """The fields of all parts of an event."""
    return tuple(name for part in parts if part is not None for name in part.unknown)


def unknown_in(message: Message) -> UnknownFields:
    """The fields that the contract does not have, of a message and of all messages in it."""
    return tuple(_nested(message))


def unknown_at_top(*messages: Message) -> UnknownFields:
    """The same without the messages in them, for callers that look at those themselves."""
    return tuple(name for message in messages for name in _own(message))


def _nested(message: Message) -> Iterator[str]:
    yield from _own(message)
    for field, value in message.ListFields():
        if field.message_type is None or field.message_type.GetOptions().map_entry:
            continue
        within: Iterable[Message] = value if field.is_repeated else (value,)
        for one in within:
            yield from _nested(one)


def _own(message: Message) -> Iterator[str]:
    for field in UnknownFieldSet(message):  # type: ignore[attr-defined]  # iterable by __len__ and __getitem__
        number = field.field_number
        yield f"{message.DESCRIPTOR.name}{_SEPARATOR}{number if number < MAX_NUMBER else 'other'}"
