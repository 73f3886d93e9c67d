"""Tells a value by its looks: it cannot be a secret, it says where a secret is, or it looks random.

The rules look here only if a name leaves a doubt (`key=`, `auth=`), or to keep what is plainly not a secret: a switch,
a variable that was not expanded, a template. In doubt a value counts as secret.
"""

import math
from operator import ne
from typing import Final

from agents.privacy.matching.gate import compiled
from agents.privacy.rules.vocabulary import PASSWORD, kind_of_key

_PUBLIC: Final = ("ssh-ed25519 ", "ssh-rsa ", "ecdsa-sha2-", "-----BEGIN CERT", "-----BEGIN PUBLIC")
_JUDGED: Final = 128  # characters of a value that are looked at to judge it

_NOTHING: Final = """
    true false null nil none yes no on off undefined required optional enabled disabled basic bearer digest ntlm
    file env chap negotiate string str secretkeyref valuefrom prompt random = == { [ ( | > \\ && || ->
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
    r"|\.[a-z_][a-z_.]*[,})\]]*|[a-z_][a-z_.]*\([^()\"']*\)[;,]?"
    r"|[a-z_.]*(?:env|get|fetch|read|load|lookup|ask|prompt|input|config|setting|secret|vault)[a-z_]*\([^()]*\)[;,]?",
    ignore_case=True,
    captures=False,
)
"""A whole value that stands for another one: `${NAME}`, `{{ name }}`, `%NAME%`, `<your key>`, a call that reads one."""

_VARIABLE = compiled(r"\$(?:[A-Z_][A-Z0-9_]*[A-Z_]|[A-Z_]|[0-9*@])", captures=False)
"""A shell's variable, in capitals."""

_ADDRESS = compiled(r"\A[A-Za-z][A-Za-z0-9+.\-]*://", captures=False)
"""The scheme of a URL."""

EXAMPLES: Final = {
    "_CODE": ("f(x)", "hunter2"),
    "CHOSEN": ("d3luGe", "deluge"),
    "_CHOSEN": ("d3luGe", "d3luge"),
    "_LEET": ("d3luge", "hunter2"),
    "SCRAMBLED": ("aBcDeFg", "aBc"),
    "_SCRAMBLED": ("aBcDeFg", "aBc"),
    "_VARIABLE": ("$PASSWORD", "$password"),
    "_VERSION": ("lib-1.2", "!!!"),
    "_ADDRESS": ("https://host", "//host"),
    "_REFERENCE": ("${DB_PASSWORD}", "hunter2"),
}
"""By pattern: a line that it matches, and a similar one that it passes over (a test runs all of them)."""

_COMMANDS: Final = ("$(", "<(")
_TEMPLATES: Final = (("{{ ", " }}"), ("${{ ", " }}"), ("<%= ", " %>"))
_TEMPLATE_OPENINGS: Final = tuple(opening for opening, _ in _TEMPLATES)


def is_no_secret(value: str) -> bool:
    """Whether `value` cannot be a secret: a switch, a variable, a template, a call, or already masked."""
    if value.startswith(_PUBLIC):
        return True
    if len(value) > _JUDGED:
        return False
    if value.lower() in _NO_SECRETS or not value.strip("*\"'`;).<>"):
        return True
    if value[0] == "$" and not value.startswith("${"):
        name = value[1:]
        return _VARIABLE.is_whole(value.encode("ascii", "replace")) or (
            name.isidentifier() and name.islower() and kind_of_key(name) is PASSWORD
        )
    may_refer = value[0] in _BEGINS_REFERENCE or "(" in value
    return may_refer and _REFERENCE.is_whole(value.encode("ascii", "replace"))


_BEGINS_REFERENCE: Final = "${#%<."
"""What every reference begins with that calls nothing: a look at it costs a tenth of the pattern."""


def begins_template(text: str, start: int) -> bool:
    """Whether what a program or a shell will replace begins at `start`: `{{ name }}`, `<%= name %>`, `$(command)`."""
    if text.startswith(_COMMANDS, start):
        return True
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
    if value.startswith(("~/", "./", "../", "file:", "env:", "fd:", "pkcs11:")):
        return True
    return "://" in value and _ADDRESS.search(value[:_JUDGED].encode("ascii", "replace")) is not None


def is_key_file(value: str) -> bool:
    """Whether `value` is the name of a file of keys or certificates: the rules of paths decide about those."""
    return value.endswith(_KEY_FILES) and value.replace("/", "").replace(".", "").replace("-", "_").isidentifier()


_KEY_FILES: Final = (
    ".pem", ".key", ".crt", ".cer", ".der", ".p12", ".pfx", ".jks", ".asc", ".gpg", ".pub", ".json", ".txt", ".yml",
    ".yaml", ".conf", ".keytab",
)  # fmt: skip


