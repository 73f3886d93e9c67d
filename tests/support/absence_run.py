"""Runs a history through the stages' own steps: what ingest claims, what frames say, rows, and answers to watches."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count, product
from typing import Any, Final

from agents.contract import OutRecord
from agents.coverage.node_coverage import GapInterval, NodeCoverage
from agents.coverage.unreadable import GAP_BEFORE_NS
from agents.hot_symbols.watch.watch import Watch
from agents.hot_symbols.watch.watched_code import watched_codes
from app.ingest.event_books import EventInterval, Findings
from app.ingest.filter_effect import NO_FILTERS, FiltersInForce
from app.ingest.keys import Throttle
from app.ingest.node_claims import AgentLoss, ClaimEvidence, NodeClaims
from app.streaming.skipped import DELETED, MOVED, SkippedRange, gap_of
from app.symbols.known_files import StoreFiles
from app.telemetry.metric import DropReason
from schemas.canonical_pb2 import CanonicalEvent, FrameResolution
from schemas.coverage import CoverageGap, GapCause
from schemas.node import NodeId
from schemas.tetragon.events_pb2 import GetEventsResponse
from schemas.topics import RAW
from tests.support.absence_files import SECOND, START_NS, ModelStore
from tests.support.absence_history import (
    END_S,
    WRITE_S,
    Fault,
    FaultKind,
    History,
    ModelCall,
    ModelProcess,
    Seen,
    path_in_event,
)
from tests.support.stage_rows import EventSteps, empty_board, rows_of

EXACT: Final = FrameResolution.FRAME_RESOLUTION_EXACT
TICK_S: Final = 300


def ns(time_s: float) -> int:
    """A time of a history in nanoseconds since the Unix epoch."""
    return START_NS + round(time_s * SECOND)


@dataclass(frozen=True, slots=True)
class Frame:
    """What a call's stack frame or probe target became; `is_exact`: it says for sure which function of which file."""

    call: ModelCall
    is_exact: bool
    build_id: str
    symbol: str
    is_older: bool
    """An index of before named it."""


