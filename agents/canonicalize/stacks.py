"""Makes one stack of a kprobe event's two stack lists.

Tetragon sends both lists innermost frame first; the canonical stack is the kernel frames, then the user frames.
Tetragon leaves out frames that it could not resolve, so a frame's index is not its depth. A function that was inlined
has no entry; our index gives it a frame before that of the function around it. Stacks are many and frames are few, so a
new stack is put together from remembered frames.
"""

from collections import Counter
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from agents.canonicalize.frames import (
    CanonicalFrame,
    FrameResolution,
    FrameResolver,
    OffsetBasis,
    canonicalize_frame,
    inlined_frames,
)
from agents.canonicalize.identity import digest, digest_and_unknown
from agents.canonicalize.unknown_fields import NONE, UnknownFields
from agents.memo import Lookup
from schemas import canonical_pb2 as canonical
from schemas import proto_wire
from schemas.tetragon.events_pb2 import StackTraceEntry

KERNEL: Final = 1
INNERMOST: Final = 2

FrameKey = tuple[int, int, bytes]
"""Number of the context (modules.py) that resolves, KERNEL and INNERMOST as bits, and an encoded `StackTraceEntry`."""

StackKey = tuple[int, tuple[bytes, ...], tuple[bytes, ...]]
"""Number of the context, and encoded entries: kernel list, user list."""


class FramePart(NamedTuple):
    """The frames of one entry, encoded for CanonicalStack; the digest of the entry; how each frame was resolved.

    There is one frame, and before it one for each function that was inlined there.
    """

    digest: bytes
    field: bytes
    resolutions: tuple[str, ...]
    unknown: UnknownFields


@dataclass(frozen=True, slots=True)
class StackPart:
    """A stack, encoded for the event; the digest of Tetragon's two lists; how many frames have each resolution."""

    digest: bytes
    field: bytes
    resolutions: tuple[tuple[str, int], ...]
    unknown: UnknownFields = NONE


def empty_stack(snapshot: bytes) -> StackPart:
    """The part of an event without frames: it may say a snapshot, for what else was named."""
    return StackPart(digest=digest(b""), field=_stack_field(_snapshot_field(snapshot)), resolutions=())


def frame_part(kind: int, encoded: bytes, resolver: FrameResolver) -> FramePart:
    """Parse and canonicalize one entry; `kind` is KERNEL, INNERMOST, both (`|`) or 0.

    Raises google.protobuf.message.DecodeError where the bytes are not a StackTraceEntry.
    """
    entry = StackTraceEntry.FromString(encoded)
    frame = canonicalize_frame(
        entry.offset,
        entry.symbol,
        entry.module,
        is_kernel=bool(kind & KERNEL),
        is_innermost=bool(kind & INNERMOST),
        resolver=resolver,
    )
    found, unknown = digest_and_unknown(entry)
    encoded = _frame_field(frame)
    if not frame.inlined:
        return FramePart(found, encoded, (frame.resolution.value,), unknown)
    inlined = inlined_frames(frame)
    resolutions = (*[one.resolution.value for one in inlined], frame.resolution.value)
    return FramePart(found, b"".join([*map(_frame_field, inlined), encoded]), resolutions, unknown)


def stack_part(key: StackKey, frames: Lookup[FrameKey, FramePart], snapshot: bytes) -> StackPart:
    """Put both lists together from their frames, with the snapshot that named them; empty bytes where no store is.

    Raises what `frame_part` raises.
    """
    context, kernel, user = key
    parts: list[FramePart] = []
    for kind, entries in ((KERNEL, kernel), (0, user)):
        if entries:
            parts.append(frames[context, kind | INNERMOST, entries[0]])
            parts += [frames[context, kind, encoded] for encoded in entries[1:]]
    counts = Counter([resolution for part in parts for resolution in part.resolutions])
    return StackPart(
        digest=digest(len(kernel).to_bytes(4, "big") + b"".join([part.digest for part in parts])),
        field=_stack_field(b"".join([part.field for part in parts]) + _snapshot_field(snapshot)),
        resolutions=tuple(sorted(counts.items())),
        unknown=tuple(name for part in parts for name in part.unknown),
    )


_FRAMES: Final = canonical.CanonicalStack.FRAMES_FIELD_NUMBER
_BASES: Final[dict[OffsetBasis, Any]] = {
    basis: canonical.OffsetBasis.Value(f"OFFSET_BASIS_{basis.name}") for basis in OffsetBasis
}
_RESOLUTIONS: Final[dict[FrameResolution, Any]] = {
    resolution: canonical.FrameResolution.Value(f"FRAME_RESOLUTION_{resolution.name}") for resolution in FrameResolution
}


def _stack_field(content: bytes) -> bytes:
    return proto_wire.field(canonical.CanonicalEvent.STACK_FIELD_NUMBER, content) if content else b""


def _snapshot_field(snapshot: bytes) -> bytes:
    return proto_wire.field(canonical.CanonicalStack.SNAPSHOT_FIELD_NUMBER, snapshot) if snapshot else b""


def _frame_field(frame: CanonicalFrame) -> bytes:
    return proto_wire.field(_FRAMES, _frame_message(frame))


def _frame_message(frame: CanonicalFrame) -> canonical.CanonicalFrame:
    message = canonical.CanonicalFrame(
        module=frame.module,
        symbol=frame.symbol,
        offset=frame.offset,
        is_kernel_space=frame.is_kernel_space,
        source_file=frame.source_file or "",
        build_id=frame.build_id or "",
        offset_basis=_BASES[frame.offset_basis],
        resolution=_RESOLUTIONS[frame.resolution],
        symbol_hint=frame.symbol_hint or "",
    )
    if frame.line_number is not None:
        message.line_number = frame.line_number
    return message
