"""Inlined functions from DWARF: which function has copies in which others, at which addresses.

A function counts as described only if its own entry was read, with every copy in it: not if the entry lies in a .dwo
file, or if the name of a copy lies in another file (dwz). Go's own inline tree is better than its DWARF, so units of Go
are left out where it was read.

Of a copy that was merged into its caller, so that no instruction is attributed to it, compilers say this:

| `DW_AT_producer` | what it says | where it does |
| --- | --- | --- |
| `GNU ...` (GCC) | that there was one (`DW_AT_inline`), not where | gcc/dwarf2out.cc: gen_subprogram_die |
| `GNU GIMPLE` (its link-time optimization) | nothing: that was said before | gcc/dwarf2out.cc: dwarf2out_early_finish |
| clang, rustc and all else of LLVM | nothing | llvm/.../DwarfDebug.cpp: constructAbstractSubprogramScopeDIE |
| `Go cmd/compile` | nothing | cmd/compile/internal/dwarfgen/dwinl.go: assembleInlines |

So GCC's copy has the place `NO_PLACE`, and a function counts as described only if GCC, without its link-time
optimization, or an assembler made it.
"""

from bisect import bisect_right
from collections.abc import Callable, Mapping
from itertools import chain
from typing import Final, NamedTuple

from agents.symbols.index_format import NO_COPY, NO_PLACE
from agents.symbols.kernel_symbols import canonical_symbol
from app.symbols.dwarf_ranges import DwarfRanges
from app.symbols.dwarf_units import AttributeValue, DwarfUnit, attribute_values, read_units, skipped, uleb
from app.symbols.elf import ElfStructure
from app.symbols.file_refusal import FileRefusalReason, FileRefusedError
from app.symbols.inlining import InlineTree

_SUBPROGRAM: Final = 0x2E
_INLINED: Final = 0x1D
# Types and call sites, which can be long and hold no code of functions; skipped where the entry says what follows it.
_WITHOUT_CODE: Final = frozenset({0x01, 0x02, 0x04, 0x13, 0x15, 0x17, 0x33, 0x48, 0x4109})

_SIBLING, _NAME, _LOW_PC, _HIGH_PC, _LANGUAGE, _PRODUCER = 0x01, 0x03, 0x11, 0x12, 0x13, 0x25
_ENTRY_PC: Final = 0x52
_INLINE: Final = 0x20
_WAS_INLINED: Final = frozenset({1, 3})  # DW_INL_inlined, DW_INL_declared_inlined
_ORIGIN, _SPECIFICATION, _RANGES, _CALL_FILE, _CALL_LINE = 0x31, 0x47, 0x55, 0x58, 0x59
_LINKAGE_NAMES: Final = (0x6E, 0x2007)
_STRINGS_BASE, _ADDRESS_BASES, _RANGES_BASE = 0x72, (0x73, 0x2133), 0x74
_DWO_NAMES: Final = frozenset({0x76, 0x2130})

_BASES: Final = frozenset({_STRINGS_BASE, *_ADDRESS_BASES, _RANGES_BASE})
_OF_ROOT: Final = frozenset({_LOW_PC, _HIGH_PC, _RANGES, _LANGUAGE, _PRODUCER}) | _BASES | _DWO_NAMES
_OF_FUNCTION: Final = frozenset({_INLINE, _LOW_PC, _HIGH_PC, _ENTRY_PC, _RANGES, _ORIGIN, _CALL_FILE, _CALL_LINE})
_OF_NAME: Final = frozenset({_NAME, _ORIGIN, _SPECIFICATION, *_LINKAGE_NAMES})
_ONLY_SIBLING: Final = frozenset({_SIBLING})

_ASSEMBLER: Final = 0x8001
_GO: Final = 0x16
_GCC, _GCC_AT_LINK_TIME = "GNU ", "GNU GIMPLE"
_LOCAL_REFERENCES: Final = frozenset({0x11, 0x12, 0x13, 0x14, 0x15})
_REF_ADDR: Final = 0x10
_MAX_REFERENCES: Final = 8


class _Around(NamedTuple):
    """What an entry lies in: a copy with its depth, and the number of the function whose code it is."""

    copy: int
    depth: int
    function: int


_OUTSIDE: Final = _Around(NO_COPY, 0, -1)


class _UnitFunctions(NamedTuple):
    """The code of each function of a unit, by number, and those in which something has no name here."""

    ranges: list[list[tuple[int, int]]]
    incomplete: set[int]


