from typing import Any

import pytest

from app.ingest.keys import KeyReader, Throttle
from schemas.node import NodeId
from schemas.probe_types import NOT_CALL_TYPES, PROBE_TYPES
from schemas.raw_event import event_time_ns, is_from_agent_start
from schemas.tetragon.events_pb2 import GetEventsResponse

WITH_PROCESS = {
    "process_exec": "ProcessExec",
    "process_exit": "ProcessExit",
    "process_kprobe": "Kprobe",
    "process_tracepoint": "Tracepoint",
    "process_loader": "Loader",
    "process_uprobe": "Uprobe",
    "process_lsm": "Lsm",
    "process_usdt": "USDT",
}


def _event(kind: str, exec_id: str = "ZXhlYw==", node: str = "node-1") -> Any:
    event: Any = GetEventsResponse(node_name=node)
    process = getattr(event, kind).process
    process.SetInParent()
    process.exec_id = exec_id
    process.binary = "/usr/bin/app"
    return event


@pytest.mark.parametrize("kind", WITH_PROCESS)
def test_key_is_the_exec_id_of_the_process(kind: str) -> None:
    """Every kind that has a process is keyed by it, and counted under its label."""
    reading = KeyReader(NodeId("", "host")).read([_event(kind).SerializeToString()])

    assert reading.keys == [b"ZXhlYw=="]
    assert reading.kinds == {WITH_PROCESS[kind]: 1}


@pytest.mark.parametrize("length", [1, 127, 128, 300, 20_000])
def test_exec_id_of_any_length_is_found(length: int) -> None:
    """A long node name makes an exec_id whose length takes two bytes, long arguments a process that takes three."""
    event = _event("process_kprobe", exec_id="a" * length)
    event.process_kprobe.process.arguments = "x" * 70_000

    assert KeyReader(NodeId("", "host")).read([event.SerializeToString()]).keys == [b"a" * length]


def test_fields_in_another_order_give_the_same_key() -> None:
    """The encoding leaves the order free: node name first, parent before process, exec_id last."""
    event = _event("process_exec")
    process = event.process_exec.process
    reordered_process = b"\x2a\x03abc" + b"\x0a" + bytes([len(process.exec_id)]) + process.exec_id.encode()
    body = b"\x12\x02\x2a\x00" + b"\x0a" + bytes([len(reordered_process)]) + reordered_process
    encoded = b"\xc2\x3e\x06node-1" + b"\x0a" + bytes([len(body)]) + body
    assert GetEventsResponse.FromString(encoded).process_exec.process.exec_id == process.exec_id

    assert KeyReader(NodeId("", "host")).read([encoded]).keys == [process.exec_id.encode()]


def test_kprobe_with_a_return_value_is_a_kretprobe() -> None:
    """Tetragon sends entry and return merged; the return field is what tells them apart."""
    event = _event("process_kprobe")
    getattr(event.process_kprobe, "return").int_arg = 0

    assert KeyReader(NodeId("", "host")).read([event.SerializeToString()]).kinds == {"Kretprobe": 1}


def test_event_without_exec_id_goes_under_its_node() -> None:
    """A process with the flag `unknown` has no exec_id; its own node_name is the key."""
    event = _event("process_exec", exec_id="", node="node-7")

    assert KeyReader(NodeId("", "host")).read([event.SerializeToString()]).keys == [b"node-7"]


def test_event_without_exec_id_and_node_goes_under_the_last_known_node() -> None:
    """What one batch said about the node serves the next."""
    reader = KeyReader(NodeId("", "host"))
    nameless = GetEventsResponse().SerializeToString()

    first = reader.read([nameless, _event("process_exec", node="node-2").SerializeToString()])
    second = reader.read([nameless])

    assert first.keys[0] == b"host"
    assert second.keys == [b"node-2"]


