"""Symbols are shown demangled, and no name takes the program that shows it with it."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from app.symbols.display import SymbolDisplay


@pytest.fixture(scope="module")
def display() -> Iterator[SymbolDisplay]:
    """One process for all names."""
    with SymbolDisplay() as shown:
        yield shown


@pytest.mark.parametrize(
    ("symbol", "shown"),
    [
        ("_ZN4shop6Basket3putERKi", "shop::Basket::put(int const&)"),
        ("_ZN4shop6Basket3putERKi.cold", "shop::Basket::put(int const&) (.cold)"),
        ("_RNvNtC7mycrate4shop3put", "mycrate::shop::put"),
        ("_RINvNtC7mycrate4shop4showjE", "mycrate::shop::show::<usize>"),
        ("_ZN4core3fmt5Write9write_fmt17h0123456789abcdefE", "core::fmt::Write::write_fmt"),
        (
            "_ZN9hashbrown3raw21RawTable$LT$T$C$A$GT$7reserve17h0123456789abcdefE",
            "hashbrown::raw::RawTable<T,A>::reserve",
        ),
        (
            "_ZN3std2rt10lang_start28_$u7b$$u7b$closure$u7d$$u7d$17h0123456789abcdefE",
            "std::rt::lang_start::{{closure}}",
        ),
        ("_ZN42_$LT$$RF$T$u20$as$u20$core..fmt..Debug$GT$3fmt17h0123456789abcdefE", "<&T as core::fmt::Debug>::fmt"),
        ("main.(*Basket[...]).Put", "main.(*Basket[...]).Put"),
        ("memcpy", "memcpy"),
        ("_ZN", "_ZN"),
        ("_R", "_R"),
        ("_Z\udc80", "_Z\\udc80"),
        ("evil\x1b[2J\u202ename", "evil\\u001b[2J\\u202ename"),
        ("main.Map[...]!=%", "main.Map[...]!=%"),
        ("", ""),
    ],
)
def test_symbol_is_shown_as_people_write_it(display: SymbolDisplay, symbol: str, shown: str) -> None:
    """C++, Rust v0 and legacy are demangled, with Rust's hash dropped; anything else is shown as it is."""
    assert display.name(symbol) == shown


def _doubling(levels: int) -> str:
    digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    name = "_Z1f1aI1bE"
    for level in range(levels):
        seen = f"S{digits[level + 1]}_"
        name += f"S_I{seen}{seen}E"
    return name


@pytest.mark.parametrize(
    "symbol", ["_Z1f" + "P" * 200_000 + "i", "_Z1f" + "P" * 8_000 + "i", _doubling(30), "_Z" + "N1a" * 100_000 + "v"]
)
def test_name_that_attacks_the_demangler_is_shown_as_it_is(symbol: str) -> None:
    """Deep nesting and names that double with every few letters end in the demangler's own process."""
    with SymbolDisplay() as display:
        shown = display.name(symbol)

        assert shown == symbol or len(shown) < 10_001
        assert display.name("_ZN4shop3putEv") == "shop::put()"


def test_threads_that_ask_at_once_each_get_their_own_name() -> None:
    """Where one reads rows and others answer questions, no function is shown under the name of another."""
    symbols = [f"_ZN4shop{len(name := f'put_{number}')}{name}Ev" for number in range(400)]
    with SymbolDisplay() as display, ThreadPoolExecutor(4) as threads:
        shown = list(threads.map(display.name, symbols))

    assert shown == [f"shop::put_{number}()" for number in range(400)]


def test_display_without_a_demangler_shows_names_as_they_are() -> None:
    """Where the process cannot run, nothing is lost but comfort."""
    with SymbolDisplay() as display:
        display._process._command = ("false",)
        shown = [display.name(f"_ZN4shop{number}aEv") for number in range(5)]

    assert shown == [f"_ZN4shop{number}aEv" for number in range(5)]
