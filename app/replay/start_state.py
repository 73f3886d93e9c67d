"""What the first event of a range sees of earlier loader events: rows of the canonicalize stage's module state.

They are made by reading the raw topic's loader events before the range, as far back as the topic goes or as was asked
for. What lies before that is taken from the stage's own table, whose changelog says from which raw offset each entry
came. An entry that the stage itself has let go of since, because it remembers so many running and ended processes in
a partition (agents/canonicalize/modules.py), is not found again; reading that many processes back makes up for it. Rows
that a former program wrote in another form are left out.

Rules: nothing at or after the range enters its start state. This module refuses to know what is replayed.
"""

from collections.abc import Callable
from typing import Final

from agents.canonicalize.process_modules import decode_row, rows_before
from app.kafka.client import KafkaUnusable, partition_count
from app.kafka.records import OffsetRange
from app.kafka.topic_reader import TopicReader
from app.replay.engine import observe_loaders
from app.settings import Settings
from app.steps import canonicalize_step
from app.streaming.store import META_PREFIX
from schemas import topics
from schemas.topics import Stage

Rows = tuple[tuple[bytes, bytes], ...]

CHANGELOG: Final = topics.changelog(Stage.CANONICALIZE, topics.MODULES_TABLE)

_ANSWER_SECONDS: Final = 10.0


def start_rows(
    reader: TopicReader, settings: Settings, before: OffsetRange, report: Callable[[int], None] = lambda _records: None
) -> Rows:
    """Rows that the event at raw offset `before.next` sees; loader events are read from `before.first` on.

    `report` learns how many records were read. Raises what reading the topics raises.
    """
    partition = before.partition
    earlier = dict(rows_before(_table_rows(reader, settings, partition), before.first))
    step = canonicalize_step(settings)
    step.restore(partition, earlier.items())
    for taken in reader.read(settings.name(topics.RAW), partition, before.first, before.next - 1):
        for key, row in observe_loaders(step, taken).items():
            if row is None:
                earlier.pop(key, None)
            else:
                earlier[key] = row
        report(len(taken))
    # without what nothing from there on sees, so that the rows do not depend on how the reading was cut into batches
    return tuple(sorted(rows_before(earlier.items(), before.next)))


def _table_rows(reader: TopicReader, settings: Settings, partition: int) -> Rows:
    """The newest row of each key in the table's changelog; none where there is no such topic."""
    name = settings.name(CHANGELOG)
    try:
        partition_count(settings, name, _ANSWER_SECONDS)
    except KafkaUnusable:
        return ()
    ends = reader.ends(name, partition)
    rows: dict[bytes, bytes] = {}
    for taken in reader.read(name, partition, ends.first, ends.next - 1):
        for record in taken:
            if record.key is None or record.key.startswith(META_PREFIX):
                continue
            if record.value is None:
                rows.pop(record.key, None)
            else:
                rows[record.key] = record.value
    return tuple(sorted((key, row) for key, row in rows.items() if _is_readable(row)))


def _is_readable(row: bytes) -> bool:
    """Whether this program's table has such rows; a former one's may have been of another form."""
    try:
        decode_row(row)
    except (ValueError, TypeError, KeyError):
        return False
    return True
