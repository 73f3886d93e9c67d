"""Archives made of given events, without a broker."""

import itertools
import zlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from app.evidence import documents
from app.evidence.archive import (
    ARCHIVE_FILE,
    STATE_TOPIC,
    Archive,
    Contents,
    FileFacts,
    RawPart,
    file_name,
    finish,
)
from app.evidence.avro_container import Codec
from app.evidence.record_file import Layout, RecordFileWriter
from app.ingest.keys import KeyReader
from app.kafka.records import OffsetRange, Recorded
from app.replay.start_state import observe_loaders
from app.settings import Settings
from app.simulator.workload.generator import Workload, WorkloadOptions
from app.steps import canonicalize_step
from schemas.node import NodeId

TOPIC = "tetragon.raw"
RECEIPT_MS = 1_800_000_000_000


def recorded(events: Iterable[bytes | None], *, partition: int = 0, first: int = 0) -> list[Recorded]:
    """Events as raw records at offsets from `first` on."""
    return [
        Recorded(TOPIC, partition, offset, RECEIPT_MS + offset, b"key-%d" % (offset % 5), event)
        for offset, event in enumerate(events, start=first)
    ]


def load_parts(*, events: int, partitions: int, seed: int = 1) -> dict[int, list[Recorded]]:
    """A generated load, by process over partitions as a producer does, with a few records that are not events.

    Partitions begin at different offsets, have gaps, and reach over several spans. How many events each gets depends
    on the executables of the machine, so what is not an event comes early enough for the smallest share.
    """
    parts: dict[int, list[Recorded]] = {partition: [] for partition in range(partitions)}
    load = list(Workload(WorkloadOptions(events=events, seed=seed, canary_share=0.02)).events())
    junk = itertools.cycle([None, b"", b"no protobuf", b"\x0a\x00"])
    for number, (event, key) in enumerate(zip(load, KeyReader(NodeId("", "node")).read(load).keys, strict=True)):
        partition = zlib.crc32(key) % partitions
        taken = parts[partition]
        offset = taken[-1].offset + 1 + 600 * (number % 53 == 0) if taken else 4_000 + partition
        value = next(junk) if len(taken) % 331 == 50 else event
        taken.append(Recorded(TOPIC, partition, offset, RECEIPT_MS + number, key, value))
    return parts


def rows_before(taken: Iterable[Recorded]) -> list[tuple[bytes, bytes]]:
    """Rows of module state after these records, which are of one partition."""
    rows = observe_loaders(canonicalize_step(Settings()), taken)
    return sorted((key, row) for key, row in rows.items() if row is not None)


def make_archive(
    folder: Path,
    parts: Mapping[int, Iterable[Recorded]],
    states: Mapping[int, Sequence[tuple[bytes, bytes]]] | None = None,
    *,
    codec: Codec = Codec.DEFLATE,
) -> Archive:
    """An archive of these records by partition, with these rows of start state."""
    folder.mkdir(parents=True, exist_ok=True)
    raw = [
        _part(folder, partition, taken, (states or {}).get(partition, ()), codec) for partition, taken in parts.items()
    ]
    contents = Contents("0", "test", TOPIC, codec, 6, tuple(raw), None)
    documents.write(folder / ARCHIVE_FILE, documents.sealed(contents.document()))
    return Archive(folder)


def _part(
    folder: Path, partition: int, taken: Iterable[Recorded], rows: Sequence[tuple[bytes, bytes]], codec: Codec
) -> RawPart:
    first = following = 0
    layout, name = Layout(TOPIC, partition, codec, 6), file_name("raw", partition)
    writer = RecordFileWriter(folder, name, layout)
    for number, record in enumerate(taken):
        first = first if number else record.offset
        following = record.offset + 1
        writer.add([record])
    state = [Recorded(STATE_TOPIC, partition, number, 0, *row) for number, row in enumerate(rows)]
    return RawPart(
        range=OffsetRange(partition, first, following),
        file=finish(writer, name, layout),
        state=_file(folder, partition, state, codec),
        state_from=first,
    )


def _file(folder: Path, partition: int, taken: Sequence[Recorded], codec: Codec) -> FileFacts:
    layout, name = Layout(STATE_TOPIC, partition, codec, 6), file_name("state", partition)
    writer = RecordFileWriter(folder, name, layout)
    writer.add(taken)
    return finish(writer, name, layout)
