"""TOML of anybody is read in bounded time, or refused with one line."""

import time

import pytest

from agents.toml_text import MAX_TOML_BYTES, TomlTextError, parse_toml


def test_toml_is_read_as_it_is() -> None:
    """Also names with many dots inside texts, and dotted keys as people write them."""
    text = 'a.b."c.d" = 1\nhost = "a.b.c.d.e.f.g"\n[[x]]\ny = [[1, 2], [{z = 3}]]\n'

    assert parse_toml(text) == {
        "a": {"b": {"c.d": 1}},
        "host": "a.b.c.d.e.f.g",
        "x": [{"y": [[1, 2], [{"z": 3}]]}],
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a = " + "[" * 100_000, "too deeply"),
        ("a = " + "[" * 60 + "]" * 60, "deeper than 16 levels"),
        ("a = " + "{b = " * 30_000, "too deeply"),
        (".".join(["a"] * 30_000) + " = 1", "more than 32 parts"),
        (" . ".join(['"\\""'] * 30_000) + " = 1", "more than 32 parts"),
        (".".join(["'.'"] * 30_000) + " = 1", "more than 32 parts"),
        ("\n\n[" + ".".join(["a"] * 40) + "]", "line 3"),
        ("a = " + "9" * 10_000, "digits"),
        ("#" * (MAX_TOML_BYTES + 1), "more than 1,048,576 bytes"),
        ("a = 1\na = 2\n", "line 2"),
    ],
)
def test_what_is_too_much_is_refused_with_one_line(text: str, message: str) -> None:
    """Nested brackets, keys of many parts, and texts without end do not take a process's time or its stack."""
    began = time.process_time()
    with pytest.raises(TomlTextError, match=message) as refused:
        parse_toml(text)

    assert time.process_time() - began < 2
    assert "\n" not in str(refused.value)
