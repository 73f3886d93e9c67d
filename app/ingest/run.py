"""One ingest process: its parts, their threads, and its end.

    reader  (EventStream)  gRPC -> buffer
    writer  (RawWriter)    buffer -> Kafka
    keeper  (Keeper)       losses and claims -> runtime.coverage
    policies (PolicyWatch) what the agent has loaded -> runtime.probes
    placements (PlacementWatch) which files were seen mapped -> runtime.placements

When one thread ends on its own, the process ends. On a stop the reader ends first. Then the buffer is written out
within `DRAIN_SECONDS`, and then the last gaps are published. What could not be written is counted and stays in the
journal as a gap.
"""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from secrets import token_hex
from typing import Final

from confluent_kafka.admin import AdminClient

from app.ingest.agent_metrics import AgentMetrics
from app.ingest.buffer import Buffer, BufferLimits
from app.ingest.checks import look_at_topics, with_batches_for
from app.ingest.client import EventStream
from app.ingest.cut import event_digests
from app.ingest.gap_writer import GapWriter
from app.ingest.handover import Handover, leave
from app.ingest.journal import Journal
from app.ingest.keeper import Keeper
from app.ingest.kernel_books import kernel_books_of
from app.ingest.keys import KeyReader
from app.ingest.node_claims import NodeClaims
from app.ingest.opening import opening_of
from app.ingest.origin import origin_of, stand_in_name
from app.ingest.placement_watch import PlacementWatch
from app.ingest.policy_watch import policy_watch_of
from app.ingest.public_words import public_filters, public_names
from app.ingest.record_writer import placement_writer, probe_writer
from app.ingest.reload import Reload
from app.ingest.report import IngestReport
from app.ingest.spill import SpillFolder
from app.ingest.spiller import Spiller
from app.ingest.succession import Passage, Turn, Waited, find_passage, is_waited_for, journal_folder
from app.ingest.writer import RawWriter
from app.kafka.client import client_config
from app.kafka.registry import SchemaRegistry
from app.kafka.topic_watch import TopicWatch
from app.privacy.load import load_privacy
from app.settings import Settings
from app.telemetry import metrics, state_metrics
from app.telemetry.http import TelemetryServer
from app.telemetry.meter import Meter
from app.telemetry.metric import BufferPlace, DropReason, Process
from app.telemetry.metrics import metrics_of
from app.telemetry.surroundings import Surroundings
from schemas import topics
from schemas.node import NodeId
from schemas.raw_event import event_time_ns
from schemas.records import COVERAGE_GAP, schema_text
from schemas.units import NS_PER_MS, NS_PER_SECOND

log = logging.getLogger(__name__)

DRAIN_SECONDS: Final = 7.0
"""For writing out the buffer on a stop; with what follows it stays below the ten seconds that a stop may take."""
_READER_SECONDS: Final = 1.0
"""For the reader's thread to end after its stream was cancelled; a connection that is being made may take longer."""
_LAST_WORDS_SECONDS: Final = 1.5
_SESSION_BYTES: Final = 8
_TOPICS_SECONDS: Final = 10.0
"""Between two looks at the topics; whoever waits for /readyz learns of added partitions well within a minute."""
_SILENT_SECONDS: Final = 15.0
"""Without an acknowledgement for this long while events wait, Kafka counts as unreachable."""


