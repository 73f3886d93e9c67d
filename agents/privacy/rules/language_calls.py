"""Secrets among the arguments of a call, whatever the language: `s.login('ann', 'secret')`, `new PDO(dsn, 'ann', 'x')`.

A call that logs in or sets a password has the secret behind the user; one that connects has it behind an address and a
user. Arguments with names (`password='x'`) have rules of their own.
"""

import re
from typing import Final

from agents.privacy.matching.gate import compiled
from agents.privacy.matching.masks import REDACTED, Mask
from agents.privacy.matching.scan import Scan
from agents.privacy.rules.command_words import flattened
from agents.privacy.rules.login_words import is_typed
from agents.privacy.rules.value_ranges import ValueRange
from agents.privacy.rules.values import is_no_secret, is_place

_LOGS_IN: Final = (
    r"log_?in|log_?on|sign_?in|authenticate|auth|simple_?bind(?:_s)?|bind(?:_s)?|[a-z]*basic_?auth|http[a-z]*auth"
    r"|[a-z]*credentials?|(?:create|add)_?user|[a-z_]*passw(?:or)?d|password_?authenticator|passwordcredential"
)
_CONNECTS: Final = (
    r"(?:[a-z]+_?)?connect|pdo|mysqli|[a-z]*connection|[a-z]*client|[a-z]*database|session"
    r"|(?:s?ftp|smtp|imap|pop3?|ssh|telnet|ldap)[a-z0-9_]*(?:(?:\.|::|->)[a-z_]+)?"
)

CALL_GATE: Final = rf"(?:{_LOGS_IN}|{_CONNECTS})\s*\("
"""A call that logs in or connects."""

_CALL: Final = compiled(rf"(?:\A|[^a-z0-9])[a-z0-9_]*?(?:({_LOGS_IN})|({_CONNECTS}))\s*\(", ignore_case=True)
"""The name of such a call, to its bracket. The groups say which of the two it is."""

_ARGUMENT: Final = re.compile(r"\s*(?:[brfuRN@]?\\?([\"'])([^\"'\\]*)\\?\1|([^,()\"'=]{0,80}))\s*(,|\)|\Z|\\?[\"'])")
"""One argument: a literal, or something else, with what follows it."""

_ADDRESS: Final = re.compile(r"[\w.\-]*[:/=.][^\s]*\Z|localhost\Z|db\Z|[a-z][a-z0-9\-]*\Z")

EXAMPLES: Final = {
    "_LOGS_IN": ("login", "list"),
    "_CONNECTS": ("connect", "list"),
    "CALL_GATE": ("login('ann', x)", "list('ann')"),
    "_CALL": ("login(", "list("),
    "_ARGUMENT": ("'a',", "x=1"),
    "_ADDRESS": ("mysql:host=db", "My Host"),
}
"""By pattern: a line that it matches, and a similar one that it passes over (a test runs all of them)."""

_MAX_CALLS: Final = 8
_MAX_ARGUMENTS: Final = 6
_BEHIND_ADDRESS_AND_USER: Final = 2


def secrets_in_calls(scan: Scan) -> list[Mask]:
    """Masks over the literal that is the secret of each call."""
    text = flattened(scan.text, "'")
    encoded = scan.encoded if text is scan.text else text.encode()
    masks: list[Mask] = []
    for ranges in _CALL.find_all(encoded, _MAX_CALLS):
        if not scan.spend():
            break
        literals = _literals(text, ranges[0][1])
        if any(literal is not None and text[literal.start : literal.end] == REDACTED for literal in literals):
            continue
        secret = _behind_user(text, literals) if ranges[1][0] >= 0 else _behind_address(text, literals)
        masks += [Mask(start, end, REDACTED, "text-form") for start, end in secret if _could_be(text[start:end])]
    return masks


def _literals(text: str, position: int) -> list[ValueRange | None]:
    """The arguments of a call whose first one begins at `position`: where a literal is, None for anything else."""
    found: list[ValueRange | None] = []
    while len(found) < _MAX_ARGUMENTS and (argument := _ARGUMENT.match(text, position)) is not None:
        is_literal = argument.group(1) is not None
        found.append(ValueRange(*argument.span(2)) if is_literal else None)
        position = argument.end()
        if argument.group(4) != ",":
            break
    return found


def _behind_user(text: str, literals: list[ValueRange | None]) -> list[ValueRange]:
    """What stands behind the user of a login."""
    behind = [literal for literal in literals[1:] if literal is not None]
    if len(literals) < 2 or not behind:
        return []
    typed = [one for one in literals if one is not None and is_typed(text[one.start : one.end])]
    return typed or behind[:1]


def _behind_address(text: str, literals: list[ValueRange | None]) -> list[ValueRange]:
    """What stands behind the address and the user of a connection; behind a user alone what looks like a secret."""
    first = literals[0] if literals else None
    if len(literals) > _BEHIND_ADDRESS_AND_USER:
        third = literals[_BEHIND_ADDRESS_AND_USER]
        is_address = first is None or _ADDRESS.match(text[first.start : first.end]) is not None
        behind = [one for one in literals[_BEHIND_ADDRESS_AND_USER:] if one is not None]
        if typed := [one for one in behind if is_typed(text[one.start : one.end])]:
            return typed[:1]
        if third is not None and is_address and "/" not in text[third.start : third.end]:
            return [third]
    return [one for one in literals[1:2] if one is not None and is_typed(text[one.start : one.end])]


def _could_be(value: str) -> bool:
    return bool(value) and not is_no_secret(value) and not is_place(value) and "://" not in value
