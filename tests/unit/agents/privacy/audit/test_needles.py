"""agents/privacy/audit/needles.py: a known secret is found in every encoding that the help names."""

import base64
import html
import json
import shlex
from collections.abc import Callable
from urllib.parse import quote, quote_plus

import pytest

from agents.privacy.audit.needles import Needles

_SECRETS = ("cnry-needle-1", 'it\'s "Zw9ß" & <x>+50%\\n', "пароль-Zq7")

_ENCODINGS: dict[str, Callable[[str], str]] = {
    "as it is": str,
    "lower case": str.lower,
    "upper case": str.upper,
    "reversed": lambda secret: secret[::-1],
    "hexadecimal": lambda secret: secret.encode().hex(),
    "hexadecimal in capitals": lambda secret: secret.encode().hex().upper(),
    "hexadecimal with colons": lambda secret: secret.encode().hex(":"),
    "hexadecimal with spaces": lambda secret: secret.encode().hex(" "),
    "hexadecimal with \\x": lambda secret: "".join(f"\\x{byte:02x}" for byte in secret.encode()),
    "base 64": lambda secret: base64.b64encode(secret.encode()).decode(),
    "base 64 behind one byte": lambda secret: base64.b64encode(b":" + secret.encode() + b"..").decode(),
    "base 64 behind two bytes": lambda secret: base64.b64encode(b"a:" + secret.encode() + b"...").decode(),
    "base 64 for URLs": lambda secret: base64.urlsafe_b64encode(secret.encode()).decode().rstrip("="),
    "base 32": lambda secret: base64.b32encode(secret.encode()).decode(),
    "UTF-16": lambda secret: secret.encode("utf-16-le").decode("latin-1"),
    "UTF-16 in base 64": lambda secret: base64.b64encode(secret.encode("utf-16-le")).decode(),
    "UTF-16 in hexadecimal": lambda secret: secret.encode("utf-16-be").hex(),
    "percent": lambda secret: quote(secret, safe=""),
    "percent in small letters": lambda secret: "".join(f"%{byte:02x}" for byte in secret.encode()),
    "percent, twice": lambda secret: quote(quote(secret, safe=""), safe=""),
    "percent of forms": quote_plus,
    "JSON": json.dumps,
    "JSON in UTF-8": lambda secret: json.dumps(secret, ensure_ascii=False),
    "JSON in JSON": lambda secret: json.dumps(json.dumps(secret)),
    "JSON, every character": lambda secret: "".join(f"\\u{ord(one):04x}" for one in secret),
    "HTML": html.escape,
    "HTML by numbers": lambda secret: "".join(f"&#{ord(one)};" for one in secret),
    "HTML by hexadecimal numbers": lambda secret: "".join(f"&#x{ord(one):x};" for one in secret),
    "shell quotes": shlex.quote,
    "shell backslashes": lambda secret: "".join(f"\\{one}" if not one.isalnum() else one for one in secret),
    "octal": lambda secret: "".join(f"\\{byte:03o}" for byte in secret.encode()),
}


@pytest.mark.parametrize("secret", _SECRETS)
@pytest.mark.parametrize("encoding", _ENCODINGS)
def test_needle_is_found_in_each_encoding(encoding: str, secret: str) -> None:
    """Between other words; and a text without it is passed over."""
    needles = Needles([secret, "another-one-7"])
    assert needles.stand_in(f"tool --x={_ENCODINGS[encoding](secret)} y")
    assert not needles.stand_in(f"tool --x={_ENCODINGS[encoding](secret[:4] + 'ordinary')} y")


def test_no_needle_is_found_nowhere() -> None:
    """Empty lines of a file are none."""
    assert not Needles(["", ""]).stand_in("anything")
