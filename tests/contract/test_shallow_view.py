"""The shallow view of an event has all fields of the full contract under the same numbers."""

from typing import Final, cast

import pytest
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.descriptor_pb2 import DescriptorProto

from schemas import tetragon_parts_pb2
from schemas.tetragon import events_pb2

FULL: Final = cast("Descriptor", events_pb2.GetEventsResponse.DESCRIPTOR)
SHALLOW: Final = cast("Descriptor", tetragon_parts_pb2.GetEventsResponse.DESCRIPTOR)
KINDS: Final = [field.name for field in FULL.oneofs_by_name["event"].fields]
NESTED_IN_BOTH: Final = {*KINDS, "time"}
"""Fields of the envelope that the shallow view decodes: the bodies, and the time, which never repeats."""


def test_envelope_has_the_same_fields() -> None:
    """Fields of GetEventsResponse outside the exceptions are undecoded bytes or the same scalar; none is missing."""
    expected = {field.number: _shallow_form(field) for field in FULL.fields if field.name not in NESTED_IN_BOTH}
    actual = {field.number: _form(field) for field in SHALLOW.fields if field.name not in NESTED_IN_BOTH}

    assert actual == expected


def test_envelope_decodes_the_bodies_and_the_time_only() -> None:
    """The exceptions keep their number and oneof, and are messages in both views."""
    for name in NESTED_IN_BOTH:
        full, shallow = FULL.fields_by_name[name], SHALLOW.fields_by_name[name]

        assert (shallow.number, _oneof(shallow)) == (full.number, _oneof(full))
        assert _message(shallow).name == _message(full).name


@pytest.mark.parametrize("kind", KINDS)
def test_body_has_the_same_fields(kind: str) -> None:
    """Each event body has every field of the full body, sub-messages and maps as bytes."""
    expected = {field.number: _shallow_form(field) for field in _message(FULL.fields_by_name[kind]).fields}
    actual = {field.number: _form(field) for field in _message(SHALLOW.fields_by_name[kind]).fields}

    assert actual == expected


def test_reserved_numbers_are_the_same() -> None:
    """A number that the contract reserves cannot be used in the shallow view either."""
    full, shallow = DescriptorProto(), DescriptorProto()
    FULL.CopyToProto(full)
    SHALLOW.CopyToProto(shallow)

    assert list(shallow.reserved_range) == list(full.reserved_range)


def test_submessages_come_out_as_their_encoding() -> None:
    """A part read through the shallow view is the encoding that the full contract decodes, map entries included."""
    event = events_pb2.GetEventsResponse(node_labels={"zone": "a"})
    event.process_kprobe.process.exec_id = "node:1:2"
    event.process_kprobe.user_stack_trace.add(offset=64, module="/lib/libc.so.6")
    getattr(event.process_kprobe, "return").int_arg = 0
    event.time.seconds = 5

    view = tetragon_parts_pb2.GetEventsResponse.FromString(event.SerializeToString())

    body, full = view.process_kprobe, event.process_kprobe
    assert view.WhichOneof("event") == "process_kprobe"
    assert body.process == full.process.SerializeToString()
    assert list(body.user_stack_trace) == [frame.SerializeToString() for frame in full.user_stack_trace]
    assert [events_pb2.GetEventsResponse.NodeLabelsEntry.FromString(entry).value for entry in view.node_labels] == ["a"]
    assert view.time == event.time


def test_absent_and_empty_submessages_stay_apart() -> None:
    """A return value that was sent but has no content differs from one that was not sent."""
    event = events_pb2.GetEventsResponse()
    getattr(event.process_kprobe, "return").SetInParent()

    view = tetragon_parts_pb2.GetEventsResponse.FromString(event.SerializeToString())

    assert view.process_kprobe.HasField("return")
    assert not view.process_kprobe.HasField("parent")


def test_kinds_of_other_editions_survive_undecoded() -> None:
    """An event kind that the contract reserves leaves the oneof unset and is written back unchanged."""
    unknown = bytes([13 << 3 | 2, 2]) + b"\x08\x01"

    view = tetragon_parts_pb2.GetEventsResponse.FromString(unknown)

    assert view.WhichOneof("event") is None
    assert view.SerializeToString() == unknown


def _message(field: FieldDescriptor) -> Descriptor:
    assert field.message_type is not None, f"{field.full_name} is not a message"
    return field.message_type


def _form(field: FieldDescriptor) -> tuple[str, int, bool, bool, str | None]:
    return (field.name, field.type, field.is_repeated, field.has_presence, _oneof(field))


def _shallow_form(field: FieldDescriptor) -> tuple[str, int, bool, bool, str | None]:
    """The form a field of the full contract has in the shallow view."""
    name, kind, repeated, presence, oneof = _form(field)
    if field.message_type is not None:
        return (name, FieldDescriptor.TYPE_BYTES, repeated, presence, oneof)
    if field.enum_type is not None:
        return (name, FieldDescriptor.TYPE_INT32, repeated, presence, oneof)
    return (name, kind, repeated, presence, oneof)


def _oneof(field: FieldDescriptor) -> str | None:
    """Name of the declared oneof; the synthetic one of an `optional` field does not count."""
    oneof = field.containing_oneof
    return None if oneof is None or oneof.name == f"_{field.name}" else oneof.name
