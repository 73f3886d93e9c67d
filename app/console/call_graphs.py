"""Flame graphs of calls, read for one question: of all stacks of a window, or of those that reach one function.

Each question reads a limited number of records, the newest ones of the window, and says how many.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any, Final

from agents.hot_symbols.identity import binary_identity, frame_identity, symbol_id, within_limits
from agents.hot_symbols.reading.observations import CallObserver
from agents.hot_symbols.table.query import Query
from agents.memo import Memo
from app.console.recent_calls import MOST_RECORDS, MOST_SECONDS, CallReading
from app.export.call_stacks import STACK_FIELDS, Stack, StackMeaning, binary_reader
from app.export.call_tree import TreeBuilder
from app.export.flame_graph.document import Fact, flame_graph_document
from app.export.repeats import repeats
from app.export.stack_frames import StackFrame
from app.export.window import CallWindow
from app.export.window_stacks import IsOnPath, StackGatherer
from app.export.window_stacks import wanted as wanted_places
from app.kafka.positions import Position, RangeChoice, resolve
from app.kafka.records import OffsetRange, Recorded
from app.kafka.registry import SchemaRegistry
from app.kafka.schemas import CallLayouts, RecordDecoder, RecordFault
from app.kafka.topic_reader import TopicReader
from app.settings import Settings
from schemas import topics

MOST_SHOWN: Final = 20_000
"""Nodes of one tree in an answer, at some 15 bytes each beside the names."""

MOST_NODES: Final = 60_000
MOST_FRAMES: Final = 30_000
"""Of one tree while it is made: 54 MB at most. What has no room is counted."""

MOST_EVENTS: Final = 20
"""Sample calls beside the paths to a function."""

_KINDS_OF_FRAME: Final = 65_536
_KINDS_OF_STACK: Final = 16_384


@dataclass(frozen=True, slots=True)
class TimeRange:
    """From a position of `runtime.calls` to before another one."""

    start: Position
    end: Position


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphWanted:
    """Which stacks are drawn. `base` is what they are compared with; an empty `symbol_id` means all stacks."""

    window: TimeRange
    base: TimeRange | None = None
    place: Query
    symbol_id: str = ""


@dataclass(slots=True)
class Samples:
    """The first calls whose stacks reach a function, as they are read."""

    records: list[Recorded] = field(default_factory=list)

    def path_to(self, wanted: str) -> IsOnPath:
        """Whether the function, or the executed file, is on the way of a call; notes the first calls where it is."""
        holds = Memo[Stack, bool](
            lambda stack: any(id_of_frame(frame) == wanted for frame in stack.frames),
            _KINDS_OF_STACK,
            weigh=lambda stack: len(stack.frames),
        )

        def is_on_path(record: Recorded, stack: Stack, binary: str) -> bool:
            if not holds[stack] and _id_of_binary(binary) != wanted:
                return False
            if len(self.records) < MOST_EVENTS:
                self.records.append(record)
            return True

        return is_on_path


def call_graph(settings: Settings, wanted: GraphWanted, shown_name: Callable[[str], str]) -> dict[str, Any]:
    """What the page draws, and how much was read for it.

    Raises what reading Kafka and the registry raises.
    """
    samples = Samples()
    is_on_path = samples.path_to(wanted.symbol_id) if wanted.symbol_id else None
    gatherer, reading = _gathered(settings, wanted.window, wanted.place, is_on_path)
    found = [(gatherer, reading)]
    if wanted.base is not None:
        again = Samples().path_to(wanted.symbol_id) if wanted.symbol_id else None
        found.append(_gathered(settings, wanted.base, wanted.place, again))
    trees = [one.builder.tree() for one, _ in found]
    facts = [
        fact for (one, _), where in zip(found, ("", "compared with: "), strict=False) for fact in _facts(one, where)
    ]
    return {
        "graph": flame_graph_document(trees, shown_name, facts, MOST_SHOWN, id_of=id_of_frame),
        "calls": gatherer.books.calls,
        "read": reading.document(),
        "base": None if wanted.base is None else {"calls": found[1][0].books.calls, "read": found[1][1].document()},
        "events": list(_sample_events(settings, samples.records)),
    }


@lru_cache(_KINDS_OF_FRAME)
def id_of_frame(frame: StackFrame) -> str:
    """The id of the row that a frame counts for; empty for the mark of a stack that is cut short."""
    if frame.is_binary:
        return _id_of_binary(frame.module)
    if frame.is_cut:
        return ""
    name = frame.symbol or frame.hint
    identity = frame_identity(frame.module, frame.build_id or None, name, is_kernel_space=frame.is_kernel_space)
    return symbol_id(within_limits(identity))


@lru_cache(_KINDS_OF_STACK)
def _id_of_binary(path: str) -> str:
    return symbol_id(within_limits(binary_identity(path)))


def _gathered(
    settings: Settings, window: TimeRange, place: Query, is_on_path: IsOnPath | None
) -> tuple[StackGatherer, CallReading]:
    topic, reading = settings.name(topics.CALLS), CallReading()
    layouts = CallLayouts(settings, STACK_FIELDS)
    with TopicReader(settings) as reader, repeats(settings, reader.partitions(topic)) as repeating:
        gatherer = StackGatherer(
            CallObserver(layouts, StackMeaning()),
            binary_reader(layouts),
            wanted_places(place),
            repeating,
            is_on_path=is_on_path,
            builder=TreeBuilder(MOST_NODES, MOST_FRAMES, MOST_NODES),
        )
        ranges = resolve(reader, topic, RangeChoice(window.start, window.end, None, by_event_time=False))
        kept = newest(ranges, MOST_RECORDS)
        reading.is_cut = kept != tuple(one for one in ranges if one.offsets)
        gatherer.books.ranges = kept
        calls = CallWindow(reader, topic, reader.partitions(topic), kept)
        gatherer.gather(_in_time(calls.runs(lambda _: None), reading))
    return gatherer, reading


def newest(ranges: Sequence[OffsetRange], most: int) -> tuple[OffsetRange, ...]:
    """The last records of ranges, so many together: short ranges leave their room to long ones."""
    kept, room = [], most
    ordered = sorted(ranges, key=lambda one: one.offsets)
    for number, one in enumerate(ordered):
        share = min(one.offsets, room // (len(ordered) - number))
        room -= share
        if share:
            kept.append(replace(one, first=one.next - share))
    return tuple(sorted(kept, key=lambda one: one.partition))


def _in_time(
    runs: Iterator[tuple[int, Sequence[Recorded]]], reading: CallReading
) -> Iterator[tuple[int, Sequence[Recorded]]]:
    """The records as long as there is time; notes what was read."""
    deadline = time.monotonic() + MOST_SECONDS
    for partition, records in runs:
        reading.records += len(records)
        first_ms = min((one.timestamp for one in records), default=0)
        reading.first_ms = min(reading.first_ms or first_ms, first_ms)
        yield partition, records
        if time.monotonic() > deadline:
            reading.is_cut = True
            return


def _facts(gatherer: StackGatherer, where: str) -> Iterator[Fact]:
    """What is missing in the picture, or in what it is compared with, as `where` says."""
    if gatherer.builder.cut_events:
        yield (
            f"{where}{gatherer.builder.cut_events:,} calls whose stack is cut short: more different stacks than fit",
            True,
        )
    books = gatherer.books
    for reason, number in sorted(books.unreadable.items()):
        first = books.first_unreadable[reason]
        yield f"{where}{number:,} records are not calls ({reason}); the first is {first}", True
    if books.without_stack:
        yield f"{where}{books.without_stack:,} calls without a stack or a probe's target are not in the picture", False


def _sample_events(settings: Settings, records: Sequence[Recorded]) -> Iterator[dict[str, Any]]:
    """What the page shows of calls: all of it is public."""
    if not records:
        return
    with SchemaRegistry.from_settings(settings) as registry:
        decoder = RecordDecoder(settings, registry, topics.CALLS)
        for record in records:
            call = decoder.decode(record.value)
            if not isinstance(call, RecordFault):
                names = ("event_id", "timestamp_ns", "probe_type", "namespace", "workload", "pod_name", "node_name")
                yield {name: call.get(name) for name in names} | {
                    "binary": call["process"].get("binary"),
                    "source": call["source"],
                }
