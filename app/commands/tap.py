"""`callstream tap`: shows the records of any topic as text."""

import difflib
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from itertools import islice
from typing import Any, Final

import click

from app.commands.options import POSITION_HELP, position_option
from app.kafka.positions import First, Last, Position, leaves_out, offset_in
from app.kafka.records import Recorded
from app.kafka.registry import SchemaRegistry
from app.kafka.topic_reader import TopicReader
from app.operators.errors import OperatorError
from app.operators.json_text import json_text
from app.operators.printing import echo
from app.settings import load
from app.symbols.display import SymbolDisplay
from app.tap.decoding import Decoder, Document, key_text
from app.tap.grades import frame_grades, shares_line
from app.tap.lines import Headline, lines
from schemas import topics

_FOLLOW_PAUSE_SECONDS: Final = 0.3


def _topics_from(_context: click.Context, _argument: click.Parameter, incomplete: str) -> list[str]:
    return [topic.name for topic in topics.TOPICS if topic.name.startswith(incomplete)]


@click.command(name="tap", epilog=POSITION_HELP)
@click.argument("topic", default=topics.CALLS, metavar="[TOPIC]", shell_complete=_topics_from)
@position_option("--from", "start", "Where to begin. Default: first, or with --follow, last.")
@click.option("--partition", type=click.IntRange(0), help="Read this partition only.")
@click.option("--max", "most", type=click.IntRange(1), metavar="N", help="Stop after N records.")
@click.option("--follow", is_flag=True, help="Go on reading new records, until Ctrl-C.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document a line.")
@click.option(
    "--restricted",
    is_flag=True,
    help="Show private data. Needed for tetragon.raw, runtime.canonical and the tables of processes.",
)
def command(
    *,
    topic: str,
    start: Position | None,
    partition: int | None,
    most: int | None,
    follow: bool,
    as_json: bool,
    restricted: bool,
) -> None:
    """Show the records of a topic as text; the default topic is runtime.calls.

    A call is shown with its frames as module!symbol+0xoffset, with C++ and Rust names demangled, and with how each
    frame was resolved. Standard error then gives the shares of that. --json has every field, and symbols as they are
    stored. Topics are named with or without CALLSTREAM_TOPIC_PREFIX. Changelogs of tables, internal topics and versions
    that `reprocess` made (runtime.calls.v2) can be read too. The command joins no consumer group and commits nothing.

    Topics before the privacy stage hold private data, so they are shown only with --restricted.

    \b
    Exit codes:
      0  read
      2  wrong options or settings, an unknown or restricted topic, or Kafka or the
         registry cannot be used
    Example:
      callstream tap --max 3
      callstream tap runtime.dead-letters --from last-20 --json
      callstream tap runtime.coverage --follow
    """
    settings = load()
    name = topic.removeprefix(settings.topic_prefix)
    shape = _shape(name)
    if shape.restricted and not restricted:
        raise OperatorError(f"{name} holds private data; add --restricted if you mean to see it")
    grades: Counter[str] = Counter()
    start = start or (Last() if follow else First())
    with (
        suppress(KeyboardInterrupt),
        SchemaRegistry.from_settings(settings) as registry,
        TopicReader(settings) as reader,
        SymbolDisplay() as display,
    ):
        decoder = Decoder(shape, registry, settings)
        for record in islice(_records(reader, settings.name(name), start, partition, follow=follow), most):
            document = decoder.document(record.key, record.value)
            if as_json:
                echo(json_text(_shown(record, document)))
                continue
            headline = Headline(record.partition, record.offset, key_text(record.key))
            for line in lines(shape.name, headline, document, display.name):
                echo(line)
            grades.update(frame_grades(shape.name, document))
    if grades:
        echo(shares_line(grades), err=True)


def _shape(name: str) -> topics.Topic:
    """The topic of that name, or the live topic of a version. Raises OperatorError if there is none."""
    known = {shape.name: shape for shape in topics.TOPICS}
    live = topics.live_name(name)
    if live not in known:
        near = difflib.get_close_matches(live, known, n=1)
        meant = f"did you mean {near[0]}?" if near else f"topics are {', '.join(known)}"
        raise OperatorError(f"the pipeline has no topic {name}; {meant}")
    return known[live]


def _records(
    reader: TopicReader, topic: str, start: Position, partition: int | None, *, follow: bool
) -> Iterator[Recorded]:
    offsets = reader.all_ends(topic)
    if partition is not None and partition not in offsets:
        raise OperatorError(f"there is no partition {partition}; the topic has {len(offsets)}")
    chosen = {number for number in offsets if not leaves_out(start, number) and partition in (None, number)}
    nexts = {
        number: offset_in(start, there, partial(reader.offset_at, topic, number)) if number in chosen else there.next
        for number, there in offsets.items()
    }
    while True:
        for record in reader.records(topic, nexts):
            nexts[record.partition] = record.offset + 1
            if record.partition in chosen:
                yield record
        if not follow:
            return
        time.sleep(_FOLLOW_PAUSE_SECONDS)


def _shown(record: Recorded, document: Document | None) -> dict[str, Any]:
    return {
        "topic": record.topic,
        "partition": record.partition,
        "offset": record.offset,
        "timestamp_ms": record.timestamp,
        "key": key_text(record.key),
        "value": document,
    }
