"""Kafka, two workers and their disks, as far as the hot-symbol stage depends on them, with every failure on call.

A log is what a partition of a topic is: it only grows, and a crash leaves any beginning of what was being sent. A
worker has memory, which a kill takes, and a disk, which only `lose_folder` takes. Work is committed after it was
written, and a commit may be lost.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from agents.contract import OutRecord
from agents.hot_symbols.counting.partial import last_seen_ns, offsets
from agents.hot_symbols.counting.symbol_counter import INCLUDED_KEY, SymbolCounter
from agents.hot_symbols.reading.citations import Citation
from agents.hot_symbols.reading.evidence import EventEvidence, EventPlace, Touch
from agents.hot_symbols.reading.gathering import one_by_one
from agents.hot_symbols.reading.meaning import Observation
from agents.hot_symbols.reading.sightings import HOUR_NS
from agents.hot_symbols.table.merging import SymbolMerger
from agents.hot_symbols.table.published import published_value
from schemas import records

PARTITIONS = 2
START_NS = 1_700_000_000 * 1_000_000_000
RECEIVED_MS = START_NS // 1_000_000 + 100 * 24 * 3_600_000
"""No clock of the model runs ahead of it."""

KINDS = (
    EventEvidence(
        (Touch("/a!f", "/a", 2, 0, ((1, 2),), (("/a!f", 1), ("/a!g", 1))), Touch("/a!g", "/a", 1, 0, ((9, 1),), ()))
    ),
    EventEvidence(
        (Touch("/a!g", "/A", 1, 0, ((2, 1),), (("kernel!h", 1),)), Touch("kernel!h", "kernel", 1, 0, ((9, 1),), ()))
    ),
    EventEvidence((Touch("kernel!h", "kernel", 3, 1, ((9, 2),), (("/a!f", 2),)),)),
    EventEvidence((Touch("exec:/b", "/b", 1, 0, (), ()),)),
    EventEvidence(()),
)
PLACES = (
    *(EventPlace((f"id{n}", "image"), (f"ns{n % 2}",), ("ns", "Pod", f"w{n}")) for n in range(10)),
    EventPlace(None, None, None),
)


class Event(NamedTuple):
    """A raw event: when, which kind, where."""

    time_ns: int
    kind: int
    place: int


class Stored(NamedTuple):
    """A record of a log."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None


class Log:
    """One partition of a topic."""

    def __init__(self, topic: str, partition: int) -> None:
        self.topic, self.partition = topic, partition
        self.records: list[Stored] = []
        self.end = 0

    def append(self, sent: Iterable[OutRecord]) -> None:
        """Store records."""
        for record in sent:
            stored = Stored(self.topic, self.partition, self.end, record.timestamp_ms, record.key, record.value)
            self.records.append(stored)
            self.end += 1

    def after(self, position: int) -> list[Stored]:
        """Records from a position on."""
        return [record for record in self.records if record.offset >= position]

    def compact(self) -> None:
        """Keep the newest record of each key."""
        newest = {record.key: record.offset for record in self.records}
        self.records = [record for record in self.records if newest[record.key] == record.offset]

    def latest(self) -> dict[bytes, bytes]:
        """The newest value of each key that is not removed."""
        newest = {record.key: record.value for record in self.records if record.key}
        return {key: value for key, value in newest.items() if value}