class Stages:
    """The steps over one store. They keep what they have learned, as in a process that runs for long."""

    def __init__(self, known: ModelStore) -> None:
        self.known = known
        self.files = StoreFiles(known.store)
        self._steps = EventSteps(known.store)
        self._older_steps = EventSteps(known.older)
        self._partitions = count()

    def frames_and_rows(self, history: History) -> tuple[list[Frame], list[OutRecord]]:
        """What each counted call became, and the rows of all; partitions are new ones, and so without loader events."""
        frames: list[Frame] = []
        calls: dict[int, Sequence[OutRecord]] = {}
        for node, is_older in product(history.nodes, (True, False)):
            counted = [
                call
                for call in history.calls
                if call.arrives and call.process.node == node and history.is_named_by_older(call) is is_older
            ]
            if not counted:
                continue
            number = next(self._partitions)
            loading = _loader_events(history, node)
            events = [*loading, *(_event(history, call) for call in counted)]
            steps = self._older_steps if is_older else self._steps
            canonical, public = steps(number, events, ns(END_S) // 1_000_000)
            frames += [_frame(call, record, is_older) for call, record in zip(counted, canonical.outputs, strict=True)]
            assert len(public.outputs) == len(counted)
            calls[number] = public.outputs
        return frames, rows_of(calls)

    def answers(
        self, history: History, watches: Sequence[Watch], rows: Sequence[OutRecord], now_s: float
    ) -> list[dict[str, Any]]:
        """The answers to watches at a moment, with the coverage of all nodes."""
        nodes, of_all = coverage(history)
        board = empty_board()
        found: list[dict[str, Any]] = []
        by_id = {watch.watch_id: watch for watch in watches}
        for _ in range(2):  # once more with what the rows say of build ids
            board.set_watches(by_id, watched_codes(watches, self.files, board.files.seen, board.files.snapshots))
            for row in rows:
                assert row.key is not None
                board.take(row.key, row.value)
            board.cover(nodes, of_all)
            for received_s in refused_at(history):
                board.refuse(ns(received_s) // 1_000_000)
            found = [board.answer(watch.watch_id, ns(now_s)) for watch in watches]
            if not board.files.has_new:
                break
        return found


def _frame(call: ModelCall, canonical: OutRecord, is_older: bool) -> Frame:
    assert canonical.value is not None
    event = CanonicalEvent.FromString(canonical.value)
    if call.seen is Seen.FRAME:
        frame = event.stack.frames[0]
        return Frame(call, frame.resolution == EXACT, frame.build_id, frame.symbol, is_older)
    target = event.probe.target
    return Frame(call, bool(target.build_id and target.symbol), target.build_id, target.symbol, is_older)


def _event(history: History, call: ModelCall) -> bytes:
    event = _by(history, call.process, call.time_s)
    inside = call.file.offset(call.code)
    if call.seen is Seen.FRAME:
        event.process_kprobe.process.CopyFrom(_process(history, call.process))
        event.process_kprobe.function_name = "tcp_connect"
        event.process_kprobe.user_stack_trace.add(module=path_in_event(call), offset=inside + 20)
    else:
        event.process_uprobe.process.CopyFrom(_process(history, call.process))
        event.process_uprobe.path = call.file.path
        if call.seen is Seen.PROBE_BY_NAME:
            event.process_uprobe.symbol = call.file.codes[call.code].names[-1]
        else:
            event.process_uprobe.offset = inside
    return event.SerializeToString()


def _loader_events(history: History, node: NodeId) -> list[bytes]:
    found = []
    for process in {call.process.number: call.process for call in history.calls}.values():
        if process.node == node and process.has_loader_events:
            event = _by(history, process, max(process.started_s, 0))
            event.process_loader.process.CopyFrom(_process(history, process))
            event.process_loader.path = process.lib.path
            event.process_loader.buildid = bytes.fromhex(process.lib.build_id)
            found.append(event.SerializeToString())
    return found


def _by(history: History, process: ModelProcess, time_s: float) -> GetEventsResponse:
    event = GetEventsResponse(node_name=process.node.name, cluster_name=process.node.cluster)
    event.time.FromNanoseconds(ns(history.clock(process.node, time_s)))
    return event


def _process(history: History, process: ModelProcess) -> Any:
    found = GetEventsResponse().process_exec.process
    found.flags = "execve clone"
    found.exec_id, found.pid.value, found.binary = f"id:{process.number}", 7 + process.number, "/usr/bin/server"
    found.start_time.FromNanoseconds(ns(history.clock(process.node, process.started_s)))
    found.ns.mnt.is_host = not process.is_container
    if process.is_container:
        found.pod.container.id = "containerd://" + "ab" * 32
        found.pod.container.image.id = "x@sha256:" + "77" * 32
    return found


def refused_at(history: History) -> list[float]:
    """When the events were received that a stage refused."""
    refusing = [fault for fault in history.faults if fault.kind is FaultKind.REFUSED]
    return [
        call.received_s
        for call in history.calls
        for fault in refusing
        if call.received_s is not None and fault.from_s <= call.received_s < fault.to_s
    ]


# Coverage


def coverage(history: History) -> tuple[Mapping[NodeId, NodeCoverage], list[GapInterval]]:
    """What the records of runtime.coverage say: by node, and the gaps of all nodes."""
    nodes: dict[NodeId, NodeCoverage] = {}
    for node in history.nodes:
        published = _Ingest(history, node).published()
        known = nodes[node] = NodeCoverage()
        known.add(published)
    of_all = NodeCoverage()
    of_all.add(_skipped(history))
    for fault in history.faults:
        if fault.kind is FaultKind.COVERAGE_UNREADABLE:
            end_ns = ns(fault.from_s)
            of_all.gaps.append(GapInterval(end_ns - GAP_BEFORE_NS, end_ns, GapCause.UNKNOWN.value))
    return nodes, of_all.incomplete()


def _skipped(history: History) -> Iterable[CoverageGap]:
    """The gaps for records that were deleted, or passed by another program, by partition."""
    for fault in history.faults:
        if fault.kind not in {FaultKind.DELETED, FaultKind.MOVED}:
            continue
        for node in history.nodes:
            times = [
                call.received_s for call in history.calls if call.received_s is not None and call.process.node == node
            ]
            gone = [time for time in times if fault.from_s <= time < fault.to_s]
            if gone:
                before = max((time for time in times if time < fault.from_s), default=None)
                after = min((time for time in times if time >= fault.to_s), default=END_S)
                yield gap_of(
                    SkippedRange(
                        RAW,
                        0,
                        0,
                        len(gone),
                        0 if before is None else ns(before) // 1_000_000,
                        ns(after) // 1_000_000,
                        DELETED if fault.kind is FaultKind.DELETED else MOVED,
                    ),
                    RAW,
                )


class _Ingest:
    """Ingest of one node, as far as its claims go: it looks every five minutes, and where something begins or ends."""

    def __init__(self, history: History, node: NodeId) -> None:
        self._history, self._node = history, node
        self._faults = history.of_node(node)
        self._claims = NodeClaims(node, None, session="s0")
        self._sessions = count(1)
        self._scraped_s: float | None = None
        self._out: list[CoverageGap] = []

    def published(self) -> list[CoverageGap]:
        """All records, in order."""
        moments = {*range(0, END_S + 1, TICK_S)}
        moments |= {at for fault in self._faults for at in (fault.from_s, fault.to_s)}
        self._claims.named(self._node, self._clock(0))
        self._out += self._claims.opened(self._clock(0))
        for now_s in sorted(moments):
            for fault in self._faults:
                if fault.from_s == now_s:
                    self._begins(fault, now_s)
                elif fault.to_s == now_s:
                    self._is_over(fault, now_s)
            self._tick(now_s)
        return self._out

    def _clock(self, time_s: float) -> int:
        return ns(self._history.clock(self._node, time_s))

    def _begins(self, fault: Fault, now_s: int) -> None:
        now_ns = self._clock(now_s)
        match fault.kind:
            case FaultKind.RECONNECT | FaultKind.AGENT_RESTART:
                self._out += self._claims.ended(now_ns, GapCause.RECONNECT)
            case FaultKind.FILTER:  # ingest starts again with it
                self._restart(now_ns)
            case FaultKind.THROTTLE:
                self._out += self._claims.losses(Findings(throttles=[Throttle(True, "/pod", now_ns)]), [])
            case _:
                pass

    def _is_over(self, fault: Fault, now_s: int) -> None:
        now_ns = self._clock(now_s)
        match fault.kind:
            case FaultKind.RECONNECT | FaultKind.AGENT_RESTART:
                restarted = fault.kind is FaultKind.AGENT_RESTART
                self._out += self._claims.opened(now_ns, agent_restarted=restarted)
            case FaultKind.INGEST_KILLED | FaultKind.FILTER:
                self._restart(now_ns)
            case FaultKind.OVERFLOW:
                lost = [
                    call.time_s
                    for call in self._history.calls
                    if call.received_s is None
                    and call.process.node == self._node
                    and fault.from_s - 31 <= call.time_s < fault.to_s
                ]
                if lost:
                    interval = EventInterval(len(lost), self._clock(min(lost)), self._clock(max(lost)))
                    self._out += self._claims.losses(Findings(dropped={DropReason.OVERFLOW: interval}), [])
            case FaultKind.THROTTLE:
                self._out += self._claims.losses(Findings(throttles=[Throttle(False, "/pod", now_ns)]), [])
            case _:
                pass

    def _restart(self, now_ns: int) -> None:
        """Another process goes on from the journal."""
        journal_ns = self._claims.unvouched_since_ns
        self._claims = NodeClaims(self._node, journal_ns, session=f"s{next(self._sessions)}")
        self._out += self._claims.named(self._node, now_ns)
        self._out += self._claims.opened(now_ns)

    def _tick(self, now_s: int) -> None:
        """Read the agent's counters, and claim what can be claimed."""
        here = {fault.kind for fault in self._faults if fault.from_s <= now_s < fault.to_s}
        if FaultKind.INGEST_KILLED in here:
            return
        is_read = FaultKind.METRICS_AWAY not in here
        if is_read:
            lost = [
                fault
                for fault in self._faults
                if fault.kind in {FaultKind.AGENT_LOSS, FaultKind.METRICS_AWAY}
                and fault.from_s <= now_s
                and (self._scraped_s is None or fault.to_s > self._scraped_s)
            ]
            if lost and self._scraped_s is not None and now_s > self._scraped_s:
                loss = AgentLoss("lost", 1, self._clock(self._scraped_s), self._clock(now_s))
                self._out += self._claims.losses(Findings(), [loss])
            self._scraped_s = now_s
        now_ns = self._clock(now_s)
        filters = FiltersInForce("deny", True) if FaultKind.FILTER in here else NO_FILTERS
        evidence = ClaimEvidence(
            now_ns=now_ns,
            alive_ns=now_ns,
            written_before_ns=now_ns - WRITE_S * SECOND,
            scraped_ns=now_ns if is_read else None,
            filters=filters,
        )
        beats = self._claims.heartbeat(evidence)
        self._out += beats
        if FaultKind.TWO_INGESTS in here:
            self._out += [one_of_another(beat) for beat in beats]


def one_of_another(beat: CoverageGap) -> CoverageGap:
    """The same heartbeat by a second ingest."""
    return CoverageGap(
        node=beat.node, cluster=beat.cluster, session="other", from_ns=beat.from_ns, to_ns=beat.to_ns, cause=beat.cause
    )
