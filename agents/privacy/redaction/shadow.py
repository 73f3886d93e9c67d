"""The matching shadow: a plain ASCII reading of a text, with a way back to the text's own positions.

Whoever chooses a process's arguments can write `--password` with a full-width letter, a zero-width joiner or a Cyrillic
`а`, and programs that normalize their input still understand it. Rules therefore look at the shadow, where such
spellings are the plain ones, and what they find is cut out of the original.

Rules: one character at a time (so that the map back stays simple), compatibility decomposition, then format characters,
combining marks and control characters vanish; every dash is `-`, every space is ` `, typographic quotes are plain, and
look-alikes of other scripts are Latin. What is left of other scripts becomes DEL, which no rule looks for. Lone
surrogates have no UTF-8 form and make the whole text invalid.
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
"""Characters of a text up to which positions are mapped back; whoever finds something in a longer one masks it
whole."""


_MAX_SPECIAL: Final = 256
"""Distinct characters beyond printable ASCII that one text may hold; reading more of them would cost too much."""


@dataclass(frozen=True, slots=True)
class Shadow:
    """`plain` is ASCII; `starts[i]` is the position in the original of the character that `plain[i]` came from.

    `starts` is None where both have the same positions, and else one longer than `plain`, its last item the original's
    length. A lossy shadow has no way back, and an empty one of a text that is not empty could not be made.
    """

    plain: str
    starts: tuple[int, ...] | None = None
    is_lossy: bool = False

    def original(self, start: int, end: int) -> tuple[int, int]:
        """The span of the original that `plain[start:end]` was read from, with vanished characters inside it."""
        if self.starts is None:
            return start, end
        return self.starts[start], self.starts[end]


def shadow_of(text: str) -> Shadow | None:
    """The shadow of `text`; None where it holds a lone surrogate and so is no text."""
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
