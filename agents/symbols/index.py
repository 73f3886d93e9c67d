"""The symbol index of one binary, open: which function lies at which file offset.

`agents/symbols/index_format.py` has the form of the file, `agents/symbols/function_names.py` answers what a name means
in it. Reading does no I/O: an index takes a memoryview and keeps it.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from typing import Final

from agents.symbols.index_format import (
    NO_COPY,
    CodeRange,
    NamedFunction,
    Segment,
    format_of,
    index_parts,
    read_segments,
)
from agents.symbols.index_format_1 import read_as_today
from agents.symbols.lookup import InlinedCall, Resolved, Unresolved

# The kernel maps whole pages, so a pc may lie before or behind the bytes that a segment asks for.
_PAGE_BYTES: Final = 4096

# How far to step back from a return address to be inside the call that made it, by ELF machine (e_machine). x86 calls
# have any length, so one byte; fixed-width instruction sets step one instruction, MIPS one more for its delay slot.
_EM_ARM: Final = 40
_CALL_STEP_BYTES: Final = {8: 8, 20: 4, 21: 4, 22: 2, _EM_ARM: 2, 183: 4, 243: 2, 258: 4}

# glibc, and musl, which has no entry of the unwind table for them
_SIGNAL_RETURNS: Final = frozenset(
    {"__restore_rt", "__restore", "__default_rt_sa_restorer", "__default_sa_restorer", "__kernel_rt_sigreturn"}
)

# Compilers stop long before; a file that claims more is damaged or hostile.
MAX_INLINE_DEPTH: Final = 256


class SymbolIndex:
    """An open index: answers which function a file offset lies in. Holds the view it was opened on."""

    def __init__(self, view: memoryview) -> None:
        """Open `view`, the bytes of a whole index file; raises IndexFormatError."""
        self.format = format_of(view)
        self.head, self.parts = index_parts(read_as_today(view) if self.format == 1 else view)
        parts = self.parts
        self.origins, self.machine, self.elf_type, self.code_digest = self.head[:4]
        self.build_id = bytes(parts.build_id).decode("ascii")
        self.segments = read_segments(parts.segments)
        self.range_count = len(parts.range_starts)
        self.line_count = len(parts.line_addresses)
        self._starts, self._lengths, self._deltas = parts.range_starts, parts.range_lengths, parts.range_deltas
        self._range_names, self._name_offsets, self._names = parts.range_names, parts.name_offsets, parts.names
        self._mapped = [*map(_asked_for, self.segments), *map(_whole_pages, self.segments)]
        self._call_step = _CALL_STEP_BYTES.get(self.machine, 1)

    def lookup(self, file_offset: int, *, innermost: bool) -> Resolved | Unresolved:
        """The function at `file_offset`, with the line where the index has lines.

        Where the offset is a return address (`innermost` is false) the call before it decides; the reported offset is
        still that of the address itself, so it equals the function's size behind a call that never returns.
        """
        if self.machine == _EM_ARM:
            file_offset &= ~1  # says that the caller runs Thumb code
        step = 0 if innermost else self._call_step
        address = self.address_of(file_offset - step)
        if address is None:
            return Unresolved.UNMAPPED
        if not self.range_count:
            return Unresolved.NO_SYMBOL_TABLE
        at = bisect_right(self._starts, address) - 1
        if at < 0 or (into := address - self._starts[at]) >= self._lengths[at]:
            return self._signal_return(address, step)
        offset = into + self._deltas[at] + step
        number = self._range_names[at]  # as `name` does, which would cost a call for each frame
        name = str(self._names[self._name_offsets[number] : self._name_offsets[number + 1]], "utf-8")
        return self._with_lines(name, offset, address) if self.line_count else Resolved(name, offset)

    def _signal_return(self, address: int, step: int) -> Resolved | Unresolved:
        """The function to which a signal handler returns: the kernel put its first byte there, no call did.

        The C library makes its entry of the unwind table begin one byte early, for unwinders that step back. A function
        behind a call that never returns has no such entry.
        """
        if step and (covering := self.range_of(address + step)) is not None:
            start = covering.start - covering.delta
            if start == address + step and (covering.name in _SIGNAL_RETURNS or self._is_unwound_from(start - 1)):
                return Resolved(covering.name, 0)
        return Unresolved.NO_SYMBOL

    def _is_unwound_from(self, address: int) -> bool:
        unwound = self.parts.unwound
        at = bisect_left(unwound, address)
        return at < len(unwound) and unwound[at] == address

    def address_of(self, file_offset: int) -> int | None:
        """The ELF address that `file_offset` is mapped to as code; None outside every executable segment.

        A page that two segments share is mapped twice; the one that asks for the byte itself comes first.
        """
        for first, behind, distance in self._mapped:
            if first <= file_offset < behind:
                return file_offset + distance
        return None

    def ranges(self) -> Iterable[CodeRange]:
        """Every range, in order of address."""
        for at in range(self.range_count):
            yield self.range_at(at)

    def functions(self) -> Iterable[NamedFunction]:
        """Every name of every function, in order of address and name."""
        parts = self.parts
        columns = parts.function_addresses, parts.function_sizes, parts.function_names, parts.function_traits
        for address, size, number, traits in zip(*columns, strict=True):
            yield NamedFunction(address, size, self.name(number), traits)

    def range_at(self, at: int) -> CodeRange:
        """One range by its number."""
        return CodeRange(self._starts[at], self._lengths[at], self._deltas[at], self.name(self.parts.range_names[at]))

    def range_of(self, address: int) -> CodeRange | None:
        """The range that an address lies in."""
        at = bisect_right(self._starts, address) - 1
        return self.range_at(at) if at >= 0 and address - self._starts[at] < self._lengths[at] else None

    def name(self, number: int) -> str:
        """A name by its number."""
        offsets = self.parts.name_offsets
        return str(self.parts.names[offsets[number] : offsets[number + 1]], "utf-8")

    def _with_lines(self, name: str, offset: int, address: int) -> Resolved:
        """A function with its line. Of functions that were put into it, the innermost has the line of the address.

        Each function around has the line where it calls the one that is next inside.
        """
        file, line = self._line_at(address)
        parts = self.parts
        at = bisect_right(parts.copy_range_starts, address) - 1
        if at < 0 or (copy := parts.copy_range_copies[at]) == NO_COPY:
            return Resolved(name, offset, file, line)
        inlined: list[InlinedCall] = []
        for _ in range(MAX_INLINE_DEPTH):
            if copy == NO_COPY:
                break
            if name_of_copy := self.name(parts.copy_names[copy]):  # empty where another file has the name
                inlined.append(InlinedCall(name_of_copy, file, line))
            line = parts.copy_lines[copy] or None
            file = None if line is None else self._file(parts.copy_files[copy])
            copy = parts.copy_outer[copy]
        return Resolved(name, offset, file, line, tuple(inlined))

    def _line_at(self, address: int) -> tuple[str | None, int | None]:
        parts = self.parts
        at = bisect_right(parts.line_addresses, address) - 1
        if at < 0 or (number := parts.line_numbers[at]) == 0:
            return None, None
        return self._file(parts.line_files[at]), number

    def _file(self, number: int) -> str:
        offsets = self.parts.file_offsets
        return str(self.parts.file_names[offsets[number] : offsets[number + 1]], "utf-8")


def _asked_for(segment: Segment) -> tuple[int, int, int]:
    """First file offset, the one behind the last, and what lies between file offsets and addresses."""
    behind = segment.file_offset + segment.size
    return segment.file_offset, behind, segment.address - segment.file_offset


def _whole_pages(segment: Segment) -> tuple[int, int, int]:
    first, behind, distance = _asked_for(segment)
    return first & -_PAGE_BYTES, -(-behind // _PAGE_BYTES) * _PAGE_BYTES, distance
