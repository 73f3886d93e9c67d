"""The watch task of a worker: reads watches, rows, coverage and dead letters whole, and publishes answers.

The worker that owns a watch's partition answers it, and only after it has read all rows: an answer from half of the
rows is wrong. Coverage counts from when everything that was on the raw topic before it is in the
rows. An answer that says something new is published within a second, one in which only time has passed once a minute.
Which code a watch means is found once for each watch and snapshot of the symbol store. Events cost nothing here:
without a watch, the task reads two topics that hardly change.
"""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

from agents.contract import OutRecord
from agents.coverage.fleet import MAX_NODES, FleetCoverage
from agents.coverage.node_coverage import NodeCoverage
from agents.hot_symbols.partitioning import symbol_partition
from agents.hot_symbols.table.published import module_in
from agents.hot_symbols.watch.answer_kind import AnswerKind
from agents.hot_symbols.watch.watch import Watch
from agents.hot_symbols.watch.watch_board import MAX_WATCHES, WatchBoard, is_news
from agents.hot_symbols.watch.watched_code import WatchedCode, watched_codes
from app.kafka.records import Partition, Recorded
from app.kafka.registry import SchemaRegistry
from app.kafka.schemas import RecordDecoder, RecordFault
from app.kafka.topic_follower import AT_ONCE, WholeTopics
from app.stages.hot_symbols.hook_reading import HookReading
from app.stages.hot_symbols.horizon import Horizon
from app.stages.hot_symbols.placement_reading import PlacementReading
from app.stages.hot_symbols.refusing import refused_records
from app.stages.hot_symbols.row_age import row_age_ns
from app.stages.hot_symbols.schema_lookup import meet_patiently
from app.stages.hot_symbols.watch_list import MAX_PLACES, WatchList
from app.streaming.delivery import Parcel
from app.streaming.stage_process import StageRuntime
from app.symbols.known_files import FollowedStore, StoreFiles
from app.telemetry import metrics, state_metrics
from schemas import records, topics
from schemas.node import NodeId
from schemas.topics import Stage
from schemas.units import NS_PER_MS, NS_PER_SECOND

log = logging.getLogger(__name__)

PAUSE_SECONDS: Final = 0.5
"""Between two looks at what has changed."""

REFRESH_SECONDS: Final = 60.0
"""Between two answers in which only time has passed."""

NEW_FILES_SECONDS: Final = 10.0
"""Between two times that all rows are read again because a watched file was seen in a build that was not known."""

TELL_SECONDS: Final = 5.0
"""Between two counts of the answers for metrics: some milliseconds for ten thousand watches."""

HORIZON_SECONDS: Final = 10.0
"""Between two moments that are followed through the pipeline: ingest vouches every 10 s."""


PAUSE_RATIO: Final = 20.0
"""Wait this many times as long as the last round of answers took: it takes seconds for ten thousand watches over a
thousand nodes."""

TURN_SECONDS: Final = 0.01
"""Answers are made this long before the event loop has its turn. One takes 0.1 ms, or longer with very many nodes."""