class DwarfInlines:
    """Reads the copies of one file's DWARF."""

    def __init__(
        self,
        sections: Mapping[str, memoryview],
        structure: ElfStructure,
        file_numbers: Mapping[int, Callable[[int], int]] | None,
    ) -> None:
        """`file_numbers` are those of the line table, by offset of unit; None where no lines are wanted."""
        self._order = structure.byte_order
        self._info = bytes(sections["debug_info"])
        self._strings = {name: bytes(sections[name]) for name in ("debug_str", "debug_line_str") if name in sections}
        self._string_offsets = bytes(sections.get("debug_str_offsets", b""))
        self._units = read_units(self._info, bytes(sections["debug_abbrev"]), self._order)
        self._unit_offsets = [unit.offset for unit in self._units]
        self._ranges = DwarfRanges(sections, structure)
        self._file_numbers = file_numbers
        self._names: dict[int, str | None] = {}
        self._was_inlined: list[int] = []
        for unit in self._units:
            self._read_root(unit)

    def add_to(self, tree: InlineTree, *, with_go: bool) -> int:
        """Add all copies to `tree`, those of Go units only `with_go`; returns how many units could not be read."""
        damaged = 0
        for unit in self._units:
            language = unit.root.get(_LANGUAGE)
            is_go = language is not None and language.number == _GO
            if _DWO_NAMES & unit.root.keys() or (is_go and not with_go):
                continue
            is_assembler = language is not None and language.number == _ASSEMBLER
            described: list[tuple[int, int]] = []
            try:
                tells_all = is_assembler or (not is_go and self._tells_of_all_copies(unit))
                if is_assembler:
                    described += self._ranges.of(unit, unit.root)
                described += self._read_unit(unit, tree)
            except (IndexError, KeyError, ValueError, FileRefusedError) as error:
                if isinstance(error, FileRefusedError) and error.reason is FileRefusalReason.OVER_LIMIT:
                    raise
                damaged += 1
                continue
            (tree.described if tells_all else tree.partly).extend(described)
        traced = set(tree.names)
        for name in dict.fromkeys(map(self._name, self._was_inlined)):
            if name is not None and name not in traced:
                tree.add(name, NO_PLACE, NO_COPY)
        return damaged

    def _tells_of_all_copies(self, unit: DwarfUnit) -> bool:
        value = unit.root.get(_PRODUCER)
        producer = "" if value is None else self._text(unit, value) or ""
        return producer.startswith(_GCC) and not producer.startswith(_GCC_AT_LINK_TIME)

    def _read_root(self, unit: DwarfUnit) -> None:
        code, at = uleb(self._info, unit.entries_at)
        if code not in unit.abbreviations:
            return
        unit.root, _ = attribute_values(self._info, at, unit.abbreviations[code], _OF_ROOT, self._order)
        base = {attribute: value.number for attribute, value in unit.root.items()}
        unit.strings_base = base.get(_STRINGS_BASE, 2 * unit.offset_bytes)
        unit.address_base = next((base[one] for one in _ADDRESS_BASES if one in base), 2 * unit.offset_bytes)
        unit.ranges_base = base.get(_RANGES_BASE, 0)
        if _LOW_PC in unit.root:
            unit.low_pc = self._ranges.address(unit, unit.root[_LOW_PC])

    def _read_unit(self, unit: DwarfUnit, tree: InlineTree) -> list[tuple[int, int]]:
        """Add the copies of a unit; returns the code of its functions, but not of those with a copy without a name."""
        info, order, abbreviations = self._info, self._order, unit.abbreviations
        functions = _UnitFunctions([], set())
        around = _OUTSIDE
        outer: list[_Around] = []
        at = unit.entries_at
        while at < unit.end:
            entry = at
            code = info[at]
            at += 1
            if code >= 0x80:
                code, at = uleb(info, at - 1)
            if not code:
                if not outer:
                    break
                around = outer.pop()
                continue
            abbreviation = abbreviations[code]
            tag = abbreviation.tag
            inside = around
            if tag in (_SUBPROGRAM, _INLINED):
                values, at = attribute_values(info, at, abbreviation, _OF_FUNCTION, order)
                self._note_inlined(entry, values)
                if tag == _INLINED:
                    inside = self._copy(unit, values, around, tree, functions)
                elif ranges := self._ranges.of(unit, values):
                    functions.ranges.append(ranges)
                    inside = _Around(NO_COPY, 0, len(functions.ranges) - 1)
            elif abbreviation.has_sibling and abbreviation.has_children and tag in _WITHOUT_CODE:
                values, at = attribute_values(info, at, abbreviation, _ONLY_SIBLING, order)
                following = unit.offset + values[_SIBLING].number
                if following < at:
                    raise IndexError(following)
                at = following
                continue
            else:
                at = skipped(info, at, abbreviation.skip, order)
            if abbreviation.has_children:
                outer.append(around)
                around = inside
        described = (ranges for number, ranges in enumerate(functions.ranges) if number not in functions.incomplete)
        return list(chain.from_iterable(described))

    def _note_inlined(self, entry: int, values: Mapping[int, AttributeValue]) -> None:
        if _INLINE in values and values[_INLINE].number in _WAS_INLINED:
            self._was_inlined.append(entry)

    def _copy(
        self,
        unit: DwarfUnit,
        values: dict[int, AttributeValue],
        around: _Around,
        tree: InlineTree,
        functions: _UnitFunctions,
    ) -> _Around:
        origin = values.get(_ORIGIN)
        name = None if origin is None else self._name(self._target(unit, origin))
        ranges = self._ranges.of(unit, values)
        if name is None:
            if around.function >= 0:
                functions.incomplete.add(around.function)
            if self._file_numbers is None:
                return around
            name = ""  # a copy all the same: its lines are not those of the function around it
        if ranges:
            address = min(start for start, _ in ranges)
        elif (entry := self._ranges.entry(unit, values)) is not None:
            address = entry  # no instruction is left of it, but it ran
        elif around.function >= 0:
            address = functions.ranges[around.function][0][0]
        else:
            return around
        file = line = 0
        if self._file_numbers is not None and _CALL_LINE in values:
            number_of = self._file_numbers.get(unit.offset)
            line = values[_CALL_LINE].number
            if number_of is None or _CALL_FILE not in values or not 0 < line < 2**31:
                line = 0
            else:
                file = number_of(values[_CALL_FILE].number)
        copy = tree.add(name, address, around.copy, file, line)
        depth = around.depth + 1
        if self._file_numbers is not None:
            tree.pieces += [(start, end, depth, copy) for start, end in ranges]
        return _Around(copy, depth, around.function)

    def _target(self, unit: DwarfUnit, reference: AttributeValue) -> int | None:
        """The offset of the entry that is referred to; None if it lies in another file."""
        if reference.form in _LOCAL_REFERENCES:
            return unit.offset + reference.number
        return reference.number if reference.form == _REF_ADDR else None

    def _name(self, offset: int | None) -> str | None:
        """The linker's name of the function whose entry is at `offset`, else its plain name."""
        if offset in self._names:
            return self._names[offset]
        plain: str | None = None
        target = offset
        for _ in range(_MAX_REFERENCES):
            at = bisect_right(self._unit_offsets, -1 if target is None else target) - 1
            if target is None or at < 0 or target >= self._units[at].end:
                break
            unit = self._units[at]
            code, behind = uleb(self._info, target)
            values, _ = attribute_values(self._info, behind, unit.abbreviations[code], _OF_NAME, self._order)
            linked = next((values[one] for one in _LINKAGE_NAMES if one in values), None)
            if linked is not None and (text := self._text(unit, linked)):
                plain = text
                break
            if plain is None and _NAME in values:
                plain = self._text(unit, values[_NAME])
            reference = values.get(_ORIGIN) or values.get(_SPECIFICATION)
            if reference is None:
                break
            target = self._target(unit, reference)
        name = canonical_symbol(plain) if plain else None
        if offset is not None:
            self._names[offset] = name
        return name

    def _text(self, unit: DwarfUnit, value: AttributeValue) -> str | None:
        match value.form:
            case 0x08:
                content, at = self._info, value.number
            case 0x0E:
                content, at = self._strings["debug_str"], value.number
            case 0x1F:
                content, at = self._strings["debug_line_str"], value.number
            case 0x1A | 0x25 | 0x26 | 0x27 | 0x28 | 0x1F02:
                place = unit.strings_base + value.number * unit.offset_bytes
                at = int.from_bytes(self._string_offsets[place : place + unit.offset_bytes], self._order)
                content = self._strings["debug_str"]
            case _:  # a string of another file
                return None
        return content[at : content.index(0, at)].decode("utf-8", "backslashreplace")
