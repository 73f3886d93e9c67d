"""Whose event is it? The record key and the probe type of raw events, without decoding what is inside.

The key is `exec_id` of the event's process, or the node's name where the event has none, so all events of a process
are in one partition. Bytes that are not a GetEventsResponse get the node's name too: the canonicalize stage refuses
them, with the bytes as evidence. A longer name or exec_id than there can be is cut, with a digest of the whole.

An event costs 1.2 to 1.7 µs. It is checked with the shallow view, and the exec_id is cut out where every known writer
puts it, which is first. Any other order of fields takes the slower path.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from google.protobuf.message import DecodeError, Message

from schemas import proto_wire
from schemas.node import NodeId
from schemas.probe_types import EVENT_LABELS, KRETPROBE, UNKNOWN
from schemas.raw_event import view_time_ns
from schemas.tetragon.process_pb2 import Process
from schemas.tetragon_parts_pb2 import GetEventsResponse
from schemas.text_limits import cut_place, cut_text

# A field of GetEventsResponse with number 1, 5, 9, 10, 11, 12, 28 or 29 and wire type 2, its length, then field 1
# (process) of the body with its length, then field 1 (exec_id) of the process with a length of one byte.
_PREFIX: Final = re.compile(
    rb"([\x0a\x2a\x4a\x52\x5a\x62]|[\xe2\xea]\x01)[\x80-\xff]{0,4}[\x00-\x7f]"
    rb"\x0a[\x80-\xff]{0,4}[\x00-\x7f]"
    rb"\x0a[\x01-\x7f]",
)

_LOADER_TAG: Final = proto_wire.field_tag(GetEventsResponse.PROCESS_LOADER_FIELD_NUMBER)
_KPROBE_TAG: Final = proto_wire.field_tag(GetEventsResponse.PROCESS_KPROBE_FIELD_NUMBER)
_LABELS: Final = {
    proto_wire.field_tag(GetEventsResponse.DESCRIPTOR.fields_by_name[kind].number): label
    for kind, label in EVENT_LABELS.items()
}
"""The name that events are counted under by the tag of their body."""

MAX_EXEC_ID_CHARS: Final = 32_768
"""Of a key. Tetragon's have some 40; a record must have room for the event too, which may be as large as a record."""

_THROTTLE_START: Final = 1
_THROTTLE_STOP: Final = 2


@dataclass(frozen=True, slots=True)
class Throttle:
    """A process_throttle event: Tetragon begins or ceases to drop events of a cgroup."""

    started: bool
    cgroup: str
    time_ns: int | None


@dataclass(slots=True)
class KeyReading:
    """What a batch of events says about itself: a key an event in order, counts by label of received events."""

    keys: list[bytes] = field(default_factory=list)
    kinds: Counter[str] = field(default_factory=Counter)
    undecodable: int = 0
    throttles: list[Throttle] = field(default_factory=list)
    build_ids: set[bytes] = field(default_factory=set)
    """What loader events name, as it was sent."""
    node: NodeId | None = None
    """The node that the last event names."""


class KeyReader:
    """Reads batches of one stream in order; remembers the node's name from one to the next."""

    def __init__(self, node: NodeId) -> None:
        """`node` stands in until an event has named the node."""
        self.node = node

    def read(self, events: Sequence[bytes]) -> KeyReading:
        """One key for each event, whatever its bytes are."""
        reading = KeyReading()
        keys, labels = reading.keys, []
        parse, match = GetEventsResponse.FromString, _PREFIX.match
        view: GetEventsResponse | None = None
        for event in events:
            try:
                view = parse(event)
            except DecodeError:
                reading.undecodable += 1
                keys.append(cut_place(self.node.name).encode())
                labels.append(UNKNOWN)
                continue
            if found := match(event):
                start = found.end()
                keys.append(event[start : start + event[start - 1]])
                tag = found[1]
                if tag == _LOADER_TAG:
                    reading.build_ids.add(view.process_loader.buildid)
                returned = tag == _KPROBE_TAG and view.process_kprobe.HasField("return")
                labels.append(KRETPROBE if returned else _LABELS[tag])
            else:
                labels.append(self._read_slowly(view, reading))
        reading.kinds = Counter(labels)
        if view is not None and view.node_name:
            self.node = reading.node = NodeId(view.cluster_name, view.node_name)
        return reading

    def _read_slowly(self, view: GetEventsResponse, reading: KeyReading) -> str:
        """Append the key of an event whose fields are absent or in another order, and give its label."""
        kind = view.WhichOneof("event")
        label = EVENT_LABELS.get(kind or "", UNKNOWN)
        if kind == "process_throttle":
            type_ = view.process_throttle.type
            if type_ in {_THROTTLE_START, _THROTTLE_STOP}:
                cgroup = cut_place(view.process_throttle.cgroup)
                throttle = Throttle(type_ == _THROTTLE_START, cgroup, view_time_ns(view))
                reading.throttles.append(throttle)
        elif kind == "process_loader":
            reading.build_ids.add(view.process_loader.buildid)
        elif kind == "process_kprobe" and view.process_kprobe.HasField("return"):
            label = KRETPROBE
        exec_id = _exec_id(getattr(view, kind)) if kind else ""
        key = cut_text(exec_id, MAX_EXEC_ID_CHARS) if exec_id else cut_place(view.node_name or self.node.name)
        reading.keys.append(key.encode())
        return label


def _exec_id(body: Message) -> str:
    process = getattr(body, "process", b"")
    if not process:
        return ""
    try:
        return Process.FromString(process).exec_id
    except DecodeError:
        return ""
