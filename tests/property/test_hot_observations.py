"""Reading a call part by part says the same as decoding it, whatever was read before."""

from functools import cache
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.hot_symbols.meaning import PLACE_FIELDS, Meaning, Observation
from agents.hot_symbols.observations import CallObserver, Unreadable
from schemas import avro_wire
from schemas.call_layout import CallLayout
from tests.support.calls import EVOLVED, call_schema, calls, encode_call, frame

SCHEMAS = {7: call_schema(), 8: call_schema(EVOLVED), 9: call_schema(("source",))}


@cache
def layout_of(schema_id: int) -> CallLayout | None:
    """Two regular layouts and an irregular one."""
    return CallLayout(schema_id, SCHEMAS[schema_id], PLACE_FIELDS) if schema_id in SCHEMAS else None


def plain(observation: Observation | Unreadable) -> Any:
    """An observation without object identity."""
    if isinstance(observation, Unreadable):
        return observation
    offset, time_ns, evidence, place = observation
    return offset, time_ns, evidence.touches, (place.image, place.namespace, place.workload)


@given(
    written=st.lists(st.tuples(calls(), st.sampled_from([7, 8, 9]), st.booleans()), min_size=1, max_size=12),
    again=st.lists(st.integers(0, 11), max_size=12),
)
def test_any_sequence_of_calls_is_read_as_if_each_were_decoded(
    written: list[tuple[dict[str, Any], int, bool]], again: list[int]
) -> None:
    """Neither what came before, nor the order of fields, nor the form of the arrays changes an observation."""
    observe = CallObserver(layout_of)
    order = [*range(len(written)), *(index % len(written) for index in again)]

    for index in order:
        call, schema_id, sized = written[index]
        value = encode_call(call, schema_id=schema_id, schema=SCHEMAS[schema_id], sized=sized)
        assert plain(observe(value)) == plain(Meaning().observation(call))


@given(call=calls())
def test_equal_evidence_is_one_object(call: dict[str, Any]) -> None:
    """Calls that say the same can be gathered by identity, however they are encoded."""
    observe = CallObserver(layout_of)

    read = [
        observe(encode_call(call, schema_id=schema_id, schema=SCHEMAS[schema_id], sized=sized))
        for schema_id in SCHEMAS
        for sized in (True, False)
    ]

    first = read[0]
    assert not isinstance(first, Unreadable)
    for other in read[1:]:
        assert not isinstance(other, Unreadable)
        assert other[2] is first[2]
        assert other[3] is first[3]


@given(value=st.binary(max_size=60), schema_id=st.sampled_from([7, 8, 9]))
def test_bytes_that_are_no_call_are_refused_as_a_value(value: bytes, schema_id: int) -> None:
    """Nothing that a topic can hold makes the reader raise."""
    observe = CallObserver(layout_of)

    assert isinstance(observe(avro_wire.frame(schema_id) + value), Unreadable)
    assert isinstance(observe(value), Unreadable)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, Unreadable.EMPTY),
        (b"", Unreadable.EMPTY),
        (b"\x01\x00\x00\x00\x07rest", Unreadable.NOT_FRAMED),
        (avro_wire.frame(99) + b"rest", Unreadable.UNKNOWN_SCHEMA),
        (avro_wire.frame(7) + b"\xff" * 30, Unreadable.MALFORMED),
        (encode_call({})[:50], Unreadable.MALFORMED),
    ],
)
def test_reason_for_what_is_no_call(value: bytes | None, reason: Unreadable) -> None:
    """The dead letter says what was wrong."""
    assert CallObserver(layout_of)(value) is reason


@pytest.mark.parametrize("frames", [0, 1, 63, 64, 127, 1024])
@pytest.mark.parametrize("symbol_chars", [3, 300])
def test_stacks_of_any_depth_and_size_are_read(frames: int, symbol_chars: int) -> None:
    """One, two or three bytes of count and size make no difference."""
    stack = [frame("/usr/bin/a", "f" * symbol_chars + str(index), offset=index) for index in range(frames)]
    call = {"stack_frames": stack, "source": {"partition": 0, "offset": 2**40}}

    observation = CallObserver(layout_of)(encode_call(call))

    assert not isinstance(observation, Unreadable)
    assert observation[0] == 2**40
    assert len(observation[2].touches) == frames


@pytest.mark.parametrize("offset", [-1, 0, 63, 64, 8191, 8192, 2**27, 2**63 - 1])
def test_raw_offset_is_read_from_the_end(offset: int) -> None:
    """Every offset is read back, whatever the partition before it looks like."""
    for partition in (-1, 0, 63, 64, 1023):
        call = {"source": {"partition": partition, "offset": offset}}
        observation = CallObserver(layout_of)(encode_call(call))
        assert not isinstance(observation, Unreadable)
        assert observation[0] == offset
