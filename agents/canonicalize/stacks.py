"""Where it came from: the two stack lists of a kprobe event become one stack part.

Tetragon sends both lists innermost frame first; the canonical stack is the kernel frames, then the user frames. Frames
that Tetragon could not resolve it skips without a word, so a frame's index is not its depth. This module refuses to
know how a frame is resolved (frames.py) and what else the event holds.
"""

from collections import Counter
from dataclasses import dataclass

from agents.canonicalize import wire
from agents.canonicalize.frames import CanonicalFrame, FrameResolver, canonicalize_frame
from agents.canonicalize.identity import digest, message_digest
from schemas import canonical_pb2 as canonical
from schemas.tetragon.events_pb2 import StackTraceEntry

StackKey = tuple[int, tuple[bytes, ...], tuple[bytes, ...]]
"""Number of the context (modules.py) that resolves, and encoded `StackTraceEntry`s: kernel list, user list."""


@dataclass(frozen=True, slots=True)
class StackPart:
    """A framed stack, the digest of the lists as sent, and how many frames have each resolution."""

    digest: bytes
    framed: bytes
    resolutions: tuple[tuple[str, int], ...]


EMPTY_STACK = StackPart(digest=digest(b""), framed=b"", resolutions=())


def stack_part(kernel: tuple[bytes, ...], user: tuple[bytes, ...], resolver: FrameResolver | None = None) -> StackPart:
    """Parse and canonicalize both lists of encoded entries.

    Raises google.protobuf.message.DecodeError where an entry is no StackTraceEntry.
    """
    frames: list[CanonicalFrame] = []
    digests: list[bytes] = []
    for is_kernel, entries in ((True, kernel), (False, user)):
        for index, encoded in enumerate(entries):
            entry = StackTraceEntry.FromString(encoded)
            digests.append(message_digest(entry))
            frames.append(
                canonicalize_frame(
                    entry.offset,
                    entry.symbol,
                    entry.module,
                    is_kernel=is_kernel,
                    is_innermost=index == 0,
                    resolver=resolver,
                )
            )
    part = canonical.CanonicalStack(frames=map(_frame_message, frames))
    counts = Counter(frame.resolution.value for frame in frames)
    return StackPart(
        digest=digest(len(kernel).to_bytes(4, "big") + b"".join(digests)),
        framed=wire.framed(wire.STACK, part),
        resolutions=tuple(sorted(counts.items())),
    )


def _frame_message(frame: CanonicalFrame) -> canonical.CanonicalFrame:
    message = canonical.CanonicalFrame(
        module=frame.module,
        symbol=frame.symbol,
        offset=frame.offset,
        is_kernel_space=frame.is_kernel_space,
        source_file=frame.source_file or "",
        build_id=frame.build_id or "",
        offset_basis=f"OFFSET_BASIS_{frame.offset_basis.name}",
        resolution=f"FRAME_RESOLUTION_{frame.resolution.name}",
        symbol_hint=frame.symbol_hint or "",
    )
    if frame.line_number is not None:
        message.line_number = frame.line_number
    return message
