"""What a raw event says of itself, for code that looks at single events outside of the hot path.

Every function takes any bytes: where they are not a GetEventsResponse the answer is the one for "it does not say".
"""

from google.protobuf.message import DecodeError

from schemas.node import NodeId
from schemas.tetragon.events_pb2 import GetEventsResponse as FullEvent
from schemas.tetragon_parts_pb2 import GetEventsResponse
from schemas.units import timestamp_ns


def view_time_ns(view: GetEventsResponse) -> int | None:
    """Time of a parsed event in nanoseconds since the Unix epoch; None where it has none, or one that cannot be."""
    return timestamp_ns(view.time.seconds, view.time.nanos) if view.HasField("time") else None


def event_time_ns(event: bytes) -> int | None:
    """Time that an event gives itself, in nanoseconds since the Unix epoch; None where it gives no possible one."""
    try:
        return view_time_ns(GetEventsResponse.FromString(event))
    except DecodeError:
        return None


def node_of(event: bytes) -> NodeId:
    """The node that an event names; of empty names where it names none."""
    try:
        view = GetEventsResponse.FromString(event)
    except DecodeError:
        return NodeId("", "")
    return NodeId(view.cluster_name, view.node_name)


def is_from_agent_start(event: bytes) -> bool:
    """Whether the event is a process that Tetragon found in /proc when it started, not one that it saw start.

    Source: `Process.flags` holds the word procFS for these.
    """
    try:
        full = FullEvent.FromString(event)
    except DecodeError:
        return False
    return full.WhichOneof("event") == "process_exec" and "procFS" in full.process_exec.process.flags.split()
