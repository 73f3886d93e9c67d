"""The views that leave a canonical event's parts undecoded agree with proto/callstream/canonical.proto."""

from typing import cast

import pytest
from google.protobuf.descriptor import Descriptor, FieldDescriptor

from schemas import canonical_parts_pb2, canonical_pb2

PAIRS = [("CanonicalEvent", "CanonicalEventParts"), ("CanonicalStack", "CanonicalStackParts")]


@pytest.mark.parametrize(("whole", "parts"), PAIRS)
def test_view_has_the_same_fields(whole: str, parts: str) -> None:
    """Numbers, names, and how often a field occurs; messages are bytes, enums numbers, and the rest is what it is."""
    full = cast("Descriptor", getattr(canonical_pb2, whole).DESCRIPTOR)
    view = cast("Descriptor", getattr(canonical_parts_pb2, parts).DESCRIPTOR)
    assert {_form(field) for field in view.fields} == {
        (field.number, field.name, _undecoded(field), field.is_repeated) for field in full.fields
    }


def test_view_tells_absent_parts_from_empty_ones() -> None:
    """The parts that may be absent from the public record are optional in the view."""
    view = cast("Descriptor", canonical_parts_pb2.CanonicalEventParts.DESCRIPTOR)
    optional = {field.name for field in view.fields if field.has_presence}
    assert optional == {"tid", "parent", "return_value"}


def _form(field: FieldDescriptor) -> tuple[int, str, int, bool]:
    return field.number, field.name, field.type, field.is_repeated


def _undecoded(field: FieldDescriptor) -> int:
    replaced: dict[int, int] = {
        FieldDescriptor.TYPE_MESSAGE: FieldDescriptor.TYPE_BYTES,
        FieldDescriptor.TYPE_ENUM: FieldDescriptor.TYPE_INT32,
    }
    return replaced.get(field.type, field.type)
