"""The short way for plain kprobe events gives what the long way gives, or nothing."""

import copy
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from agents.canonicalize.events import Canonicalizer
from agents.canonicalize.outcomes import Canonical, Outcome
from schemas.tetragon.events_pb2 import GetEventsResponse
from tests.support.messages import messages, varint


def _long_way(raw: bytes, canonicalizer: Canonicalizer | None = None) -> Outcome:
    """Canonicalize without the short way."""
    slow = canonicalizer or Canonicalizer({})
    slow._plain_kprobe = lambda *_: None
    return slow.canonicalize(raw, 3, 7, 1_700_000_000_000)


def _short_way(raw: bytes) -> Canonical | None:
    return Canonicalizer({})._plain_kprobe(raw, 3, 7) if raw else None


@st.composite
def kprobes(draw: st.DrawFn) -> Any:
    """A kprobe event as Tetragon sends one: with a process, a node, and a time; its body long enough to be one."""
    event = GetEventsResponse(node_name=draw(st.text(min_size=1, max_size=30)))
    event.time.seconds, event.time.nanos = draw(st.integers(1, 4_000_000_000)), draw(st.integers(1, 999_999_999))
    event.node_labels.update(draw(st.dictionaries(st.text(max_size=8), st.text(max_size=8), max_size=2)))
    body = event.process_kprobe
    body.CopyFrom(draw(messages(type(body))))
    body.process.exec_id = draw(st.text(min_size=1, max_size=20))
    body.process.arguments = "a" * draw(st.integers(128, 300))
    return event


@settings(max_examples=300)
@given(event=kprobes())
def test_both_ways_agree_on_every_kprobe(event: GetEventsResponse) -> None:
    """A plain event goes the short way, and comes out as the long way makes it."""
    body = event.process_kprobe
    for who in (body.parent, *body.ancestors):
        who.exec_id = (
            who.exec_id or "0"
        )  # the id of a process without one holds the node, which only the long way joins
    raw = event.SerializeToString(deterministic=True)

    assert _short_way(raw) == _long_way(raw)


@settings(max_examples=300)
@given(event=kprobes(), data=st.data())
def test_both_ways_agree_when_bytes_are_changed(event: GetEventsResponse, data: st.DataObject) -> None:
    """Whatever became of the bytes, the short way says nothing or what the long way says."""
    raw = bytearray(event.SerializeToString(deterministic=True))
    for _ in range(data.draw(st.integers(1, 3))):
        raw[data.draw(st.integers(0, min(len(raw) - 1, 600)))] = data.draw(st.integers(0, 255))
    raw = raw[: data.draw(st.integers(1, len(raw)))] if data.draw(st.booleans()) else raw

    short = _short_way(bytes(raw))

    assert short is None or short == _long_way(bytes(raw))


@given(event=kprobes(), number=st.sampled_from([6, 60, 2_000]), content=st.binary(min_size=1, max_size=8))
def test_a_field_of_a_newer_tetragon_goes_the_long_way(event: GetEventsResponse, number: int, content: bytes) -> None:
    """What the contract does not know is part of the observation, and only the long way sees it."""
    tagged = varint(number << 3 | 2) + varint(len(content)) + content
    inside = copy.deepcopy(event)
    body: Any = inside.process_kprobe
    body.MergeFromString(tagged)
    for raw in (inside.SerializeToString(deterministic=True), event.SerializeToString(deterministic=True) + tagged):
        assert _short_way(raw) is None


@given(events=st.lists(kprobes(), min_size=2, max_size=4))
def test_both_ways_agree_when_caches_are_warm(events: list[GetEventsResponse]) -> None:
    """What earlier events left in the caches changes no later one."""
    quick, slow = Canonicalizer({}), Canonicalizer({})
    for event in (*events, *events):
        raw = event.SerializeToString(deterministic=True)

        assert quick.canonicalize(raw, 3, 7, 1_700_000_000_000) == _long_way(raw, slow)
