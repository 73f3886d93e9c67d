"""agents/privacy/repeats.py: an event that repeats another leaves as it would have left alone."""

from collections.abc import Iterator

import pytest

from agents.canonicalize.events import Canonicalizer
from agents.canonicalize.outcomes import Canonical
from agents.privacy.calls import FilteredCall, PrivacyFilter
from agents.privacy.policy_file import built_in_policy
from agents.privacy.redaction.engine import RedactionEngine
from agents.privacy.repeats import MAX_EVENTS, Repeated, RepeatedEvents, head_of, tail_of
from app.simulator.workload.generator import Workload, WorkloadOptions
from schemas import records
from schemas.avro_wire import schema_header
from schemas.canonical_pb2 import CanonicalEvent

_POLICY = built_in_policy("default")
_ENGINE = RedactionEngine(_POLICY.choices)
"""One for all tests, because compiling its patterns takes longer than a test."""


def _filter() -> PrivacyFilter:
    """A filter that remembers nothing: its engine forgot all texts, and its other caches are new."""
    _ENGINE.forget()
    return PrivacyFilter(_POLICY, _ENGINE)


def _canonical(events: int, *, first_offset: int, partition: int) -> Iterator[bytes]:
    canonicalizer = Canonicalizer({})
    for number, raw in enumerate(Workload(WorkloadOptions(events=events)).events()):
        outcome = canonicalizer.canonicalize(raw, partition, first_offset + number, 0)
        if isinstance(outcome, Canonical):
            yield outcome.value


def test_repeated_event_leaves_byte_for_byte_as_it_would_have_left_alone() -> None:
    """With another id, time and position, and with what was remembered for the first one."""
    remembering = PrivacyFilter(_POLICY, RedactionEngine(_POLICY.choices))  # its memory must outlive the others
    for canonical in _canonical(400, first_offset=0, partition=0):
        remembering.filter(canonical)
    for canonical in _canonical(400, first_offset=70_000, partition=3):
        assert remembering.filter(canonical) == _filter().filter(canonical)


@pytest.mark.parametrize("position", [(0, 0), (3, 1 << 40)])
def test_call_of_a_repeated_event_has_its_own_id_time_and_position(position: tuple[int, int]) -> None:
    """What the head says, and nothing of the event that was remembered."""
    remembering = _filter()
    first = next(_canonical(1, first_offset=7, partition=1))
    assert isinstance(remembering.filter(first), FilteredCall)
    event = CanonicalEvent.FromString(first)
    head = b"\x0a\x10" + bytes(range(16)) + b"\x11" + (1_700_000_000_000_000_001).to_bytes(8, "little")
    head += b"\x19" + position[1].to_bytes(8, "little") + b"\x25" + position[0].to_bytes(4, "little")
    outcome = remembering.filter(head + tail_of(first))
    assert isinstance(outcome, FilteredCall)
    call = records.decode(records.CALL, schema_header(0) + outcome.body)
    assert (call["event_id"], call["timestamp_ns"]) == (bytes(range(16)).hex(), 1_700_000_000_000_000_001)
    assert (call["source"]["partition"], call["source"]["offset"]) == position
    assert outcome.raw_offset == position[1]
    assert call["process"]["process_id"] == event.process.process_id


def test_event_without_a_head_of_fixed_width_is_filtered_all_the_same() -> None:
    """Another writer may leave out what is zero; such an event has no tail to go by."""
    event = CanonicalEvent(event_id=bytes(16), timestamp_ns=5)
    event.process.process_id = "p"
    plain = event.SerializeToString()
    assert head_of(plain) is None
    outcome = _filter().filter(plain)
    assert isinstance(outcome, FilteredCall)
    assert outcome.key == b"p"


def test_event_that_says_its_id_twice_is_not_remembered() -> None:
    """The last one counts for protobuf, so the head does not say what the call says."""
    remembering = _filter()
    first = next(_canonical(1, first_offset=7, partition=1))
    twice = first + b"\x0a\x10" + bytes(16)
    assert remembering.filter(twice) == remembering.filter(twice)
    other = bytearray(twice)
    other[20] ^= 1  # its time
    assert remembering.filter(bytes(other)) == _filter().filter(bytes(other))


def test_what_is_remembered_is_bounded() -> None:
    """Two generations, and what is looked up moves to the young one."""
    repeats, repeated = RepeatedEvents(), Repeated(b"", b"", (), 0)
    for number in range(3 * MAX_EVENTS):
        repeats.find(b"kept")
        repeats.remember(b"kept" if number == 0 else str(number).encode(), repeated)
    assert repeats.find(b"kept") is repeated
    assert repeats.find(b"1") is None
    assert len(repeats._young) + len(repeats._old) <= 2 * MAX_EVENTS
