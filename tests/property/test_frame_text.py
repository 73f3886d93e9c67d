"""Frames have a text form that parses back, and canonicalizing twice changes nothing."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.canonicalize.frame_text import (
    FrameText,
    FrameTextError,
    format_frame_text,
    parse_frame_text,
)
from agents.canonicalize.frames import MAX_OFFSET, FrameResolution, OffsetBasis, canonicalize_frame
from agents.symbols.kernel_symbols import canonical_symbol
from agents.symbols.module_paths import normalize_module
from tests.support.frame_texts import frame_text

AWKWARD = st.text(alphabet=st.sampled_from("ab/.!+0x%@$[]() \n\x7f\u202eé:"), max_size=30)
ROOTS = ["proc/1/root", "proc/self/task/2/root", "overlay2/0123456789ab/merged", "snapshots/7/fs", "lxc/a/rootfs"]
SPECIAL_NAMES = ["memfd:x", "[heap]", "[vdso]", "dev/zero", "anon", "SYSV00000000", "x (deleted)", " (deleted)"]
COMPONENTS = ["", ".", "..", "a", "lib", "usr", "var/lib", "machines", *ROOTS, *SPECIAL_NAMES]
PIECES = st.lists(st.sampled_from(COMPONENTS), max_size=14).map("/".join)
PATHS = st.one_of(st.text(max_size=40), AWKWARD, PIECES, PIECES.map(lambda path: path + " (deleted)"))
OFFSETS = st.one_of(st.integers(0, 2**64 - 1), st.integers(0, 4096))


@given(PATHS)
def test_normalizing_a_module_twice_is_normalizing_it_once(raw: str) -> None:
    """A canonical module is its own canonical form."""
    once = normalize_module(raw)

    assert replace(normalize_module(once.path), is_deleted=once.is_deleted) == once


@given(
    st.one_of(st.text(max_size=40), AWKWARD, st.from_regex(r"[a-z]{1,3}(\.(llvm|part|__uniq|cold)\.[0-9]{1,3}){0,4}"))
)
def test_canonical_symbol_is_idempotent(raw: str) -> None:
    """A canonical symbol is its own canonical form."""
    once = canonical_symbol(raw)

    assert canonical_symbol(once) == once


@given(st.one_of(AWKWARD, st.text()), st.one_of(AWKWARD, st.text()), st.none() | st.integers(0, MAX_OFFSET))
def test_text_form_parses_back(module: str, symbol: str, offset: int | None) -> None:
    """No module, symbol or offset makes a text that reads as another frame."""
    parts = FrameText(module, symbol, offset)

    assert parse_frame_text(format_frame_text(parts)) == parts


@given(st.one_of(AWKWARD, st.text()))
def test_parsing_either_refuses_or_prints_the_same(text: str) -> None:
    """Only canonical texts parse, so one frame has one text."""
    try:
        parts = parse_frame_text(text)
    except FrameTextError:
        return
    assert format_frame_text(parts) == text


@given(OFFSETS, st.one_of(st.text(max_size=30), AWKWARD), PATHS, st.booleans(), st.booleans())
def test_any_entry_becomes_a_frame_that_fits_the_schema(
    offset: int, symbol: str, module: str, is_kernel: bool, is_innermost: bool
) -> None:
    """No entry raises; offsets fit an Avro long, mean nothing without a basis, and the text form parses back."""
    frame = canonicalize_frame(offset, symbol, module, is_kernel=is_kernel, is_innermost=is_innermost)

    assert 0 <= frame.offset <= MAX_OFFSET
    assert frame.offset == 0 or frame.offset_basis is not OffsetBasis.NONE
    assert frame.symbol == "" or is_kernel
    assert frame.resolution is not FrameResolution.UNKNOWN
    assert parse_frame_text(frame_text(frame)).module == frame.module


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("/usr/lib/libc.so.6!__connect+0x1b", FrameText("/usr/lib/libc.so.6", "__connect", 0x1B)),
        ("/usr/lib/libcurl.so.4.7.0+0x1a167", FrameText("/usr/lib/libcurl.so.4.7.0", "", 0x1A167)),
        ("/usr/lib/libstdc++.so.6+0x0", FrameText("/usr/lib/libstdc++.so.6", "", 0)),
        ("kernel!bpf_trampoline", FrameText("kernel", "bpf_trampoline", None)),
        ("/a%21b!c%250%2B0x1+0x2", FrameText("/a!b", "c%0+0x1", 2)),
    ],
)
def test_text_form_of(text: str, parts: FrameText) -> None:
    """The text form is what people write down and search for."""
    assert format_frame_text(parts) == text
    assert parse_frame_text(text) == parts


@pytest.mark.parametrize(
    "text", ["a!b+0x", "a!b+0x01", "a!b+0xF", "a!b+0x8000000000000000", "a!", "a%62", "a%ff", "a\n"]
)
def test_text_that_no_frame_has_is_refused(text: str) -> None:
    """Padding, capitals, offsets beyond 2^63 and needless escapes are errors, not other spellings."""
    with pytest.raises(FrameTextError):
        parse_frame_text(text)
