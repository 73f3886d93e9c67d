"""`callstream tap`: shows the records of any topic as text."""

import difflib
import re
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any, Final

import click

from app.commands.ending import until_the_reader_leaves
from app.commands.options import POSITION_HELP, position_option
from app.kafka.positions import First, Last, Position, leaves_out, offset_in
from app.kafka.records import OffsetRange, Recorded
from app.kafka.registry import SchemaRegistry
from app.kafka.topic_reader import TopicReader
from app.operators.errors import OperatorError
from app.operators.json_text import json_text
from app.operators.printing import echo
from app.progress import Progress
from app.settings import load
from app.symbols.display import SymbolDisplay
from app.tap.decoding import Decoder, Document, key_text
from app.tap.filters import RecordFilter
from app.tap.grades import frame_grades, shares_line
from app.tap.lines import Headline, lines
from app.tap.sifting import Sifted
from schemas import topics

NO_MATCH: Final = 1

_FOLLOW_PAUSE_SECONDS: Final = 0.3


def _topics_from(_context: click.Context, _argument: click.Parameter, incomplete: str) -> list[str]:
    return [topic.name for topic in topics.TOPICS if topic.name.startswith(incomplete)]


def _event_id(_context: click.Context, _option: click.Parameter, text: str | None) -> str | None:
    if text is not None and not re.fullmatch(r"[0-9a-fA-F]{32}", text):
        raise click.BadParameter(f"{text!r} is not an event id, which has 32 hexadecimal digits")
    return text and text.lower()


@click.command(name="tap", epilog=POSITION_HELP)
@click.argument("topic", default=topics.CALLS, metavar="[TOPIC]", shell_complete=_topics_from)
@position_option("--from", "start", "Where to begin. Default: first, or with --follow, last.")
@position_option("--to", "end", "Where to end, not included. Default: last.")
@click.option("--partition", type=click.IntRange(0), help="Read this partition only.")
@click.option("--max", "most", type=click.IntRange(1), metavar="N", help="Stop after N records that are shown.")
@click.option("--namespace", metavar="PATTERN", help="Only records of this namespace.")
@click.option("--binary", metavar="PATTERN", help="Only events of processes with this path or file name.")
@click.option("--symbol", metavar="PATTERN", help="Only records with this symbol, mangled, in a frame or a probe.")
@click.option("--event", metavar="ID", callback=_event_id, help="Only the event with this id, or what cites it.")
@click.option("--follow", is_flag=True, help="Go on reading new records, until Ctrl-C.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document a line.")
@click.option(
    "--restricted",
    is_flag=True,
    help="Show private data. Needed for tetragon.raw, runtime.canonical and the tables of processes.",
)
@click.pass_context
def command(
    context: click.Context,
    *,
    topic: str,
    start: Position | None,
    end: Position | None,
    partition: int | None,
    most: int | None,
    namespace: str | None,
    binary: str | None,
    symbol: str | None,
    event: str | None,
    follow: bool,
    as_json: bool,
    restricted: bool,
) -> None:
    """Show the records of a topic as text; the default topic is runtime.calls.

    A call is shown with its frames as module!symbol+0xoffset, with C++ and Rust names demangled, and with how each
    frame was resolved. Standard error then gives the shares of that. --json has every field, and symbols as they are
    stored. Topics are named with or without CALLSTREAM_TOPIC_PREFIX. Changelogs of tables, internal topics and versions
    that `reprocess` made (runtime.calls.v2) can be read too. The command joins no consumer group and commits nothing.

    With --namespace, --binary, --symbol or --event, only records are shown that match all of them; standard error says
    how many do. PATTERN may have `*`, `?` and `[...]`. A topic whose records do not have the field is refused.

    Topics before the privacy stage hold private data, so they are shown only with --restricted.

    \b
    Exit codes:
      0  read, or the reader of the output has left
      1  no record matches
      2  wrong options or settings, an unknown or restricted topic, or Kafka or the
         registry cannot be used
    Example:
      callstream tap --max 3
      callstream tap --namespace 'shop-*' --symbol SSL_read --from 2h --to 1h
      callstream tap runtime.dead-letters --from last-20 --json
      callstream tap runtime.coverage --follow
    """
    if follow and end is not None:
        raise click.UsageError("--follow has no end: leave out --to")
    settings = load()
    name = topic.removeprefix(settings.topic_prefix)
    shape = _shape(name)
    wanted = RecordFilter(namespace=namespace, binary=binary, symbol=symbol, event=event)
    wanted.demand(shape.name)
    if shape.restricted and not restricted:
        raise OperatorError(f"{name} holds private data; add --restricted if you mean to see it")
    start = start or (Last() if follow else First())
    with (
        until_the_reader_leaves(context),
        SchemaRegistry.from_settings(settings) as registry,
        TopicReader(settings) as reader,
        SymbolDisplay() as display,
        Progress() as progress,
    ):
        decoder = Decoder(shape, registry, settings, partial(_say, progress))
        found = Sifted(wanted, shape.name, decoder, progress)
        printer = _Printer(shape.name, display, progress, as_json=as_json)
        with suppress(KeyboardInterrupt):
            records = _records(reader, settings.name(name), _Range(start, end, partition), follow=follow)
            for record, document in islice(found.matching(records), most):
                printer.show(record, document)
        progress.hide()
        printer.end()
        if said := found.summary():
            echo(f"callstream tap: {said}", err=True)
    sys.exit(NO_MATCH if found.conditions and not found.matched else 0)


