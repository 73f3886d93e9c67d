"""Whatever is shown is one line in which each character shows."""

import json
import sys
import unicodedata

import pytest

from app.operators.escaping import escaped


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain text", "plain text"),
        ("größe ✓ 日本", "größe ✓ 日本"),
        ("a\x1b[2Jb\r\n\x07\x7f", "a\\u001b[2Jb\\r\\n\\u0007\\u007f"),
        ("\x9b2J\x85", "\\u009b2J\\u0085"),
        ("\u202e\u2066\u200b\u2028\ufeff", "\\u202e\\u2066\\u200b\\u2028\\ufeff"),
        ("\udc9b\U000e0041", "\\udc9b\\udb40\\udc41"),
        ("a\u00a0b\u3164c\ufe0f", "a\\u00a0b\\u3164c\\ufe0f"),
    ],
)
def test_what_does_not_show_becomes_an_escape_of_json(text: str, shown: str) -> None:
    """Control characters, bidirectional marks, blanks that look like nothing, lone surrogates."""
    assert escaped(text) == shown
    assert escaped(shown) == shown


def test_no_character_of_a_category_that_does_not_show_is_left() -> None:
    """Of all of Unicode."""
    left = {unicodedata.category(one) for code in range(sys.maxunicode + 1) for one in escaped(chr(code))}

    assert not left & {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


def test_a_line_of_json_keeps_its_meaning() -> None:
    """So a document may have readable letters, and nothing that a terminal obeys."""
    document = {"größe": "\x1b\x7f\x9b\u202e\U000e0041 ✓\n"}

    assert json.loads(escaped(json.dumps(document, ensure_ascii=False))) == document
