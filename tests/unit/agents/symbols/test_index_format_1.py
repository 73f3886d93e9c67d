"""Indexes of format 1 are read as if they had been written today."""

from pathlib import Path

import pytest

from agents.symbols.function_names import FunctionNames
from agents.symbols.index import SymbolIndex
from agents.symbols.index_format import IndexFormatError
from agents.symbols.lookup import Resolved

RECORDED = Path(__file__).parents[3] / "golden" / "recorded" / "754b6c1" / "symbols" / "objects"


def recorded() -> bytes:
    """The index of a recorded store."""
    (path,) = RECORDED.iterdir()
    return path.read_bytes()


def test_index_of_an_earlier_program_names_its_functions() -> None:
    """Every function is found at its first byte, and by its name."""
    index = SymbolIndex(memoryview(recorded()))
    names = FunctionNames(index)
    (segment,) = index.segments

    assert index.format == 1
    assert index.range_count > 1
    for one in index.ranges():
        offset = one.start - segment.address + segment.file_offset
        assert index.lookup(offset, innermost=True) == Resolved(one.name, one.delta)
        assert one.start - one.delta in {code.address for code in names.codes(one.name)}
    assert not names.inline_knowledge.is_whole


def test_damaged_index_of_an_earlier_program_is_refused() -> None:
    """No flipped bit passes the checks."""
    whole = recorded()
    for at in range(0, len(whole), 7):
        damaged = bytearray(whole)
        damaged[at] ^= 1
        with pytest.raises(IndexFormatError):
            SymbolIndex(memoryview(damaged))
