"""A symbol index is written, checked and asked."""

from dataclasses import replace

import pytest

from agents.symbols.index import SymbolIndex
from agents.symbols.index_format import (
    NO_COPY,
    CodeRange,
    CodeRanges,
    IndexContent,
    IndexFormatError,
    InlinedCopies,
    LineRows,
    Segment,
    SymbolOrigin,
    encode_index,
)
from agents.symbols.lookup import InlinedCall, Resolved, Unresolved

X86_64, ARM, AARCH64, MIPS = 62, 40, 183, 8
TWO_FUNCTIONS = CodeRanges([0x401000, 0x401100], [0x20, 0x40], [0, 0], ["first", "second"])


def content(
    ranges: CodeRanges = TWO_FUNCTIONS,
    machine: int = X86_64,
    segments: tuple[Segment, ...] = (Segment(0x1000, 0x300, 0x401000),),
    lines: LineRows | None = None,
) -> IndexContent:
    """Two functions at file offsets 0x1000 and 0x1100, of a file whose code is linked to 0x401000."""
    return IndexContent(
        build_id="ab" * 20,
        machine=machine,
        elf_type=2,
        origins=SymbolOrigin.SYMTAB | SymbolOrigin.DYNSYM,
        code_digest=bytes(range(32)),
        segments=segments,
        ranges=ranges,
        lines=lines or LineRows(),
    )


def opened(of: IndexContent) -> SymbolIndex:
    """The index as a reader sees it."""
    return SymbolIndex(memoryview(encode_index(of)))


def test_index_keeps_what_was_written() -> None:
    """Identity, segments and spans come back as they went in."""
    index = opened(content())

    assert (index.build_id, index.machine, index.elf_type, index.code_digest) == (
        "ab" * 20,
        X86_64,
        2,
        bytes(range(32)),
    )
    assert index.origins == SymbolOrigin.SYMTAB | SymbolOrigin.DYNSYM
    assert index.segments == (Segment(0x1000, 0x300, 0x401000),)
    assert list(index.ranges()) == [CodeRange(0x401000, 0x20, 0, "first"), CodeRange(0x401100, 0x40, 0, "second")]


@pytest.mark.parametrize(
    ("file_offset", "found"),
    [
        (0x1000, Resolved("first", 0)),
        (0x101F, Resolved("first", 0x1F)),
        (0x1020, Unresolved.NO_SYMBOL),
        (0x10FF, Unresolved.NO_SYMBOL),
        (0x1100, Resolved("second", 0)),
        (0x113F, Resolved("second", 0x3F)),
        (0x1140, Unresolved.NO_SYMBOL),
        (0x1FFF, Unresolved.NO_SYMBOL),
        (0x2000, Unresolved.UNMAPPED),
        (0x0FFF, Unresolved.UNMAPPED),
        (2**63, Unresolved.UNMAPPED),
    ],
)
def test_offset_of_the_innermost_frame(file_offset: int, found: Resolved | Unresolved) -> None:
    """The probed instruction itself decides; gaps and unmapped offsets have no name."""
    assert opened(content()).lookup(file_offset, innermost=True) == found


def test_return_address_belongs_to_the_call_before_it() -> None:
    """Behind a call that never returns the caller has ended; its own offset is still what is reported."""
    index = opened(content())

    assert index.lookup(0x1020, innermost=False) == Resolved("first", 0x20)
    assert index.lookup(0x1100, innermost=False) is Unresolved.NO_SYMBOL


@pytest.mark.parametrize(("machine", "step"), [(X86_64, 1), (AARCH64, 4), (MIPS, 8)])
def test_step_back_is_inside_the_call(machine: int, step: int) -> None:
    """One byte on x86, one instruction elsewhere, two with a delay slot."""
    index = opened(content(machine=machine))

    assert index.lookup(0x1020 + step - 1, innermost=False) == Resolved("first", 0x20 + step - 1)
    assert index.lookup(0x1020 + step, innermost=False) is Unresolved.NO_SYMBOL


def test_thumb_bit_is_not_part_of_an_offset() -> None:
    """An odd return address on ARM says that the caller runs Thumb code."""
    index = opened(content(machine=ARM))

    assert index.lookup(0x1011, innermost=False) == index.lookup(0x1010, innermost=False) == Resolved("first", 0x10)


def test_page_around_a_segment_is_mapped_too() -> None:
    """The kernel maps whole pages: code below the segment's first byte is not unmapped."""
    index = opened(content(segments=(Segment(0x1080, 0x100, 0x401080),)))

    assert index.lookup(0x1000, innermost=True) == Resolved("first", 0)


def test_byte_that_two_segments_map_belongs_to_the_one_that_asks_for_it() -> None:
    """Segments may share a page of the file and differ in address."""
    segments = (Segment(0x1000, 0x80, 0x401000), Segment(0x1080, 0x80, 0x501080))
    ranges = CodeRanges([0x401000, 0x501080], [0x100, 0x100], [0, 0], ["low", "high"])
    index = opened(content(ranges, segments=segments))

    assert index.lookup(0x107F, innermost=True) == Resolved("low", 0x7F)
    assert index.lookup(0x1080, innermost=True) == Resolved("high", 0)


