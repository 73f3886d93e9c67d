"""The canonicalize stage over arbitrary events and arbitrary bytes."""

import copy
from typing import Any

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from agents.canonicalize.events import Canonicalizer
from agents.canonicalize.frames import FrameResolution
from agents.canonicalize.outcomes import Canonical, EventRefusal, NotACall, Outcome
from schemas.canonical_pb2 import CanonicalEvent
from schemas.tetragon.events_pb2 import GetEventsResponse
from tests.support.messages import messages, other_encoding, varint

_CALLS = (
    "process_exec",
    "process_exit",
    "process_kprobe",
    "process_tracepoint",
    "process_uprobe",
    "process_lsm",
    "process_usdt",
)


def _canonicalize(raw: bytes, *, offset: int = 7) -> Outcome:
    return Canonicalizer({}).canonicalize(raw, partition=3, offset=offset, receipt_ms=1_700_000_000_000)


_OWN = frozenset({"time", *(field.name for field in GetEventsResponse.DESCRIPTOR.oneofs_by_name["event"].fields)})


@st.composite
def calls(draw: st.DrawFn, kinds: tuple[str, ...] = _CALLS) -> Any:
    """An event that is a call: one of `kinds`, a process, and a time that is one."""
    event = draw(messages(GetEventsResponse, without=_OWN))
    kind = draw(st.sampled_from(kinds))
    body = getattr(event, kind)
    body.CopyFrom(draw(messages(type(body))))
    body.process.exec_id = draw(st.text(min_size=1, max_size=20))
    if kind == "process_exit":
        body.ClearField("time")
    event.time.seconds = draw(st.integers(0, 4_000_000_000))
    event.time.nanos = draw(st.integers(0, 999_999_999))
    return event


def _event_id(raw: bytes) -> bytes:
    outcome = _canonicalize(raw)
    assert isinstance(outcome, Canonical), outcome
    return outcome.event_id


@given(raw=st.binary(max_size=400))
def test_canonicalize_never_raises_when_given_arbitrary_bytes(raw: bytes) -> None:
    """Garbage is refused with a reason, whatever it is."""
    assert isinstance(_canonicalize(raw), Canonical | NotACall | EventRefusal)


@given(event=calls(), cut=st.integers(1, 200))
def test_canonicalize_never_raises_when_an_event_is_cut_off(event: GetEventsResponse, cut: int) -> None:
    """A truncated event is refused or is a smaller event, and never an exception."""
    assert isinstance(_canonicalize(event.SerializeToString()[:-cut]), Canonical | NotACall | EventRefusal)


@given(event=calls())
def test_canonical_event_decodes_when_the_raw_one_is_a_call(event: GetEventsResponse) -> None:
    """What the fast writer lays out is a CanonicalEvent to the generated class, without a field unknown to it."""
    outcome = _canonicalize(event.SerializeToString())

    assert isinstance(outcome, Canonical)
    decoded = CanonicalEvent.FromString(outcome.value)
    assert decoded.event_id == outcome.event_id
    assert decoded.timestamp_ns == event.time.seconds * 1_000_000_000 + event.time.nanos
    assert (decoded.raw_partition, decoded.raw_offset) == (3, 7)
    before = decoded.SerializeToString()
    decoded.DiscardUnknownFields()
    assert decoded.SerializeToString() == before


@settings(max_examples=200)
@given(event=calls())
def test_event_id_stays_when_the_event_is_encoded_another_way(event: GetEventsResponse) -> None:
    """Field order, map order and split sub-messages are not part of the observation."""
    plain = event.SerializeToString(deterministic=True)
    other = other_encoding(event)
    assume(GetEventsResponse.FromString(other) == event)

    assert _event_id(other) == _event_id(plain)
    outcome, other_outcome = _canonicalize(plain), _canonicalize(other)
    assert isinstance(outcome, Canonical)
    assert isinstance(other_outcome, Canonical)
    assert other_outcome.value == outcome.value


