"""Cuts a text into words, each with what stands before it: a name with `=` or `:`, an option, or another word."""

import enum
import re
from collections.abc import Iterator
from typing import Final, NamedTuple

_WORD: Final = re.compile(r"[^\s\"'`]+")
_NAMED: Final = re.compile(r"(-{0,2}[^\W\d][\w.\-\[\]]{0,63})[=:]+(?!//)(.*)", re.DOTALL)
_NAME: Final = re.compile(r"(-{0,2}[^\W\d][\w.\-]{0,63})[=:]?", re.DOTALL)
_OPTION: Final = re.compile(r"-{1,2}[A-Za-z][\w.\-]{0,63}")
_PASSES_ON: Final = frozenset({"is", "was", "to", "be", "as", "for", "ist", "war", "est", "es", "lautet", "jest", "är"})
"""Words between what announces a secret and the secret."""

_ATTACHED: Final = re.compile(r"-[A-Za-z]([A-Za-z0-9!@#$%^&*+]{8,64})")
"""A short option with its value."""

_PARAMETERS: Final = re.compile(r"[?&;#]")
_MASKS: Final = re.compile(r"\[(?:redacted|credential|user|home)[\]:]")
_LONG_PART: Final = 20
"""Characters of a part of a path that could let somebody in: shorter ones name things."""

_AROUND: Final = "()[]{}<>,;."


class Announced(enum.Enum):
    """How a word stands behind what announces it."""

    BY_NAME = "name"
    BY_OPTION = "option"
    BY_WORD = "word"


class PlacedWord(NamedTuple):
    """A word and what stands before it, without dashes in front; empty at the beginning."""

    value: str
    announcer: str
    announced: Announced


def placed_words(text: str) -> Iterator[PlacedWord]:
    """The words of a text, in order. A name and its value are two words; so are a key and its value in JSON."""
    before, how = "", Announced.BY_WORD
    for word in filter(None, (found[0].strip(",;") for found in _WORD.finditer(text))):
        if word in {":", "=", "=>", ":="}:
            how = Announced.BY_NAME
            continue
        if "://" in word:
            yield from _of_address(word)
        else:
            yield from _of_word(word, before, how)
        if before and how is Announced.BY_WORD and word.lower() in _PASSES_ON:
            continue  # `the password is X`
        before = _plain(word) if _NAME.fullmatch(word) else ""
        how = Announced.BY_OPTION if _OPTION.fullmatch(word) else Announced.BY_WORD
        if word[-1] in "=:":
            how = Announced.BY_NAME


def _of_word(word: str, before: str, how: Announced) -> Iterator[PlacedWord]:
    """A word, or a name's value; and what could be a value inside it."""
    if (attached := _ATTACHED.fullmatch(word)) is not None:
        yield PlacedWord(attached[1], "", Announced.BY_WORD)
    named = _NAMED.fullmatch(word)
    if named is None or not named[2]:
        yield PlacedWord(_stripped(word), before, how)
        return
    name = _plain(named[1])
    yield from _of_values(named[2], name)
    if "=" not in word and any(map(str.isdigit, name)) and any(map(str.isupper, name)):
        yield PlacedWord(_stripped(word), before, how)  # a colon may be a part of the secret


def _of_address(word: str) -> Iterator[PlacedWord]:
    """The parameters of a URL, by their names, and the parts of its path."""
    path, *parameters = _PARAMETERS.split(word)
    _, _, parts = path.partition("://")[2].partition("/")
    yield from (PlacedWord(part, "", Announced.BY_WORD) for part in parts.split("/") if len(part) >= _LONG_PART)
    for part in parameters:
        name, _, value = part.partition("=")
        if value:
            yield PlacedWord(value, _plain(name), Announced.BY_NAME)


def _of_values(text: str, name: str) -> Iterator[PlacedWord]:
    """A value, or several between commas, each perhaps behind a name of its own: `env=TOKEN=x,USER=y`."""
    for one in text.split(","):
        inner, _, rest = one.partition("=")
        if rest.strip("="):
            yield PlacedWord(_stripped(rest), _plain(inner), Announced.BY_NAME)
        else:
            yield PlacedWord(_stripped(one), name, Announced.BY_NAME)


def _plain(name: str) -> str:
    return name.strip("-=:")


def _stripped(word: str) -> str:
    return word if _MASKS.search(word) is not None else word.strip(_AROUND)
