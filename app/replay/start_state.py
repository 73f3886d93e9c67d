"""The start state of a range: the rows of the canonicalize stage's module state that the range's first event sees.

The rows come from the raw topic's loader events before the range, as far back as the topic goes or as the operator
chose. Earlier rows come from the stage's own table; its changelog says from which raw offset each row came. The stage
remembers a limited number of running and ended processes in a partition (agents/canonicalize/modules.py). A row that
it has dropped since is found only if the loader events are read back that far. Rows that an older program wrote in
another form are left out.

Nothing at or after the range enters its start state.
"""

from collections.abc import Callable, Iterable
from typing import Final

from google.protobuf.message import DecodeError

from agents.canonicalize.process_modules import decode_row, rows_before
from agents.contract import StatefulStep
from app.kafka.client import KafkaUnusableError
from app.kafka.records import OffsetRange, Recorded
from app.kafka.topic_reader import TopicReader
from app.settings import Settings
from app.steps import canonicalize_step
from app.streaming.store import META_PREFIX
from schemas import topics
from schemas.tetragon_parts_pb2 import GetEventsResponse
from schemas.topics import Stage

Rows = tuple[tuple[bytes, bytes], ...]

CHANGELOG: Final = topics.changelog(Stage.CANONICALIZE, topics.MODULES_TABLE)


def start_rows(
    reader: TopicReader, settings: Settings, before: OffsetRange, report: Callable[[int], None] = lambda _records: None
) -> Rows:
    """Rows that the event at raw offset `before.next` sees; loader events are read from `before.first` on.

    `report` gets how many more records were read. Raises what reading the topics raises.
    """
    partition = before.partition
    earlier = dict(rows_before(_table_rows(reader, settings, partition), before.first))
    step = canonicalize_step(settings)
    step.restore(partition, earlier.items())
    for taken in reader.read(settings.name(topics.RAW), partition, before.first, before.next - 1, all_readable=True):
        for key, row in observe_loaders(step, taken).items():
            _change(earlier, key, row)
        report(len(taken))
    # leave out rows that no later event sees: the rows then do not depend on how the reading was cut into batches
    return tuple(sorted(rows_before(earlier.items(), before.next)))


def observe_loaders(step: StatefulStep, batch: Iterable[Recorded]) -> dict[bytes, bytes | None]:
    """Give a step only the events that change its state; returns the rows that changed."""
    found = [record for record in batch if _is_remembered(record.value)]
    if not found:
        return {}
    step.release(found[0].partition, found[0].offset)
    return step(found).state


def _is_remembered(value: bytes | None) -> bool:
    """Whether later events depend on a raw event of this kind: a module was loaded, or a process ended."""
    try:
        kind: str | None = GetEventsResponse.FromString(value or b"").WhichOneof("event")
    except DecodeError:
        return False
    return kind in {"process_loader", "process_exit"}


def _table_rows(reader: TopicReader, settings: Settings, partition: int) -> Rows:
    """The newest row of each key in the table's changelog; empty without such a topic."""
    name = settings.name(CHANGELOG)
    try:
        reader.partitions(name)
    except KafkaUnusableError:
        return ()
    rows: dict[bytes, bytes] = {}
    for taken in reader.whole(name, partition, all_readable=True):
        for record in taken:
            if record.key is not None and not record.key.startswith(META_PREFIX):
                _change(rows, record.key, record.value)
    return tuple(sorted((key, row) for key, row in rows.items() if _is_readable(row)))


def _change(rows: dict[bytes, bytes], key: bytes, row: bytes | None) -> None:
    """Change a table's rows; None removes one."""
    if row is None:
        rows.pop(key, None)
    else:
        rows[key] = row


def _is_readable(row: bytes) -> bool:
    """Whether this program can read the row; an older program may have written another form."""
    try:
        decode_row(row)
    except (ValueError, TypeError, KeyError):
        return False
    return True