@settings(max_examples=200)
@given(event=calls(), other=calls())
def test_event_id_differs_when_anything_differs(event: GetEventsResponse, other: GetEventsResponse) -> None:
    """Two observations that differ in anything that was sent have two ids."""
    assume(event != other)

    assert _event_id(event.SerializeToString()) != _event_id(other.SerializeToString())


@settings(max_examples=200)
@given(event=calls(), data=st.data())
def test_event_id_differs_when_one_field_is_cleared(event: GetEventsResponse, data: st.DataObject) -> None:
    """Every single field counts, also those that no later stage sees."""
    changed = copy.deepcopy(event)
    kind = changed.WhichOneof("event")
    assert kind is not None
    body: Any = getattr(changed, kind)
    owners = [(changed, {"time", kind}), (body, {"process"}), (body.process, {"exec_id"})]
    candidates = [
        (owner, field.name) for owner, kept in owners for field, _ in owner.ListFields() if field.name not in kept
    ]
    assume(candidates)
    owner, name = data.draw(st.sampled_from(candidates))
    owner.ClearField(name)

    assert _event_id(changed.SerializeToString()) != _event_id(event.SerializeToString())


@given(event=calls(), number=st.sampled_from([2_000, 3_000]), content=st.binary(min_size=1, max_size=8))
def test_event_id_differs_when_a_newer_tetragon_adds_a_field(
    event: GetEventsResponse, number: int, content: bytes
) -> None:
    """A field that this contract does not know is part of the observation, at any depth."""
    plain = event.SerializeToString()
    tagged = _length_delimited(number, content)
    kind = event.WhichOneof("event")
    assert kind is not None
    body: Any = getattr(event, kind)
    in_process = copy.deepcopy(event)
    getattr(in_process, kind).process.MergeFromString(tagged)
    body.MergeFromString(tagged)

    ids = {_event_id(plain), _event_id(plain + tagged), _event_id(event.SerializeToString())}
    ids.add(_event_id(in_process.SerializeToString()))

    assert len(ids) == 4


@given(event=calls())
def test_unknown_fields_in_any_order_give_one_id(event: GetEventsResponse) -> None:
    """The order in which a newer Tetragon writes its fields is not part of the observation."""
    plain = event.SerializeToString()
    one, two = _length_delimited(2_000, b"a"), _length_delimited(3_000, b"b")

    assert _event_id(plain + one + two) == _event_id(two + plain + one)


@given(event=calls())
def test_event_id_is_independent_of_position_and_cache_state(event: GetEventsResponse) -> None:
    """A replay at other offsets, with cold or warm caches, gives the same id."""
    raw = event.SerializeToString()
    canonicalizer = Canonicalizer({})

    first = canonicalizer.canonicalize(raw, 0, 1, 5)
    again = canonicalizer.canonicalize(raw, 9, 2, 6)

    assert isinstance(first, Canonical)
    assert isinstance(again, Canonical)
    assert first.event_id == again.event_id


@given(event=calls(("process_kprobe",)), address=st.integers(1, 2**64 - 1))
def test_stack_is_independent_of_addresses(event: GetEventsResponse, address: int) -> None:
    """ASLR never enters the canonical form: the frames stay when addresses are exposed or change."""
    moved = copy.deepcopy(event)
    for entries in (moved.process_kprobe.kernel_stack_trace, moved.process_kprobe.user_stack_trace):
        for entry in entries:
            entry.address = address

    assert _stack(moved) == _stack(event)


@given(event=calls())
def test_every_frame_is_graded(event: GetEventsResponse) -> None:
    """The grades counted for metrics are those in the frames, one each."""
    outcome = _canonicalize(event.SerializeToString())

    assert isinstance(outcome, Canonical)
    frames = CanonicalEvent.FromString(outcome.value).stack.frames
    assert sum(count for _, count in outcome.resolutions) == len(frames)
    assert {name for name, _ in outcome.resolutions} <= {resolution.value for resolution in FrameResolution}


def _stack(event: GetEventsResponse) -> object:
    outcome = _canonicalize(event.SerializeToString())
    assert isinstance(outcome, Canonical)
    return CanonicalEvent.FromString(outcome.value).stack


def _length_delimited(number: int, content: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(content)) + content
