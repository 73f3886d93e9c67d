"""Where a file can be probed for functions: the first byte of each of their codes, as an offset into the file.

A probe may stand on the first byte of a function only: in the middle it may hit half an instruction, and on the return
it crashes Go, which moves its stacks. A copy in another function has no first byte of its own, so nothing can say
whether it ran.
"""

import enum
from collections.abc import Iterable
from dataclasses import dataclass

from agents.symbols.function_names import FunctionNames
from agents.symbols.index_format import Segment


class NoProbe(enum.StrEnum):
    """Why a function, or a copy of it, cannot be probed."""

    INLINED = "it is a part of other functions"
    LOST_COPY = "it was inlined, and nothing says where"
    LABEL = "its name is a place inside another function"
    RESOLVER = "its code only chooses the one that runs"
    NO_CODE = "it has no code in a segment of the file"


@dataclass(frozen=True, slots=True, order=True)
class ProbePlace:
    """The first byte of a function, and its symbol."""

    file_offset: int
    symbol: str


@dataclass(frozen=True, slots=True, order=True)
class Unprobed:
    """A symbol that is not, or not only, where a probe can stand; `hosts` are the functions that have copies of it."""

    symbol: str
    reason: NoProbe
    hosts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ProbePlaces:
    """Where probes can stand in a file for some functions, and what they do not see."""

    places: tuple[ProbePlace, ...]
    unprobed: tuple[Unprobed, ...]


def probe_places(symbols: Iterable[str], names: FunctionNames, segments: tuple[Segment, ...]) -> ProbePlaces:
    """The first bytes of all code that the symbols mean; one place for several names of one code."""
    places: dict[int, ProbePlace] = {}
    unprobed: set[Unprobed] = set()
    for symbol in sorted(set(symbols)):
        codes = names.codes(symbol)
        for code in codes:
            offset = _file_offset(code.address, segments)
            if code.is_resolver:
                unprobed.add(Unprobed(symbol, NoProbe.RESOLVER))
            elif code.frame_symbol is None or offset is None:
                unprobed.add(Unprobed(symbol, NoProbe.NO_CODE))
            elif code.frame_offset:
                unprobed.add(Unprobed(symbol, NoProbe.LABEL, (code.frame_symbol,)))
            else:
                places.setdefault(offset, ProbePlace(offset, symbol))
        if hosts := {copy.host for copy in names.copies(symbol)}:
            unprobed.add(Unprobed(symbol, NoProbe.INLINED, tuple(sorted(host for host in hosts if host))))
        elif names.has_lost_copies(symbol):
            unprobed.add(Unprobed(symbol, NoProbe.LOST_COPY))
        elif not codes:
            unprobed.add(Unprobed(symbol, NoProbe.NO_CODE))
    return ProbePlaces(tuple(sorted(places.values())), tuple(sorted(unprobed)))


def _file_offset(address: int, segments: tuple[Segment, ...]) -> int | None:
    for segment in segments:
        if segment.address <= address < segment.address + segment.size:
            return address - segment.address + segment.file_offset
    return None