class Ingest:
    """A running ingest. Use: `start`, `wait`, `stop`."""

    def __init__(self, settings: Settings, turn: Turn | None = None) -> None:
        """Check everything that can be wrong before the first event is read. Without a turn, one is taken at once.

        Raises SettingsError, PrivacyConfigError, KafkaUnusableError (a missing topic, a refusal), FolderUnusableError.
        A Kafka or a Tetragon that is away is waited for later on.
        """
        self._waited = turn.waited if turn else None
        self._inheritance = turn.inheritance if turn else None
        opening = self._opening = self._waited.opening if self._waited else opening_of(settings)
        self._settings = settings
        self._meter = Meter(metrics_of(Process.INGEST))
        self._meter.set(metrics.PROCESS_INFO, 1, metrics.INGEST_PROCESS)
        self._ended = threading.Event()
        self._failure: BaseException | None = None
        self._threads: list[threading.Thread] = []
        config = client_config(settings)
        look_at_topics(settings)
        raw, coverage = settings.name(topics.RAW), settings.name(topics.COVERAGE)
        admin = AdminClient(config | {"log_level": 0})
        self._topics = TopicWatch(admin, (raw, coverage))
        self._stopping = threading.Event()
        self._journal = Journal(journal_folder(settings), turn.lock if turn else None)
        known = self._journal.state
        limits = BufferLimits(
            max_events=settings.buffer_max_events,
            max_bytes=settings.buffer_max_bytes,
            grace_seconds=settings.overload_grace_ms / 1000,
        )
        node = NodeId(known.cluster, known.node) if known else NodeId("", stand_in_name(opening.link))
        self._folder = _spill_folder(settings)
        self._buffer = Buffer(limits, KeyReader(node), drop_stored=self._folder.drop_oldest if self._folder else None)
        self._spiller = Spiller(self._buffer, self._folder, KeyReader(node)) if self._folder else None
        self._writer = RawWriter(with_batches_for(config, admin, raw), raw, self._buffer, limits, self._spiller)
        self._registry = SchemaRegistry.from_settings(settings)
        find_schema = partial(self._find_schema, topics.COVERAGE, COVERAGE_GAP)
        self._gaps = GapWriter(config, coverage, self._journal, find_schema, self._meter)
        self._agent = AgentMetrics(settings.tetragon_metrics_url) if settings.tetragon_metrics_url else None
        privacy = load_privacy(settings)
        filters, public_name = public_filters(opening.wanted, privacy), public_names(privacy)
        books = kernel_books_of(self._buffer, self._agent, filters)
        session = token_hex(_SESSION_BYTES)
        self._keeper = Keeper(
            coverage=NodeClaims(
                node,
                known.vouched_until_ns if known else None,
                session=session,
                origin=origin_of(opening.link),
            ),
            journal=self._journal,
            gaps=self._gaps,
            buffer=self._buffer,
            written_before_ms=lambda: self._writer.written_before_ms,
            settle_soon=self._writer.settle_soon,
            agent=self._agent,
            heartbeat_seconds=settings.heartbeat_seconds,
            meter=self._meter,
            public_name=public_name,
            filters=filters,
            books=books,
        )
        self._stream = (
            self._waited.stream
            if self._waited
            else EventStream(
                opening.link,
                opening.request,
                self._buffer.put,
                opened=self._keeper.stream_opened,
                ended=self._keeper.stream_ended,
            )
        )
        self._keeper.watch(self._stream.answers)
        self._policies = policy_watch_of(
            settings,
            self._stream,
            probe_writer(settings, config, self._find_schema),
            about=self._keeper.public_node,
            public_name=public_name,
            meter=self._meter,
            books=books,
        )
        to_topic = placement_writer(settings, config, self._find_schema)
        self._placements = PlacementWatch(self._buffer.take_builds, to_topic, session, public_name=public_name)
        self._meter.add_source(self._publish)
        self._surroundings = Surroundings(settings, self._meter)
        self._meter.set(state_metrics.BUFFER_LIMIT, settings.buffer_max_bytes, BufferPlace.MEMORY)
        if self._folder is not None:
            self._meter.set(state_metrics.BUFFER_LIMIT, settings.spill_max_bytes, BufferPlace.DISK)
        self._http = TelemetryServer(
            self._meter,
            alive={"threads": self._dead_threads},
            ready={
                "stream": lambda: self._stream.trouble,
                "kafka": self._kafka_trouble,
                "coverage": lambda: self._gaps.trouble,
                "topics": self._topics.trouble,
                "journal": lambda: self._journal.trouble,
                "spill": self._spill_trouble,
                "agent_metrics": lambda: self._agent.trouble if self._agent else None,
            },
        )

    def start(self) -> str:
        """Start all threads; returns "host:port" of the HTTP endpoint. Raises HttpError where it cannot listen."""
        if self._waited and self._waited.address:
            address = self._waited.address
            self._http.start_in_place_of(self._waited.server)
        else:
            listening = self._inheritance.listening if self._inheritance else None
            address = self._http.start(self._settings.http_host, self._settings.http_port, listening)
        passage = self._go_on(self._waited) if self._waited else None
        work_of = {
            "writer": self._writer.run,
            "keeper": self._keeper.run,
            "reader": self._waited.read_on if self._waited else self._stream.run,
            "topics": self._watch_topics,
            "policies": self._policies.run,
            "placements": self._placements.run,
        }
        if self._spiller is not None:
            work_of["spiller"] = self._spiller.run
        for name, work in work_of.items():
            thread = threading.Thread(target=self._guard, args=(work,), name=name, daemon=True)
            self._threads.append(thread)
            thread.start()
        self._surroundings.start()
        if self._waited and passage:
            self._pass_on(self._waited, passage)
        return address

    def _go_on(self, waited: Waited) -> Passage:
        """Take up the claim of the ingest before, or say that there is a gap."""
        passage = find_passage(waited)
        if passage.claim is None:
            self._keeper.stream_opened(waited.early.first_event or b"")
            return passage
        if self._agent is not None and waited.handover is not None and waited.handover.counters is not None:
            self._agent.go_on_from(waited.handover.counters)
        self._keeper.take_over(passage.claim, waited.early.first_event)
        if waited.handover is not None and waited.handover.policies is not None:
            self._policies.go_on_from(waited.handover.policies)
        return passage

    def _pass_on(self, waited: Waited, passage: Passage) -> None:
        put, early = self._buffer.put, waited.early
        filtered = passage.filtered(put, lambda: early.pass_directly(put))
        over = early.pass_on(put, passage.select, filtered, self._keeper.stream_opened, self._keeper.stream_ended)
        facts = {"passed_over": over, "without_gap": passage.claim is not None}
        log.info("this ingest works now, and the one before has ended", extra={"facts": facts})

    def wait(self, stop: threading.Event, reload: Reload | None = None) -> None:
        """Return when `stop` is set, a part has ended, or a successor is ready."""
        refused = 0
        while not stop.wait(0.2) and not self._ended.is_set():
            if reload is None:
                continue
            if reload.may_leave(self._http.listening, self._kafka_trouble):
                return
            self._meter.add(metrics.RELOADS_REFUSED, reload.refused - refused)
            refused = reload.refused
        if reload is not None:
            reload.give_up()

    def stop(self) -> IngestReport:
        """Read no more, write out what was read, and return the books. Raises what ended a part on its own."""
        started = time.monotonic()
        self._stopping.set()
        self._surroundings.stop()
        stopped_ns = time.time_ns()
        self._stream.stop()
        self._buffer.close()
        self._write_out(started + DRAIN_SECONDS)
        self._writer.stop()
        self._keeper.stop()
        self._policies.stop()
        self._placements.stop()
        if self._spiller is not None:
            self._spiller.stop()
        for thread in self._threads:
            thread.join(timeout=1.0)
        lost = self._part_with_the_rest()
        in_good_order = not lost and self._failure is None and self._buffer.is_empty()
        self._guard(lambda: self._finish(stopped_ns, in_good_order=in_good_order))
        self._http.close()
        if self._folder is not None:
            self._folder.close()
        self._registry.close()
        self._journal.close()  # the last: whoever waits works from then on
        report = self._report(lost, time.monotonic() - started)
        log.info("ingest has stopped", extra={"facts": asdict(report)})
        if self._failure is not None:
            raise self._failure
        return report

    def _finish(self, stopped_ns: int, *, in_good_order: bool) -> None:
        """Say the last gaps, and leave what the next ingest needs if one waits."""
        folder = journal_folder(self._settings)
        waited_for = self._failure is None and is_waited_for(folder)
        claim = self._keeper.finish(_LAST_WORDS_SECONDS, in_good_order=in_good_order, for_successor=waited_for)
        self._policies.finish(handed_over=claim is not None)
        self._placements.finish()
        if claim is None:
            return
        handover = Handover(
            request=self._opening.digest,
            stopped_ns=stopped_ns,
            tail=tuple(event_digests(self._buffer.latest())),
            last_received_ns=self._buffer.last_received_ms * NS_PER_MS,
            claim=claim,
            counters=self._agent.last_reading() if self._agent else None,
            policies=self._policies.open_windows(),
        )
        try:
            leave(folder, handover)
        except OSError as error:
            log.error("nothing can be left for the ingest that waits, which has a gap: %s", error.strerror)

    def _write_out(self, deadline: float) -> None:
        """Let the writer finish; where something is on disk, that and what is younger is left to the next process.

        The reader may still hold events that it has read, so it gets a moment to put them into the buffer.
        """
        reader_deadline = time.monotonic() + _READER_SECONDS
        while self._is_running("writer") and time.monotonic() < deadline:
            if self._spiller is not None and not self._spiller.is_drained():
                self._writer.hold()
                self._spiller.store_above(0.0)
            in_flight, _ = self._buffer.in_flight()
            is_reading = self._is_running("reader") and time.monotonic() < reader_deadline
            if not in_flight and not is_reading and self._buffer.oldest_waiting_ms() is None:
                return
            time.sleep(0.01)

    def _part_with_the_rest(self) -> int:
        """What the producer could not write and what still waits: to disk, or lost and counted. Returns the lost."""
        returned = self._writer.give_back() if self._buffer.in_flight()[0] else []
        if self._spiller is not None:
            self._spiller.store_above(0.0)
            if not returned or self._spiller.store_first(returned, self._writer.written_before_ms):
                self._spiller.forget_taken()
                returned = []
        for event in returned:
            self._buffer.rejected(event, DropReason.SHUTDOWN)
        lost = len(returned) + self._buffer.give_up(DropReason.SHUTDOWN, self._writer.written_before_ms * NS_PER_MS)
        if lost:
            log.error("events could not be written in time and are lost", extra={"facts": {"events": lost}})
        return lost

    def _guard(self, work: Callable[[], None]) -> None:
        """Run a thread's work; whatever ends it is kept for `stop`."""
        try:
            work()
        except BaseException as error:  # noqa: BLE001 - it is raised again on the main thread
            self._failure = self._failure or error
        finally:
            self._ended.set()

    def _watch_topics(self) -> None:
        """Look at topics and disk until the stop. What is wrong costs no event, so it is said and ends nothing."""
        said: str | None = None
        while not self._stopping.wait(_TOPICS_SECONDS):
            if self._folder is not None and (free_bytes := self._folder.free_bytes()) is not None:
                self._meter.set(state_metrics.SPILL_FREE, free_bytes)
            self._topics.look()
            trouble = self._topics.trouble()
            if trouble is not None and trouble != said:
                log.warning("%s", trouble)
            said = trouble

    def _is_running(self, name: str) -> bool:
        return any(thread.name == name and thread.is_alive() for thread in self._threads)

    def _find_schema(self, topic: str, schema: str) -> int | None:
        return self._registry.id_of(self._settings.name(topics.subject(topic)), schema_text(schema))

    def _publish(self) -> None:
        self._buffer.publish(self._meter)
        self._meter.set(metrics.LAST_RECEIVED, self._buffer.last_received_ms / 1000)
        self._meter.set(metrics.LAST_ACKNOWLEDGED, self._writer.last_acknowledged_seconds)
        event, received_ms = self._buffer.newest
        if (happened_ns := event_time_ns(event)) is not None:
            self._meter.set(state_metrics.RECEIPT_DELAY, received_ms / 1_000 - happened_ns / NS_PER_SECOND)

    def _dead_threads(self) -> str | None:
        dead = [thread.name for thread in self._threads if not thread.is_alive()]
        return f"ended: {', '.join(dead)}" if dead else None

    def _spill_trouble(self) -> str | None:
        return (self._spiller and self._spiller.trouble) or (self._folder and self._folder.trouble) or None

    def _kafka_trouble(self) -> str | None:
        if self._buffer.is_empty():
            return None
        silent_seconds = time.time() - max(
            self._writer.last_acknowledged_seconds, self._writer.written_before_ms / 1000
        )
        if silent_seconds <= _SILENT_SECONDS:
            return None
        return f"no acknowledgement for {silent_seconds:.0f} s: {self._writer.trouble or 'the broker does not answer'}"

    def _report(self, lost_at_stop: int, seconds: float) -> IngestReport:
        return IngestReport(
            received=int(self._meter.total(metrics.RECEIVED)),
            restored=int(self._meter.total(metrics.RESTORED)),
            written=int(self._meter.read(metrics.WRITTEN, topics.RAW)),
            dropped=int(self._meter.total(metrics.DROPPED)),
            buffered=int(self._meter.total(metrics.BUFFERED)),
            lost_at_stop=lost_at_stop,
            unbalanced=self._buffer.imbalance(),
            seconds_to_stop=round(seconds, 3),
        )


def _spill_folder(settings: Settings) -> SpillFolder | None:
    if settings.spill_dir is None:
        return None
    return SpillFolder(settings.spill_dir, settings.spill_max_bytes, settings.spill_sync_ms / 1000)
