"""The text form of a whole frame."""

from agents.canonicalize.frame_text import FrameText, format_frame_text
from agents.canonicalize.frames import CanonicalFrame, OffsetBasis


def frame_text(frame: CanonicalFrame) -> str:
    """The text form of `frame`."""
    offset = None if frame.offset_basis is OffsetBasis.NONE else frame.offset
    return format_frame_text(FrameText(frame.module, frame.symbol, offset))
