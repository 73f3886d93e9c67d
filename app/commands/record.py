"""`callstream record`: a range of raw events into an archive that can be replayed and proved without Kafka."""

import json
import os
from datetime import UTC, datetime
from pathlib import Path

import click

from app import settings as settings_module
from app.kafka import partition_count
from app.replay import canonical_json, positions, recorder, signing
from app.replay.archive import ARCHIVE_FILE, Archive, Range
from app.replay.container import Codec
from app.replay.failures import ends_with
from app.replay.positions import Position, PositionError, Wanted
from app.replay.progress import Progress
from app.replay.range_reader import RangeReader
from app.replay.recorder import Plan
from app.settings import Settings
from schemas import topics

_ANSWER_SECONDS = 10.0


def position(_context: click.Context, _parameter: click.Parameter, text: str) -> Position:
    """A position option's value."""
    try:
        return positions.parse(text, datetime.now(UTC))
    except PositionError as error:
        raise click.BadParameter(str(error)) from None


@click.command(name="record", short_help="Keep a range of raw events as evidence")
@click.option("--out", "folder", type=click.Path(path_type=Path, file_okay=False), required=True, help="A new folder.")
@click.option("--from", "start", metavar="POSITION", default="first", callback=position, help="Where to begin.")
@click.option("--to", "end", metavar="POSITION", default="last", callback=position, help="Where to end, not included.")
@click.option("--partition", "partitions", type=click.IntRange(0), multiple=True, help="Only this one, or these.")
@click.option("--event-time", is_flag=True, help="Times are the events' own, not those of receipt: reads everything.")
@click.option("--with-published", is_flag=True, help="Keep what the live stages published for these events, too.")
@click.option(
    "--loaders-from",
    metavar="POSITION",
    default="first",
    callback=position,
    help="From where to read the loader events that earlier frames depend on.",
)
@click.option("--codec", type=click.Choice([codec.value for codec in Codec]), default=Codec.DEFLATE, show_default=True)
@click.option("--sign", "key_file", type=click.Path(path_type=Path, dir_okay=False), help="Ed25519 private key (PEM).")
@click.option("--json", "as_json", is_flag=True, help="Print what was recorded as one JSON document.")
def command(
    *,
    folder: Path,
    start: Position,
    end: Position,
    partitions: tuple[int, ...],
    event_time: bool,
    with_published: bool,
    loaders_from: Position,
    codec: str,
    key_file: Path | None,
    as_json: bool,
) -> None:
    """Copy raw events from tetragon.raw into an archive: an Avro file a partition, and what proves them.

    A POSITION is first, last, an offset, PARTITION:OFFSET,..., a time like 2026-01-07T12:00:00Z, or 90m, 2h, 7d for so
    long ago. Times are those of receipt. The archive holds private data as the topic does: keep it like one.

    A recording that was interrupted is continued by the same command, with the ranges that it began with.

    \b
    Exit codes: 0 recorded, 1 the topic no longer has the events or they are damaged, 2 wrong options or settings, or
    Kafka cannot be asked.
    Example:
      callstream record --out case-17 --from 2026-01-07T12:00:00Z --to 2026-01-07T13:00:00Z --with-published
    """
    settings = settings_module.load(os.environ)
    with ends_with("record"):
        key = None if key_file is None else signing.load_private_key(key_file)
        plan = recorder.unfinished(folder)
        if plan is not None:
            click.echo(f"continuing the recording in {folder}", err=True)
        else:
            wanted = Wanted(start, end, frozenset(partitions) or None, event_time)
            plan = _plan(settings, wanted, loaders_from, Codec(codec), with_published=with_published)
        total = sum(one.offsets for one in plan.ranges)
        with Progress("records read", total) as progress:
            archive = recorder.record(settings, folder, plan, progress.add)
        if key is not None:
            path = folder / ARCHIVE_FILE
            canonical_json.write(path, signing.signed(canonical_json.read(path), key))
        _report(archive, as_json=as_json)


def _plan(settings: Settings, wanted: Wanted, loaders_from: Position, codec: Codec, *, with_published: bool) -> Plan:
    topic = settings.name(topics.RAW)
    count = partition_count(settings, topic, _ANSWER_SECONDS)
    with RangeReader(settings) as reader, Progress("records looked at") as progress:
        ranges = positions.resolve(reader, topic, count, wanted, progress.add)
        if not sum(one.offsets for one in ranges):
            raise PositionError(f"topic {topic} has no records there")
        return Plan(
            cluster=reader.cluster(),
            topic=topic,
            codec=codec,
            ranges=ranges,
            loaders_from=tuple(_loaders_from(reader, topic, one, loaders_from) for one in ranges),
            published=with_published,
        )


def _loaders_from(reader: RangeReader, topic: str, part: Range, wanted: Position) -> int:
    """From where loader events are read: never after the range's first event."""
    return min(part.first, positions.offset_of(reader, topic, part.partition, wanted))


def _report(archive: Archive, *, as_json: bool) -> None:
    contents = archive.contents
    records = sum(part.file.records for part in contents.raw)
    published = None if contents.published is None else sum(one.records for one in contents.published.calls)
    if as_json:
        partitions = [
            {
                "partition": part.range.partition,
                "first": part.range.first,
                "next": part.range.next,
                "records": part.file.records,
                "chain": part.file.chain,
            }
            for part in contents.raw
        ]
        document = {
            "archive": str(archive.folder),
            "digest": archive.digest,
            "records": records,
            "published_calls": published,
            "partitions": partitions,
        }
        click.echo(json.dumps(document))
        return
    copies = "" if published is None else f", {published:,} published calls"
    click.echo(f"{archive.folder}: {records:,} raw events of {len(contents.raw)} partitions{copies}")
    click.echo(f"digest {archive.digest}")
