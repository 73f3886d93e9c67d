"""Random histories of calls and of what is lost on the way to the table: what a god would see, and what arrives.

Times are in seconds since the beginning of a history, and true. A node's clock may be wrong (`clock`).
"""

import enum
from dataclasses import dataclass, field, replace
from random import Random
from typing import Final

from schemas.node import NodeId
from tests.support.absence_files import LIB, REPLACED_S, ModelFile, ModelStore

END_S: Final = 6_000
NODES: Final = (NodeId("east", "n"), NodeId("west", "n"), NodeId("east", "m"))
HELD_S: Final = 30
"""How long Tetragon may hold an event."""
WRITE_S: Final = 5
"""How long ingest may have an event that it has not written."""


class FaultKind(enum.Enum):
    """What goes wrong."""

    RECONNECT = enum.auto()
    AGENT_RESTART = enum.auto()
    INGEST_KILLED = enum.auto()
    OVERFLOW = enum.auto()
    AGENT_LOSS = enum.auto()
    METRICS_AWAY = enum.auto()
    THROTTLE = enum.auto()
    FILTER = enum.auto()
    CLOCK_STEP = enum.auto()
    TWO_INGESTS = enum.auto()
    DELETED = enum.auto()  # raw records, before a stage read them
    MOVED = enum.auto()  # the group's offsets
    REFUSED = enum.auto()  # by a stage
    COVERAGE_UNREADABLE = enum.auto()


ON_A_NODE: Final = tuple(kind for kind in FaultKind if kind.value < FaultKind.DELETED.value)
ON_THE_TOPICS: Final = tuple(kind for kind in FaultKind if kind.value >= FaultKind.DELETED.value)


@dataclass(frozen=True, slots=True)
class Fault:
    """Something goes wrong from one moment to another; `node` is None where it does not happen on a node."""

    kind: FaultKind
    node: NodeId | None
    from_s: int
    to_s: int
    step_s: int = 0
    """By how much a clock is ahead."""


class Seen(enum.Enum):
    """What an event of a call is."""

    FRAME = enum.auto()
    PROBE_BY_OFFSET = enum.auto()
    PROBE_BY_NAME = enum.auto()


@dataclass(frozen=True, slots=True)
class ModelProcess:
    """A process: where it runs, since when, and which files it has mapped."""

    number: int
    node: NodeId
    started_s: int
    lib: ModelFile
    is_container: bool
    has_loader_events: bool


@dataclass(frozen=True, slots=True)
class ModelCall:
    """A code runs. `received_s` is when ingest has its event; None if it has none."""

    time_s: float
    process: ModelProcess
    file: ModelFile
    code: int
    seen: Seen
    received_s: float | None
    is_counted: bool = True
    """Whether the stages read the event and can process it."""

    @property
    def arrives(self) -> bool:
        """Whether it is counted."""
        return self.received_s is not None and self.is_counted


@dataclass(slots=True)
class History:
    """What happened. Calls are in the order of receipt, those without one last."""

    seed: int
    known: ModelStore
    nodes: list[NodeId]
    is_probed: bool
    """Whether a probe fires whenever code is entered."""
    faults: list[Fault] = field(default_factory=list)
    calls: list[ModelCall] = field(default_factory=list)

    def is_named_by_older(self, call: ModelCall) -> bool:
        """Whether it was named before the symbol store got its newest indexes, in one history of three."""
        return self.seed % 3 == 0 and call.time_s < self.seed // 3 % END_S

    def of_node(self, node: NodeId) -> list[Fault]:
        """A node's faults, in the order of time."""
        return sorted((one for one in self.faults if one.node == node), key=lambda one: one.from_s)

    def clock(self, node: NodeId, time_s: float) -> float:
        """What a node's clock says."""
        steps = (
            one.step_s
            for one in self.faults
            if one.kind is FaultKind.CLOCK_STEP and one.node == node and one.from_s <= time_s < one.to_s
        )
        return time_s + sum(steps)

    def __str__(self) -> str:
        """The history in words, in order."""
        lines: list[tuple[float, str]] = []
        for fault in self.faults:
            where = fault.node or "the topics"
            lines.append((fault.from_s, f"{fault.from_s} to {fault.to_s}: {fault.kind.name} of {where} {fault.step_s}"))
        for call in self.calls:
            came = "lost" if call.received_s is None else f"received {call.received_s:.0f}"
            who = f"process {call.process.number} of {call.process.node} since {call.process.started_s}"
            code = f"{call.file.path} {call.file.build_id[:2]} {call.file.codes[call.code].names}"
            counted = "" if call.is_counted else ", not counted"
            lines.append((call.time_s, f"{call.time_s:.0f}: {code} {call.seen.name}, {who}, {came}{counted}"))
        files = [
            f"{file.path} {file.build_id[:2]} indexed {file.is_indexed}, knows copies {file.knows_copies}: {file.codes}"
            for file in self.known.files
        ]
        return "\n".join([f"seed {self.seed}, probed {self.is_probed}", *files, *(text for _, text in sorted(lines))])


