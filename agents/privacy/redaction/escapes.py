"""Texts that hold a secret in another spelling: escapes of shells, JSON, HTML and URLs, base 64 and hexadecimal.

What would have been redacted in the clear is redacted in its spelling, one level deep. Escapes are read as the
characters that they stand for, at their place; an encoded word is decoded and looked at by itself.
"""

import base64
import binascii
import re
from collections.abc import Iterator
from typing import Final, NamedTuple

from agents.privacy.matching.gate import compiled
from agents.privacy.redaction.shadow import Shadow

ESCAPE_GATE: Final = (
    r"\\u00[0-9a-f][0-9a-f]|\\x[0-9a-f][0-9a-f]|\\[01][0-7][0-7]|&#x?[0-9a-f]+;|&(?:quot|amp|lt|gt|apos);"
    r"|%(?:3[ad]|40|2[0-9a-f]|[4-7][0-9a-f])|\\\[[0-9;]*m|\x1b\["
)
"""A character in another spelling."""

ENCODED_GATE: Final = (
    r"(?-i:cGFzc3|Bhc3N3|wYXNzd|UEFTU1|BBU1NX|QQVNTV|dG9rZW|Rva2Vu|0b2tlb|VE9LRU|c2VjcmV0|NlY3JldA|zZWNyZX|U0VDUk"
    r"|a2V5|YXBpX2tleQ)|base64|\bb64|payload[\"']?\s*[:=]|70617373|746f6b656e|736563726574|50415353"
)
"""Words of secrets in base 64 and in hexadecimal, and words that say that something is encoded."""

_ESCAPE: Final = re.compile(
    r"\\u00(?P<u>[0-9a-fA-F]{2})|\\x(?P<x>[0-9a-fA-F]{2})|\\(?P<o>[01][0-7]{2})|&#x(?P<h>[0-9a-fA-F]{2});"
    r"|&#(?P<d>[0-9]{2,3});|&(?P<n>quot|amp|lt|gt|apos);|%(?P<p>[0-9a-fA-F]{2})|\\\[[0-9;]{0,8}m|\x1b\[[0-9;]{0,8}m"
)
_SAYS_ENCODED: Final = compiled(ENCODED_GATE, ignore_case=True, captures=False)
"""As its gate: without such a word any long name could be taken for an encoded one."""

_NAMED: Final = {"quot": '"', "amp": "&", "lt": "<", "gt": ">", "apos": "'"}
_ENCODED: Final = re.compile(r"(?<![A-Za-z0-9+/_\-])[A-Za-z0-9+/_\-]{12,1024}={0,2}(?![A-Za-z0-9+/_\-])")
_HEXADECIMAL: Final = re.compile(r"(?:[0-9a-fA-F]{2})+\Z")
_PAIR: Final = re.compile(r"[A-Za-z0-9_.@\-]{1,64}:[^\s:]{4,}\Z")

EXAMPLES: Final = {
    "ESCAPE_GATE": (r"password\x3dhunter2", "password"),
    "ENCODED_GATE": ("echo cGFzc3dvcmQ9eA", "echo x"),
    "_SAYS_ENCODED": ("echo cGFzc3dvcmQ9eA", "echo x"),
    "_ESCAPE": ("&#61;", "&;"),
    "_ENCODED": ("cGFzc3dvcmQ9eA==", "cGFz"),
    "_HEXADECIMAL": ("70617373", "xyz"),
    "_PAIR": ("ann:hunter2", "ann"),
}
"""By pattern: a line that it matches, and a similar one that it passes over (a test runs all of them)."""

_MAX_MAPPED: Final = 4096
_MAX_ENCODED: Final = 8


class DecodedWord(NamedTuple):
    """The word `text[start:end]` and what it says; `is_login` if that is `user:secret` alone."""

    start: int
    end: int
    plain: str
    is_login: bool


def unescaped(text: str) -> Shadow | None:
    """The text without escapes, which maps back to positions in it; None if it has none, or is too long."""
    if len(text) > _MAX_MAPPED:
        return None
    plain: list[str] = []
    starts: list[int] = []
    position = 0
    for found in _ESCAPE.finditer(text):
        character = _character(found)
        if character is None:
            continue
        plain.append(text[position : found.start()])
        starts += range(position, found.start())
        if character:
            plain.append(character)
            starts.append(found.start())
        position = found.end()
    if not position:
        return None
    plain.append(text[position:])
    starts += range(position, len(text) + 1)
    return Shadow("".join(plain), tuple(starts))


def _character(found: re.Match[str]) -> str | None:
    """The character that an escape stands for, nothing for a code of colours, None for what cannot be printed."""
    kind = found.lastgroup
    if kind is None:
        return ""
    if kind == "n":
        return _NAMED[found["n"]]
    number = int(found[kind], {"o": 8, "d": 10}.get(kind, 16))
    return chr(number) if 32 <= number < 127 else None


def decoded_words(text: str) -> Iterator[DecodedWord]:
    """Words that are base 64 or hexadecimal of printable text, the first few of a text that says that it has some."""
    if _SAYS_ENCODED.search(text.encode("ascii", "replace")) is None:
        return
    most = _MAX_ENCODED if len(text) <= _MAX_MAPPED else _MAX_ENCODED // 2
    for number, found in enumerate(_ENCODED.finditer(text)):
        if number >= most:
            return
        plain = _decoded(found.group())
        if plain is not None:
            yield DecodedWord(found.start(), found.end(), plain, _PAIR.match(plain) is not None)


def _decoded(word: str) -> str | None:
    try:
        if _HEXADECIMAL.match(word):
            raw = bytes.fromhex(word)
        else:
            unpadded = word.rstrip("=").replace("-", "+").replace("_", "/")
            raw = base64.b64decode(unpadded + "=" * (-len(unpadded) % 4), validate=True)
        plain = raw.decode("ascii").strip("\r\n")
    except (binascii.Error, ValueError):
        return None
    return plain if plain.isprintable() else None
