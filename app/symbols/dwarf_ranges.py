"""Addresses and ranges of DWARF entries: .debug_ranges of DWARF 2 to 4, .debug_rnglists and .debug_addr of DWARF 5."""

from collections.abc import Iterator, Mapping
from typing import Final

from app.symbols.dwarf_units import AttributeValue, DwarfUnit, uleb
from app.symbols.elf import ElfStructure
from app.symbols.file_refusal import FileRefusalReason, FileRefusedError

_LOW_PC, _HIGH_PC, _ENTRY_PC, _RANGES = 0x11, 0x12, 0x52, 0x55
_ADDRESS: Final = 0x01
_ADDRESS_INDEXES: Final = frozenset({0x1B, 0x29, 0x2A, 0x2B, 0x2C, 0x1F01})
_RANGE_INDEX: Final = 0x23

# libLLVM has some 6 million; but a file can have any number of entries that share one long list.
MAX_RANGES: Final = 16_000_000


class DwarfRanges:
    """Where the code of entries lies; what the linker discarded has none."""

    def __init__(self, sections: Mapping[str, memoryview], structure: ElfStructure) -> None:
        """`sections` are those of one file."""
        self._order = structure.byte_order
        self._addresses = bytes(sections.get("debug_addr", b""))
        self._ranges = bytes(sections.get("debug_ranges", b""))
        self._lists = bytes(sections.get("debug_rnglists", b""))
        self._read = 0
        self._code = [(section.start, section.end) for section in structure.code]

    def of(self, unit: DwarfUnit, values: Mapping[int, AttributeValue]) -> list[tuple[int, int]]:
        """(start, end) of every piece of an entry's code. Raises IndexError on malformed DWARF."""
        if _RANGES in values:
            found = self._listed(unit, values[_RANGES], self.entry(unit, values))
        elif _LOW_PC in values and _HIGH_PC in values:
            start = self.address(unit, values[_LOW_PC])
            high = values[_HIGH_PC]
            found = iter([(start, self.address(unit, high) if _is_address(high) else start + high.number)])
        else:
            return []
        ranges = list(found)
        self._read += len(ranges)
        if self._read > MAX_RANGES:
            raise FileRefusedError(FileRefusalReason.OVER_LIMIT, "ranges of code")
        return [
            (start, end)
            for start, end in ranges
            if start < end and any(low <= start and end <= high for low, high in self._code)
        ]

    def entry(self, unit: DwarfUnit, values: Mapping[int, AttributeValue]) -> int | None:
        """Where an entry's code is entered, if it says so: also of a function of which no instruction is left."""
        for attribute in (_ENTRY_PC, _LOW_PC):
            value = values.get(attribute)
            if value is not None and _is_address(value):
                address = self.address(unit, value)
                return address if any(low <= address < high for low, high in self._code) else None
        return None

    def address(self, unit: DwarfUnit, value: AttributeValue) -> int:
        """The address that an attribute holds or numbers."""
        return self._indexed(unit, value.number) if value.form in _ADDRESS_INDEXES else value.number

    def _indexed(self, unit: DwarfUnit, number: int) -> int:
        return self._number(self._addresses, unit.address_base + number * unit.address_bytes, unit.address_bytes)

    def _number(self, content: bytes, at: int, size: int) -> int:
        if at < 0 or at + size > len(content):
            raise IndexError(at)
        return int.from_bytes(content[at : at + size], self._order)

    def _pair(self, content: bytes, at: int, size: int) -> tuple[int, int]:
        return self._number(content, at, size), self._number(content, at + size, size)

    def _listed(self, unit: DwarfUnit, value: AttributeValue, entry: int | None) -> Iterator[tuple[int, int]]:
        if unit.version < 5:
            # GCC writes an empty range at the unit's first byte like the end of a list
            return self._pairs(unit, value.number, begins_empty=entry == unit.low_pc)
        at = value.number
        if value.form == _RANGE_INDEX:
            at = unit.ranges_base + self._number(
                self._lists, unit.ranges_base + at * unit.offset_bytes, unit.offset_bytes
            )
        return self._entries(unit, at)

    def _pairs(self, unit: DwarfUnit, at: int, *, begins_empty: bool) -> Iterator[tuple[int, int]]:
        size = unit.address_bytes
        if begins_empty and self._pair(self._ranges, at, size) == (0, 0):
            at += 2 * size
        base, select = unit.low_pc, (1 << 8 * size) - 1
        while True:
            start, end = self._pair(self._ranges, at, size)
            at += 2 * size
            if start == select:
                base = end
            elif not start and not end:
                return
            else:
                yield base + start, base + end

    def _entries(self, unit: DwarfUnit, at: int) -> Iterator[tuple[int, int]]:
        """DWARF 5 section 2.17.3."""
        size, base = unit.address_bytes, unit.low_pc
        while True:
            kind = self._lists[at]
            at += 1
            match kind:
                case 0:  # DW_RLE_end_of_list
                    return
                case 1:  # base_addressx
                    number, at = uleb(self._lists, at)
                    base = self._indexed(unit, number)
                case 2 | 3:  # startx_endx, startx_length
                    first, at = uleb(self._lists, at)
                    second, at = uleb(self._lists, at)
                    start = self._indexed(unit, first)
                    yield start, self._indexed(unit, second) if kind == 2 else start + second
                case 4:  # offset_pair
                    first, at = uleb(self._lists, at)
                    second, at = uleb(self._lists, at)
                    yield base + first, base + second
                case 5:  # base_address
                    base, at = self._number(self._lists, at, size), at + size
                case 6:  # start_end
                    yield self._pair(self._lists, at, size)
                    at += 2 * size
                case 7:  # start_length
                    start, at = self._number(self._lists, at, size), at + size
                    length, at = uleb(self._lists, at)
                    yield start, start + length
                case _:
                    raise IndexError(at)


def _is_address(value: AttributeValue) -> bool:
    return value.form == _ADDRESS or value.form in _ADDRESS_INDEXES
