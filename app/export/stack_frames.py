"""Stack frames as exports show them: their order, how sure each name is, and the name.

Frames of one function are one frame, whatever their offset in it. A frame without a name keeps its file offset, because
two of them may be two functions. A name that nothing confirms ends with `?`. A frame without a name is shown as a place
in a file, so no text makes an unknown frame look known.
"""

import enum
from collections.abc import Callable
from typing import Final, NamedTuple

from agents.canonicalize.frame_text import join_frame_text
from agents.hot_symbols.reading.evidence import CONFIRMED, RESOLUTIONS

_SURE: Final = frozenset(RESOLUTIONS[index] for index in CONFIRMED)

PROBE: Final = "Probe"
"""The resolution of a frame that is known because a user probe on its function fired."""

NO_FILE: Final = "(unknown)"
"""The module of a frame whose module is not known either."""

_BINARY: Final = "Binary"
_CUT: Final = "Cut"


class Sureness(enum.Enum):
    """How far the name of a frame can be trusted."""

    SURE = "sure"  # our index of exactly this file, the kernel's own table or a probe that fired names the function
    NAMED = "named"  # there is a name, and nothing confirms it
    UNKNOWN = "unknown"  # nothing names the function
    NONE = "none"  # not a frame: the executed file at the root, or the mark of a stack that is cut short


class StackFrame(NamedTuple):
    """A frame as the exports tell frames apart. A tuple: it is compared and looked up for every new stack.

    `symbol` is mangled; empty where only `hint` or nothing names the function, and then `offset` is the file offset
    if there is one. `resolution` is a symbol of the Avro enum FrameResolution, or PROBE.
    """

    module: str
    symbol: str = ""
    hint: str = ""
    offset: int | None = None
    build_id: str = ""
    resolution: str = "Unknown"
    is_kernel_space: bool = False

    @property
    def sureness(self) -> Sureness:
        """How far the name can be trusted."""
        if self.resolution in {_BINARY, _CUT}:
            return Sureness.NONE
        if self.symbol and (self.resolution in _SURE or self.resolution == PROBE):
            return Sureness.SURE
        return Sureness.NAMED if self.symbol or self.hint else Sureness.UNKNOWN

    @property
    def is_binary(self) -> bool:
        """Whether it is the executed file at the root."""
        return self.resolution == _BINARY

    @property
    def is_cut(self) -> bool:
        """Whether it is the mark of a stack that is cut short."""
        return self.resolution == _CUT

    @property
    def order(self) -> tuple[str, ...]:
        """The sort key of frames, so that results do not depend on the order of reading."""
        offset = "" if self.offset is None else f"{self.offset:016x}"
        return self.module, self.symbol, self.hint, offset, self.build_id, self.resolution, str(self.is_kernel_space)


def binary_frame(path: str) -> StackFrame:
    """The root of a process's stacks: the file that it executes."""
    return StackFrame(path or "(no binary)", resolution=_BINARY)


CUT: Final = StackFrame("(more stacks than an export holds)", resolution=_CUT)
"""Stands for all frames from here inwards, if a tree has no room for more."""

Demangle = Callable[[str], str]
"""A symbol as people read it; makes text printable too."""


def name_of(frame: StackFrame, demangle: Demangle) -> str:
    """The frame's function without its module; a place in a file if it has no name."""
    match frame.sureness:
        case Sureness.SURE:
            return demangle(frame.symbol)
        case Sureness.NAMED:
            return demangle(frame.symbol or frame.hint) + "?"
        case Sureness.NONE:
            return demangle(frame.module)
        case Sureness.UNKNOWN:
            file = demangle(frame.module.rpartition("/")[2] or frame.module or NO_FILE)
            return join_frame_text(file, "", frame.offset)


def label_of(frame: StackFrame, demangle: Demangle) -> str:
    """The frame in one text: `module!function`, with `?` if nothing confirms the name; `module+0xoffset`."""
    match frame.sureness:
        case Sureness.SURE | Sureness.NAMED:
            return join_frame_text(demangle(frame.module), name_of(frame, demangle), None)
        case Sureness.NONE:
            return demangle(frame.module)
        case Sureness.UNKNOWN:
            return join_frame_text(demangle(frame.module or NO_FILE), "", frame.offset)