def looks_secret(value: str) -> bool:
    """Whether `value` looks random or like a user:password pair, for names that prove nothing alone."""
    value = value[:_JUDGED]
    if len(value) < 8 or " " in value or is_place(value):
        return False
    user, colon, password = value.partition(":")
    if colon and user and password:
        return not password.isdigit() and "=" not in user  # `host:port` is not a pair, `a=1:b=2` a list
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


def looks_typed(value: str) -> bool:
    """Whether `value` looks like a password rather than a word: letters of two cases, digits or other characters."""
    return not value.isalpha() or not (value.islower() or value.isupper() or value.istitle())


def looks_chosen(value: str) -> bool:
    """Whether somebody could have chosen `value` as a password: letters and digits in a word, and no sign of code."""
    if (
        not 5 <= len(value) <= _JUDGED
        or is_place(value)
        or is_no_secret(value)
        or _CODE.search(value.encode("ascii", "replace"))
    ):
        return False
    words = value.split()
    if len(words) > 6:
        return False
    return any(
        any(map(str.isdigit, word))
        and any(map(str.isalpha, word))
        and not _VERSION.is_whole(word.encode("ascii", "replace"))
        for word in words
    )


_CODE = compiled(r"[(){}\[\]<>|;=/]|::|\$[a-zA-Z_{(]|https?:", captures=False)
"""Signs of code, of a path, of a variable."""

_VERSION = compiled(
    r"[A-Za-z]*[\-_.]?v?[0-9]+(?:[.\-_][0-9a-z]+)*[A-Za-z]?|[0-9]+[a-zA-Z]{1,3}|[0-9a-f:.]+", captures=False
)
"""A name with a version, a number with a unit, an address."""


def looks_leet(word: str) -> bool:
    """Whether `word` has digits between letters and is not a name with a version: `d3luge`, `taosd4ta9`."""
    return _LEET.search(word.encode("ascii", "replace")) is not None and not any(map(str.isspace, word))


CHOSEN: Final = (
    r"[^\s\"'/\\:=]*(?:[A-Z][^\s\"'/\\:=]*[a-zA-Z][0-9]+[a-z][A-Za-z]|[A-Za-z][0-9]+[a-z][A-Za-z][^\s\"'/\\:=]*[A-Z]"
    r"|[a-z][0-9]+[A-Z][A-Za-z]|[A-Za-z][0-9]+[a-z][A-Z])"
)
"""A word with a digit between letters of both cases, as people make passwords of words."""

_CHOSEN = compiled(rf"\A{CHOSEN}", captures=False)


def looks_leet_and_mixed(word: str) -> bool:
    """Whether `word` has a digit between letters of both cases: `d3luge.Flood`."""
    return _CHOSEN.search(word.encode("ascii", "replace")) is not None and not any(map(str.isspace, word))


_LEET = compiled(r"\A[^/\\=:]*[a-zA-Z][0-9]+[a-zA-Z]{2}[^/\\=:]*\z", captures=False)
"""A digit between letters, two of them behind it."""


def looks_scrambled(word: str) -> bool:
    """Whether letters of both cases and digits follow each other in no order, as in tokens and base 64."""
    if not _SHORTEST_SCRAMBLED <= len(word) <= _JUDGED or _SCRAMBLED.is_whole(word.encode("ascii", "replace")) is False:
        return False
    kinds = [1 if c.isupper() else 2 if c.islower() else 3 for c in word if c.isalnum()]
    changes = sum(map(ne, kinds, kinds[1:]))
    return len(set(kinds)) == _KINDS and changes >= len(kinds) * _MOST_ORDERED


_KINDS: Final = 3
_SHORTEST_SCRAMBLED: Final = 14
_MOST_ORDERED: Final = 0.45
"""Names in camel case change their kind of character less often than that, random ones more often."""

SCRAMBLED: Final = (
    r"(?-i:[A-Za-z0-9+/_\-]*[a-z0-9][A-Z]+[a-z0-9+/_\-]+[A-Z]+[a-z0-9+/_\-]+[A-Z]+[a-z0-9+/_\-]+[A-Za-z0-9+/_\-]*=*)"
)
"""Characters of base 64 in which capitals begin again and again."""

_SCRAMBLED = compiled(SCRAMBLED, captures=False)


def looks_secret_word(word: str) -> bool:
    """Whether one word is a password by its looks: a digit or a capital inside of letters, or a special character."""
    return (
        len(word) >= 6
        and any(map(str.isalpha, word))
        and (any(map(str.isdigit, word)) or any(map(str.isupper, word[1:])) or not _TYPED.isdisjoint(word))
    )


_TYPED: Final = frozenset("!#$%^&*")
"""Characters that people put into passwords."""
