"""Values that nothing makes a secret but that unrelated programs share them: which words are worth comparing.

Most of what comes back in many programs has a reason: paths, hosts, versions, dates, sizes, names of things. Three
forms are left: a code of digits, words joined by signs that names do not have, and written words with a number, in both
cases. Words of the last form make names, too, so they count only if the topic says them nowhere else.
"""

import re
from functools import lru_cache
from typing import Final, NamedTuple

from agents.privacy.audit.word_lists import ENGLISH

_REMEMBERED: Final = 65_536
"""Words of a topic come back; as many as there are looks."""

_CODE: Final = re.compile(r"\d{8,10}")
_DATE: Final = re.compile(
    r"(?:19|20)\d\d(?:0\d|1[0-2])(?:[0-2]\d|3[01])(?:\d\d)?|(?:[0-2]\d|3[01]){2}(?:19|20)\d\d|1[0-9]\d{8}"
)
"""Days in either order, and seconds since 1970."""

_FEWEST_DIGITS: Final = 4
"""Different ones: fewer make a mask, a limit or a filling."""

_ROUND: Final = (100, 512)
"""Sizes, limits and times are multiples of one of these, or one less."""

_AMOUNTS: Final = frozenset(
    """
    size sizes bytes byte offset count counts length len limit max min id ids pid uid gid inode port timeout sector
    sectors block blocks start end begin skip seek time since until date memory mem epoch build revision rev ticket job
    pipeline run number num seq sequence index version rate bitrate width height threshold quota interval duration
    account project serial bs cache buffer ttl age ns us ms seconds window generation
    """.split()  # noqa: SIM905 - a list of words reads as text
)
"""Last words of the names of numbers."""

_SIGNED: Final = re.compile(r"[A-Za-z0-9](?:[\w.\-]*[!#$^&*+?~%=|]){1,8}[\w.\-]*")
_NAMES_WITH_SIGNS: Final = re.compile(
    r"%[0-9A-Fa-f]{2}|%[-+0]*\d*[a-z]|\A\w*\$(?!.*[!#^&?~%])|\$\{|&&|\+\+|[*?]\Z|[*?][.*]|\.[*?]|=.*=|&\w+=|\w+=|[\^~]\d*\Z"
    r"|\d[.\d]*[~+]|[~+](?:rc|alpha|beta|git|deb|dfsg|b|ds|really)|\A[a-z]+\+[a-z]+\Z|\A[\w.\-]+#[a-z\d.\-]+\Z|\|"
    r"|\A\w+[*+]\w+\Z",
    re.IGNORECASE,
)
"""Templates, patterns, parameters, versions, revisions, kinds of media, sums."""

_WRITTEN: Final = re.compile(r"[A-Za-z]{3,}(?:[-_.][A-Za-z]{3,}){1,4}[-_.]?\d{1,4}|(?:[A-Z][a-z]{3,}){2,4}\d{1,4}")
_LETTERS: Final = re.compile(r"[A-Z]?[a-z]{2,}|[A-Z]{3,}")
_RUN: Final = re.compile(r"[A-Za-z]+|\d+")

_WRAPPERS: Final = frozenset(
    """
    sh bash dash zsh ash ksh fish busybox sudo su doas env timeout nice nohup ionice setsid xargs ssh chroot nsenter
    runuser setpriv stdbuf time watch flock tini dumb-init entrypoint.sh docker-entrypoint.sh runc crun
    """.split()  # noqa: SIM905 - a list of words reads as text
)
"""Programs whose arguments are the command line of another one."""

_VERSION: Final = re.compile(r"[-.\d]+\Z")


class RecurringValue(NamedTuple):
    """A value to be compared: a digest of it, and the words that must be rare for it to be no name."""

    value: bytes
    words: tuple[str, ...]


@lru_cache(_REMEMBERED)
def recurring_form(value: str) -> tuple[str, ...] | None:
    """The words that must be rare for a value to be a secret if programs share it; None if it never is one."""
    if not 8 <= len(value) <= 64 or value.isalpha():
        return None
    if value.isdigit():
        return () if _is_code(value) else None
    if _SIGNED.fullmatch(value):
        return () if _is_signed(value) else None
    if _WRITTEN.fullmatch(value) and not (value.islower() or value.isupper()):
        words = tuple(word.lower() for word in _LETTERS.findall(value))
        return words if all(word in ENGLISH for word in words) else None
    return None


def counts_something(announcer: str) -> bool:
    """Whether a name announces a number that is an amount, a position or an identifier."""
    parts = _RUN.findall(announcer.lower())
    return bool(parts) and parts[-1] in _AMOUNTS


def are_unrelated(programs: set[str], least: int) -> bool:
    """Whether there are so many programs: versions of one are one, and what starts others is none."""
    return len({_VERSION.sub("", one) or one for one in programs - _WRAPPERS}) >= least


def _is_code(digits: str) -> bool:
    number = int(digits)
    return (
        len(set(digits)) >= _FEWEST_DIGITS
        and _DATE.fullmatch(digits) is None
        and all(number % size and (number + 1) % size for size in _ROUND)
        and number.bit_count() > 2
    )


def _is_signed(value: str) -> bool:
    """Whether words or numbers stand on both sides of a sign, or words and a number before it."""
    if _NAMES_WITH_SIGNS.search(value) is not None:
        return False
    runs = _RUN.findall(value)
    letters = sum(len(run) for run in runs if run.isalpha())
    return len(runs) >= 2 and letters >= 4 and any(len(run) >= 3 for run in runs if run.isalpha())
