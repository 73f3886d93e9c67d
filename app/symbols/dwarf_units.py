"""Units, abbreviations and attributes of .debug_info, DWARF 2 to 5, as far as inlined functions need them.

pyelftools makes an object of every entry and attribute, and there are 600,000 entries in glibc's debug file. Here an
abbreviation is compiled to steps, so that an entry which nobody asks for costs an addition or two.
"""

from dataclasses import dataclass, field
from typing import Final, NamedTuple

from app.symbols.elf import ByteOrder
from app.symbols.file_refusal import FileRefusalReason, FileRefusedError

_DWARF_64: Final = 0xFFFFFFFF
_VERSIONS: Final = range(2, 6)
_UNIT_BYTES_BEHIND: Final = {1: 0, 3: 0, 4: 8, 5: 8}
"""By unit type: what stands behind the header of a unit that has code; type units are left out."""

_FIXED: Final = {
    0x0B: 1,
    0x0C: 1,
    0x11: 1,
    0x25: 1,
    0x29: 1,
    0x05: 2,
    0x12: 2,
    0x26: 2,
    0x2A: 2,
    0x27: 3,
    0x2B: 3,
    0x06: 4,
    0x13: 4,
    0x28: 4,
    0x2C: 4,
    0x1C: 4,
    0x07: 8,
    0x14: 8,
    0x20: 8,
    0x24: 8,
    0x1E: 16,
    0x19: 0,
    0x21: 0,
}
"""Bytes of forms that always have as many."""
_OFFSETS: Final = frozenset({0x0E, 0x17, 0x1D, 0x1F, 0x1F20, 0x1F21})
_REF_ADDR: Final = 0x10
_ADDRESS: Final = 0x01
_ULEBS: Final = frozenset({0x0D, 0x0F, 0x15, 0x1A, 0x1B, 0x22, 0x23, 0x1F01, 0x1F02})
_STRING: Final = 0x08
_ULEB_BLOCKS: Final = frozenset({0x09, 0x18})
_BLOCKS: Final = {0x0A: 1, 0x03: 2, 0x04: 4}
_SDATA: Final = 0x0D
_IMPLICIT: Final = 0x21

STEP_FIXED, STEP_ULEB, STEP_STRING, STEP_ULEB_BLOCK, STEP_BLOCK = range(5)


class AttributeStep(NamedTuple):
    """How to get past one attribute; `constant` is the value of a form that has none in the entry."""

    attribute: int
    form: int
    kind: int
    size: int
    constant: int


class Abbreviation(NamedTuple):
    """One kind of entry: `skip` leads past it, `steps` past each of its attributes."""

    tag: int
    has_children: bool
    steps: tuple[AttributeStep, ...]
    skip: tuple[tuple[int, int], ...]
    has_sibling: bool


class AttributeValue(NamedTuple):
    """The value of an attribute as the entry has it: a number, or where a string begins."""

    form: int
    number: int


@dataclass(slots=True)
class DwarfUnit:
    """A unit with code: entries from `entries_at` to `end`; the bases are set when its first entry is read."""

    offset: int
    entries_at: int
    end: int
    version: int
    offset_bytes: int
    address_bytes: int
    abbreviations: dict[int, Abbreviation]
    low_pc: int = 0
    address_base: int = 0
    strings_base: int = 0
    ranges_base: int = 0
    root: dict[int, AttributeValue] = field(default_factory=dict)


