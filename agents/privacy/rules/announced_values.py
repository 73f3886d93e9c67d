"""Whether a value that a name announces is a secret, and which part of it.

A value that says where the secret is, that a shell will replace, or that is the name of a file or of a thing is none.
"""

import re
from typing import Final

from agents.privacy.matching.masks import CREDENTIAL, REDACTED, Mask
from agents.privacy.rules.value_ranges import ValueRange
from agents.privacy.rules.values import (
    begins_template,
    is_key_file,
    is_no_secret,
    is_place,
    looks_chosen,
    looks_secret,
    looks_secret_word,
)
from agents.privacy.rules.vocabulary import KEY, PASSWORD, STRONG, WEAK, KeyKind, kind_of_key, name_parts


def announced_secret(text: str, bounds: ValueRange, key: str, kind: KeyKind, rule: str) -> Mask | None:
    """The mask of a value, unless the value shows that it is not secret."""
    value = text[bounds.start : bounds.end]
    if kind is WEAK and _PARAMETER.search(text, max(0, bounds.start - 48), bounds.start) is not None:
        kind = KEY if looks_secret_word(value[:64]) else kind
    if kind is WEAK and (value[:1] == "(" or not _is_weakly_told(key, value[:256].strip("\"'`,;)}]"))):
        return None  # nothing like a secret, or a pair, which has a form of its own
    if _says_what_it_is(value, kind) or _says_where(text, value) or begins_template(text, bounds.start):
        return None
    if text[bounds.end : bounds.end + 1] == "}" and value[:1] == "$" and value[1:].isidentifier():
        return None  # a variable: `{password: $p}`
    if text[bounds.start - 1] == "`" and rule == "assignment" and " " in value:
        return None  # a command, whose output is the value
    if "(" in value and (call := _CALLED.match(value)) is not None and not is_no_secret(call.group(1)):
        return Mask(bounds.start + call.start(1), bounds.start + call.end(1), REDACTED, rule)
    return Mask(bounds.start + _told(value, key, kind), bounds.end, REDACTED, rule)


def _says_what_it_is(value: str, kind: KeyKind) -> bool:
    """Whether a value is a switch, a file, the name of a thing or already masked."""
    if kind is PASSWORD and (value in {"0", "1", "2", "3"} or _is_file(value)):
        return True  # a pass of a compiler, a switch; a file of passwords
    if kind is KEY and (is_place(value) or is_key_file(value) or value.startswith(_ATTRIBUTES)):
        return True
    return is_no_secret(value) or value.endswith(CREDENTIAL)


def _says_where(text: str, value: str) -> bool:
    """Whether a value names the place of the secret: an object with this id, another name inside of the value."""
    if value.startswith(_SAID_ELSEWHERE) or (value[:1] == "{" and _NAMED_INSIDE.search(value) is not None):
        return True
    return len(value) <= _LONGEST_ID and f",id={value}" in text and not looks_secret_word(value)


_LONGEST_ID: Final = 32
_LONGEST_FILE: Final = 256


def _is_weakly_told(key: str, value: str) -> bool:
    """Whether a value that a weak name announces looks like a secret: random, or chosen behind a name of logins."""
    if looks_secret(value):
        return True
    parts = name_parts(key)
    if (parts[-1:] not in _OF_LOGINS and parts[:1] != ["x"]) or _SCHEME.match(value) is not None or is_place(value):
        return False
    return looks_chosen(value) or (key.isupper() and any(map(str.isdigit, value)) and looks_secret_word(value))


_OF_LOGINS: Final = (["auth"], ["session"], ["sess"], ["sid"], ["ticket"])
"""Last words of names that stand with logins; a header `X-...` does, too."""

_SCHEME: Final = re.compile(
    r"(?i)(?:\S*(?:sha|md|oauth|ntlm|krb|x|tls|ssl|v|http|saslv?|aes|dh|ecdh)-?[0-9]+\w*|[a-z]+[0-9])\Z"
)
"""How somebody is known, rather than a secret: `scram-sha-256`, `oauth2`."""


def _is_file(value: str) -> bool:
    """Whether what a password's name announces is a file: a folder that machines have and a name, or a known ending."""
    if len(value) > _LONGEST_FILE:
        return False
    if value[:1] in {"/", ".", "~"}:
        return value.count("/") > 1 and value.islower() and is_place(value)
    return value.islower() and is_key_file(value)


EXAMPLES: Final = {
    "_SCHEME": ("scram-sha-256", "hunter2x"),
    "_CALLED": ("bcrypt('x')", "x"),
    "_NAMED_INSIDE": ('{"password": "x"}', '{"user": "x"}'),
    "_PARAMETER": ("?sig=", "?page="),
    "_NAME": ("password=x", "x"),
    "_OWNER": ("ann:hunter2", "hunter2"),
    "_SAID_FIRST": ("pass:hunter2", "hunter2"),
}
"""By pattern: a line that it matches, and a similar one that it passes over (a test runs all of them)."""

_CALLED: Final = re.compile(r"[A-Za-z_][\w.:]{1,48}\(\s*b?\\?[\"']([^\"'\\]+)\\?[\"']\s*[,)]")
"""A function of the secret: `bcrypt('hunter2')`."""

_NAMED_INSIDE: Final = re.compile(r"(?i)[\"'](?:\w*(?:pass|passwd|password|secret|token|credential)s?)\\?[\"']\s*:")
"""A list of names and values of which one is secret: it is found by its own name."""

_ATTRIBUTES: Final = ("id=", "type=", "src=")
_SAID_ELSEWHERE: Final = ("file:/", "file:<", "env:", "fd:", "echo ", "printf ")
"""Beginnings of values that say where the secret is; what `echo` prints has a rule of its own (carriers.py)."""


def _told(value: str, key: str, kind: KeyKind) -> int:
    """How much of a value says whose secret it is: the user of `user:secret`, the name of `NAME=secret`."""
    if ":" not in value and "=" not in value:
        return 0
    is_login = kind is not PASSWORD or "user" in key.lower() or "auth" in key.lower()
    found = (_OWNER if is_login else _SAID_FIRST).match(value)
    told = found.end() if found is not None else 0
    name = _NAME.match(value, told)
    return name.end() if name is not None and kind_of_key(name.group(1)) in STRONG else told


_PARAMETER: Final = re.compile(r"[?&](?:[A-Za-z\-]*signature|sig|key|auth|code|token|ticket|sas)=\Z", re.IGNORECASE)
"""A parameter of a request before its value."""

_OWNER: Final = re.compile(r"[A-Z][A-Z0-9_]+=(?=.)|(?!https?:|token-)[A-Za-z][\w.\-]{0,15}:(?=[^\s:/][^:/]*\Z)")
_NAME: Final = re.compile(r"([A-Za-z][\w.\-]*)=(?=.)")
_SAID_FIRST: Final = re.compile(r"[A-Z][A-Z0-9_]+=(?=.)|(?:[a-z]+:password|pass|password|plain|str|s):(?=.)")
"""What may stand before a password: it may hold a colon itself, so that only these words are none of it."""
