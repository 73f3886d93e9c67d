"""The text of a symbol's identity: what people write down, what tables and topics are keyed by."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.hot_symbols.identity import (
    EvidenceKind,
    SymbolIdentity,
    SymbolIdError,
    binary_identity,
    frame_identity,
    parse_symbol_id,
    symbol_id,
)

AWKWARD = st.text(alphabet=st.sampled_from("ab0f/.!%:[]-\n\x7f\u202eé"), max_size=12)
MODULES = st.one_of(AWKWARD, st.sampled_from(["kernel", "kernel:", "deadbeef", "exec:x", "build-id:1", "[vdso]"]))
IDENTITIES = st.one_of(
    st.builds(SymbolIdentity, st.none(), MODULES, AWKWARD, st.booleans()),
    st.builds(SymbolIdentity, st.one_of(AWKWARD, st.just("0123456789abcdef")), st.none(), AWKWARD),
    st.builds(binary_identity, MODULES),
)


@pytest.mark.parametrize(
    ("identity", "text"),
    [
        (SymbolIdentity("4fbaccee1d", None, "SSL_read"), "4fbaccee1d!SSL_read"),
        (SymbolIdentity(None, "/usr/bin/python3.13", "main"), "/usr/bin/python3.13!main"),
        (SymbolIdentity(None, "/usr/bin/python3.13", ""), "/usr/bin/python3.13!"),
        (SymbolIdentity(None, "[anon]", ""), "[anon]!"),
        (SymbolIdentity(None, "kernel", "vfs_read", is_kernel_space=True), "kernel!vfs_read"),
        (SymbolIdentity(None, "[nf_tables]", "nft_do_chain", is_kernel_space=True), "kernel:[nf_tables]!nft_do_chain"),
        (binary_identity("/usr/bin/curl"), "exec:/usr/bin/curl"),
        (SymbolIdentity(None, "kernel", "main"), "%6Bernel!main"),
        (SymbolIdentity(None, "deadbeef", "main"), "%64eadbeef!main"),
        (SymbolIdentity("go:x", None, "main"), "build-id:go:x!main"),
        (SymbolIdentity(None, "/a b!c", "operator!%"), "/a b%21c!operator%21%25"),
    ],
)
def test_text_of(identity: SymbolIdentity, text: str) -> None:
    """The text is readable, and no two identities have one."""
    assert symbol_id(identity) == text
    assert parse_symbol_id(text) == identity


@given(identity=IDENTITIES)
def test_every_identity_parses_back(identity: SymbolIdentity) -> None:
    """No module, build id or symbol makes a text that reads as another identity."""
    assert parse_symbol_id(symbol_id(identity)) == identity


@given(text=st.one_of(AWKWARD, st.text(max_size=20)))
def test_parsing_either_refuses_or_prints_the_same(text: str) -> None:
    """One identity has one text."""
    try:
        identity = parse_symbol_id(text)
    except SymbolIdError:
        return
    assert symbol_id(identity) == text


@pytest.mark.parametrize(
    "text", ["", "main", "/usr/bin/curl", "a!b!c", "%61!b", "a!%zz", "a!%ff", "kernel:kernel!x", "kernel!a\n"]
)
def test_text_that_is_no_identity_is_refused(text: str) -> None:
    """What nothing prints is an error, with a reason."""
    with pytest.raises(SymbolIdError):
        parse_symbol_id(text)


@pytest.mark.parametrize(
    ("text", "evidence"),
    [
        ("/a!f", EvidenceKind.SYMBOL),
        ("/a!", EvidenceKind.MODULE),
        ("exec:/a", EvidenceKind.BINARY),
        ("kernel!", EvidenceKind.MODULE),
    ],
)
def test_evidence_follows_from_the_identity(text: str, evidence: EvidenceKind) -> None:
    """A function that ran, code that ran, and a file that was executed never share a row."""
    assert parse_symbol_id(text).evidence is evidence


@pytest.mark.parametrize(
    ("build_id", "is_kernel_space", "expected"),
    [
        (None, False, "/lib/x!f"),
        ("", False, "/lib/x!f"),
        ("0123abcd", False, "0123abcd!f"),
        ("0123abcd", True, "kernel:/lib/x!f"),
    ],
)
def test_frame_identity_prefers_the_build_id(build_id: str | None, is_kernel_space: bool, expected: str) -> None:
    """A user frame's build id says more than its path; a kernel frame has none."""
    assert symbol_id(frame_identity("/lib/x", build_id, "f", is_kernel_space=is_kernel_space)) == expected