@dataclass
class Disk:
    """A worker's rows of one partition of a table, and the changelog position that they include."""

    rows: dict[bytes, bytes] = field(default_factory=dict)
    position: int = 0

    def recover(self, changelog: Log) -> None:
        """Bring the rows up to the changelog."""
        for record in changelog.after(self.position):
            assert record.key is not None
            if record.value is None:
                self.rows.pop(record.key, None)
            else:
                self.rows[record.key] = record.value
        self.position = changelog.end

    def read(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """Rows by key."""
        return [self.rows.get(key) for key in keys]


@dataclass
class Worker:
    """A process and its disk."""

    counter: SymbolCounter
    merger: SymbolMerger
    counts: dict[int, Disk] = field(default_factory=dict)
    symbols: dict[int, Disk] = field(default_factory=dict)
    calls_at: dict[int, int] = field(default_factory=dict)
    partials_at: dict[int, int] = field(default_factory=dict)


class Crash(Exception):  # noqa: N818 - an event of the model
    """The worker was killed."""


def encode_event(offset: int, event: Event) -> bytes:
    """A call as this model stores it."""
    return b"%d,%d,%d,%d" % (offset, event.time_ns, event.kind, event.place)


def observe(value: bytes | None) -> Observation:
    """Read such a call."""
    assert value is not None
    offset, time_ns, kind, place = map(int, value.split(b","))
    return offset, time_ns, f"{offset:032x}", KINDS[kind], PLACES[place]


def new_counter() -> SymbolCounter:
    """Step one, as a process begins it."""
    return SymbolCounter(one_by_one(observe), PARTITIONS)


def new_merger() -> SymbolMerger:
    """Step two, as a process begins it."""
    return SymbolMerger(lambda symbol, tally: published_value(1, symbol, tally))


class World:
    """Everything outside of the pure functions."""

    def __init__(self) -> None:
        def logs(topic: str) -> list[Log]:
            return [Log(topic, partition) for partition in range(PARTITIONS)]

        self.raw: list[list[Event]] = [[] for _ in range(PARTITIONS)]
        self.calls, self.partials, self.published = logs("calls"), logs("partials"), logs("published")
        self.counts_changelog, self.symbols_changelog = logs("counts"), logs("symbols")
        self.calls_committed = [0] * PARTITIONS
        self.partials_committed = [0] * PARTITIONS
        self.workers = [Worker(new_counter(), new_merger()) for _ in range(2)]
        self.owner = [0, 1]
        for number in range(len(self.workers)):
            self.join(number)

    # What happens upstream

    def happen(self, partition: int, events: Iterable[Event]) -> None:
        """New events, which become calls."""
        for event in events:
            self.raw[partition].append(event)
            self._send_call(partition, len(self.raw[partition]) - 1)

    def resend(self, partition: int, back: int) -> None:
        """The privacy stage was killed and sends its last calls again."""
        end = len(self.raw[partition])
        for offset in range(max(0, end - back), end):
            self._send_call(partition, offset)

    def _send_call(self, partition: int, offset: int) -> None:
        value = encode_event(offset, self.raw[partition][offset])
        self.calls[partition].append([OutRecord(b"", value, RECEIVED_MS + offset)])

    # What workers do

    def join(self, number: int) -> None:
        """The worker takes its partitions: tables are recovered, and reading begins where the group left off."""
        worker = self.workers[number]
        mine = [partition for partition, owner in enumerate(self.owner) if owner == number]
        worker.calls_at = {partition: self.calls_committed[partition] for partition in mine}
        worker.partials_at = {partition: self.partials_committed[partition] for partition in mine}
        for partition in mine:
            worker.counts.setdefault(partition, Disk()).recover(self.counts_changelog[partition])
            worker.symbols.setdefault(partition, Disk()).recover(self.symbols_changelog[partition])

    def consume(self, number: int, partition: int, records: int) -> None:
        """The worker takes up to so many calls of a partition into memory."""
        worker = self.workers[number]
        batch = self.calls[partition].after(worker.calls_at[partition])[:records]
        if batch:
            worker.counter.absorb(partition, batch)
            worker.calls_at[partition] = batch[-1].offset + 1

    def consume_partials(self, number: int, partition: int, records: int) -> None:
        """The same with partials."""
        worker = self.workers[number]
        batch = self.partials[partition].after(worker.partials_at[partition])[:records]
        if batch:
            worker.merger.absorb(partition, batch)
            worker.partials_at[partition] = batch[-1].offset + 1

    def flush(self, number: int, crash_after: Callable[[int], int] | None = None, *, commit: bool = True) -> None:
        """Step one writes; `crash_after` says how many of so many records of a log still get through."""
        worker = self.workers[number]
        for partition in worker.counter.unwritten():
            flush = worker.counter.flush(partition, worker.counts[partition].read)
            sent = {self.counts_changelog[partition]: _changes(flush.rows)}
            sent |= {self.partials[to]: list(partials) for to, partials in flush.partials.items()}
            self._send(number, [sent], crash_after)
            _write(worker.counts[partition], flush.rows, self.counts_changelog[partition])
            worker.counter.acknowledged(flush)
            if commit:
                self.calls_committed[partition] = worker.calls_at[partition]

    def flush_partials(
        self, number: int, crash_after: Callable[[int], int] | None = None, *, commit: bool = True
    ) -> None:
        """Step two writes."""
        worker = self.workers[number]
        for partition in worker.merger.unwritten():
            flush = worker.merger.flush(partition, worker.symbols[partition].read)
            changelog, public = self.symbols_changelog[partition], self.published[partition]
            self._send(number, [{changelog: _changes(flush.rows)}, {public: list(flush.published)}], crash_after)
            _write(worker.symbols[partition], flush.rows, changelog)
            if commit:
                self.partials_committed[partition] = worker.partials_at[partition]

    def expire_partials(self, number: int, before_ns: int, crash_after: Callable[[int], int] | None = None) -> None:
        """The worker removes partials that were hit last before a time, but only when neither step has lag."""
        worker = self.workers[number]
        for partition in worker.counts.keys() & worker.calls_at.keys():
            if self.calls_committed[partition] < self.calls[partition].end:
                continue
            if any(self.partials_committed[log.partition] < log.end for log in self.partials):
                return
            disk = worker.counts[partition]
            old = {
                key: offsets(row)[1]
                for key, row in disk.rows.items()
                if key != INCLUDED_KEY and last_seen_ns(row) < before_ns
            }
            rows = worker.counter.expire(partition, old, disk.read)
            if rows:
                self._send(number, [{self.counts_changelog[partition]: _changes(rows)}], crash_after)
                _write(disk, rows, self.counts_changelog[partition])

    def _send(
        self,
        number: int,
        deliveries: Sequence[Mapping[Log, list[OutRecord]]],
        crash_after: Callable[[int], int] | None,
    ) -> None:
        """Deliver one after the other; a crash leaves any beginning of each log's part of one of them."""
        for sent in deliveries:
            is_whole = True
            for log, records_sent in sent.items():
                arrived = len(records_sent) if crash_after is None else crash_after(len(records_sent))
                log.append(records_sent[:arrived])
                is_whole = is_whole and arrived == len(records_sent)
            if not is_whole:
                break
        if crash_after is not None:
            self.kill(number)
            raise Crash

    def kill(self, number: int) -> None:
        """SIGKILL and restart: memory is gone, the disk stays."""
        worker = self.workers[number]
        worker.counter, worker.merger = new_counter(), new_merger()
        self.join(number)

    def lose_folder(self, number: int) -> None:
        """The state folder is deleted while the worker is down."""
        self.workers[number].counts.clear()
        self.workers[number].symbols.clear()
        self.kill(number)

    def rebalance(self, owner: Sequence[int]) -> None:
        """Partitions move after everybody has drained; whoever lives keeps its memory."""
        for number in range(len(self.workers)):
            self.flush(number)
            self.flush_partials(number)
        self.owner = list(owner)
        for number in range(len(self.workers)):
            self.join(number)

    def fail_over(self, dead: int) -> None:
        """A worker dies and the other takes all partitions; the dead one comes back with none."""
        worker = self.workers[dead]
        worker.counter, worker.merger = new_counter(), new_merger()
        self.flush(1 - dead)
        self.flush_partials(1 - dead)
        self.owner = [1 - dead] * PARTITIONS
        for number in range(len(self.workers)):
            self.join(number)

    def finish(self) -> None:
        """Everything that is there is processed."""
        for _ in range(2):
            for partition, owner in enumerate(self.owner):
                self.consume(owner, partition, 10_000)
            for number in range(len(self.workers)):
                self.flush(number)
            for partition, owner in enumerate(self.owner):
                self.consume_partials(owner, partition, 10_000)
            for number in range(len(self.workers)):
                self.flush_partials(number)

    # What comes out

    def rows(self) -> dict[str, dict[str, Any]]:
        """The published rows by symbol id."""
        found: dict[str, dict[str, Any]] = {}
        for log in self.published:
            for key, value in log.latest().items():
                assert key.decode() not in found
                found[key.decode()] = records.decode(records.HOT_SYMBOL, value)
        return found


def _changes(rows: Mapping[bytes, bytes | None]) -> list[OutRecord]:
    return [OutRecord(key, value, 0) for key, value in rows.items()]


def _write(disk: Disk, rows: Mapping[bytes, bytes | None], changelog: Log) -> None:
    for key, value in rows.items():
        if value is None:
            disk.rows.pop(key, None)
        else:
            disk.rows[key] = value
    disk.position = changelog.end


def expected_rows(raw: Sequence[Sequence[Event]]) -> dict[str, dict[str, Any]]:
    """What must come out, counted event by event in the plainest way: the fields that are exact in every case."""
    found: dict[str, dict[str, Any]] = {}
    happened = ((number, at, event) for number, partition in enumerate(raw) for at, event in enumerate(partition))
    for partition, offset, event in happened:
        for touch in KINDS[event.kind].touches:
            row = found.setdefault(
                touch.symbol_id,
                {
                    "hits": 0,
                    "probe_hits": 0,
                    "times": [],
                    "hours": {},
                    "grades": {},
                    "images": {},
                    "callers": {},
                    "all": [],
                },
            )
            row["all"].append(Citation(event.time_ns, f"{offset:032x}", partition, offset))
            row["hits"] += touch.hits
            row["probe_hits"] += touch.probe_hits
            row["times"].append(event.time_ns)
            hour = event.time_ns // HOUR_NS
            row["hours"][hour] = row["hours"].get(hour, 0) + touch.hits
            for grade, frames in touch.grades:
                row["grades"][grade] = row["grades"].get(grade, 0) + frames
            for caller, calls in touch.callers:
                row["callers"][caller] = row["callers"].get(caller, 0) + calls
            image = PLACES[event.place].image
            if image is not None:
                row["images"][image] = max(event.time_ns, row["images"].get(image, event.time_ns))
    return found
