"""Reading a call part by part says the same as decoding it, whatever was read before."""

from collections.abc import Sequence
from functools import cache
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.hot_symbols.reading.gathering import Gathered, Unreadable
from agents.hot_symbols.reading.meaning import PLACE_FIELDS, Meaning, Observation
from agents.hot_symbols.reading.observations import CallObserver, CallReader
from agents.hot_symbols.reading.times import event_id_of, time_of
from schemas import avro_wire
from schemas.call_layout import CallLayout
from tests.support.calls import EVOLVED, call_schema, calls, encode_call, frame
from tests.support.hot_world import Stored

PARTITION = 3
SCHEMAS = {7: call_schema(), 8: call_schema(EVOLVED), 9: call_schema(("source",))}


@cache
def layout_of(schema_id: int) -> CallLayout | None:
    """Two regular layouts and an irregular one."""
    return CallLayout(schema_id, SCHEMAS[schema_id], PLACE_FIELDS) if schema_id in SCHEMAS else None


Plain = tuple[int, int, str, Any, Any]
"""Raw offset, time, event id, touches, and place: an observation without object identity."""


def plain(observation: Observation) -> Plain:
    """An observation without object identity."""
    offset, time_ns, event_id, evidence, place = observation
    return offset, time_ns, event_id, evidence.touches, (place.image, place.namespace, place.workload)


def batch(values: Sequence[bytes | None], first: int = 100) -> list[Stored]:
    """Records with these values."""
    return [Stored("calls", PARTITION, first + index, 5, None, value) for index, value in enumerate(values)]


def gathered(reader: CallReader, values: Sequence[bytes | None], *, cut: int = 100) -> Gathered:
    """What a reader gathers from records of one partition, so many at a time."""
    found, stored = Gathered(PARTITION), batch(values)
    for at in range(0, len(stored), cut):
        reader.gather(stored[at : at + cut], found)
    return found


def in_order(found: Gathered) -> list[Plain]:
    """The observations that were gathered, by raw offset."""
    return sorted(
        plain((offset, time_of(moment), event_id_of(moment), evidence, place))
        for (evidence, place), sightings in found.kinds.items()
        for moment, offset in zip(sightings.moments, sightings.offsets, strict=True)
    )


@given(
    written=st.lists(st.tuples(calls(), st.sampled_from([7, 8, 9]), st.booleans()), min_size=1, max_size=12),
    again=st.lists(st.integers(0, 11), max_size=12),
    cut=st.integers(1, 12),
)
def test_any_sequence_of_calls_is_gathered_as_if_each_were_decoded(
    written: list[tuple[dict[str, Any], int, bool]], again: list[int], cut: int
) -> None:
    """Neither what came before, the cut into batches, the order of fields nor the form of arrays changes anything."""
    order = [*range(len(written)), *(index % len(written) for index in again)]
    values, plainly = list[bytes](), Gathered(PARTITION)
    for index in order:
        call, schema_id, sized = written[index]
        values.append(encode_call(call, schema_id=schema_id, schema=SCHEMAS[schema_id], sized=sized))
        plainly.note(batch(values)[-1], Meaning().observation(call))
    found = gathered(CallReader(layout_of), values, cut=cut)

    assert in_order(found) == in_order(plainly)
    assert (found.counted, found.repeated, found.highest) == (plainly.counted, plainly.repeated, plainly.highest)
    assert found.refusals == plainly.refusals


@given(call=calls())
def test_equal_evidence_is_one_kind(call: dict[str, Any]) -> None:
    """Calls that say the same are gathered in one place, however they are encoded."""
    values: list[bytes | None] = []
    for schema_id, schema in SCHEMAS.items():
        for sized in (True, False):
            source = {"partition": PARTITION, "offset": len(values)}
            values.append(encode_call(call | {"source": source}, schema_id=schema_id, schema=schema, sized=sized))

    assert len(gathered(CallReader(layout_of), values).kinds) == 1


@given(value=st.binary(max_size=60), schema_id=st.sampled_from([7, 8, 9]))
def test_bytes_that_are_no_call_are_refused_as_a_value(value: bytes, schema_id: int) -> None:
    """Nothing that a topic can hold makes the reader raise."""
    found = gathered(CallReader(layout_of), [avro_wire.schema_header(schema_id) + value, value])

    assert [refused.offset for refused in found.refusals] == [100, 101]
    assert not found.kinds


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, Unreadable.EMPTY),
        (b"", Unreadable.EMPTY),
        (b"\x01\x00\x00\x00\x07rest", Unreadable.NOT_FRAMED),
        (avro_wire.schema_header(99) + b"rest", Unreadable.UNKNOWN_SCHEMA),
        (avro_wire.schema_header(7) + b"\xff" * 30, Unreadable.MALFORMED),
        (encode_call({})[:50], Unreadable.MALFORMED),
        (encode_call({"source": {"partition": PARTITION, "offset": 7}})[:-2], Unreadable.MALFORMED),
        (encode_call({"source": {"partition": PARTITION, "offset": -1}}), Unreadable.NO_RAW_POSITION),
    ],
)
def test_reason_for_what_is_no_call(value: bytes | None, reason: Unreadable) -> None:
    """The dead letter says what was wrong, and regular calls around it count."""
    regular = [encode_call({"source": {"partition": PARTITION, "offset": offset}}) for offset in range(2)]
    found = gathered(CallReader(layout_of), [regular[0], value, regular[1]])

    assert [(refused.offset, refused.reason) for refused in found.refusals] == [(101, reason)]
    assert (found.counted, found.repeated, found.highest) == (2, 0, 1)


@given(written=st.lists(st.tuples(calls(), st.sampled_from([7, 8, 9])), min_size=1, max_size=6))
def test_calls_are_read_one_by_one_too(written: list[tuple[dict[str, Any], int]]) -> None:
    """An observer says of each call what decoding it says; without a raw position it is not a call."""
    observe = CallObserver(layout_of)
    for call, schema_id in written:
        seen = observe(encode_call(call, schema_id=schema_id, schema=SCHEMAS[schema_id]))
        if isinstance(seen, Unreadable):
            assert (seen, call["source"]["offset"] < 0) == (Unreadable.NO_RAW_POSITION, True)
        else:
            assert plain(seen) == plain(Meaning().observation(call))


@pytest.mark.parametrize("frames", [0, 1, 63, 64, 127, 1024])
@pytest.mark.parametrize("symbol_chars", [3, 300])
def test_stacks_of_any_depth_and_size_are_read(frames: int, symbol_chars: int) -> None:
    """One, two or three bytes of count and size make no difference."""
    stack = [frame("/usr/bin/a", "f" * symbol_chars + str(index), offset=index) for index in range(frames)]
    call = {"stack_frames": stack, "source": {"partition": PARTITION, "offset": 2**40}}

    [(offset, _, _, touches, _)] = in_order(gathered(CallReader(layout_of), [encode_call(call)]))

    assert offset == 2**40
    assert len(touches) == frames


@pytest.mark.parametrize("offset", [0, 63, 64, 8191, 8192, 2**27, 2**63 - 1])
@pytest.mark.parametrize("partition", [-1, 0, PARTITION, 63, 64, 1023])
def test_raw_offset_is_read_from_the_end(offset: int, partition: int) -> None:
    """Every offset is read back, whatever the partition before it looks like."""
    value = encode_call({"source": {"partition": partition, "offset": offset}})

    assert [found[0] for found in in_order(gathered(CallReader(layout_of), [value]))] == [offset]
