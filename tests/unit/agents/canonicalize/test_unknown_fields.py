"""Fields of a newer Tetragon are counted, by message and number, and nothing else is done with them."""

from collections.abc import Callable

import pytest
from aiokafka.structs import ConsumerRecord
from google.protobuf.message import Message

from agents.canonicalize.events import Canonicalizer
from agents.canonicalize.outcomes import Canonical
from agents.canonicalize.stage import CanonicalizeStep
from agents.canonicalize.unknown_fields import MAX_NUMBER, message_and_number, unknown_in
from schemas.canonical_pb2 import CanonicalEvent
from schemas.proto_wire import field
from schemas.tetragon.events_pb2 import GetEventsResponse, ProcessKprobe, StackTraceEntry

SECRET = b"what nobody understood"


def _kprobe(change: Callable[[ProcessKprobe], object] = lambda _: None) -> GetEventsResponse:
    event = GetEventsResponse(node_name="n")
    event.time.seconds = 1
    call = event.process_kprobe
    call.process.exec_id, call.process.binary = "e", "/usr/bin/" + "a" * 120
    call.parent.exec_id = "f"
    call.function_name = "tcp_connect"
    call.user_stack_trace.add(module="/usr/lib/libc.so.6", offset=64)
    call.args.add(int_arg=7)
    change(call)
    return event


def _counted(*raw: bytes) -> dict[str, int]:
    """What a step tallies over a batch."""
    step = CanonicalizeStep(Canonicalizer({}))
    records = [
        ConsumerRecord("raw", 0, offset, 0, 0, None, value, None, 0, len(value), ()) for offset, value in enumerate(raw)
    ]
    tally = step(records).tally
    return {label: count for (name, label), count in tally.items() if name == "unknown_fields"}


def test_stack_of_a_newer_agent_s_user_probe_is_counted() -> None:
    """A call without frames is not all that came: field 14 of ProcessUprobe says that there was more."""
    event = GetEventsResponse(node_name="n")
    event.time.seconds = 1
    event.process_uprobe.process.exec_id = "e"
    event.process_uprobe.path, event.process_uprobe.symbol = "/usr/lib/libssl.so.3", "SSL_read"
    entry = StackTraceEntry(offset=4660, symbol="caller", module="/usr/lib/libx.so")
    event.process_uprobe.MergeFromString(field(14, entry))

    assert _counted(event.SerializeToString(), event.SerializeToString()) == {"ProcessUprobe.14": 2}


@pytest.mark.parametrize(
    ("place", "label"),
    [
        (lambda call: call.process, "Process.50"),
        (lambda call: call.parent, "Process.50"),
        (lambda call: call.process.pod.container, "Container.50"),
        (lambda call: call.args[0], "KprobeArgument.50"),
        (lambda call: call.user_stack_trace[0], "StackTraceEntry.50"),
        (lambda call: call.ancestors.add(exec_id="g"), "Process.50"),
        (lambda call: getattr(call, "return"), "KprobeArgument.50"),
        (lambda call: call.data.add(int_arg=1), "KprobeArgument.50"),
        (lambda call: call, "ProcessKprobe.50"),
    ],
)
def test_field_is_counted_wherever_it_is(place: Callable[[ProcessKprobe], Message], label: str) -> None:
    """Once for each event, whether its parts were seen before or not, and its content is nowhere."""
    event = _kprobe(lambda call: place(call).MergeFromString(field(50, SECRET)))
    raw = event.SerializeToString()

    assert unknown_in(event) == (label,)
    assert _counted(raw, _kprobe().SerializeToString(), raw) == {label: 2}
    outcome = Canonicalizer({}).canonicalize(raw, 0, 0, 0)
    assert isinstance(outcome, Canonical)
    assert SECRET not in outcome.value
    assert CanonicalEvent.FromString(outcome.value).stack.frames


def test_field_beside_the_kinds_is_counted() -> None:
    """A kind that this version does not know is a dead letter, and its number is told."""
    event = GetEventsResponse(node_name="n")
    event.MergeFromString(field(50, SECRET))

    assert _counted(event.SerializeToString()) == {"GetEventsResponse.50": 1}
    known = _kprobe()
    known.MergeFromString(field(1010, SECRET))
    assert _counted(known.SerializeToString()) == {"GetEventsResponse.other": 1}


def test_events_of_this_contract_have_none() -> None:
    """Nothing is counted, so nothing is published."""
    assert _counted(_kprobe().SerializeToString()) == {}


def test_numbers_are_bounded() -> None:
    """Each is a series of a metric, and anybody who reaches the agent may send any."""
    event = _kprobe(lambda call: call.MergeFromString(b"".join(field(number, b"x") for number in range(40, 20_000))))

    labels = set(unknown_in(event))

    assert len(labels) == MAX_NUMBER - 40 + 1
    assert message_and_number("ProcessKprobe.other") == ("ProcessKprobe", "other")
