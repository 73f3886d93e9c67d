"""What a word looks like to somebody who knows no form of secret: chosen by chance, chosen by a person, or ordinary.

Chance mixes kinds of characters all along a word and puts letters behind letters that no language does. People take a
word, and add a year and a sign, or write digits for letters. Names of code, files, versions and identifiers are
neither: they are words, numbers and hexadecimal digits between separators.
"""

import enum
import math
import re
from functools import lru_cache
from itertools import groupby, pairwise
from typing import Final

from agents.privacy.audit.word_lists import PASSWORD_RANKS, PASSWORDS_ALONE, PEOPLE_AND_SEASONS, WORDS, bits_a_letter

_LONGEST: Final = 200
_SHORTEST: Final = 6
_REMEMBERED: Final = 65_536


class Look(enum.IntEnum):
    """How much a word looks like a secret."""

    ORDINARY = 0
    NUMBERED = 1
    """A word and a number: passwords look so, and the names of half of all things."""
    POSSIBLE = 2
    """If something announces a secret, this may be it."""
    LIKELY = 3
    """People and programs write few such words for another reason."""


_CODE: Final = re.compile(
    r"[\\()|{}<>;`\[\]§]|\$[({]|%[-+ #0]*[A-Za-z]|\*\.|::|//|->|=>|[!=<>]=|\.\.|&&|@@|\A[./~@$%*?+\-]|\A#!"
)
"""What words of code, patterns, templates and paths hold."""

_NUMBER: Final = re.compile(
    r"[\d.,:+\-/_%x ]+[A-Za-z]{0,4}|0x[\da-fA-F]+|[TZ\d:.\-+]+"
    r"|[<>=~^!v]*\d+(?:\.[\dx*]+)*(?:[A-Za-z]{0,8}|[.\-+_][\w.\-+]{0,12})"
)
_HEX: Final = re.compile(r"(?:0x)?[\da-f]{6,}|(?:0x)?[\dA-F]{6,}|(?:[\da-fA-F]{2}[:\-]){5,}[\da-fA-F]{2}")
_IDENTIFIER: Final = re.compile(
    r"_?_(?:Z|R[NICX])[\w.$]+|[a-z]{2,6}[-_]?[\da-f]{6,40}|[\da-fA-F]{8}-[\da-fA-F]{4}-[\da-fA-F]{4}-[\da-fA-F]{4}-[\da-fA-F]{12}"
)
_PLACE: Final = re.compile(
    r"[^\s@]+@[\w.\-]+|(?:[\w\-]+\.)+[A-Za-z]{2,24}(?::\d+)?|[\w.\-]+:\d{1,5}|[\w./\-]+@v?\d[\w.\-]*|[^/]*/[^/].*/.*"
)
_SEPARATORS: Final = re.compile(r"[-_.:/,+@~]+")
_LETTERS: Final = re.compile(r"[a-z]+|[A-Z][a-z]+|[A-Z]+(?![a-z])|[A-Z]")

_CHOSEN: Final = re.compile(
    r"([A-Za-z]{3,14})[._@#\-]?(\d{1,6})([!@#$%&*?.+=]{0,4})|([A-Za-z]{3,14})([!@#$%&*?+=]{1,4})(\d{1,6})([!@#$%&*?+=]{0,3})"
)
_SIGNS: Final = frozenset("!@#$%&*?^~")
_STRONG_SIGNS: Final = frozenset("!$^")
"""Signs that names of files, versions and parameters do not have."""

_WALKS: Final = (
    "qwert", "asdfg", "zxcvb", "1qaz", "!qaz", "zaq1", "zaq!", "qazws", "poiuy", "lkjhg", "1q2w", "@wsx", "2wsx",
)  # fmt: skip
"""Walks over a keyboard."""

_SEED: Final = re.compile(r"(?=[A-Z]*[2-7])[A-Z2-7]{16}|(?=[A-Z]*[2-7])[A-Z2-7]{26}|(?=[A-Z]*[2-7])[A-Z2-7]{32}")
"""Seeds of one-time passwords, in base 32."""

_BASE_64: Final = re.compile(r"[A-Za-z0-9+]+(?:/[A-Za-z0-9+]+){0,11}/?")

_FEW_GROUPS: Final = re.compile(r"[a-z0-9]{4,6}(?:-[a-z0-9]{4,6}){2}|[A-Z0-9]{4,6}(?:-[A-Z0-9]{4,6}){2}")
"""Codes for the day on which the telephone is lost."""

