"""Tells a value by its looks: it cannot be a secret, it says where a secret is, or it looks random.

The rules look here only if a name leaves a doubt (`key=`, `auth=`), or to keep what is plainly not a secret: a switch,
a variable that was not expanded, a template. In doubt a value counts as secret.
"""

import math
from typing import Final

from agents.privacy.matching.gate import compiled

_JUDGED: Final = 128  # characters of a value that are looked at to judge it

_NOTHING: Final = """
    true false null nil none yes no on off undefined required optional enabled disabled basic bearer digest ntlm
    negotiate string str secretkeyref valuefrom = == { [ ( | > \\ && || ->
"""
_NO_SECRETS: Final = frozenset({"", *_NOTHING.split()})

_TOP_FOLDERS: Final = frozenset(
    """
    app apps bin boot certs config configs cygdrive data dev docker etc export home host keys lib lib64 local media mnt
    nix opt private proc repo root run sbin secret secrets snap srv sys tmp usr var vault volumes work workspace Users
    Volumes Library
    """.split()  # noqa: SIM905 - a list of words reads as text
)


_REFERENCE = compiled(
    r"\$\{[a-z_][\w.:\-]*\}|\{\{[^{}]*\}\}|#?\{[a-z_]+\}|%[A-Z_]{3,}%|<[a-z][a-z _\-]*>"
    r"|[a-z_][a-z_.]*\([^()\"']*\)[;,]?"
    r"|[a-z_.]*(?:env|get|fetch|read|load|lookup|ask|prompt|input|config|setting|secret|vault)[a-z_]*\([^()]*\)[;,]?",
    ignore_case=True,
    captures=False,
)
"""A whole value that stands for another one: `${NAME}`, `{{ name }}`, `%NAME%`, `<your key>`, a call that reads one."""


EXAMPLES: Final = {"_REFERENCE": ("${DB_PASSWORD}", "hunter2")}
"""By pattern: a line that it matches, and a similar one that it passes over (a test runs all of them)."""

_TEMPLATES: Final = (("{{ ", " }}"), ("${{ ", " }}"), ("<%= ", " %>"))
_TEMPLATE_OPENINGS: Final = tuple(opening for opening, _ in _TEMPLATES)


def is_no_secret(value: str) -> bool:
    """Whether `value` cannot be a secret: a switch, a variable, a template, a call, or already masked."""
    if len(value) > _JUDGED:
        return False
    if value.lower() in _NO_SECRETS or not value.strip("*\"'`"):
        return True
    if value[0] == "$" and not value.startswith("${"):
        return value[1:].isidentifier() and value == value.upper() and not value[-1].isdigit()
    return _REFERENCE.is_whole(value.encode("ascii", "replace"))


def begins_template(text: str, start: int) -> bool:
    """Whether a template that a program will replace begins at `start`: `{{ name }}`, `${{ name }}`, `<%= name %>`."""
    return text.startswith(_TEMPLATE_OPENINGS, start) and any(
        text.startswith(opening, start) and text.find(closing, start, start + _JUDGED) >= 0
        for opening, closing in _TEMPLATES
    )


def is_place(value: str) -> bool:
    """Whether `value` says where something is: a path or a URL. Both have rules of their own.

    One of 64 random base64 values begins with `/`, so a path must have a folder that exists on ordinary machines.
    """
    if value.startswith(("/", "@/")):
        return value.lstrip("@/").partition("/")[0] in _TOP_FOLDERS
    return value.startswith(("~/", "./", "../", "file:", "env:", "fd:")) or "://" in value[:24]


def looks_secret(value: str) -> bool:
    """Whether `value` looks random or like a user:password pair, for names that prove nothing alone."""
    value = value[:_JUDGED]
    if len(value) < 8 or " " in value or is_place(value):
        return False
    user, colon, password = value.partition(":")
    if colon and user and password:
        return not password.isdigit()  # `host:port` is not a pair
    letters = any(map(str.isalpha, value))
    digits = sum(map(str.isdigit, value))
    mixed = digits > 0 and any(map(str.isupper, value)) and any(map(str.islower, value))
    if not mixed and (not letters or digits < 2):
        return len(value) >= 24 and entropy(value) >= 4.2
    return len(value) >= 12 and entropy(value) >= 3.0


def entropy(value: str) -> float:
    """Shannon entropy of `value` in bits a character."""
    length = len(value)
    return -sum((n := value.count(c)) / length * math.log2(n / length) for c in set(value))
