"""app/simulator/workload/secrets.py: canaries look like secrets, and are found again in any clothing."""

import base64
import re
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.simulator.workload import secrets

NEEDLE = secrets.needle_of("somewhere", 3)

_SHAPES: list[Callable[[str, int], str | bytes]] = [
    secrets.raw,
    secrets.token,
    secrets.command_line,
    secrets.binary,
    secrets.text,
    secrets.path,
    secrets.module,
    secrets.execution,
    secrets.buffer,
]


def _bytes(content: str | bytes) -> bytes:
    return content if isinstance(content, bytes) else content.encode()


@pytest.mark.parametrize("shape", _SHAPES, ids=lambda shape: shape.__name__)
def test_needle_is_found_in_every_form_of_every_shape(shape: Callable[[str, int], str | bytes]) -> None:
    """Whatever a form wraps around the secret, the search names exactly that secret."""
    for form in range(len(secrets.COMMAND_LINES)):
        assert secrets.traces(_bytes(shape(NEEDLE, form))) == [NEEDLE]


@given(before=st.binary(max_size=40), behind=st.binary(max_size=40))
def test_needle_is_found_when_it_is_encoded(before: bytes, behind: bytes) -> None:
    """Hexadecimal, base 64 at any alignment, UTF-16 and capitals do not hide a secret."""
    content = before + b" " + NEEDLE.encode() + b" " + behind
    for dressed in (
        content,
        content.upper(),
        content.hex().encode(),
        base64.b64encode(content),
        base64.urlsafe_b64encode(content),
        before + NEEDLE.encode("utf-16-le") + behind,
    ):
        assert NEEDLE in secrets.traces(dressed)


@given(content=st.binary(max_size=200))
def test_nothing_is_found_in_what_holds_no_canary(content: bytes) -> None:
    """Arbitrary bytes are not a leak."""
    assert secrets.traces(content) == []


def test_a_part_of_a_needle_is_a_trace() -> None:
    """A secret that was cut off is still a leak, though nobody can say which."""
    assert secrets.traces(b"password=" + NEEDLE[:10].encode()) == ["?"]


def test_needles_differ_by_place_and_form() -> None:
    """Each place and form has a secret of its own, always the same one."""
    needles = {secrets.needle_of(place, form) for place in ("a", "b", "a#1") for form in range(20)}

    assert len(needles) == 60
    assert secrets.needle_of("somewhere", 3) == NEEDLE


def test_tokens_have_their_vendors_shapes() -> None:
    """A scanner that knows the documented lengths and alphabets recognises each."""
    patterns = [
        r"ghp_[A-Za-z0-9]{36}",
        r"AKIA[A-Z2-7]{16}",
        r"glpat-[A-Za-z0-9_-]{20}",
        r"npm_[A-Za-z0-9]{36}",
        r"sk_live_[A-Za-z0-9]{24}",
        r"xoxb-[0-9]{12}-[A-Za-z0-9]{24}",
        r"eyJ[\w-]+\.eyJ[\w-]+\.[\w-]{43}",
    ]
    tokens = [secrets.token(NEEDLE, form) for form in range(len(patterns))]

    assert all(re.fullmatch(pattern, token) for pattern, token in zip(patterns, tokens, strict=True))
