"""The newest calls, read for one question: which call has an id, and which stacks lead to a function.

Each question reads a limited number of records and says how many: `runtime.calls` is never read as a whole.
"""

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from agents.hot_symbols.reading.evidence import frame_fields, frame_of
from app.kafka.records import Recorded
from app.kafka.registry import SchemaRegistry
from app.kafka.schemas import RecordDecoder, RecordFault
from app.kafka.topic_reader import TopicReader
from app.settings import Settings
from schemas import topics

MOST_RECORDS: Final = 200_000
"""Of all partitions together; they come at some 200,000 a second."""

MOST_SECONDS: Final = 10.0
"""For one question."""

MOST_PATHS: Final = 20_000
"""Nodes of a tree of callers, at some 300 bytes each."""

MOST_EVENTS: Final = 20
"""Sample calls beside a tree."""

_MAX_DEPTH: Final = 128


@dataclass(slots=True)
class CallReading:
    """How much was looked through. `newest_first` readings begin with the newest records of each partition."""

    records: int = 0
    first_ms: int = 0
    is_cut: bool = False
    """Whether there are older records that were not read."""

    def document(self) -> dict[str, Any]:
        """For the page."""
        return {"records": self.records, "since_ms": self.first_ms, "is_cut": self.is_cut}


def newest_calls(settings: Settings, reading: CallReading, most: int = MOST_RECORDS) -> Iterator[Recorded]:
    """The newest records of `runtime.calls`. Raises what `TopicReader` raises."""
    name, deadline = settings.name(topics.CALLS), time.monotonic() + MOST_SECONDS
    with TopicReader(settings) as reader:
        ends = reader.all_ends(name)
        share = max(1, most // max(1, len(ends)))
        starts = {number: max(there.first, there.next - share) for number, there in ends.items()}
        reading.is_cut = any(starts[number] > there.first for number, there in ends.items())
        for record in reader.records(name, starts):
            reading.records += 1
            reading.first_ms = min(reading.first_ms or record.timestamp, record.timestamp)
            yield record
            if not reading.records % 1_000 and time.monotonic() > deadline:
                reading.is_cut = True
                return


def decoded_calls(
    settings: Settings, reading: CallReading, needle: bytes = b"", most: int = MOST_RECORDS
) -> Iterator[tuple[Recorded, dict[str, Any]]]:
    """The newest calls that hold the bytes `needle`, decoded; what is no call is passed over.

    Raises what `TopicReader` raises, and RegistryError.
    """
    with SchemaRegistry.from_settings(settings) as registry:
        decoder = RecordDecoder(settings, registry, topics.CALLS)
        for record in newest_calls(settings, reading, most):
            if needle in (record.value or b""):
                call = decoder.decode(record.value)
                if not isinstance(call, RecordFault):
                    yield record, call


def call_with_id(settings: Settings, event_id: str) -> dict[str, Any]:
    """The call with this event id among the newest ones, or that there is none among them."""
    reading = CallReading()
    for record, call in decoded_calls(settings, reading, event_id.encode()):
        if call["event_id"] == event_id:
            place = {"partition": record.partition, "offset": record.offset}
            return {"call": call, **place, "read": reading.document()}
    return {"call": None, "read": reading.document()}


@dataclass(slots=True)
class CallerNode:
    """A function on the way to the one that was asked for: below it in the tree stand its callers."""

    events: int = 0
    callers: dict[str, "CallerNode"] = field(default_factory=dict)


@dataclass(slots=True)
class CallerTree:
    """Who reaches a function, callers below, counted in calls."""

    symbol_id: str
    root: CallerNode = field(default_factory=CallerNode)
    nodes: int = 1
    left_out: int = 0
    """Calls whose path did not fit as a whole."""
    events: list[dict[str, Any]] = field(default_factory=list)

    def take(self, call: Mapping[str, Any]) -> None:
        """Take a call if the function is on its stack; of several frames of it, the innermost counts."""
        path = [frame_of(frame_fields(frame)).symbol_id for frame in call["stack_frames"]]
        if self.symbol_id not in path:
            return
        node = self.root
        node.events += 1
        for caller in path[path.index(self.symbol_id) + 1 :][:_MAX_DEPTH]:
            below = node.callers.get(caller)
            if below is None:
                if self.nodes >= MOST_PATHS:
                    self.left_out += 1
                    break
                below = node.callers[caller] = CallerNode()
                self.nodes += 1
            below.events += 1
            node = below
        if len(self.events) < MOST_EVENTS:
            self.events.append(_sample(call))

    def document(self, shown_name: Any) -> dict[str, Any]:
        """In the form that `web/flame.js` draws: `{name, id, value, children}`, the most frequent first."""
        return _drawn(self.symbol_id, self.root, shown_name)


def callers_of(settings: Settings, symbol_id: str, name: str, shown_name: Any) -> dict[str, Any]:
    """The tree of those who reach a function in the newest calls; `name` is a text that such calls hold."""
    tree, reading = CallerTree(symbol_id), CallReading()
    for _, call in decoded_calls(settings, reading, name.encode("utf-8", "surrogatepass")):
        tree.take(call)
    return {
        "tree": tree.document(shown_name),
        "calls": tree.root.events,
        "left_out": tree.left_out,
        "events": tree.events,
        "read": reading.document(),
    }


def _drawn(symbol_id: str, node: CallerNode, shown_name: Any) -> dict[str, Any]:
    ordered = sorted(node.callers.items(), key=lambda entry: (-entry[1].events, entry[0]))
    return {
        "name": shown_name(symbol_id),
        "id": symbol_id,
        "value": node.events,
        "children": [_drawn(caller, below, shown_name) for caller, below in ordered],
    }


def _sample(call: Mapping[str, Any]) -> dict[str, Any]:
    """What the page shows of a call: all of it is public."""
    process = call["process"]
    return {
        "event_id": call["event_id"],
        "timestamp_ns": call["timestamp_ns"],
        "probe_type": call["probe_type"],
        "binary": process.get("binary"),
        "namespace": call.get("namespace"),
        "workload": call.get("workload"),
        "pod_name": call.get("pod_name"),
        "node_name": call.get("node_name"),
        "source": call["source"],
    }
