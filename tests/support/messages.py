"""Hypothesis strategies for protobuf messages, made from their descriptors, and other encodings of one message."""

from collections.abc import Iterable
from functools import cache
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from hypothesis import strategies as st

_TEXT = st.text(max_size=12)

_SCALARS: dict[int, st.SearchStrategy[Any]] = {
    FieldDescriptor.TYPE_STRING: _TEXT,
    FieldDescriptor.TYPE_BYTES: st.binary(max_size=12),
    FieldDescriptor.TYPE_BOOL: st.booleans(),
    FieldDescriptor.TYPE_INT32: st.integers(-(2**31), 2**31 - 1),
    FieldDescriptor.TYPE_INT64: st.integers(-(2**63), 2**63 - 1),
    FieldDescriptor.TYPE_UINT32: st.integers(0, 2**32 - 1),
    FieldDescriptor.TYPE_UINT64: st.integers(0, 2**64 - 1),
    FieldDescriptor.TYPE_SFIXED32: st.integers(-(2**31), 2**31 - 1),
    FieldDescriptor.TYPE_SFIXED64: st.integers(-(2**63), 2**63 - 1),
    FieldDescriptor.TYPE_ENUM: st.integers(0, 300),
}
"""Strategy for each scalar type that the contract uses; proto3 enums are open, so any small number may come."""

_SEVERAL_SCALARS = {kind: st.lists(one, max_size=3) for kind, one in _SCALARS.items()}
_MAPS = st.dictionaries(_TEXT, _TEXT, max_size=3)


@st.composite
def messages(
    draw: st.DrawFn, message_class: type[Message], depth: int = 4, without: frozenset[str] = frozenset()
) -> Any:
    """A message with a random choice of its fields set, sub-messages down to `depth`; fields `without` are not set."""
    message = message_class()
    chosen = draw(_chosen_fields(message_class.DESCRIPTOR, without))
    # of the members of a oneof only the last one stays, so that the others need not be drawn
    last = {field.containing_oneof.name: field for field in chosen if field.containing_oneof is not None}
    for field in chosen:
        if field.containing_oneof is None or last[field.containing_oneof.name] is field:
            _set(draw, message, field, depth)
    return message


@cache
def _chosen_fields(descriptor: Any, without: frozenset[str]) -> st.SearchStrategy[list[Any]]:
    fields = [field for field in descriptor.fields if field.name not in without]
    return (
        st.lists(st.sampled_from(fields), unique_by=lambda field: field.number, max_size=8) if fields else st.just([])
    )


@cache
def _nested(message_class: Any, depth: int) -> st.SearchStrategy[Any]:
    return messages(message_class, depth)


@cache
def _several(message_class: Any, depth: int) -> st.SearchStrategy[list[Any]]:
    return st.lists(_nested(message_class, depth), max_size=3)


def _set(draw: st.DrawFn, message: Any, field: Any, depth: int) -> None:
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        getattr(message, field.name).update(draw(_MAPS))
    elif field.message_type is not None:
        if depth == 0:
            return
        nested = field.message_type._concrete_class
        if field.is_repeated:
            getattr(message, field.name).extend(draw(_several(nested, depth - 1)))
        else:
            getattr(message, field.name).CopyFrom(draw(_nested(nested, depth - 1)))
    elif field.is_repeated:
        getattr(message, field.name).extend(draw(_SEVERAL_SCALARS[field.type]))
    else:
        setattr(message, field.name, draw(_SCALARS[field.type]))


def other_encoding(message: Message) -> bytes:
    """The same message written as another writer might: fields last to first, singular sub-messages in two pieces.

    Repeated fields keep their order, which has a meaning; map entries do not.
    """
    pieces: list[bytes] = []
    for field, value in reversed(message.ListFields()):
        pieces += _pieces(type(message), field, value)
    return b"".join(pieces)


def _pieces(message_class: type[Message], field: Any, value: Any) -> Iterable[bytes]:
    if field.message_type is None:
        yield _with(message_class, field, value).SerializeToString()
    elif field.message_type.GetOptions().map_entry:
        for key in sorted(value, reverse=True):
            yield _with(message_class, field, {key: value[key]}).SerializeToString()
    elif field.is_repeated:
        for item in value:
            yield _framed(field.number, other_encoding(item))
    else:
        yield from _in_two_pieces(field, value)


def _in_two_pieces(field: Any, value: Message) -> Iterable[bytes]:
    """A singular sub-message as two of them, which a parser merges; a member of a oneof stays whole."""
    fields = value.ListFields()
    if len(fields) < 2 or any(member.containing_oneof for member, _ in fields):
        yield _framed(field.number, other_encoding(value))
        return
    first = type(value)()
    first.CopyFrom(value)
    last = fields[-1][0].name
    first.ClearField(last)
    second = type(value)()
    second.CopyFrom(value)
    for member, _ in fields[:-1]:
        second.ClearField(member.name)
    yield _framed(field.number, other_encoding(second))
    yield _framed(field.number, other_encoding(first))


def _with(message_class: type[Message], field: Any, value: Any) -> Message:
    message = message_class()
    if field.message_type is not None:
        getattr(message, field.name).update(value)
    elif field.is_repeated:
        getattr(message, field.name).extend(value)
    else:
        setattr(message, field.name, value)
    return message


def _framed(number: int, content: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(content)) + content


def varint(value: int) -> bytes:
    """Protobuf's base-128 encoding of an unsigned integer."""
    out = bytearray()
    while True:
        out.append(value & 0x7F | (0x80 if value > 0x7F else 0))
        value >>= 7
        if not value:
            return bytes(out)