@pytest.mark.parametrize("garbage", [b"\xff\xff\xff", b"\x0a\x05ab", b"\xc2\x3e\x02\xff\xfe"])
def test_undecodable_bytes_are_counted_and_keyed_by_node(garbage: bytes) -> None:
    """They go to the raw topic like every other event: it is the evidence."""
    reading = KeyReader(NodeId("", "host")).read([garbage, _event("process_exec").SerializeToString()])

    assert reading.keys == [b"host", b"ZXhlYw=="]
    assert reading.undecodable == 1
    assert reading.kinds == {"Unknown": 1, "ProcessExec": 1}


def test_right_prefix_does_not_hide_a_broken_rest() -> None:
    """An event that breaks off after its exec_id is undecodable."""
    whole = _event("process_kprobe").SerializeToString()

    assert KeyReader(NodeId("", "host")).read([whole[:-3]]).undecodable == 1


def test_unset_or_future_kind_is_unknown_and_decodable() -> None:
    """Enterprise kinds and those of a newer Tetragon arrive with the oneof unset."""
    future = _event("process_exec").SerializeToString().replace(b"\x0a", b"\x12", 1)

    reading = KeyReader(NodeId("", "host")).read([future])

    assert (reading.kinds, reading.undecodable) == ({"Unknown": 1}, 0)


def test_throttle_events_are_handed_out() -> None:
    """Start and stop, with cgroup and time; they have no process, so the node's name is the key."""
    start: Any = GetEventsResponse(node_name="node-1")
    start.process_throttle.type = 1
    start.process_throttle.cgroup = "/kubepods/x"
    start.time.seconds = 5
    stop: Any = GetEventsResponse(node_name="node-1")
    stop.process_throttle.type = 2
    stop.process_throttle.cgroup = "/kubepods/x"

    reading = KeyReader(NodeId("", "host")).read([start.SerializeToString(), stop.SerializeToString()])

    assert reading.throttles == [Throttle(True, "/kubepods/x", 5_000_000_000), Throttle(False, "/kubepods/x", None)]
    assert reading.keys == [b"node-1", b"node-1"]
    assert reading.kinds == {"Throttle": 2}


@pytest.mark.parametrize(("seconds", "nanos"), [(1 << 62, 0), (-(1 << 40), 0), (5, -1), (5, 2_000_000_000)])
def test_a_time_that_cannot_be_is_no_time(seconds: int, nanos: int) -> None:
    """An agent may send any; no gap begins outside of what a record can hold."""
    event: Any = GetEventsResponse(node_name="node-1")
    event.process_throttle.type = 1
    event.time.seconds, event.time.nanos = seconds, nanos

    assert KeyReader(NodeId("", "host")).read([event.SerializeToString()]).throttles == [Throttle(True, "", None)]
    assert event_time_ns(event.SerializeToString()) is None


def test_every_label_is_one_of_the_metrics_table() -> None:
    """A label outside the closed set would stop the writer."""
    kinds = [field.name for field in GetEventsResponse.DESCRIPTOR.oneofs_by_name["event"].fields]
    events = []
    for kind in kinds:
        event = GetEventsResponse()
        getattr(event, kind).SetInParent()
        events.append(event.SerializeToString())

    labels = set(KeyReader(NodeId("", "host")).read(events).kinds)

    assert labels <= {*PROBE_TYPES, *NOT_CALL_TYPES}
    assert len(labels) == len(kinds)


def test_event_time_is_read_in_nanoseconds() -> None:
    """Dropped events are described by their own times."""
    event = _event("process_exec")
    event.time.seconds, event.time.nanos = 1_700_000_000, 123_456_789

    assert event_time_ns(event.SerializeToString()) == 1_700_000_000_123_456_789
    assert event_time_ns(_event("process_loader").SerializeToString()) is None
    assert event_time_ns(b"\xff") is None


def test_events_of_an_agent_start_are_recognised() -> None:
    """A starting agent repeats every living process, flagged procFS."""
    event = _event("process_exec")
    event.process_exec.process.flags = "procFS auid rootcwd"
    ordinary = _event("process_exec")
    ordinary.process_exec.process.flags = "execve clone"

    assert is_from_agent_start(event.SerializeToString())
    assert not is_from_agent_start(ordinary.SerializeToString())
    assert not is_from_agent_start(b"\xff")
