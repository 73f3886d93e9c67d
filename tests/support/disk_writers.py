"""All that write to a disk, each with what it promises and what must be found afterwards.

`work` runs in a process that may be killed at any call, and tells what it begins, what it was promised and what it was
refused. `check` runs afterwards, on a disk that works. Numbers stand for things: a chunk, a gap, a snapshot.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from random import Random
from typing import Any, Protocol, cast

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from agents.symbols.lookup import Resolved
from app.evidence import documents, span_lines
from app.evidence.archive import ARCHIVE_FILE, Archive
from app.evidence.avro_container import Codec
from app.evidence.signed_documents import TrustedSigner, check_signature
from app.export.output import output
from app.files.replacing import UncertainWriteError
from app.ingest.chunk import Chunk
from app.ingest.event_books import EventInterval
from app.ingest.journal import Journal, State
from app.ingest.spill import SpillFolder
from app.kafka.client import KafkaUnusableError
from app.kafka.records import OffsetRange, Recorded
from app.kafka.topic_reader import TopicReader
from app.operators.errors import OperatorError
from app.progress import Progress
from app.replay import call_file, record
from app.replay.make import RunOutput, make
from app.replay.manifest import MANIFEST_FILE, Manifest
from app.replay.request import ReplayRequest
from app.settings import Settings
from app.streaming.store import PartitionStore, StoreDamagedError
from app.symbols.checking import check_objects
from app.symbols.name_maps import image_scope
from app.symbols.snapshot import ObjectKind, SymbolStoreError
from app.symbols.store import SymbolStore
from app.symbols.store_writer import StoreWriter
from schemas.coverage import CoverageGap, GapCause
from tests.support.archives import TOPIC, load_parts, make_archive
from tests.support.failing_disk import unsynced
from tests.support.made_indexes import index_bytes, put_index
from tests.support.symbol_maps import put_modules

IMAGE = image_scope("registry.example/shop@sha256:" + "12" * 32)


@dataclass(slots=True)
class Told:
    """What a writer said: how each thing that was begun ended. The last one may have no end."""

    ends: dict[int, str] = field(default_factory=dict)

    def of(self, end: str) -> set[int]:
        """Things with this end: promised, refused, unsure, gone, or begun and nothing more."""
        return {number for number, one in self.ends.items() if one == end}


Tell = Callable[[str, int], None]


class DiskWriter(Protocol):
    """One kind of writer."""

    def work(self, folder: Path, chance: Random, tell: Tell, heal: Callable[[], None]) -> None:
        """Write; calls `heal` half way, from which on the disk may have room again."""

    def check(self, folder: Path, told: Told) -> None:
        """Raises AssertionError, or whatever keeps the program from starting."""


def _check_set(found: Sequence[int], told: Told) -> None:
    assert len(set(found)) == len(found), f"twice: {found}"
    missing = told.of("promised") - set(found)
    assert not missing, f"promised and missing: {missing} of {told}, found {found}"
    wrong = set(found) & told.of("refused")
    assert not wrong, f"refused and there: {wrong} of {told}"
    strange = set(found) - told.ends.keys()
    assert not strange, f"nobody wrote {strange}"


def _tried(tell: Tell, number: int, write: Callable[[], object], *, synced: Path | None) -> bool:
    """Do it, and tell how it ended. In the folder `synced` a power cut right afterwards must change nothing."""
    tell("begun", number)
    try:
        done = write()
    except UncertainWriteError:
        tell("unsure", number)
        return False
    except (OSError, OperatorError):
        tell("refused", number)
        return False
    if done is False:
        tell("refused", number)
        return False
    if synced is not None:
        _check_synced(synced)
    tell("promised", number)
    return True


def _check_synced(folder: Path) -> None:
    left = unsynced(folder)
    assert left is None, f"promised, and a power cut could change {left}"


class SpillWriter:
    """Chunks of events in the spill folder."""

    LIMIT = 1 << 22

    def work(self, folder: Path, chance: Random, tell: Tell, heal: Callable[[], None]) -> None:
        """Store chunks of different sizes, some of them larger than a page."""
        sync_seconds = chance.choice((0.0, 3600.0))
        spill = SpillFolder(folder, self.LIMIT, sync_seconds)
        for number in range(16):
            if number == 8:
                heal()
            chunk = self.chunk(number, chance.choice((10, 3_000, 200_000)))
            write = partial(spill.append, chunk, EventInterval(3, number, number))
            if _tried(tell, number, write, synced=None) and not sync_seconds and spill.trouble is None:
                _check_synced(folder)

    def check(self, folder: Path, told: Told) -> None:
        """Read all, in order."""
        spill = SpillFolder(folder, self.LIMIT)
        found = []
        while (chunk := spill.take()) is not None:
            assert isinstance(chunk, Chunk), "a stored chunk is damaged"
            assert chunk.events == self.chunk(chunk.received_ms, len(chunk.events[0])).events
            found.append(chunk.received_ms)
        spill.close()
        assert found == sorted(found)
        _check_set(found, told)

    @staticmethod
    def chunk(number: int, size: int) -> Chunk:
        """Three events of about this size."""
        events = [bytes([number, which]) * (size // 2) for which in range(3)]
        return Chunk(number, events, size_bytes=sum(map(len, events)))


class JournalWriter:
    """Gaps and the state of ingest."""

    def work(self, folder: Path, chance: Random, tell: Tell, heal: Callable[[], None]) -> None:
        """Add gaps, acknowledge some, and save the state."""
        journal = Journal(folder)
        for number in range(16):
            if number == 8:
                heal()
            tell("begun", number)
            journal.add([self.gap(number)])
            if number and chance.random() < 0.3:
                tell("gone", number - 1)
                journal.done(self.gap(number - 1))
            if journal._gaps_trouble is None:
                _check_synced(folder / "gaps.jsonl")
                for gap in journal.pending:
                    tell("promised", gap.from_ns)
            journal.save(State("n", number))
            journal.store_again()

    def check(self, folder: Path, told: Told) -> None:
        """No gap is missing, and none is another one."""
        journal = Journal(folder)
        found = [gap.from_ns for gap in journal.pending]
        assert all(gap == self.gap(gap.from_ns) for gap in journal.pending)
        assert journal.state is None or journal.state.vouched_until_ns in told.ends
        _check_set(found, told)
        journal.close()

    @staticmethod
    def gap(number: int) -> CoverageGap:
        """A gap that begins at this time."""
        return CoverageGap(node="n", from_ns=number, to_ns=number + 1, cause=GapCause.OVERFLOW, events_lost=number)


class SymbolWriter:
    """Indexes and maps in a symbol store, one snapshot after the other."""

    def work(self, folder: Path, chance: Random, tell: Tell, heal: Callable[[], None]) -> None:
        """Add an index and its path, in one snapshot each."""
        for number in range(4):
            if number == 2:
                heal()
            _tried(tell, number, partial(self._add, folder, number, chance), synced=folder)

    def _add(self, folder: Path, number: int, chance: Random) -> None:
        build_id = f"{number:040x}"
        with StoreWriter(folder) as writer:
            put_index(writer, index_bytes(build_id, names=(f"f{number}",)), build_id)
            if chance.random() < 0.7:
                put_modules(writer, IMAGE, {f"/lib/{number}.so": build_id})
            writer.commit()

    def check(self, folder: Path, told: Told) -> None:
        """The current snapshot has what was promised, and every object is whole."""
        try:
            store = SymbolStore.open(folder)
        except SymbolStoreError:
            assert not told.of("promised")
        else:
            assert [one for one in check_objects(store) if one.fault] == []
            found = [int(build_id, 16) for build_id in store.snapshot.of_kind(ObjectKind.INDEX)]
            assert all(store.lookup(f"{n:040x}", 4, innermost=True) == Resolved(f"f{n}", 4) for n in found)
            _check_set(found, told)
        self._add(folder, 99, Random(1))
        assert SymbolStore.open(folder).lookup(f"{99:040x}", 4, innermost=True) == Resolved("f99", 4)


class ArchiveWriter:
    """`callstream record`, from records in memory, which is continued until it is finished."""

    FIRST, STEP, COUNT = 4_000, 1_000, 24

    def work(self, folder: Path, chance: Random, tell: Tell, heal: Callable[[], None]) -> None:
        """Record, and after each refusal record again."""
        del chance
        for number in range(3):
            if number == 1:
                heal()
            if _tried(tell, number, partial(self.record, folder), synced=folder):
                return

    def check(self, folder: Path, told: Told) -> None:
        """The archive is whole, or the same command finishes it."""
        if told.of("promised"):
            archive = Archive(folder)
        else:
            is_there = (folder / ARCHIVE_FILE).exists()
            assert not is_there or told.of("begun") | told.of("unsure"), f"refused and there: {told}"
            archive = Archive(folder) if is_there else self.record(folder)
        for partition in range(2):
            found = [one for batch in archive.batches(partition, 0, 1 << 40, 100) for one in batch]
            assert found == list(self._records(partition))
        assert {path.suffix for path in folder.iterdir()} <= {".avro", ".spans", ".json", ".tsq"}

    def record(self, folder: Path) -> Archive:
        """Record, or go on with it."""
        plan = record.unfinished(folder)
        if plan is None:
            ranges = tuple(OffsetRange(number, self.FIRST, self._last + 1) for number in range(2))
            plan = record.Plan("test", TOPIC, Codec.DEFLATE, ranges, (self.FIRST, self.FIRST), published=False)
        key = Ed25519PrivateKey.from_private_bytes(bytes(32))
        return record.record(cast("TopicReader", self), Settings(), folder, plan, key=key)

    @property
    def _last(self) -> int:
        return self.FIRST + self.STEP * (self.COUNT - 1)

    @classmethod
    def _records(cls, partition: int) -> Iterator[Recorded]:
        for number in range(cls.COUNT):
            offset = cls.FIRST + cls.STEP * number
            yield Recorded(TOPIC, partition, offset, 1, b"k", Random(offset + partition).randbytes(9_000))

    # as a reader of topics

    def cluster(self) -> str:
        """The cluster that the plan names."""
        return "test"

    def partitions(self, name: str) -> int:
        """There is no other topic."""
        raise KafkaUnusableError(name)

    def read(self, _topic: str, partition: int, first: int, last: int, **_ways: object) -> Iterator[list[Recorded]]:
        """The records of a range, one by one."""
        yield from ([one] for one in self._records(partition) if first <= one.offset <= last)


class RunWriter:
    """`callstream replay`, with a signed manifest."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive

    @classmethod
    def over(cls, folder: Path) -> "RunWriter":
        """Runs over a small archive in `folder`."""
        return cls(make_archive(folder, load_parts(events=120, partitions=1)))

    def work(self, folder: Path, chance: Random, tell: Tell, heal: Callable[[], None]) -> None:
        """Make two runs, each in its own folder."""
        del chance
        for number in range(2):
            if number == 1:
                heal()
            _tried(tell, number, partial(self._make, folder / str(number)), synced=folder / str(number))

    def check(self, folder: Path, told: Told) -> None:
        """A run that was made is proved by its own digests; one that was refused has no manifest."""
        found = [number for number in range(2) if (folder / str(number) / MANIFEST_FILE).exists()]
        _check_set(found, told)
        for number in found:
            self._prove(folder / str(number))

    def _make(self, folder: Path) -> None:
        request = ReplayRequest(settings=Settings(), archive=self._archive.folder)
        key = Ed25519PrivateKey.from_private_bytes(bytes(32))
        make(request, RunOutput(folder=folder, key=key), Progress())

    @staticmethod
    def _prove(folder: Path) -> None:
        document = documents.read(folder / MANIFEST_FILE)
        trust = TrustedSigner(Ed25519PrivateKey.from_private_bytes(bytes(32)).public_key())
        assert check_signature(folder / MANIFEST_FILE, document, trust)
        manifest = Manifest.of_document(document, "manifest")
        for part in manifest.output:
            calls, refused, spans = call_file.paths(folder, part.partition)
            lines = span_lines.read_lines(spans, part.spans)
            call_file.check(calls, part.partition, lines)
            call_file.check_refused(refused, part.partition, part.refused)


