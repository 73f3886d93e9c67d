"""What the words of one text say: what is found in it alone, and what must be compared with other texts.

A word is reported alone if it looks like a secret wherever it stands, or if it looks less so and something announces a
secret. What is less sure is left to the comparison (topic_words.py).
"""

import base64
import binascii
import re
from collections.abc import Iterable, Iterator
from hashlib import blake2b
from itertools import groupby
from typing import Final, NamedTuple

from agents.privacy.audit.announcers import Announcement, announcement, announces_number
from agents.privacy.audit.placed_words import Announced, PlacedWord, placed_words
from agents.privacy.audit.recurring_forms import RecurringValue, counts_something, recurring_form
from agents.privacy.audit.sure_forms import sure_rules
from agents.privacy.audit.word_lists import ENGLISH, PASSWORDS_ALONE
from agents.privacy.audit.word_looks import Look, chosen_by_people, is_digest, is_machine_name, look_of

_MASK: Final = re.compile(
    r"\[(?:redacted|credential|user|home)[\]:]|\*{3,}|<[\w \-]+>|\A(?:true|false|null|none|yes|no|on|off)\Z",
    re.IGNORECASE,
)
_REAL_MASK: Final = "[redacted]"
_FEW_DIGITS: Final = re.compile(r"\d{4,8}")
_BASE_64: Final = re.compile(r"[A-Za-z0-9+/_-]{11,4096}={0,2}")
_HEX: Final = re.compile(r"(?:0x)?((?:[0-9a-fA-F]{2}){8,2048})")
_PUBLIC: Final = (
    "peer",
    "public",
    "publickey",
    "public-key",
    "pubkey",
    "pub",
    "fingerprint",
    "sha256",
    "integrity",
    "digest",
)
"""Ends of names whose values are random and known to all."""

_PUBLIC_KEY: Final = "AAAA"
"""How public keys of SSH begin: with the length of the name of their kind, in base 64."""

_PATH: Final = re.compile(r"(?<![^\s\"'=:,])[^\s\"'=:,]*/[^\s\"',]*")
_PHRASE_WORDS: Final = 4
_LONG_PHRASE_WORDS: Final = 12
_PHRASE: Final = re.compile(
    r"(?<![\w./@:=\-])[A-Za-z]{3,9}(?:([-_.])[A-Za-z]{3,9})(?:\1[A-Za-z]{3,9}){2,9}(?:\1\d{1,4})?(?![\w./@:=\-])"
)
_QUOTED_WORDS: Final = re.compile(r"[\"']([a-z]{3,9}(?: [a-z]{3,9}){3,10})[\"']")
_RUN_OF_WORDS: Final = re.compile(r"(?<![\w./@:=\-])[a-z]{3,8}(?: [a-z]{3,8}){11,40}(?![\w./@:=\-])")
_CEMENT: Final = frozenset(
    """
    the and for with from that this not are was has have will can you your its into onto when where which then than
    all any but per via without within using use new old set get add run out off
    """.split()  # noqa: SIM905 - a list of words reads as text
)
"""Words that sentences have and phrases of chosen words do not."""


class OpenWord(NamedTuple):
    """A word that may be a secret: digests of the place where it stands and of itself, and whether it may come back."""

    slot: bytes
    value: bytes
    is_strange: bool


class TextWords(NamedTuple):
    """What one text says: rules that find something in it, and what is to be compared with other texts."""

    rules: tuple[str, ...] = ()
    masked_slots: tuple[bytes, ...] = ()
    open_words: tuple[OpenWord, ...] = ()
    phrases: tuple[tuple[str, ...], ...] = ()
    """Words of a phrase that nothing but rarity makes one."""
    vocabulary: frozenset[str] = frozenset()
    """Words that make names: a phrase of them is a name."""
    digest: bytes = b""
    """Stands for the text."""
    recurring: tuple[RecurringValue, ...] = ()
    """Values that are secrets only if unrelated programs share them."""
    names: tuple[bytes, ...] = ()
    """Digests of values of such a form that are names of things: they stand in a path or in a field for names."""

    @property
    def is_telling(self) -> bool:
        """Whether it has more to say than its vocabulary and names."""
        return bool(self.rules or self.masked_slots or self.open_words or self.phrases or self.recurring)


def words_of_name(text: str) -> TextWords:
    """What a text says that is the name of something: which values are names."""
    return TextWords(
        names=tuple(_digest(part) for part in re.split(r"[/:@]", text) if recurring_form(part) is not None)
    )


def words_of_text(text: str, program: str) -> TextWords:
    """What the words of a text of `program` say."""
    rules, masked, open_words = set[str](), list[bytes](), list[OpenWord]()
    shared = dict[str, tuple[str, ...]]()
    for placed in placed_words(text):
        slot = _digest(program, placed.announcer) if placed.announcer else b""
        if _REAL_MASK in placed.value and slot:
            masked.append(slot)
        if not placed.value or _MASK.search(placed.value) is not None:
            continue
        if (parts := _shared(placed)) is not None:
            shared[placed.value] = parts
        rule = _rule_of(placed)
        if rule is not None:
            rules.add(rule)
        elif (found := _compared(placed, slot)) is not None:
            open_words.append(found)
        if _hides_secret(placed.value):
            rules.add("encoded-secret")
    phrases = tuple(_phrases(text))
    if any(len(phrase) >= _LONG_PHRASE_WORDS for phrase in phrases):
        rules.add("word-phrase")
    return TextWords(
        tuple(sorted(rules)),
        tuple(dict.fromkeys(masked)),
        tuple(open_words),
        tuple(phrase for phrase in phrases if len(phrase) < _LONG_PHRASE_WORDS),
        frozenset(part for part in re.findall(r"[a-z]{3,9}", _without(text, shared).lower()) if part in ENGLISH),
        _digest(text),
        tuple(RecurringValue(_digest(value), parts) for value, parts in shared.items()),
        tuple(_names_in_paths(text)),
    )


