"""Calls of a window whose event is in it under another raw offset, because the event was sent again.

That happens if only the hot-symbols stage refused a call, and an operator sent it again with `--stage hot-symbols`.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from app.dead_letters.sent_again import SentAgain
from app.kafka.registry import SchemaRegistry
from app.kafka.topic_reader import TopicReader
from app.settings import Settings

Repeats = Callable[[int, int], bool]
"""Whether the call of a raw partition and offset repeats an event of the window. Give it every call once, in order."""


class SentAgainInWindow:
    """Knows the calls that it has been given; a `Repeats`."""

    def __init__(self, sent_again: SentAgain) -> None:
        self._sent_again = sent_again
        self._seen: dict[int, set[int]] = defaultdict(set)
        """Originals, by partition."""

    def __call__(self, partition: int, raw_offset: int) -> bool:
        """As `Repeats`."""
        if not self._sent_again.has_copies(partition):
            return False
        seen = self._seen[partition]
        if any(original in seen for original in self._sent_again.originals(partition, raw_offset)):
            return True
        if self._sent_again.was_copied(partition, raw_offset):
            seen.add(raw_offset)
        return False


@contextmanager
def repeats(settings: Settings, partitions: int) -> Iterator[Repeats]:
    """A `Repeats` for a window that is about to be read. Raises what reading Kafka and the registry raises."""
    with SchemaRegistry.from_settings(settings) as registry, TopicReader(settings) as reader:
        sent_again = SentAgain(settings, reader, registry)
        for partition in range(partitions):
            sent_again.read(partition)
        yield SentAgainInWindow(sent_again)