class TableWriter:
    """Rows of a table's partition: a cache of its changelog, which a stage gives up when the disk refuses."""

    def work(self, folder: Path, chance: Random, tell: Tell, heal: Callable[[], None]) -> None:
        """Write rows of one changelog offset after the other, until the stage would end."""
        del heal
        big = chance.random() < 0.5
        store = PartitionStore(folder / "0", "id-1")
        for number in range(24):
            if not _tried(tell, number, partial(store.write, self._rows(number, big=big), number), synced=None):
                return
        store.close()

    def check(self, folder: Path, told: Told) -> None:
        """Rows are those of their offset, which is no older than what was promised; or the folder starts empty."""
        for _ in range(2):
            store = PartitionStore(folder / "0", "id-1")
            try:
                offset, rows = store.offset, dict(store.items())
                break
            except StoreDamagedError:
                store.close()
        else:
            raise AssertionError("damage was found twice, and nothing was rebuilt")
        promised = told.of("promised")
        assert offset is not None or not promised or not rows
        if offset is not None:
            assert offset >= max(promised, default=-1), f"lost: {told}, offset {offset}"
            expected: dict[bytes, bytes] = {}
            for number in range(offset + 1):
                big = len(rows.get(b"row-0", b"")) > 100
                expected |= {key: value for key, value in self._rows(number, big=big) if value is not None}
            assert rows == expected
        store.close()

    @staticmethod
    def _rows(number: int, *, big: bool) -> list[tuple[bytes, bytes | None]]:
        size = 400_000 if big else 20
        return [(b"row-%d" % (number % 5), b"%06d" % number * (size // 6)), (b"last", b"%d" % number)]


class ExportWriter:
    """A file that each export replaces."""

    def work(self, folder: Path, chance: Random, tell: Tell, heal: Callable[[], None]) -> None:
        """Write the same file again and again."""
        for number in range(8):
            if number == 4:
                heal()
            size = chance.choice((1, 9_000, 300_000))
            _tried(tell, number, partial(self._write, folder / "out.json", number, size), synced=folder)

    def check(self, folder: Path, told: Told) -> None:
        """The last that was promised, or one that nobody was told about."""
        path = folder / "out.json"
        promised = max(told.of("promised"), default=None)
        if not path.exists():
            assert promised is None
            return
        found: dict[str, Any] = json.loads(path.read_text())
        allowed = {promised} | {one for one in told.of("begun") | told.of("unsure") if one > (promised or -1)}
        assert found["number"] in allowed, f"{found['number']} of {told}"

    @staticmethod
    def _write(path: Path, number: int, size: int) -> None:
        with output(path) as file:
            for piece in json.JSONEncoder().iterencode({"number": number, "text": ["x"] * (size // 6)}):
                file.write(piece.encode())