def _say(progress: Progress, sentence: str) -> None:
    progress.hide()
    echo(f"callstream tap: {sentence}", err=True)


class _Printer:
    """Shows records one after another, and at the end how well their frames are resolved."""

    def __init__(self, topic: str, display: SymbolDisplay, progress: Progress, *, as_json: bool) -> None:
        self._topic = topic
        self._display = display
        self._progress = progress
        self._as_json = as_json
        self._grades: Counter[str] = Counter()

    def show(self, record: Recorded, document: Document | None) -> None:
        """One record, as lines or as JSON."""
        self._progress.hide()
        if self._as_json:
            echo(json_text(_shown(record, document)))
            return
        headline = Headline(record.partition, record.offset, key_text(record.key))
        for line in lines(self._topic, headline, document, self._display.name):
            echo(line)
        self._grades.update(frame_grades(self._topic, document))

    def end(self) -> None:
        """The shares of all frames, if any were shown as text."""
        if self._grades:
            echo(shares_line(self._grades), err=True)


def _shape(name: str) -> topics.Topic:
    """The topic of that name, or the live topic of a version. Raises OperatorError if there is none."""
    known = {shape.name: shape for shape in topics.TOPICS}
    live = topics.live_name(name)
    if live not in known:
        near = difflib.get_close_matches(live, known, n=1)
        meant = f"did you mean {near[0]}?" if near else f"topics are {', '.join(known)}"
        raise OperatorError(f"the pipeline has no topic {name}; {meant}")
    return known[live]


@dataclass(frozen=True, slots=True)
class _Range:
    """Where to read: an end of None is that of each partition, and a partition of None is every one."""

    start: Position
    end: Position | None
    partition: int | None

    def has(self, partition: int) -> bool:
        """Whether anything of a partition is meant."""
        places = [place for place in (self.start, self.end) if place is not None]
        return self.partition in {None, partition} and not any(leaves_out(place, partition) for place in places)


def _records(reader: TopicReader, topic: str, wanted: _Range, *, follow: bool) -> Iterator[Recorded]:
    offsets = reader.all_ends(topic)
    if wanted.partition is not None and wanted.partition not in offsets:
        raise OperatorError(f"there is no partition {wanted.partition}; the topic has {len(offsets)}")

    def offset(place: Position, there: OffsetRange) -> int:
        return offset_in(place, there, partial(reader.offset_at, topic, there.partition))

    chosen = {number for number in offsets if wanted.has(number)}
    nexts = {
        number: offset(wanted.start, there) if number in chosen else there.next for number, there in offsets.items()
    }
    stops = {} if wanted.end is None else {number: offset(wanted.end, offsets[number]) for number in chosen}
    while True:
        for record in reader.records(topic, nexts, stops):
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