_AT_YEAR: Final = re.compile(r"[A-Z][a-z]{2,}@(?:19|20)?\d{2}[!?*]{0,3}")
"""As policies ask for it: `Acme@2023`."""

_LONG_HEX: Final = re.compile(r"0x[0-9a-fA-F]{64}")
"""Keys of 256 bits, as wallets show them."""

_YEARLY: Final = re.compile(r"[A-Z][a-z]{2,}(?:19|20)\d{2}")

_GROUPS: Final = re.compile(r"(?:[A-Za-z0-9]{4,6}-){3,}[A-Za-z0-9]{4,6}")
_LEET: Final = str.maketrans("0134578@$!", "oieastbasi")
_LEET_SIGN: Final = re.compile(r"(?<=[A-Za-z])[0134578@$!]+(?=[A-Za-z])")

_RATE_OF_CHANCE: Final = 0.4
"""Changes of kind from one character to the next: 0.62 in random letters of both cases and digits, 0.4 in one case."""

_RATE_OF_SHORT: Final = 0.55

_BITS_OF_CHANCE: Final = 5.3
_BITS_OF_WORDS: Final = 5.0
"""Shortened words of code, such as `coord`, `impl`, `str`, are below."""

_LONG: Final = 20
_MIDDLE: Final = 10
_MOST_USED: Final = 5_000
"""Passwords that are known by their number; further down, the list holds any word with a digit."""


@lru_cache(_REMEMBERED)
def look_of(word: str) -> Look:
    """What a word looks like; one that is not looked at, such as a path, is ordinary."""
    if not _SHORTEST <= len(word) <= _LONGEST:
        return Look.ORDINARY
    if _AT_YEAR.fullmatch(word) or _LONG_HEX.fullmatch(word) or _has_walk(word.lower()):
        return Look.LIKELY
    if word.endswith("="):
        word = word.rstrip("=")  # of base 64
    if is_machine_name(word) or ("/" in word and not _is_base_64(word)):
        return Look.ORDINARY
    return max(chosen_by_people(word), _chosen_by_chance(word))


def _is_base_64(word: str) -> bool:
    """Whether a word with slashes is in base 64, and no path."""
    return _BASE_64.fullmatch(word) is not None and any(map(str.isupper, word)) and any(map(str.isdigit, word))


def is_machine_name(word: str) -> bool:
    """Whether a word is code, a number, a digest, an identifier, an address or a path."""
    return any(form.fullmatch(word) for form in (_NUMBER, _HEX, _IDENTIFIER, _PLACE)) or _CODE.search(word) is not None


def is_digest(word: str) -> bool:
    """Whether a word is a digest, an identifier or a number that could also be a key: only its place says which."""
    return len(word) >= 24 and bool(_HEX.fullmatch(word) or _IDENTIFIER.fullmatch(word))


def chosen_by_people(word: str) -> Look:
    """How much a word looks like a password that somebody made up."""
    plain = word.lower()
    if plain in PASSWORDS_ALONE or _has_walk(plain):
        return Look.LIKELY
    rank = PASSWORD_RANKS.get(plain)
    if rank is not None and rank <= _MOST_USED and not plain.isdigit() and not plain.isalpha():
        return Look.LIKELY if _is_shuffled(plain) else Look.POSSIBLE
    if has_every_kind(word) and not _STRONG_SIGNS.isdisjoint(word):
        return Look.LIKELY
    if found := _CHOSEN.fullmatch(word):
        stem, signs = (found[1] or found[4]).lower(), (found[3] or "") + (found[5] or "")
        if stem in WORDS:
            if not signs:
                if not _YEARLY.fullmatch(word):
                    return Look.NUMBERED
                return Look.LIKELY if stem in PEOPLE_AND_SEASONS else Look.POSSIBLE
            return Look.LIKELY if has_every_kind(word) else Look.POSSIBLE
    return max(_spelled_with_digits(word), Look.POSSIBLE if has_every_kind(word) else Look.ORDINARY)


def has_every_kind(word: str) -> bool:
    """Whether a word of eight characters and more has both cases, a digit and a sign, as rules for passwords ask."""
    return (
        len(word) >= 8
        and any(map(str.isupper, word))
        and any(map(str.islower, word))
        and any(map(str.isdigit, word))
        and not _SIGNS.isdisjoint(word)
    )


def _has_walk(plain: str) -> bool:
    """Whether most of a short word is a walk over a keyboard."""
    return 8 <= len(plain) <= 20 and any(walk in plain for walk in _WALKS)


