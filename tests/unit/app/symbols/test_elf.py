"""Files of every class and byte order are understood, and lies about sizes are refused."""

from io import BytesIO

import pytest

from agents.symbols.index import SymbolIndex
from agents.symbols.index_format import IndexContent, Segment, SymbolOrigin, encode_index
from agents.symbols.lookup import Resolved, Unresolved
from app.symbols.code_ranges import disjoint_ranges
from app.symbols.elf import ElfStructure, read_structure
from app.symbols.file_refusal import FileRefusalReason, FileRefusedError
from app.symbols.symbol_tables import function_symbols, with_exports
from tests.support.elf_files import (
    EM_386,
    EM_AARCH64,
    EM_ARM,
    LOCAL,
    STT_GNU_IFUNC,
    STT_NOTYPE,
    STT_OBJECT,
    STT_SECTION,
    ElfFile,
    ElfSegment,
    ElfSymbol,
)

FUNCTIONS = (ElfSymbol("first", 0x1000, 0x20), ElfSymbol("second", 0x1100, 0x40))


def structure_of(elf: ElfFile) -> ElfStructure:
    """As the reader sees the file."""
    encoded = elf.encode()
    return read_structure(BytesIO(encoded), memoryview(encoded))


def index_of(elf: ElfFile) -> SymbolIndex:
    """The index of a file, from its two tables only."""
    encoded = elf.encode()
    structure = read_structure(BytesIO(encoded), memoryview(encoded))
    symbols = with_exports(function_symbols(memoryview(encoded), structure))
    content = IndexContent(
        build_id=structure.build_id or "",
        machine=structure.machine,
        elf_type=structure.elf_type,
        origins=SymbolOrigin.SYMTAB,
        code_digest=structure.code_digest,
        segments=structure.segments,
        ranges=disjoint_ranges(symbols),
    )
    return SymbolIndex(memoryview(encode_index(content)))


def names(elf: ElfFile) -> list[str]:
    """Names of the functions of a file, by address."""
    return [one.name for one in index_of(elf).ranges()]


@pytest.mark.parametrize(
    ("is_64", "order", "machine"),
    [(True, "<", EM_AARCH64), (True, ">", EM_AARCH64), (False, "<", EM_386), (False, ">", EM_ARM)],
)
@pytest.mark.parametrize("elf_type", [2, 3])
def test_class_and_byte_order_do_not_matter(is_64: bool, order: str, machine: int, elf_type: int) -> None:
    """32 and 64 bits, little and big endian, ET_EXEC and ET_DYN give the same names, segments and build id."""
    elf = ElfFile(FUNCTIONS, is_64=is_64, order=order, machine=machine, elf_type=elf_type)
    structure = structure_of(elf)

    assert names(elf) == ["first", "second"]
    assert structure.segments == (Segment(0x1000, 0x1000, 0x1000),)
    assert (structure.build_id, structure.machine, structure.elf_type) == (bytes(range(20)).hex(), machine, elf_type)


def test_file_offset_is_not_the_address() -> None:
    """Code may be linked to any address; an offset is translated through its segment."""
    segment = ElfSegment(0x1000, 0x1000, 0x400000)
    symbol = ElfSymbol("f", 0x400010, 0x10)
    index = index_of(ElfFile((symbol,), text_address=0x400000, segments=(segment,), elf_type=2))

    assert index.lookup(0x1014, innermost=True) == Resolved("f", 4)
    assert index.lookup(0x400014, innermost=True) is Unresolved.UNMAPPED


@pytest.mark.parametrize(
    "symbol",
    [
        ElfSymbol("data", 0x1200, 8, STT_OBJECT),
        ElfSymbol("section", 0x1200, 8, STT_SECTION),
        ElfSymbol("$x", 0x1200, 0, STT_NOTYPE, LOCAL),
        ElfSymbol("$a.12", 0x1200, 0, STT_NOTYPE, LOCAL),
        ElfSymbol(".L15", 0x1200, 0, STT_NOTYPE, LOCAL),
        ElfSymbol("undefined", 0, 0, section=0),
        ElfSymbol("absolute", 0x1200, 8, section=0xFFF1),
        ElfSymbol("elsewhere", 0x5000, 8),
        ElfSymbol("", 0x1200, 8),
    ],
)
def test_what_is_no_function_in_code_is_left_out(symbol: ElfSymbol) -> None:
    """Data, sections, mapping symbols, local labels, undefined and absolute symbols name no code."""
    assert names(ElfFile((*FUNCTIONS, symbol))) == ["first", "second"]


def test_untyped_label_in_code_counts() -> None:
    """Assembly without `.type` has names too; an IFUNC is a function."""
    elf = ElfFile((ElfSymbol("label", 0x1000, 0, STT_NOTYPE), ElfSymbol("chosen", 0x1040, 8, STT_GNU_IFUNC)))

    assert names(elf) == ["label", "chosen"]


def test_thumb_functions_start_at_an_even_address() -> None:
    """Bit 0 of a function's value on ARM is the instruction set, not the address."""
    index = index_of(ElfFile((ElfSymbol("thumb", 0x1101, 0x10),), is_64=False, machine=EM_ARM))

    assert index.lookup(0x1100, innermost=True) == Resolved("thumb", 0)


def test_symbol_beyond_its_section_is_cut_off() -> None:
    """A size that reaches out of the section does not claim what lies behind it."""
    index = index_of(ElfFile((ElfSymbol("long", 0x1FF0, 2**40),)))

    assert [(one.start, one.length) for one in index.ranges()] == [(0x1FF0, 0x10)]


def test_version_behind_a_name_is_not_part_of_it() -> None:
    """.symtab writes `name@@VERSION`, .dynsym does not: both are one symbol."""
    elf = ElfFile((ElfSymbol("f@@V1", 0x1000, 8),), dynsym=(ElfSymbol("f", 0x1000, 8),))

    assert names(elf) == ["f"]


def test_build_id_is_found_without_sections() -> None:
    """PT_NOTE is enough."""
    assert structure_of(ElfFile(FUNCTIONS, with_sections=False)).build_id == bytes(range(20)).hex()


def test_code_digest_names_the_code_and_not_the_symbols() -> None:
    """Stripping keeps the digest; another instruction changes it."""
    digest = structure_of(ElfFile(FUNCTIONS)).code_digest

    assert structure_of(ElfFile()).code_digest == digest
    assert structure_of(ElfFile(FUNCTIONS, text=b"\xc3")).code_digest != digest


@pytest.mark.parametrize(
    ("elf", "reason"),
    [
        (ElfFile(FUNCTIONS, elf_type=1), FileRefusalReason.NOT_LINKED),
        (ElfFile(FUNCTIONS, elf_type=4), FileRefusalReason.NOT_LINKED),
        (ElfFile(FUNCTIONS, entry_size=0), FileRefusalReason.MALFORMED),
        (ElfFile(FUNCTIONS, entry_size=2**40), FileRefusalReason.MALFORMED),
        (ElfFile(FUNCTIONS, segments=(ElfSegment(0x1000, 2**63, 0x1000),)), FileRefusalReason.MALFORMED),
        (
            ElfFile(segments=tuple(ElfSegment(0x4000, 1, 0x4000) for _ in range(300)), text_offset=0x6000),
            FileRefusalReason.OVER_LIMIT,
        ),
    ],
)
def test_lies_are_refused(elf: ElfFile, reason: FileRefusalReason) -> None:
    """Object files, entries of no size, code beyond the end and absurd counts end with their reason."""
    with pytest.raises(FileRefusedError) as refused:
        index_of(elf)
    assert refused.value.reason is reason
