"""Secrets that are known to exist, looked for in the encodings in which programs write them.

Where an encoding changes every character (hexadecimal, base 64, UTF-16), the secret is looked for as it would be
written. Where it changes some characters and the writer chooses which (URLs, JSON, HTML, shells), the text is read as
its reader would, and the secret is looked for in what that gives.
"""

import base64
import html
import re
from collections.abc import Iterable, Iterator
from typing import Final
from urllib.parse import unquote, unquote_plus

import re2

ENCODINGS: Final = (
    "as it is, in lower and upper case",
    "reversed",
    "hexadecimal, also with colons, spaces or \\x",
    "base 64 at each alignment in both alphabets, base 32",
    "UTF-16",
    "percent, JSON, HTML and shell escapes",
)
"""What the help names; a test looks for each."""

_FEWEST_INNER: Final = 8
"""Characters of base 64 that do not depend on what stands around the secret; fewer would be found by chance."""

_MEMORY_BYTES: Final = 512 << 20
"""Of the automaton: some hundreds of secrets take a tenth."""

_URL_SAFE: Final = str.maketrans("+/", "-_")
_BACKSLASH: Final = re.compile(r"\\(?:u\{?([0-9a-fA-F]{1,6})\}?|x([0-9a-fA-F]{2})|([0-7]{1,3})|(.))", re.DOTALL)
_LETTERS: Final = {"n": "\n", "t": "\t", "r": "\r", "0": "\0", "a": "\a", "b": "\b", "f": "\f", "v": "\v", "e": "\x1b"}
_QUOTES: Final = re.compile(r"['\"]")
_QUOTING: Final = re.compile(r"['\"\\]")
"""What shells take away; a secret that holds such characters is looked for without them, too."""


class Needles:
    """Known secrets. Raises nothing for any text."""

    def __init__(self, secrets: Iterable[str]) -> None:
        spelled = sorted({form for secret in secrets if secret for form in _spellings(secret)})
        options = re2.Options()
        options.max_mem = _MEMORY_BYTES
        options.never_capture = True
        self._pattern = re2.compile("|".join(map(re2.escape, spelled)), options) if spelled else None

    def stand_in(self, text: str) -> bool:
        """Whether any of them stands in a text, in any of the encodings."""
        pattern = self._pattern
        return pattern is not None and any(pattern.search(_valid(form)) is not None for form in _readings(text))


def _spellings(secret: str) -> Iterator[str]:
    """A secret where an encoding changes all of it."""
    raw = secret.encode()
    yield from {secret, secret.lower(), secret.upper(), secret[::-1]}
    for digits in (raw.hex(), raw.hex(":"), raw.hex(" "), raw.hex("-"), "".join(f"\\x{byte:02x}" for byte in raw)):
        yield digits
        yield digits.upper()
    if len(bare := _QUOTING.sub("", secret)) >= _FEWEST_INNER:
        yield bare
    for codec in ("utf-16-le", "utf-16-be"):
        wide = secret.encode(codec)
        yield from (wide.decode(read, "replace").strip("\0") for read in ("latin-1", "utf-8"))
        yield wide.hex()
        yield from _of_64(wide)
    yield from _of_64(raw)
    yield base64.b32encode(raw).decode()[: len(raw) * 8 // 5]


def _of_64(raw: bytes) -> Iterator[str]:
    for skipped in range(3):
        encoded = base64.b64encode(b"\0" * skipped + raw).decode()
        inner = encoded[-(-skipped * 8 // 6) : (skipped + len(raw)) * 8 // 6]
        if len(inner) >= _FEWEST_INNER:
            yield inner
            yield inner.translate(_URL_SAFE)


def _readings(text: str) -> Iterator[str]:
    """A text as it is, and as its readers read it."""
    yield text
    if "%" in text or "+" in text:
        once = unquote(text, errors="replace")
        yield once
        yield unquote(once, errors="replace")
        yield unquote_plus(text, errors="replace")
    if "&" in text:
        yield html.unescape(text)
        yield html.unescape(html.unescape(text))
    if "\\" in text or "'" in text or '"' in text:
        unescaped = _BACKSLASH.sub(_character, text)
        yield unescaped
        yield unescaped.encode("latin-1", "replace").decode("utf-8", "replace")  # `\\303\\251` are bytes of one letter
        yield _BACKSLASH.sub(_character, unescaped)
        yield _QUOTES.sub("", unescaped)
        yield _QUOTING.sub("", text)


def _valid(text: str) -> str:
    """A text without lone surrogates; two that belong together become their letter."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _character(found: re.Match[str]) -> str:
    wide, byte, octal, letter = found.groups()
    if letter is not None:
        return _LETTERS.get(letter, letter)
    number = int(wide or byte or "0", 16) if octal is None else int(octal, 8)
    return chr(number) if number < 0x110000 else found[0]