def _is_shuffled(plain: str) -> bool:
    """Whether a password is more than a word and a number behind it."""
    stem = plain.rstrip("0123456789")
    return not stem.isalpha() or stem not in WORDS


def _spelled_with_digits(word: str) -> Look:
    """Words with digits and signs for letters: `p4ssw0rd`, `S3cur1ty!`."""
    inner = _LEET_SIGN.findall(word)
    if not inner:
        return Look.ORDINARY
    plain = re.sub(r"[^a-z]+\Z|\A[^a-z]+", "", word.rstrip("!?.*#0123456789").lower().translate(_LEET))
    if len(plain) < _SHORTEST or plain not in WORDS:
        return Look.ORDINARY
    return Look.LIKELY if len(plain) > _SHORTEST or len(inner) > 1 or not word.isalnum() else Look.POSSIBLE


def _chosen_by_chance(word: str) -> Look:
    parts = [part for part in _SEPARATORS.split(word) if part]
    core = "".join(parts)
    if len(core) < _SHORTEST or len(set(core)) < 5 or _HEX.fullmatch(core.lower()):
        return Look.ORDINARY
    if _SEED.fullmatch(word):
        return Look.LIKELY if _share_of_words(word) < 0.3 else Look.ORDINARY
    if _GROUPS.fullmatch(word):
        return Look.LIKELY if 2 * sum(map(_is_mixed, parts)) > len(parts) else Look.ORDINARY
    if _FEW_GROUPS.fullmatch(word) and all(map(_is_mixed, parts)):
        return Look.LIKELY
    if len(parts) > 1 and (core.isalpha() or not any(map(_is_strange, parts))):
        return Look.ORDINARY
    return _random_letters(core) if core.isalpha() else _mixed_all_along(core)


def _mixed_all_along(core: str) -> Look:
    """Letters, digits and signs: whether they change places as chance makes them."""
    kinds = list(map(_kind, core))
    rate = (sum(1 for _ in groupby(kinds)) - 1) / (len(core) - 1)
    if _share_of_words(core) > 0.5 or not any(map(str.isdigit, core)):
        return Look.ORDINARY
    is_short = len(core) >= 8 and rate >= _RATE_OF_SHORT and _share_of_words(core) == 0
    is_long = is_short or (len(core) >= _MIDDLE and rate >= _RATE_OF_CHANCE and _entropy(core) >= 3.0)
    is_longer = len(core) >= _LONG and rate >= 0.25 and _entropy(core) >= 3.5
    is_longer = is_longer or (len(core) >= 12 and rate >= _RATE_OF_CHANCE and _share_of_words(core) <= 0.3)
    if (len(set(kinds)) >= 3 and is_long) or (len(set(kinds)) == 2 and is_longer):
        return Look.LIKELY
    return (
        Look.POSSIBLE if len(core) >= 8 and rate >= _RATE_OF_CHANCE and _share_of_words(core) <= 0.3 else Look.ORDINARY
    )


def _is_mixed(part: str) -> bool:
    return not part.isdigit() and not part.isalpha()


def _random_letters(core: str) -> Look:
    """Letters alone: whether they follow each other as in no language."""
    if len(core) < 12 or _share_of_words(core) > 0.3:
        return Look.ORDINARY
    rises = sum(a.islower() and b.isupper() for a, b in pairwise(core))
    if bits_a_letter(core.lower()) < _BITS_OF_CHANCE:
        return Look.ORDINARY
    is_mixed = rises >= len(core) / 6
    return Look.LIKELY if len(core) >= 16 and (is_mixed or core.islower()) else Look.POSSIBLE


def _is_strange(part: str) -> bool:
    """Whether a part between separators is long and neither a word, a number nor hexadecimal."""
    if len(part) < 6 or part.isdigit() or _HEX.fullmatch(part.lower()):
        return False
    return _share_of_words(part) < 0.5


def _share_of_words(core: str) -> float:
    """The share of characters in runs of letters that read as words."""
    read = 0
    for run in _LETTERS.findall(core):
        plain = run.lower()
        if len(run) >= 3 and (plain in WORDS or bits_a_letter(plain) < _BITS_OF_WORDS):
            read += len(run)
    return read / len(core)


def _kind(character: str) -> int:
    return 0 if character.isdigit() else 1 if character.isupper() else 2 if character.isalpha() else 3


def _entropy(text: str) -> float:
    length = len(text)
    return -sum((n := text.count(one)) / length * math.log2(n / length) for one in set(text))
