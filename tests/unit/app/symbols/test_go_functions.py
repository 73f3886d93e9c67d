"""Functions of a Go program without the padding behind them, from a table and code that are written here."""

from types import SimpleNamespace
from typing import Final, cast

import pytest

from agents.symbols.index_format import Segment
from app.symbols.elf import ElfStructure
from app.symbols.go_functions import go_symbols
from app.symbols.gopclntab import GO_1_20, GoTable, _Names

_TEXT: Final = 0x1000
_X86_64, _ARM64 = 62, 183


def _sizes(pieces: list[bytes], machine: int, segments: tuple[Segment, ...] | None = None) -> list[tuple[int, int]]:
    """(entry from the start of the text, size) of the functions that are found in `pieces`, which follow each other."""
    data = b"".join(pieces)
    functions, at = [], 0
    for number, piece in enumerate(pieces):
        functions.append((at, at + len(piece), f"main.f{number}"))
        at += len(piece)
    table = GoTable(b"", "little", GO_1_20, 1, functions, [], _Names(b"", 0, 0), 0, _TEXT, None)
    segments = segments or (Segment(0, len(data), _TEXT),)
    structure = SimpleNamespace(machine=machine, segments=segments)
    found = go_symbols(memoryview(data), cast("ElfStructure", structure), table)
    return [(symbol.address - _TEXT, symbol.size) for symbol in found]


@pytest.mark.parametrize(
    ("piece", "size"),
    [
        pytest.param(b"\x90\xcc\xc3", 3, id="none"),
        pytest.param(b"\x90\xc3" + b"\xcc" * 14, 2, id="usual"),
        pytest.param(b"\xc3" + b"\xcc" * 64, 1, id="as long as padding gets"),
        pytest.param(b"\xc3" + b"\xcc" * 5000, 1, id="longer than linkers pad"),
        pytest.param(b"\xc3\x00\x00", 3, id="zeros are code"),
    ],
)
def test_padding_of_x86_is_taken_off(piece: bytes, size: int) -> None:
    """Whatever its length; the functions before and behind keep their places."""
    assert _sizes([b"\xc3", piece, b"\xc3"], _X86_64) == [(0, 1), (1, size), (1 + len(piece), 1)]


@pytest.mark.parametrize("piece", [b"\xcc" * 3, b"\xcc" * 64, b"\xcc" * 200])
def test_a_function_that_is_all_padding_is_none(piece: bytes) -> None:
    """The linker's table has entries for space between functions, too."""
    assert _sizes([b"\xc3", piece], _X86_64) == [(0, 1)]


def test_an_instruction_of_fixed_width_keeps_its_zeros() -> None:
    """On other machines padding is zeros, and the last instruction may end with some."""
    assert _sizes([b"\x1f\x20\x03\xd5\x01\x00\x00\x00" + bytes(8), b"\x01\x00"], _ARM64) == [(0, 8), (16, 2)]


def test_a_function_that_is_not_in_one_segment_is_left_out() -> None:
    """It would have code that the file does not hold."""
    segments = (Segment(0, 3, _TEXT), Segment(4, 4, _TEXT + 4))
    assert _sizes([b"\x90\xc3", b"\x90\xc3", b"\x90\x90\x90\xc3"], _X86_64, segments) == [(0, 2), (4, 4)]
