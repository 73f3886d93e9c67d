"""Words of a command that nobody knows: what runs it, and whether a word could be a secret, or looks like one."""

import re
from collections.abc import Iterator, Sequence
from typing import Final

from agents.privacy.matching.gate import Pattern
from agents.privacy.matching.masks import REDACTED, Mask
from agents.privacy.matching.scan import Scan
from agents.privacy.rules.command_words import CommandWord, commands_in
from agents.privacy.rules.program_names import SHELLS, WRAPPERS, spelled_names
from agents.privacy.rules.values import entropy, is_no_secret, is_place, looks_secret, looks_typed
from agents.privacy.rules.vocabulary import word_set

_FILE: Final = re.compile(r"[\w.\-]*\.[a-z][a-z0-9]{0,4}\Z|.*[*?].*\Z")
_REDIRECTED: Final = re.compile(r"[0-9&]*[<>]")
_PORT: Final = re.compile(r"(?:[\w.\-]+:){1,2}\d{2,5}\Z")
_HOST: Final = re.compile(r"(?:[A-Za-z0-9\-]+\.)+[A-Za-z0-9\-]+(?::\d+)?\Z|[\w\-]+:\d+\Z")
NUMBER: Final = re.compile(r"[\d.,:x/\-]+[smhdkKMGTB%]?\Z")

EXAMPLES: Final = {
    "_FILE": ("up.txt", "hunter2"),
    "_REDIRECTED": ("2>&1", "x>y"),
    "_PORT": ("ssl:host:1666", "hunter2"),
    "_HOST": ("db.example.org", "hunter2"),
    "NUMBER": ("8080", "hunter2"),
    "_CODE": ("a(b)", "hunter-2x"),
}
"""By pattern: a line that it matches, and a similar one that it passes over (a test runs all of them)."""

NOT_CANDIDATES: Final = word_set("""
    is was are has have will can for and or in of to from on at with the a an by via as if then else that this it be
    been not no policy expired required file list show status help
    true false yes no on off enable disable get add del delete
    remove rm create update set unset reset change info version all none default root admin user users group
    account token login logout name key keys type mode local remote global system service server client interactive
""")


def program_commands(
    scan: Scan, program: str, excluded: frozenset[str], announcing: Pattern, masks: list[Mask]
) -> Iterator[tuple[list[CommandWord], set[str]]]:
    """The words of each command that no program of `excluded` runs, and the names of its program behind wrappers.

    What lies beyond the reader's limit goes from the first place on that matches `announcing`.
    """
    own = set(spelled_names(program))
    read = commands_in(scan.text, literal=bool(program) and program not in SHELLS)
    if read.stopped < len(scan.text) and (beyond := announcing.search(scan.encoded, read.stopped)) is not None:
        start = beyond[0][0] + (beyond[0][0] > read.stopped)
        if scan.text[start:] != REDACTED:
            masks.append(Mask(start, len(scan.text), REDACTED, "shape"))
    for number, words in enumerate(read.commands):
        names = own if number == 0 and own and own.isdisjoint(WRAPPERS) else _program_of(scan, words)
        if names.isdisjoint(excluded):
            yield words, names


def _program_of(scan: Scan, words: Sequence[CommandWord]) -> set[str]:
    """Names of the first word that is no wrapper, no option and no assignment."""
    for word in words:
        text = inner_text(scan, word)
        names = set(spelled_names(text))
        if text[:1] != "-" and "=" not in text and names.isdisjoint(WRAPPERS) and not text[:1].isdigit():
            return names
    return set()


def inner_text(scan: Scan, word: CommandWord) -> str:
    """A word without its quotes."""
    return scan.text[word.inner : word.inner_end]


def is_candidate(value: str) -> bool:
    """Whether `value` could be a secret at all: no switch, number, place, file or address."""
    if " " in value:
        return value.count(" ") < MAX_SPACES and is_phrase(value)
    if len(value) < 3 or is_no_secret(value) or is_place(value) or "=" in value[1:-2]:
        return False
    if any(quote in value[1:-1] for quote in "'\"") or _PORT.match(value):
        return False
    if (
        value.lower() in NOT_CANDIDATES
        or value[-1] in ".,:;"
        or _REDIRECTED.match(value)
        or value[0] in "<>{[(|&;$%+"
        or ("/" in value and value.count("/") > 1)
    ):
        return False
    return (NUMBER.match(value) is None or (len(value) >= 6 and value.isdigit())) and not (
        _FILE.match(value) or _HOST.match(value)
    )


def is_phrase(value: str) -> bool:
    """Whether words in quotes look like a passphrase: letters and digits in one word, and no sign of a sentence."""
    if not value.replace(" ", "").replace("-", "").isalnum() and not value[:-1].replace(" ", "").isalnum():
        return False
    return any(not word.isalpha() and not word.isdigit() and len(word) > 1 for word in value.split())


MAX_SPACES: Final = 4


def is_typed(value: str) -> bool:
    """Whether `value` looks like a password or a token, rather than a name with a number."""
    if " " in value:
        return value.count(" ") < MAX_SPACES and is_phrase(value)
    if not is_candidate(value):
        return False
    if looks_secret(value) or any(character in "!#$%^&*" for character in value):
        return True
    has_digit, has_upper = any(map(str.isdigit, value)), any(map(str.isupper, value))
    has_lower = any(map(str.islower, value))
    if len(value) >= 6 and has_digit and has_upper and has_lower:
        return looks_typed(value)
    return len(value) >= 24 and has_digit and value.isalnum()


_SHORTEST_RANDOM: Final = 20


def is_random(value: str) -> bool:
    """Whether `value` is letters of both cases and digits in no order, as tokens are."""
    if not (_SHORTEST_RANDOM <= len(value) <= 128) or not value.replace("_", "").replace("-", "").isalnum():
        return False
    digits = sum(map(str.isdigit, value))
    return digits > 2 and any(map(str.isupper, value)) and any(map(str.islower, value)) and entropy(value) > 3.8


def is_code(value: str) -> bool:
    """Whether `value` has the signs of a pattern, a field list or a name with a version."""
    return value[:1] in "^%@+*." or value[-1] in "*%" or _CODE.match(value) is not None


_CODE: Final = re.compile(
    r".*[()\[\]{}<>|,;/\\].*|[a-z]+(?:[-_][a-z]+)*[-_.]?v?\d+(?:\.\d+)*\Z|[A-Z]?[a-z]+[A-Z]\w*=.*"
)