def _shared(placed: PlacedWord) -> tuple[str, ...] | None:
    """The words that must be rare, if a word is to be compared with those of other programs."""
    value, name, _ = placed
    parts = recurring_form(value)
    if parts is None or name.lower().endswith(_PUBLIC) or (value.isdigit() and counts_something(name)):
        return None
    return parts


def _without(text: str, values: Iterable[str]) -> str:
    """A text without values: a value does not make its own words ordinary."""
    for value in values:
        text = text.replace(value, " ")
    return text


def _names_in_paths(text: str) -> Iterator[bytes]:
    """Digests of values that are parts of paths."""
    for path in _PATH.findall(text) if "/" in text else ():
        yield from words_of_name(path).names


def _rule_of(placed: PlacedWord) -> str | None:
    """The rule by which a word is reported alone."""
    value, name, how = placed
    if name.lower().endswith(_PUBLIC) or value.startswith(_PUBLIC_KEY) or any(_decoded(value)):
        return None
    announced = announcement(name)
    look = look_of(value)
    by_name = how is not Announced.BY_WORD
    if announced is Announcement.PERSONAL and by_name and len(value) >= 4 and not is_machine_name(value):
        return "foreign-secret"
    if announced >= Announcement.SECRET and _is_announced(value, look, how, name):
        return "option-secret" if how is Announced.BY_OPTION else "named-secret"
    if announced is Announcement.HINT and by_name and look >= Look.POSSIBLE:
        return "hinted-secret"
    if how is Announced.BY_OPTION and look is Look.POSSIBLE and chosen_by_people(value) < look:
        return "odd-value"
    if look is Look.LIKELY:
        return "known-password" if chosen_by_people(value) is Look.LIKELY else "random-word"
    return None


def _is_announced(value: str, look: Look, how: Announced, name: str) -> bool:
    """Whether a word behind a name of secrets is one, and no name, file or switch."""
    if announces_number(name) and _FEW_DIGITS.fullmatch(value):
        return True
    if how is Announced.BY_WORD:
        return look >= Look.POSSIBLE
    return look >= Look.NUMBERED or is_digest(value)


def _compared(placed: PlacedWord, slot: bytes) -> OpenWord | None:
    """What is to be compared of a word that is not reported alone."""
    look, is_number = look_of(placed.value), is_digest(placed.value)
    if look < Look.POSSIBLE and not (is_number and slot):
        return None
    is_strange = look >= Look.POSSIBLE and chosen_by_people(placed.value) < Look.POSSIBLE
    return OpenWord(slot, _digest(placed.value), is_strange)


def _hides_secret(word: str) -> bool:
    """Whether a word is a secret in base 64 or hexadecimal digits: text in which a look finds one, or `user:secret`."""
    return any(_is_login(plain) or _is_told(plain) for plain in _decoded(word))


def _decoded(word: str) -> Iterator[str]:
    """The printable texts that a word stands for."""
    contents = []
    if _BASE_64.fullmatch(word):
        padded = word.rstrip("=").translate(str.maketrans("-_", "+/"))
        contents.append(padded + "=" * (-len(padded) % 4))
    for encoded in contents:
        try:
            plain = base64.b64decode(encoded, validate=True).decode("ascii")
        except (binascii.Error, UnicodeDecodeError, ValueError):
            continue
        if len(plain) >= 8 and plain.rstrip("\n").isprintable():
            yield plain
    if found := _HEX.fullmatch(word):
        plain = bytes.fromhex(found[1]).decode("ascii", "replace")
        if plain.rstrip("\n").isprintable() and plain.isascii():
            yield plain


def _is_login(plain: str) -> bool:
    user, colon, password = plain.strip().partition(":")
    return (
        bool(colon) and user.isidentifier() and 4 <= len(password) <= 64 and " " not in password and "/" not in password
    )


def _is_told(plain: str) -> bool:
    if plain.strip().lower() in PASSWORDS_ALONE or any(sure_rules(plain, is_free=True)):
        return True
    return any(_MASK.search(placed.value) is None and _rule_of(placed) is not None for placed in placed_words(plain))


def _phrases(text: str) -> Iterator[tuple[str, ...]]:
    """Ordinary words in a row without the cement of sentences: joined by one separator, or many with spaces."""
    for found in _PHRASE.finditer(text):
        parts = tuple(part for part in re.split(r"[-_.]", found[0].lower()) if part.isalpha())
        if len(parts) >= _PHRASE_WORDS and len(set(parts)) == len(parts) and _are_plain(parts):
            yield parts[: _LONG_PHRASE_WORDS - 1]
    for found in _QUOTED_WORDS.finditer(text):
        parts = tuple(found[1].split())
        if _are_plain(parts):
            yield parts[: _LONG_PHRASE_WORDS - 1]
    for found in _RUN_OF_WORDS.finditer(text):
        for is_plain, stretch in groupby(found[0].split(), lambda part: _are_plain((part,))):
            parts = tuple(stretch)
            if is_plain and len(parts) >= _LONG_PHRASE_WORDS:
                yield parts


def _are_plain(parts: tuple[str, ...]) -> bool:
    return _CEMENT.isdisjoint(parts) and all(part in ENGLISH for part in parts)


def _digest(*parts: str) -> bytes:
    """Eight bytes that stand for a text, so that no value is kept."""
    return blake2b("\0".join(parts).encode("utf-8", "replace"), digest_size=8).digest()