def uleb(content: bytes, at: int) -> tuple[int, int]:
    """An unsigned LEB128 number, and what follows it."""
    value = shift = 0
    while True:
        byte = content[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
        if shift > 63:
            raise FileRefusedError(FileRefusalReason.MALFORMED, "a number in debug information has no end")


def sleb(content: bytes, at: int) -> tuple[int, int]:
    """A signed LEB128 number, and what follows it."""
    start = at
    value, at = uleb(content, at)
    bits = 7 * (at - start)
    return (value - (1 << bits) if value >> (bits - 1) else value), at


def read_units(info: bytes, abbreviations: bytes, order: ByteOrder) -> list[DwarfUnit]:
    """Every unit that can have code, in order. Raises FileRefusedError or IndexError on malformed DWARF."""
    units: list[DwarfUnit] = []
    tables: dict[tuple[int, int, int, int], dict[int, Abbreviation]] = {}
    at = 0
    while at + 4 <= len(info):
        offset = at
        length, at, offset_bytes = int.from_bytes(info[at : at + 4], order), at + 4, 4
        if length == _DWARF_64:
            length, at, offset_bytes = int.from_bytes(info[at : at + 8], order), at + 8, 8
        end = at + length
        version = int.from_bytes(info[at : at + 2], order)
        if version not in _VERSIONS or end > len(info):
            raise FileRefusedError(FileRefusalReason.MALFORMED, "a unit of debug information")
        at += 2
        kind = 1
        if version >= 5:
            kind, address_bytes = info[at], info[at + 1]
            table_at = int.from_bytes(info[at + 2 : at + 2 + offset_bytes], order)
            at += 2 + offset_bytes
        else:
            table_at = int.from_bytes(info[at : at + offset_bytes], order)
            address_bytes = info[at + offset_bytes]
            at += offset_bytes + 1
        if kind in _UNIT_BYTES_BEHIND:
            key = table_at, version, offset_bytes, address_bytes
            if key not in tables:
                tables[key] = _abbreviations(abbreviations, *key)
            behind = _UNIT_BYTES_BEHIND[kind]
            units.append(DwarfUnit(offset, at + behind, end, version, offset_bytes, address_bytes, tables[key]))
        at = end
    return units


def skipped(content: bytes, at: int, steps: tuple[tuple[int, int], ...], order: ByteOrder) -> int:
    """What follows an entry's attributes."""
    for kind, size in steps:
        if kind == STEP_FIXED:
            at += size
        elif kind == STEP_ULEB:
            while content[at] >= 0x80:
                at += 1
            at += 1
        elif kind == STEP_STRING:
            at = content.index(0, at) + 1
        elif kind == STEP_ULEB_BLOCK:
            length, at = uleb(content, at)
            at += length
        else:
            at += size + int.from_bytes(content[at : at + size], order)
    return at


def attribute_values(
    content: bytes, at: int, abbreviation: Abbreviation, wanted: frozenset[int], order: ByteOrder
) -> tuple[dict[int, AttributeValue], int]:
    """The wanted attributes of an entry, and what follows the entry."""
    found: dict[int, AttributeValue] = {}
    for attribute, form, kind, size, constant in abbreviation.steps:
        start = at
        if kind == STEP_FIXED:
            number = constant if form == _IMPLICIT else int.from_bytes(content[at : at + size], order)
            at += size
        elif kind == STEP_ULEB:
            number, at = (sleb if form == _SDATA else uleb)(content, at)
        else:
            number = start
            at = skipped(content, at, ((kind, size),), order)
        if attribute in wanted:
            found[attribute] = AttributeValue(form, number)
    return found, at


def _abbreviations(
    content: bytes, at: int, version: int, offset_bytes: int, address_bytes: int
) -> dict[int, Abbreviation]:
    table: dict[int, Abbreviation] = {}
    while at < len(content):
        code, at = uleb(content, at)
        if not code:
            break
        tag, at = uleb(content, at)
        has_children = bool(content[at])
        at += 1
        steps: list[AttributeStep] = []
        while True:
            attribute, at = uleb(content, at)
            form, at = uleb(content, at)
            constant = 0
            if form == _IMPLICIT:
                constant, at = sleb(content, at)
            if not attribute and not form:
                break
            reference_bytes = address_bytes if version == 2 else offset_bytes
            kind, size = _step(form, offset_bytes, address_bytes, reference_bytes)
            steps.append(AttributeStep(attribute, form, kind, size, constant))
        has_sibling = any(step.attribute == 0x01 for step in steps)
        table[code] = Abbreviation(tag, has_children, tuple(steps), _joined_steps(steps), has_sibling)
    return table


def _step(form: int, offset_bytes: int, address_bytes: int, reference_bytes: int) -> tuple[int, int]:
    if form in _FIXED:
        return STEP_FIXED, _FIXED[form]
    if form == _ADDRESS:
        return STEP_FIXED, address_bytes
    if form == _REF_ADDR:
        return STEP_FIXED, reference_bytes
    if form in _OFFSETS:
        return STEP_FIXED, offset_bytes
    if form in _ULEBS:
        return STEP_ULEB, 0
    if form == _STRING:
        return STEP_STRING, 0
    if form in _ULEB_BLOCKS:
        return STEP_ULEB_BLOCK, 0
    if form in _BLOCKS:
        return STEP_BLOCK, _BLOCKS[form]
    raise FileRefusedError(FileRefusalReason.MALFORMED, f"debug information of form {form:#x}")


def _joined_steps(steps: list[AttributeStep]) -> tuple[tuple[int, int], ...]:
    """The steps without their attributes, those of fixed size made one."""
    joined: list[tuple[int, int]] = []
    for step in steps:
        if step.kind == STEP_FIXED and joined and joined[-1][0] == STEP_FIXED:
            joined[-1] = STEP_FIXED, joined[-1][1] + step.size
        else:
            joined.append((step.kind, step.size))
    return tuple(joined)
