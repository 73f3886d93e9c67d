"""Finds the record on a stage's own topics that the stage does not write, when a step has failed over what it read.

Tables, changelogs and partials are read as they were written: a check of each record would cost every event, and only
somebody with a right that is ours can break them. So they are looked through when something has failed, to tell a
foreign record, which a restart does not help against, from broken machinery.
"""

import time
from collections.abc import Iterable
from typing import Final, NamedTuple

from agents.contract import UNREADABLE_BATCH
from agents.hot_symbols.counting.symbol_counter import parse_partial_key
from app.kafka.records import Recorded
from app.kafka.registry import SchemaRegistry
from app.kafka.topic_reader import TopicReader
from app.operators.errors import OperatorError
from app.settings import Settings
from app.tap.decoding import UNDECODED, Decoder
from schemas import topics

SEARCH_SECONDS: Final = 30.0
"""For all topics together; a million rows take some twenty."""


class ForeignRecord(NamedTuple):
    """Where a record is that the pipeline did not write. The topic is named in full."""

    topic: str
    partition: int
    offset: int

    def __str__(self) -> str:
        return f"{self.topic}[{self.partition}] has a record at offset {self.offset} that the stage did not write"


def cure(topic: str, group: str) -> str:
    """What an operator does about a foreign record on a topic, both named in full."""
    return (
        "take away the right to write there (`callstream doctor` names who has it), stop the stage, delete the topic "
        f"{topic}, all changelogs and the consumer group of {group}, run `callstream topics apply`, and start again: "
        "what was in them is made again from the topics before"
    )


def find_foreign(settings: Settings, names: Iterable[str]) -> ForeignRecord | None:
    """The first foreign record on internal topics, named in full; None if there is none, or it cannot be known."""
    deadline = time.monotonic() + SEARCH_SECONDS
    try:
        with TopicReader(settings) as reader, SchemaRegistry.from_settings(settings) as registry:
            for name in names:
                shape = topics.TOPICS_BY_NAME[topics.live_name(name.removeprefix(settings.topic_prefix))]
                decoder = Decoder(shape, registry, settings)
                for record in reader.records(name):
                    if is_foreign(decoder, record):
                        return ForeignRecord(record.topic, record.partition, record.offset)
                    if time.monotonic() > deadline:
                        return None
    except (OperatorError, OSError):
        pass  # the process ends anyway, and says what it can
    return None


def foreign_records(settings: Settings, names: Iterable[str], group: str) -> str | None:
    """Where a foreign record is on the internal ones of a stage's topics, and what to do; None if there is none."""
    prefix = settings.topic_prefix
    found = find_foreign(settings, [name for name in names if is_internal(name.removeprefix(prefix))])
    return None if found is None else f"{found}: {cure(found.topic, group)}"


def is_foreign(decoder: Decoder, record: Recorded) -> bool:
    """Whether a record is not in the form that the pipeline writes on its topic."""
    if record.value is UNREADABLE_BATCH or record.key is None:
        return True
    try:
        if record.value is not None and topics.live_name(record.topic).endswith(topics.HOT_PARTIALS):
            parse_partial_key(record.key)
        document = decoder.document(record.key, record.value)
    except Exception:  # noqa: BLE001 - bytes of another origin make a decoder raise anything
        return True
    return document is not None and UNDECODED in document


def is_internal(topic: str) -> bool:
    """Whether the stages keep their own state on a topic, named without prefix."""
    live = topics.live_name(topic)
    shape = topics.TOPICS_BY_NAME.get(live)
    return shape is not None and shape.compacted and shape.value_schema is None and live != topics.OWNERS