def test_file_without_symbols_says_so() -> None:
    """An empty table is another reason than a gap."""
    assert opened(content(CodeRanges())).lookup(0x1000, innermost=True) is Unresolved.NO_SYMBOL_TABLE


def test_span_that_continues_a_symbol_counts_from_the_symbol() -> None:
    """`delta` is what lies between the symbol's start and the span's."""
    index = opened(content(CodeRanges([0x401000], [0x10], [0x100], ["f"])))

    assert index.lookup(0x1004, innermost=True) == Resolved("f", 0x104)


def test_line_is_that_of_the_instruction_or_of_the_call() -> None:
    """A return address has the line of the call before it; a row with line 0 ends what is known."""
    lines = LineRows([0x401000, 0x401008, 0x401010], [0, 1, 0], [7, 9, 0], ["a.c", "b.h"])
    index = opened(content(lines=lines))

    assert index.lookup(0x1000, innermost=True) == Resolved("first", 0, "a.c", 7)
    assert index.lookup(0x1008, innermost=True) == Resolved("first", 8, "b.h", 9)
    assert index.lookup(0x1008, innermost=False) == Resolved("first", 8, "a.c", 7)
    assert index.lookup(0x1018, innermost=True) == Resolved("first", 0x18)


@pytest.mark.parametrize(
    ("middle", "inlined"),
    [
        ("middle", (InlinedCall("inner", "b.h", 9), InlinedCall("middle", "a.c", 20))),
        ("", (InlinedCall("inner", "b.h", 9),)),
    ],
)
def test_inlined_code_has_its_own_line_and_the_outer_function_that_of_the_call(
    middle: str, inlined: tuple[InlinedCall, ...]
) -> None:
    """Each function has the line that runs in it; a copy without a name takes its line along."""
    lines = LineRows([0x401000, 0x401008, 0x401010], [0, 1, 0], [30, 9, 31], ["a.c", "b.h"])
    copies = InlinedCopies(
        names=[middle, "inner"],
        addresses=[0x401004, 0x401008],
        outer=[NO_COPY, 0],
        files=[0, 0],
        lines=[10, 20],
        starts=[0x401004, 0x401008, 0x401010],
        innermost=[0, 1, NO_COPY],
    )
    index = opened(replace(content(lines=lines), copies=copies))

    assert index.lookup(0x1000, innermost=True) == Resolved("first", 0, "a.c", 30)
    assert index.lookup(0x1008, innermost=True) == Resolved("first", 8, "a.c", 10, inlined)
    assert index.lookup(0x1010, innermost=True) == Resolved("first", 0x10, "a.c", 31)


def test_signal_return_is_named_where_the_unwind_table_begins_a_byte_early() -> None:
    """Nothing calls it, so nothing lies before it; behind a call that never returns there is no such entry."""
    ranges = CodeRanges([0x401000, 0x401021, 0x401100], [0x20, 8, 8], [0, 0, 0], ["first", "restorer", "other"])
    index = opened(replace(content(ranges), unwound=[0x401000, 0x401020, 0x401100]))

    assert index.lookup(0x1021, innermost=False) == Resolved("restorer", 0)
    assert index.lookup(0x1100, innermost=False) is Unresolved.NO_SYMBOL


def test_name_that_is_not_ascii_comes_back() -> None:
    """Names are UTF-8; offsets count bytes."""
    index = opened(content(CodeRanges([0x401000, 0x401010], [8, 8], [0, 0], ["pkg.naïve·1", "pkg.后"])))

    assert [span.name for span in index.ranges()] == ["pkg.naïve·1", "pkg.后"]


def test_every_damaged_byte_is_noticed() -> None:
    """No flipped bit anywhere in the file passes the checks."""
    whole = encode_index(content())

    for at in range(len(whole)):
        damaged = bytearray(whole)
        damaged[at] ^= 1
        with pytest.raises(IndexFormatError):
            SymbolIndex(memoryview(damaged))


@pytest.mark.parametrize("length", [0, 8, 87, 200, -1])
def test_truncated_index_is_refused(length: int) -> None:
    """A file that ends early is not an index."""
    with pytest.raises(IndexFormatError):
        SymbolIndex(memoryview(encode_index(content())[:length]))


def test_index_of_another_format_says_what_to_do() -> None:
    """An index of a newer callstream is not damaged: it has to be made again."""
    newer = bytearray(encode_index(content()))
    newer[8] = 3
    with pytest.raises(IndexFormatError, match="format 3, and only 2 is known; build the index again"):
        SymbolIndex(memoryview(newer))


def test_number_that_does_not_fit_is_refused() -> None:
    """A length of 4 GiB is an error of the caller, never wrapped round."""
    with pytest.raises(ValueError, match="does not fit"):
        encode_index(content(CodeRanges([0x401000], [2**32], [0], ["f"])))
