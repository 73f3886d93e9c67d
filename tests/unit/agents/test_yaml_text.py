"""YAML of strangers."""

import pytest

from agents.yaml_text import MAX_YAML_BYTES, MAX_YAML_DEPTH, MAX_YAML_DOCUMENTS, YamlTextError, parse_yaml


def test_documents_are_what_json_has() -> None:
    """Each document by itself; a date stays a text, and numbers are numbers."""
    text = "a: [1, 0x10, 2.5, yes, ~, 2024-05-01]\n---\n- b\n"

    assert parse_yaml(text) == [{"a": [1, 16, 2.5, True, None, "2024-05-01"]}, ["b"]]
    assert parse_yaml("") == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: &x [1]\nb: *x\n", "aliases are not read (at line 2, column 4)"),
        ("a: 1\nb: 2\na: 3\n", "a key stands twice (at line 3, column 1)"),
        ("1: 2\n", "a key is not text (at line 1, column 1)"),
        ("a: !!set {b}\n", "has a value that JSON has not, such as a set or an infinite number"),
        ("a: .inf\n", "has a value that JSON has not, such as a set or an infinite number"),
        ("a: .nan\n", "has a value that JSON has not, such as a set or an infinite number"),
        ("a: !!binary aGk=\n", "has a value that JSON has not, such as a set or an infinite number"),
        ("[" * (MAX_YAML_DEPTH + 1), f"is nested deeper than {MAX_YAML_DEPTH} levels (at line 1, column 33)"),
        ("--- a\n" * (MAX_YAML_DOCUMENTS + 1), f"has more than {MAX_YAML_DOCUMENTS} documents (at line 257, column 1)"),
        ("a" * (MAX_YAML_BYTES + 1), f"has more than {MAX_YAML_BYTES:,} bytes"),
    ],
)
def test_what_is_not_read_says_why_and_where(text: str, message: str) -> None:
    """One line, without the text itself."""
    with pytest.raises(YamlTextError) as caught:
        parse_yaml(text)

    assert str(caught.value) == message


@pytest.mark.parametrize(
    "text",
    ["a: b: c", "a: [", "\t- x", "a: !!python/object/apply:os.system [ls]", "a: \x00", "\ud800", "a: " + "9" * 5000],
)
def test_no_text_ends_otherwise_than_with_an_error(text: str) -> None:
    """Nothing is run, and the caller has one exception to know."""
    with pytest.raises(YamlTextError) as caught:
        parse_yaml(text)

    assert "\n" not in str(caught.value)
