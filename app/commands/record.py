"""`callstream record`: copies raw events into an archive that can be replayed and proved without Kafka."""

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import click

from app.commands import options
from app.commands.ending import exits_with
from app.evidence import keys
from app.evidence.archive import Archive
from app.evidence.avro_container import Codec
from app.files.folders import make_private
from app.kafka.records import DamagedError
from app.kafka.topic_reader import TopicReader
from app.operators.printing import echo, print_answer
from app.progress import Progress
from app.replay import record
from app.replay.record import Plan
from app.replay.request import RawChoice
from app.settings import Settings, load
from schemas import topics

NOT_RECORDED: Final = 1
"""The topic does not have the events any more, or they are damaged."""


@click.command(name="record", epilog=options.POSITION_HELP)
@click.option(
    "--out",
    "folder",
    type=options.FOLDER,
    required=True,
    help="Folder to make, or the folder of a recording to continue.",
)
@options.raw_events
@click.option("--with-published", is_flag=True, help="Keep what the live stages published for these events, too.")
@click.option(
    "--codec", type=click.Choice([codec.value for codec in Codec]), default=Codec.DEFLATE.value, show_default=True
)
@click.option("--sign", "key_file", type=options.FILE, help="Ed25519 private key (PEM).")
@click.option("--json", "as_json", is_flag=True, help="Print what was recorded as one JSON document.")
def command(
    *,
    folder: Path,
    with_published: bool,
    codec: str,
    key_file: Path | None,
    as_json: bool,
    **chosen: Any,
) -> None:
    """Copy raw events from tetragon.raw into an archive that can be replayed and proved without Kafka.

    The archive has an Avro file for each partition, and the digests that prove them. It holds private data, as the
    topic does: keep it as safe as the topic.

    If a recording was interrupted, the same command continues it, with the ranges that it began with.

    \b
    Exit codes:
      0  recorded
      1  the topic does not have the events any more, or they are damaged
      2  wrong options or settings, or Kafka cannot be used
    Example:
      callstream record --out case-17 --from 2026-01-07T12:00:00Z --to 2026-01-07T13:00:00Z --with-published
    """
    settings = load()
    with exits_with(NOT_RECORDED, DamagedError), Progress() as progress:
        key = None if key_file is None else keys.load_private_key(key_file)
        plan = record.unfinished(folder)
        if plan is not None:
            echo(f"continuing the recording in {folder}", err=True)
        with TopicReader(settings) as reader:
            if plan is None:
                choice = options.raw_choice(**chosen)
                plan = _plan(reader, settings, choice, Codec(codec), progress, with_published=with_published)
            progress.begin("records read", sum(one.offsets for one in plan.ranges))
            if (trouble := make_private(folder)) is not None:
                echo(f"warning: {trouble}", err=True)
            archive = record.record(reader, settings, folder, plan, progress.add, key=key)
    document = _document(archive)
    print_answer(document, _lines(archive, document), as_json=as_json)


def _plan(
    reader: TopicReader,
    settings: Settings,
    choice: RawChoice,
    codec: Codec,
    progress: Progress,
    *,
    with_published: bool,
) -> Plan:
    topic = settings.name(topics.RAW)
    ranges, loaders_from = choice.resolve(reader, topic, progress)
    return Plan(
        cluster=reader.cluster(),
        topic=topic,
        codec=codec,
        ranges=ranges,
        loaders_from=loaders_from,
        published=with_published,
    )


def _document(archive: Archive) -> dict[str, Any]:
    contents, published = archive.contents, archive.contents.published
    return {
        "archive": str(archive.folder),
        "digest": archive.digest,
        "records": sum(part.file.records for part in contents.raw),
        "published_calls": None if published is None else sum(one.records for one in published.calls),
        "partitions": [
            {**asdict(part.range), "records": part.file.records, "chain": part.file.chain} for part in contents.raw
        ],
    }


def _lines(archive: Archive, document: dict[str, Any]) -> Iterator[str]:
    published = document["published_calls"]
    copies = "" if published is None else f", {published:,} published calls"
    partitions = len(document["partitions"])
    yield f"{archive.folder}: {document['records']:,} raw events of {partitions} partitions{copies}"
    yield f"digest {archive.digest}"
