"""Digests that name what Tetragon observed, however it was encoded: 16 bytes for each message.

Two messages get one digest if and only if they are equal as protobuf messages, unknown fields included. Fields of one
number keep their order, which has a meaning. docs/decisions/event-id.md says why no digest is taken of the raw bytes.
"""

from functools import lru_cache
from hashlib import blake2b
from struct import Struct
from typing import Any, Final

from google.protobuf.descriptor import Descriptor
from google.protobuf.message import Message
from google.protobuf.unknown_fields import UnknownFieldSet

from agents.canonicalize.unknown_fields import NONE, UnknownFields, unknown_in

DIGEST_BYTES = 16
ABSENT = bytes(DIGEST_BYTES)
"""Stands for a message that was not sent, which is not the same as an empty one."""

TIME: Final = Struct(">?qi")
"""An event's time in an identity: whether it was sent, seconds, nanoseconds."""

_PLAIN = b"\x00"
_WITH_UNKNOWN = b"\x01"


def digest(content: bytes) -> bytes:
    """16-byte BLAKE2b of `content`."""
    return blake2b(content, digest_size=DIGEST_BYTES).digest()


def message_digest(message: Message) -> bytes:
    """Digest of a parsed message, nested unknown fields included. Leaves `message` as it was."""
    return digest_and_unknown(message)[0]


def digest_and_unknown(message: Message) -> tuple[bytes, UnknownFields]:
    """The same, and which fields are unknown."""
    serialized = message.SerializeToString(deterministic=True)
    if _has_unknown(message, len(serialized)):
        return digest(_WITH_UNKNOWN + repr(_normal(message)).encode()), unknown_in(message)
    return digest(_PLAIN + serialized), NONE


def unknown_digest(*messages: Message) -> bytes:
    """Digest of the unknown fields at the top of each message, for callers that hash the known ones themselves."""
    return digest(repr([_unknown(UnknownFieldSet(message)) for message in messages]).encode())


def _has_unknown(message: Message, size: int) -> bool:
    """Whether there are unknown fields at any depth; `size` is what the message takes when it is serialized."""
    if _is_flat(message.DESCRIPTOR):  # a stack's entries, of which there are most
        return len(UnknownFieldSet(message)) > 0
    known = type(message)()
    known.CopyFrom(message)
    known.DiscardUnknownFields()
    return known.ByteSize() != size


@lru_cache(maxsize=256)
def _is_flat(kind: Descriptor) -> bool:
    return all(field.message_type is None for field in kind.fields)


def _normal(message: Message) -> tuple[Any, ...]:
    """Nested tuples with one form for equal messages: known fields by number, then unknown ones by number."""
    known = sorted((field.number, _normal_value(field, value)) for field, value in message.ListFields())
    return (*known, *_unknown(UnknownFieldSet(message)))


def _normal_value(field: Any, value: Any) -> Any:
    if field.message_type is None:
        return list(value) if field.is_repeated else value
    if field.message_type.GetOptions().map_entry:
        return sorted((key, value[key]) for key in value)
    if field.is_repeated:
        return [_normal(item) for item in value]
    return _normal(value)


def _unknown(fields: UnknownFieldSet) -> list[tuple[int, int, Any]]:
    found = []
    for field in fields:  # type: ignore[attr-defined]  # iterable by __len__ and __getitem__
        data = field.data
        nested = _unknown(data) if isinstance(data, UnknownFieldSet) else data
        found.append((field.field_number, field.wire_type, nested))
    return sorted(found, key=lambda item: item[0])