def made_history(seed: int, known: ModelStore) -> History:
    """A history by its seed. Half of them are without faults."""
    rng = Random(seed)
    history = History(seed, known, rng.sample(NODES, rng.randint(1, 3)), rng.random() < 0.9)
    if rng.random() < 0.5:
        history.faults = _faults(rng, history.nodes)
    processes = [_process(rng, number, history) for number in range(rng.randint(1, 4))]
    calls = [_call(rng, history, rng.choice(processes)) for _ in range(rng.randint(0, 8))]
    history.calls = _passed_on(rng, history, calls)
    return history


def _faults(rng: Random, nodes: list[NodeId]) -> list[Fault]:
    faults = [
        _fault(rng, rng.choice(ON_A_NODE), rng.choice(nodes))
        if rng.random() < 0.7
        else _fault(rng, rng.choice(ON_THE_TOPICS), None)
        for _ in range(rng.choice((1, 1, 2, 3)))
    ]
    apart: list[Fault] = []
    for fault in sorted(faults, key=lambda one: one.from_s):
        if all(fault.node != other.node or fault.from_s > other.to_s + 60 for other in apart):
            apart.append(fault)
    return apart


def _fault(rng: Random, kind: FaultKind, node: NodeId | None) -> Fault:
    begin = rng.randint(60, END_S - 300)
    return Fault(kind, node, begin, begin + rng.randint(5, 200), rng.choice((-900, -90, 90, 900)))


def _process(rng: Random, number: int, history: History) -> ModelProcess:
    started = rng.randint(-500, END_S - 200)
    is_container = rng.random() < 0.15
    known = history.known
    lib = known.unmapped if is_container else known.old if started < REPLACED_S else known.new
    return ModelProcess(number, rng.choice(history.nodes), started, lib, is_container, rng.random() < 0.5)


def _call(rng: Random, history: History, process: ModelProcess) -> ModelCall:
    time_s = rng.uniform(max(process.started_s, 0) + 1, END_S - 1)
    file = process.lib if process.is_container or rng.random() < 0.7 else history.known.tool
    seen = rng.choice((Seen.PROBE_BY_OFFSET, Seen.PROBE_BY_NAME)) if history.is_probed else Seen.FRAME
    received = time_s + rng.uniform(0, HELD_S)
    has_event = history.is_probed or rng.random() < 0.7
    code = rng.randrange(len(file.codes))
    return ModelCall(time_s, process, file, code, seen, received if has_event else None)


def _passed_on(rng: Random, history: History, calls: list[ModelCall]) -> list[ModelCall]:
    """The calls with what the faults do to their events."""
    found = [replace(call, received_s=None) if _is_lost(rng, history, call) else call for call in calls]
    found.sort(key=lambda call: END_S * 9 if call.received_s is None else call.received_s)
    return [replace(call, is_counted=not _is_left_out(history, call)) for call in found]


def _is_lost(rng: Random, history: History, call: ModelCall) -> bool:
    """Whether an event is lost on its node."""
    if call.received_s is None or call.received_s >= END_S:
        return True
    for fault in history.of_node(call.process.node):
        happens = fault.from_s <= call.time_s < fault.to_s
        arrives = fault.from_s <= call.received_s < fault.to_s
        match fault.kind:
            case FaultKind.RECONNECT | FaultKind.AGENT_RESTART:
                # what Tetragon holds when the stream ends is lost too
                if happens or arrives or call.time_s < fault.from_s <= call.received_s:
                    return True
            case FaultKind.INGEST_KILLED:
                if arrives or fault.from_s - WRITE_S <= call.received_s < fault.to_s:
                    return True
            case FaultKind.OVERFLOW:
                if arrives and rng.random() < 0.7:
                    return True
            case FaultKind.AGENT_LOSS | FaultKind.METRICS_AWAY | FaultKind.THROTTLE | FaultKind.FILTER:
                if happens and rng.random() < 0.7:
                    return True
            case _:
                pass
    return False


def _is_left_out(history: History, call: ModelCall) -> bool:
    """Whether the stages do not count an event that ingest has written."""
    return call.received_s is not None and any(
        fault.kind in {FaultKind.DELETED, FaultKind.MOVED, FaultKind.REFUSED}
        and fault.from_s <= call.received_s < fault.to_s
        for fault in history.faults
    )


def path_in_event(call: ModelCall) -> str:
    """The path as the kernel says it: a file that was replaced is deleted."""
    is_replaced = call.file is call.process.lib and call.file.path == LIB and not call.process.is_container
    deleted = is_replaced and call.time_s >= REPLACED_S > call.process.started_s
    return f"{call.file.path} (deleted)" if deleted else call.file.path
