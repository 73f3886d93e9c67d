"""The matching shadow: a plain ASCII reading of a text, which maps back to positions in the text.

Whoever chooses a process's arguments can write `--password` with a full-width letter, a zero-width joiner or a Cyrillic
`а`, and programs that normalize their input still understand it. Rules therefore look at the shadow, where such
spellings are the plain ones, and what they find is cut out of the original.

The shadow is made one character at a time, so that the map back stays simple. After compatibility decomposition, format
characters, combining marks and control characters vanish. Every dash is `-`, every space is ` `, typographic quotes are
plain, and look-alikes of other scripts are Latin. What is left of other scripts becomes DEL, which no rule looks for. A
lone surrogate has no UTF-8 form and makes the whole text invalid.
"""

import unicodedata
from dataclasses import dataclass
from typing import Final

from agents.memo import Memo

_FOREIGN: Final = "\x7f"
_QUOTES: Final = {
    "\u2018": "'", "\u2019": "'", "\u201a": "'", "\u201b": "'", "\u201c": '"', "\u201d": '"', "\u201e": '"',
    "\u201f": '"', "\u2032": "'", "\u2033": '"', "\u00ab": '"', "\u00bb": '"', "\u00b4": "'", "\u02bc": "'",
}  # fmt: skip
_LOOKALIKES: Final = dict(
    zip(
        "асеорхуіјѕһԁԛԝкмтвнгзАВЕКМНОРСТХУІЈЅαβεικνορτυχΑΒΕΖΗΙΚΜΝΟΡΤΥΧıɡℓ∕⁄：＝",
        "aceopxyijshdqwkmtbhr3ABEKMHOPCTXYIJSabeiknoptuxABEZHIKMNOPTYXigl//:=",
        strict=True,
    )
)


_MAX_MAPPED: Final = 4096
"""Positions are mapped back in texts up to this many characters; a longer one is masked whole if a rule finds
anything."""


_MAX_SPECIAL: Final = 256
"""Distinct characters beyond printable ASCII that one text may hold; reading more of them would cost too much."""


@dataclass(frozen=True, slots=True)
class Shadow:
    """`plain` is ASCII; `starts[i]` is the position in the original of the character that `plain[i]` came from.

    `starts` is None if both have the same positions. Else it is one longer than `plain`, and its last item is the
    original's length. Positions in a lossy shadow cannot be mapped back. An empty lossy shadow means that the text has
    too many special characters.
    """

    plain: str
    starts: tuple[int, ...] | None = None
    is_lossy: bool = False

    def original(self, start: int, end: int) -> tuple[int, int]:
        """The part of the original that `plain[start:end]` was read from, with vanished characters inside it."""
        if self.starts is None:
            return start, end
        return self.starts[start], self.starts[end]


def shadow_of(text: str) -> Shadow | None:
    """The shadow of `text`; None if it holds a lone surrogate, which has no UTF-8 form."""
    special = [character for character in set(text) if not " " <= character <= "~"]
    if len(special) > _MAX_SPECIAL:
        return Shadow("", is_lossy=True)
    table: dict[str, str] = {}
    for character in special:
        plain = _PLAIN[character]
        if plain is None:
            return None
        table[character] = plain
    if len(text) > _MAX_MAPPED:
        lossy = any(len(plain) != 1 for plain in table.values())
        for character, plain in table.items():
            text = text.replace(character, plain)
        return Shadow(text, is_lossy=lossy)
    if all(len(plain) == 1 for plain in table.values()):
        return Shadow(text.translate({ord(character): plain for character, plain in table.items()}))
    plain_text: list[str] = []
    starts: list[int] = []
    for position, character in enumerate(text):
        plain = table.get(character, character)
        plain_text.append(plain)
        starts.extend([position] * len(plain))
    starts.append(len(text))
    return Shadow("".join(plain_text), tuple(starts))


def _plain(character: str) -> str | None:
    """What `character` reads as: up to a few ASCII characters, nothing, or None for a lone surrogate."""
    if character in "\t\n\r\v\f":
        return "\n" if character in "\n\r" else " "
    if (quote := _QUOTES.get(character)) is not None:
        return quote
    if (latin := _LOOKALIKES.get(character)) is not None:
        return latin
    category = unicodedata.category(character)
    if category == "Cs":
        return None
    if category == "Pd" or character == "\u2212":
        return "-"
    if category in {"Zs", "Zl", "Zp"}:
        return " "
    if category in {"Cf", "Cc", "Mn", "Me"}:
        return ""
    return _decomposed(character)


def _decomposed(character: str) -> str:
    """The ASCII part of the compatibility decomposition, or the mark for a foreign character."""
    plain = []
    for part in unicodedata.normalize("NFKD", character)[:8]:
        if " " <= part <= "~":
            plain.append(part)
        elif part in _LOOKALIKES:
            plain.append(_LOOKALIKES[part])
        elif unicodedata.category(part) == "Pd":
            plain.append("-")
    return "".join(plain) or _FOREIGN


_REMEMBERED_CHARACTERS: Final = 8192  # more than the characters that two writing systems use every day
_PLAIN: Final = Memo(_plain, _REMEMBERED_CHARACTERS)
