"""A token from a file that another program writes."""

import base64
import json
import time
from pathlib import Path

import pytest

from app.logins.token import OPAQUE_SECONDS, TokenError
from app.logins.token_file import read_token_file

VARIABLE = "CALLSTREAM_KAFKA_SASL_OAUTH_TOKEN_FILE"


def _jwt(**claims: object) -> str:
    body = base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode()
    return f"e30.{body}.c2ln"


def test_a_token_ends_when_it_says(tmp_path: Path) -> None:
    """Its first line is the token, whatever stands around it."""
    file = tmp_path / "token"
    end = int(time.time()) + 77
    file.write_text(f"  {_jwt(exp=end)} \nmore\n")
    token = read_token_file(file, VARIABLE)
    assert (token.value, token.expires_at) == (_jwt(exp=end), end)


@pytest.mark.parametrize("text", ["opaque", "a.b.c", "a.!!!!.c", f"a.{base64.b64encode(b'[1]').decode()}.c"])
def test_a_token_that_does_not_say_is_read_again_soon(tmp_path: Path, text: str) -> None:
    """Also one that only looks like a JWT."""
    file = tmp_path / "token"
    file.write_text(text)
    assert 0 < read_token_file(file, VARIABLE).expires_at - time.time() <= OPAQUE_SECONDS


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (None, "No such file"),
        ("", "whose first line is empty"),
        ("\n" + _jwt(), "whose first line is empty"),
        ("tökén", "holds no token"),
        (_jwt(exp=1_700_000_000), "whose token ended at 2023-11-14T22:13:20[+]00:00: nobody has renewed it"),
    ],
)
def test_a_file_that_gives_no_token_is_told(tmp_path: Path, content: str | None, why: str) -> None:
    """With the setting that names it."""
    file = tmp_path / "token"
    if content is not None:
        file.write_text(content)
    with pytest.raises(TokenError, match=rf"^{VARIABLE} names {file}.*{why}"):
        read_token_file(file, VARIABLE)
