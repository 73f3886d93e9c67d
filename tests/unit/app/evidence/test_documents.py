"""Documents that prove themselves, bit by bit."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.evidence import documents
from app.evidence.documents import DocumentError, differences, sealed

DOCUMENT = {"kind": "test", "größe": [1, -2, None, True], "inner": {"b": "x\n", "a": ""}}

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(st.text(max_size=8).filter(lambda name: name != "digest"), VALUES, max_size=4))
def test_a_document_reads_back_as_written(
    tmp_path_factory: pytest.TempPathFactory, document: dict[str, object]
) -> None:
    """Whatever a document holds, its file gives it back."""
    path = tmp_path_factory.mktemp("document") / "document.json"
    documents.write(path, sealed(document))
    assert documents.read(path) == sealed(document)


def test_the_order_of_keys_does_not_change_the_text() -> None:
    """Two dictionaries with the same entries are one document."""
    backwards = dict(reversed(DOCUMENT.items()))
    assert documents.encode(sealed(backwards)) == documents.encode(sealed(DOCUMENT))


def test_a_document_with_any_bit_flipped_is_refused(tmp_path: Path) -> None:
    """No bit of the file can change without being noticed, those of the digest and of white space included."""
    path = tmp_path / "document.json"
    content = documents.encode(sealed(DOCUMENT))
    for position in range(len(content) * 8):
        damaged = bytearray(content)
        damaged[position // 8] ^= 1 << position % 8
        path.write_bytes(damaged)
        with pytest.raises(DocumentError, match=r"document\.json"):
            documents.read(path)


@pytest.mark.parametrize("content", [b"", b"[]\n", b'{"digest":1.5}\n', b"{}\n\n", b"\xff", b"[" * 100_000])
def test_what_is_no_document_is_refused(tmp_path: Path, content: bytes) -> None:
    """Anything that is not ours is named as such, whatever it does to a JSON parser."""
    path = tmp_path / "document.json"
    path.write_bytes(content)
    with pytest.raises(DocumentError, match=r"document\.json"):
        documents.read(path)


def test_a_missing_document_is_named(tmp_path: Path) -> None:
    """The message names the file."""
    with pytest.raises(DocumentError, match=r"nowhere\.json: No such file"):
        documents.read(tmp_path / "nowhere.json")


def test_values_without_one_text_are_refused() -> None:
    """Floats and keys that are not strings have no canonical text."""
    for value in (1.0, {1: 2}, {"a": {2}}):
        with pytest.raises(TypeError):
            documents.canonical_text(value)


def test_differences_are_named_by_path() -> None:
    """Every place that differs is listed once, with both values."""
    left = {"a": [1, {"b": "x"}], "c": 1, "same": {}}
    right: dict[str, object] = {"a": [1, {"b": "y"}, 2], "d": None, "same": {}}
    assert [str(one) for one in differences(left, right)] == [
        'a[1].b: "x" is now "y"',
        "a[2]: (nothing) is now 2",
        "c: 1 is now (nothing)",
        "d: (nothing) is now null",
    ]
