"""Events as they go onto the wire, encoded once: gRPC's length-prefixed messages back to back in one buffer.

The five-byte prefix (one byte compressed flag, four bytes big-endian length) is gRPC's PROTOCOL-HTTP2, there called
Length-Prefixed-Message. Where one message ends and the next begins means nothing to HTTP/2, so any slice of the
buffer may become a DATA frame; this makes the server cheap.
"""

from array import array
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import chain, pairwise
from typing import Final

from google.protobuf.message import DecodeError

from app.operators.errors import OperatorError
from schemas.tetragon.events_pb2 import GetEventsResponse as FullEvent
from schemas.tetragon_parts_pb2 import GetEventsResponse

MAX_PAYLOAD_BYTES: Final = 2 * 1024**3
"""Limit of a recording in memory; a longer run repeats a recording."""

NO_KIND: Final = 0
"""The kind of bytes that do not parse or whose event is not in the contract; EventType calls it UNDEF."""

_PREFIX_BYTES: Final = 5
_KINDS: Final = {field.name: field.number for field in FullEvent.DESCRIPTOR.oneofs_by_name["event"].fields}


class RecordingTooLargeError(OperatorError):
    """The events do not fit into MAX_PAYLOAD_BYTES."""

    exit_code = 1


@dataclass(frozen=True, slots=True)
class Recording:
    """Events ready to send."""

    payload: memoryview
    """Length-prefixed messages back to back."""
    ends: "array[int]"
    """For each event the position in `payload` where it ends."""
    kinds: "array[int]"
    """For each event its EventType number, NO_KIND where it has none."""

    @classmethod
    def of(cls, events: Iterable[bytes]) -> "Recording":
        """A recording of `GetEventsResponse` bytes, unchanged and in order. Raises RecordingTooLargeError."""
        return cls._joined((len(event).to_bytes(_PREFIX_BYTES, "big") + event, _kind(event)) for event in events)

    @classmethod
    def _joined(cls, messages: Iterable[tuple[bytes | memoryview, int]]) -> "Recording":
        payload, ends, kinds = bytearray(), array("Q"), array("H")
        for message, kind in messages:
            payload += message
            if len(payload) > MAX_PAYLOAD_BYTES:
                raise RecordingTooLargeError(f"the first {len(ends) + 1} events have over {MAX_PAYLOAD_BYTES} bytes")
            ends.append(len(payload))
            kinds.append(kind)
        return cls(memoryview(payload).toreadonly(), ends, kinds)

    def __len__(self) -> int:
        return len(self.ends)

    def only(self, kinds: frozenset[int]) -> "Recording":
        """The events of these kinds, in order; this recording itself if that is all of them."""
        if kinds.issuperset(self.kinds):
            return self
        places = zip(pairwise(chain((0,), self.ends)), self.kinds, strict=True)
        return self._joined((self.payload[start:end], kind) for (start, end), kind in places if kind in kinds)


def _kind(event: bytes) -> int:
    try:
        name = GetEventsResponse.FromString(event).WhichOneof("event")
    except DecodeError:
        return NO_KIND
    return NO_KIND if name is None else _KINDS[name]