class WatchTask:
    """Answers the watches whose partitions a worker owns."""

    def __init__(self, runtime: StageRuntime, *, hot_symbol_schema_id: int, watched_schema_id: int) -> None:
        settings = self._settings = runtime.settings
        self._runtime = runtime
        self._schema_id = watched_schema_id
        registry = SchemaRegistry.from_settings(settings)
        self._watch_schemas = RecordDecoder(settings, registry, topics.WATCH, follows=True)
        self._answer_schemas = RecordDecoder(settings, registry, topics.WATCHED, follows=True)
        self._row_schemas = RecordDecoder(settings, registry, topics.HOT_SYMBOLS, follows=True)
        self._refused = refused_records(runtime)
        self._board = WatchBoard(
            self._decode_row,
            lambda value: module_in(value, hot_symbol_schema_id),
            row_age_ns(settings),
        )
        count = runtime.partitions
        self._rows_topic = settings.name(topics.HOT_SYMBOLS)
        nodes_topic = settings.name(topics.changelog(Stage.HOT_SYMBOLS, topics.NODE_COVERAGE_TABLE))
        self._list_topic, self._answers_topic = settings.name(topics.WATCH), settings.name(topics.WATCHED)
        self._lists = WholeTopics(settings, {self._list_topic: count, self._answers_topic: count}, self._refused)
        self._letters_topic = settings.name(topics.DEAD_LETTERS)
        self._rows = WholeTopics(settings, dict.fromkeys((self._rows_topic, nodes_topic, self._letters_topic), count))
        self._hooks = HookReading(settings, count, self._refused)
        self._placements = PlacementReading(settings, count, self._refused)
        self._horizon = Horizon(settings, runtime.admin, count)
        self._list = WatchList(self._refused, MAX_PLACES)
        self._is_list_new = True
        self._store = FollowedStore(settings.symbol_store_dir)
        self._look_at = time.monotonic() + REFRESH_SECONDS
        self._new_files_at = 0.0
        self._published: dict[str, dict[str, Any]] = {}
        self._dirty: set[str] = set()
        self._fleet = FleetCoverage()
        self._nodes_then: Mapping[NodeId, NodeCoverage] | None = None
        self._has_nodes = False
        self._rows_to_see: Mapping[Partition, int] | None = None
        self._tell_at = self._horizon_at = self._refresh_at = self._all_seconds = 0.0

    def keeps(self, key: bytes) -> bool | None:
        """Whether a row is needed for an answer; None while that is not known."""
        if self._is_list_new or not self._lists.is_read or (self._board.watches and not self._rows.is_read):
            return None
        return self._board.keeps(key)

    def answers(self) -> list[dict[str, Any]] | None:
        """The published answers to all watches, by id; None while they are read. May be called from another thread."""
        if not self._lists.is_read:
            return None
        return [answer for _, answer in sorted(dict(self._published).items())]

    def files(self) -> StoreFiles | None:
        """The files of the symbol store as they are known now. May be called from another thread."""
        return self._store.files

    async def run(self) -> None:
        """Work until the process ends; an exception ends it too."""
        self._lists.begin()
        while True:
            await asyncio.to_thread(self._take_lists)
            if not self._lists.is_read:
                continue
            if self._is_list_new:
                await self._set_watches()
            elif time.monotonic() >= (self._new_files_at if self._board.files.has_new else self._look_at):
                await self._look_at_files()
            if self._board.watches:
                await self._follow_rows()
            if not self._board.watches or self._rows.is_read:
                await self._publish()
            if time.monotonic() >= self._tell_at:
                self._tell()

    def _tell(self) -> None:
        """Publish how many watches have which answer, as metrics; all watches, those of other workers too."""
        self._tell_at = time.monotonic() + TELL_SECONDS
        answers = [self._published.get(watch_id) for watch_id in self._list.watches()]
        kinds = Counter(AnswerKind.UNKNOWN.value if answer is None else answer["answer"] for answer in answers)
        last_ns = max((answer["last_seen_ns"] for answer in answers if answer is not None), default=0)
        meter = self._runtime.meter
        with meter.together():
            meter.replace(state_metrics.WATCH_ANSWERS, {(kind.value,): kinds[kind] for kind in AnswerKind})
            meter.set(state_metrics.WATCH_LAST_HIT, last_ns / NS_PER_SECOND)

    def _take_lists(self) -> None:
        """Take watches and published answers as they come; blocks, and may query the registry, once for all of them."""
        found = self._lists.next(PAUSE_SECONDS)
        for topic, schemas in ((self._list_topic, self._watch_schemas), (self._answers_topic, self._answer_schemas)):
            if unmet := schemas.unmet(record.value for record in found if record.topic == topic):
                meet_patiently(schemas, unmet)
        for record in found:
            if record.topic == self._list_topic:
                if self._list.take(record, self._watch_schemas.decode(record.value)):
                    self._is_list_new = True
            else:
                self._take_answer(record)

    def _take_answer(self, record: Recorded) -> None:
        text = (record.key or b"").decode("utf-8", "replace")
        self._published.pop(text, None)
        if record.value is None:
            return
        answer = self._answer_schemas.decode(record.value)
        if isinstance(answer, RecordFault):
            self._refused.refuse(record, answer)
        else:
            self._published[text] = answer

    def _decode_row(self, value: bytes) -> dict[str, Any] | None:
        row = self._row_schemas.decode(value)
        return None if isinstance(row, RecordFault) else row

    async def _set_watches(self) -> None:
        self._is_list_new = False
        watches = self._list.watches()
        if len(watches) > MAX_WATCHES:
            facts = {"watches": len(watches), "limit": MAX_WATCHES}
            log.warning("too many watches; the newest are not answered", extra={"facts": facts})
        codes = await asyncio.to_thread(
            watched_codes, watches.values(), self._store.files, self._board.files.seen, set(self._board.files.snapshots)
        )
        self._dirty.update(self._board.set_watches(watches, codes))
        self._read_rows_again()

    async def _look_at_files(self) -> None:
        """Find the code of all watches again where the store, or what is known of their files, has changed."""
        has_new, self._board.files.has_new = self._board.files.has_new, False
        self._look_at = time.monotonic() + REFRESH_SECONDS
        self._new_files_at = time.monotonic() + NEW_FILES_SECONDS
        if await asyncio.to_thread(self._store.look) or has_new:
            codes = await asyncio.to_thread(self._codes_of, list(self._board.watches.values()))
            self._dirty.update(self._board.set_codes(codes))
            self._read_rows_again()

    def _codes_of(self, watches: Sequence[Watch]) -> dict[str, WatchedCode]:
        files = self._board.files
        return watched_codes(watches, self._store.files, files.seen, set(files.snapshots))

    def _read_rows_again(self) -> None:
        if self._board.needs_rows:
            self._board.needs_rows = False
            self._rows.begin()

    async def _follow_rows(self) -> None:
        while found := await asyncio.to_thread(self._rows.next, 0.05):
            for record in found:
                self._take_row(record)
            if len(found) < AT_ONCE and self._rows.is_read:
                break
        if self._rows.is_read and time.monotonic() >= self._horizon_at:
            await self._follow_horizon()

    def _take_row(self, record: Recorded) -> None:
        key, value = record.key, record.value
        if record.topic == self._letters_topic:
            if self._board.refuse(record.timestamp):
                self._dirty.update(self._board.watches)
            return
        if key is None:
            return
        if record.topic == self._rows_topic:
            self._dirty.update(self._board.take(key, value))
            return
        had_left_out = self._fleet.left_out
        self._fleet.take(record.partition, key, value)
        if self._fleet.left_out and not had_left_out:
            facts = {"topic": record.topic, "partition": record.partition, "offset": record.offset, "limit": MAX_NODES}
            log.warning(
                "runtime.coverage names too many nodes; answers have a gap of all nodes", extra={"facts": facts}
            )

    async def _follow_horizon(self) -> None:
        """Take over what was known of coverage at a moment, once all rows that follow from before it are seen."""
        if self._nodes_then is None:
            self._nodes_then = self._fleet.nodes()
        if self._rows_to_see is None:
            self._rows_to_see = await asyncio.to_thread(self._horizon.rows_to_see)
        if self._rows_to_see is None:
            return
        seen = self._rows.positions
        if all(seen.get(where, 0) >= end for where, end in self._rows_to_see.items()):
            if not await asyncio.to_thread(self._hooks.follow):
                return
            hooks = await asyncio.to_thread(self._hooks.known, self._store.files, self._board.build_ids)
            build_ids = {one.build_id for one in self._board.watches.values() if one.build_id}
            sightings = await asyncio.to_thread(self._placements.follow, build_ids)
            # Gaps of all nodes as they are now: a stage on the way may have said that it never read what it passed.
            self._board.cover(self._nodes_then, self._fleet.of_all(), sightings, hooks)
            self._nodes_then, self._rows_to_see = None, None
            self._has_nodes = True
            self._dirty.update(self._board.watches)
            self._horizon_at = time.monotonic() + max(HORIZON_SECONDS, PAUSE_RATIO * self._all_seconds)

    async def _publish(self) -> None:
        """Publish what is new, once a minute everything, and remove answers to watches that are gone."""
        due = time.monotonic() >= self._refresh_at
        if due:
            self._dirty.update(self._board.watches)
        parcels: dict[int, list[OutRecord]] = {}
        dirty, self._dirty = self._dirty, set()
        now_ns, began = time.time_ns(), time.thread_time()
        turn_began = time.monotonic()
        for watch_id in sorted(dirty & self._board.watches.keys()):
            if time.monotonic() - turn_began > TURN_SECONDS:
                await asyncio.sleep(0)
                turn_began = time.monotonic()
            before = self._published.get(watch_id)
            answer = self._board.answer(watch_id, now_ns, before)
            if not self._has_nodes and before is not None and before["hits"] == answer["hits"]:
                continue  # a worker that has just begun knows less of coverage than the one before
            if is_news(before, answer) or (due and before != answer):
                self._add(parcels, watch_id, answer, now_ns)
        for watch_id in sorted(self._published.keys() - self._board.watches.keys()):
            self._add(parcels, watch_id, None, now_ns)
        if due:
            self._all_seconds = time.thread_time() - began
            self._refresh_at = time.monotonic() + max(REFRESH_SECONDS, PAUSE_RATIO * self._all_seconds)
        if parcels:
            sent = [Parcel(self._answers_topic, number, found) for number, found in parcels.items()]
            await self._runtime.delivery.deliver(sent)
            self._runtime.meter.add(metrics.WRITTEN, sum(map(len, parcels.values())), topics.WATCHED)

    def _add(
        self, parcels: dict[int, list[OutRecord]], watch_id: str, answer: dict[str, Any] | None, now_ns: int
    ) -> None:
        """Add an answer, or its removal, where the watch's partition is ours."""
        number = symbol_partition(watch_id, self._runtime.partitions)
        if number not in self._runtime.app.serving(self._settings.name(topics.HOT_PARTIALS)):
            return
        value = None if answer is None else records.encode(records.WATCHED_SYMBOL, self._schema_id, answer)
        parcels.setdefault(number, []).append(OutRecord(watch_id.encode(), value, now_ns // NS_PER_MS))
        if answer is None:
            self._published.pop(watch_id, None)
        else:
            self._published[watch_id] = answer
