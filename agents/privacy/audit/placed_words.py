"""Cuts a text into words, each with what stands before it: a name with `=` or `:`, an option, or another word."""

import enum
import re
from collections.abc import Iterator
from typing import Final, NamedTuple

_MOST_WORDS: Final = 4_096
"""Of one text; a longer one is looked at in pieces anyway."""

_WORD: Final = re.compile(r"[^\s\"'`]+")
_NAMED: Final = re.compile(r"(-{0,2}[^\W\d][\w.\-\[\]]{0,63})[=:]+(?!//)(.*)", re.DOTALL)
_NAME: Final = re.compile(r"(-{0,2}[^\W\d][\w.\-]{0,63})[=:]?", re.DOTALL)
_OPTION: Final = re.compile(r"-{1,2}[A-Za-z][\w.\-]{0,63}")
_PARAMETERS: Final = re.compile(r"[?&;#]")
_MASKS: Final = re.compile(r"\[(?:redacted|credential|user|home)[\]:]")
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
    for number, found in enumerate(_WORD.finditer(text)):
        if number >= _MOST_WORDS:
            return
        word = found[0].strip(",;")
        if word in {":", "=", "=>", ":="}:
            how = Announced.BY_NAME
            continue
        if not word:
            continue
        if "://" in word:
            yield from _of_address(word)
        elif (named := _NAMED.fullmatch(word)) is not None:
            name = _plain(named[1])
            if named[2]:
                yield from _of_values(named[2], name)
                if "=" not in word and any(map(str.isdigit, name)) and any(map(str.isupper, name)):
                    yield PlacedWord(_stripped(word), before, how)  # a colon may be a part of the secret
            else:
                if word.endswith("="):
                    yield PlacedWord(word, before, how)  # base 64 ends so, too
                before, how = name, Announced.BY_NAME
                continue
        else:
            yield PlacedWord(_stripped(word), before, how)
        before = _plain(word) if _NAME.fullmatch(word) else ""
        how = Announced.BY_OPTION if _OPTION.fullmatch(word) else Announced.BY_WORD


def _of_address(word: str) -> Iterator[PlacedWord]:
    """The parameters of a URL, by their names."""
    for part in _PARAMETERS.split(word)[1:]:
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
