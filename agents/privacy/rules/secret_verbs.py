"""Secrets behind a verb: `set password ann secret`, `login secret`, `secrets set NAME=secret`, `setPin 73915`.

Behind a verb that sets a secret all words that could be one go, unless one of them looks like a secret and the others
do not. Behind a word that stores secrets the values of `--value` and its like go. Behind a weaker verb (`login`,
`register`) only what looks like a secret goes. Where programs print prose, nothing does.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Final

from agents.privacy.matching.gate import compiled
from agents.privacy.matching.masks import REDACTED, Mask
from agents.privacy.matching.scan import Scan
from agents.privacy.rules.command_words import CommandWord
from agents.privacy.rules.login_words import NOT_CANDIDATES, inner_text, is_candidate, is_typed, program_commands
from agents.privacy.rules.program_names import RUN_NOTHING
from agents.privacy.rules.values import is_no_secret, is_place
from agents.privacy.rules.vocabulary import STRONG, kind_of_key, name_parts, word_set

_NOUNS: Final = r"(?:password|passwd|passphrase|passcode|pass|pw|pin)"
_VERBS: Final = (
    rf"(?:(?:set|change|reset|update|new|create|add|user|account|admin)[\s:_.\-]*(?:[a-z]+[_.\-])?{_NOUNS}"
    rf"|(?:set|create|add|new)[\s:_.\-]*user|user[\s:_.\-](?:create|add|new)|{_NOUNS}[\s:_.\-]*(?:set|change|reset|update|new)"
    r"|(?:set|change|reset|update)[\s:_.\-]*(?:secret|credentials?)|wallet_?passphrase|secrets?\s(?:set|put|add|write)"
    r"|credentials?\s(?:set|add|create|update))"
)
_WEAK_VERBS: Final = (
    r"(?:login|signin|auth|authenticate|authorize|authtoken|unlock|unseal|activation|signup|sign-in|log-in"
    r"|passwd|password|token|apikey|api-key|setkey)"
)
_FIRST_VERBS: Final = r"(?:enable|join|connect|key|license|register|activate|attach|link|pair|enroll|claim)"
"""Verbs that are common words, and verbs only at the head of a command."""

_VERBS_IN_LISTS: Final = _VERBS.replace(r"[\s:_.\-]*", r"[\s:_.\-\"',]*").replace(r"\s(?", r"[\s\"',]+(?")
VERB_GATE: Final = rf"{_VERBS_IN_LISTS}[\"']?[\s,]+[^\s]"
"""A verb that sets a secret, as a word or the end of one, and a word behind it."""

WEAK_VERB_GATE: Final = (
    rf"(?:(?:\A|[\s\"'(,:\[]){_WEAK_VERBS}|(?:\A|[;&|(`\n\"'])\s*(?:[^\s]+[\s,]+)?[\"']?(?:[a-z]+:)?{_FIRST_VERBS})"
    r"[\"']?[\s,]+"
    r"(?:[^\s]+\s+)?(?:[^\s]+\s+)?(?:[^\s]+\s+)?(?:[^\s]+\s+)?(?:[^\s\-][^\s]*)?[0-9!#$%^&*]"
)
"""A verb that a secret may follow, and one of the next words with a digit or a special character."""

STORE_GATE: Final = (
    r"(?s)(?:secret|credential|variable)[^\s]*[\s,](?:.*[\s\"',])?--?[a-z\-]*(?:value|string|body|data|content|plaintext)[\"']?[\s,=]"
    rf"|{_NOUNS}[\"']?[\s,]+[\"']?(?:old|new)="
)
"""A word that stores secrets, and an option that holds what is stored; a verb, and `new=`."""

STORE_HINT: Final = (
    r"[\s\"',]--?(?:[a-z]+-)?(?:value|string|body|data|content|plaintext)[\"']?[\s,=]|[\s\"',](?:old|new)="
)
WEAK_VERB_HINT: Final = rf"(?:\A|[\s\"'(,:\[;&|`])(?:{_WEAK_VERBS}|{_FIRST_VERBS})[\"']?[\s,]+[^\s]"
"""What both hold in any case, so that the gate need not remember the words around."""

STORE: Final = compiled(STORE_GATE, ignore_case=True, captures=False)
WEAK_VERB: Final = compiled(WEAK_VERB_GATE, ignore_case=True, captures=False)
_ANY_VERB: Final = compiled(f"(?:{VERB_GATE})|(?:{WEAK_VERB_GATE})|(?:{STORE_GATE})", ignore_case=True, captures=False)
_STRONG_VERB: Final = re.compile(rf"(?:.*[_:.\-/])?{_VERBS}\Z", re.IGNORECASE)
_ENDS_VERB: Final = tuple(
    sorted(
        word_set("""
            password passwd passphrase passcode pass pw pin user secret credential credentials
            set change reset update new create add put write
        """)
    )
)
"""What every strong verb ends with: a look at it costs a tenth of the pattern."""

_WEAK_VERB: Final = re.compile(rf"(?:[a-z]+:)?(?:{_WEAK_VERBS}|{_FIRST_VERBS})\Z", re.IGNORECASE)
_FIRST_VERB: Final = re.compile(rf"(?:[a-z]+:)?{_FIRST_VERBS}\Z", re.IGNORECASE)
_MARKED: Final = re.compile(r"[0-9!#$%^&*]")
"""What a secret behind a weak verb has in it; `login ann:token-name` has none."""

_NAME: Final = re.compile(r"[a-z]+[_\-][a-z]+\Z")
EXAMPLES: Final = {
    "_NOUNS": ("passphrase", "name"),
    "_VERBS": ("set password", "set name"),
    "_VERBS_IN_LISTS": ("'set', 'password'", "'set', 'name'"),
    "_WEAK_VERBS": ("unlock", "list"),
    "VERB_GATE": ("tool set-password ann hunter2", "tool list ann"),
    "WEAK_VERB_GATE": ("tool unlock hunter2", "tool unlock door"),
    "_NO_SECRET_OPTION": ("--key-id", "--key"),
    "_NAME_OF_SECRET": ("db_password", "hunter2"),
    "_SWITCH": ("/domain:x", "domain:x"),
    "STORE_HINT": ("a --value x", "a --name x"),
    "STORE": ("secret set a --value x", "secret list"),
    "WEAK_VERB_HINT": ("tool unlock door", "tool list"),
    "WEAK_VERB": ("tool unlock hunter2", "tool unlock door"),
    "STORE_GATE": ("secret set a --value x", "secret list"),
    "_STORES": ("put-secret", "put"),
    "_STORING": ("put-secret", "secret"),
    "_STORED": ("--string-value", "--name"),
    "_ANY_VERB": ("tool unlock hunter2", "tool list ann"),
    "_FIRST_VERBS": ("enable", "list"),
    "_FIRST_VERB": ("enable", "list"),
    "_STRONG_VERB": ("set-password", "set-name"),
    "_WEAK_VERB": ("unlock", "list"),
    "_MARKED": ("hunter2", "hunter"),
    "_NAME": ("my-name", "hunter2"),
    "_NAMED_SECRET": ("secrets set", "secrets list"),
}
"""By pattern: a line that it matches, and a similar one that it passes over (a test runs all of them)."""

_SILENT: Final = RUN_NOTHING - word_set("passwd git svn hg apt snap id")

_TALKS: Final = word_set("""
    echo printf logger git gh svn hg man info apropos whatis wall write notify-send mail say banner
""")
"""Programs whose words are prose."""

_OTHERS: Final = _TALKS | _SILENT

_NAME_OF_SECRET: Final = re.compile(r"[A-Za-z]+(?:[:_.][A-Za-z]+)*\Z")
"""Words of letters: `Movies:ServiceApiKey`."""

_MAX_CANDIDATES: Final = 4


def secrets_behind_verbs(scan: Scan, program: str) -> list[Mask]:
    """Masks over bare words behind a verb that sets a secret or asks for one."""
    masks: list[Mask] = []
    is_first = bool(program)
    for words, _ in program_commands(scan, program, _OTHERS, _ANY_VERB, masks):
        _behind_verbs(scan, words, masks, is_program=is_first)
        is_first = False
    return masks


def _behind_verbs(scan: Scan, words: Sequence[CommandWord], masks: list[Mask], *, is_program: bool) -> None:
    """Bare words behind a verb: all candidates of a strong one, what looks like a secret behind a weak one."""
    texts = [inner_text(scan, word) for word in words]
    masks += _stored(words, texts)
    for index, text in enumerate(texts[:-1]):
        if text[:1] in {"-", "/", ""} or " " in text or len(text) > _LONGEST_VERB:
            continue
        together = f"{texts[index - 1]} {text}" if index else text
        strong = text.lower().endswith(_ENDS_VERB) and (
            _STRONG_VERB.match(together) is not None or _STRONG_VERB.match(text) is not None
        )
        if not strong and (_WEAK_VERB.match(text) is None or (index > 1 and _FIRST_VERB.match(text) is not None)):
            continue
        if strong:
            masks += _replaced(words[index + 1 :], texts[index + 1 :])
        if texts[index + 1].lower() in _FOLLOWERS:
            continue
        if _NAMED_SECRET.match(together) is not None:
            masks += _assigned(words[index + 1 :], texts[index + 1 :])
        behind = list(_candidates(scan, words[index:], texts[index:], together, strong=strong))
        if len(behind) == 1 and _NAME.match(behind[0][1]):
            return
        if len(behind) > 1 and kind_of_key(behind[0][1]) in STRONG and _NAME_OF_SECRET.match(behind[0][1]) is not None:
            del behind[0]
        likely = [
            (word, value)
            for word, value in behind
            if (is_typed(value) and (strong or _MARKED.search(value))) or _is_pin(together, value)
        ]
        # by an option, or by another rule
        is_told = any((other[:1] == "-" and "pass" in other.lower()) or REDACTED in other for other in texts)
        if not strong and any(other[:2] == "--" and kind_of_key(other) in STRONG for other in texts):
            return  # an option has the secret
        untyped = strong and is_program and not is_told and _names_secret(together)
        chosen = likely or (behind[-2:] if untyped else [])
        masks += [Mask(word.inner, word.inner_end, REDACTED, "shape") for word, _ in chosen[:_MAX_CANDIDATES]]
        return


def _candidates(
    scan: Scan, words: Sequence[CommandWord], texts: Sequence[str], verb: str, *, strong: bool
) -> Iterator[tuple[CommandWord, str]]:
    """Words behind the verb `words[0]` that could be secret; behind a weak verb the next few only."""
    for word, value, before in zip(words[1:], texts[1:], texts, strict=False):
        if not strong and scan.text.count(" ", words[0].inner_end, word.inner_end) > _REACH:
            return
        if (
            value[:1] in {"-", ""}
            or _SWITCH.match(value) is not None
            or _is_option_value(before, value)
            or (before[:1] == "-" and "%" in value)
        ):
            continue
        if is_candidate(value) or _is_pin(verb, value):
            yield word, value


_SWITCH: Final = re.compile(r"/[A-Za-z]+(?::|\Z)")
"""An option of Windows."""

_LONGEST_VERB: Final = 40
_REACH: Final = 4
"""Spaces between a weak verb and the end of what it may announce."""

_NAMED_SECRET: Final = re.compile(r"(?:.*[_:.\-/])?secrets? (?:set|put|add|write)\Z", re.IGNORECASE)


def _assigned(words: Sequence[CommandWord], texts: Sequence[str]) -> Iterator[Mask]:
    """Masks over the values of `NAME=value` behind `secrets set`."""
    for word, text in zip(words, texts, strict=True):
        name, equals, value = text.partition("=")
        if equals and text[0] != "-" and name.replace("-", "_").isidentifier() and value and not is_no_secret(value):
            yield Mask(word.inner + len(name) + 1, word.inner_end, REDACTED, "shape")


_STORES: Final = re.compile(r"(?:.*[_:.\-/])?(?:secrets?|credentials?|variables?)(?:[_:.\-].*)?\Z", re.IGNORECASE)
_STORED: Final = re.compile(r"--?(?:[a-z]+-)?(?:value|string|body|data|content|plaintext)\Z")
_STORING: Final = re.compile(r"(?:.*[_:.\-/])?(?:set|put|add|create|update|write|new)(?![a-z])", re.IGNORECASE)


def _stored(words: Sequence[CommandWord], texts: Sequence[str]) -> Iterator[Mask]:
    """Masks over the value of an option behind a word that stores secrets: `secrets put a --string-value x`."""
    noun = next((index for index, text in enumerate(texts[:_HEAD]) if text[:1] != "-" and _STORES.match(text)), -1)
    if noun < 0 or not any(map(_STORING.match, texts[: _HEAD + 2])):
        return
    for word, text, before in zip(words[noun + 1 :], texts[noun + 1 :], texts[noun:], strict=False):
        option, equals, value = text.partition("=")
        if equals and _STORED.match(option) and value and not is_no_secret(value) and not is_place(value):
            yield Mask(word.inner + len(option) + 1, word.inner_end, REDACTED, "shape")
        elif _STORED.match(before) and text[:1] not in {"-", "{", ""} and not is_no_secret(text) and not is_place(text):
            yield Mask(word.inner, word.inner_end, REDACTED, "shape")


_HEAD: Final = 6
"""Words at the beginning of a command among which its verb is."""


def _replaced(words: Sequence[CommandWord], texts: Sequence[str]) -> Iterator[Mask]:
    """Masks over the values of `old=x` and `new=x` behind a verb that sets a password."""
    for word, text in zip(words, texts, strict=True):
        name, equals, value = text.partition("=")
        if equals and name.lower() in {"old", "new"} and value and not is_no_secret(value):
            yield Mask(word.inner + len(name) + 1, word.inner_end, REDACTED, "shape")


def _is_pin(verb: str, value: str) -> bool:
    """Whether `value` is the number that a verb with `pin` in it sets, or a code of six digits."""
    return value.isdigit() and len(value) >= (4 if "pin" in verb.lower() else 6)


_ACCOUNTS: Final = word_set("root admin user default service client server")
_FOLLOWERS: Final = NOT_CANDIDATES - _ACCOUNTS
"""Words behind a verb that show that no secret follows: a secret may follow an account."""


def _names_secret(verb: str) -> bool:
    """Whether a verb names the secret itself: `set-password`, not `add-user`."""
    return not _SECRET_WORDS.isdisjoint(name_parts(verb))


_NO_SECRET_OPTION: Final = re.compile(
    r"--?(?:[a-z\-]*-)?(?:accessor|id|uuid|name|user|username|host|server|url|file|path|profile|region|format|output)\Z"
)
"""Options whose values are names and places."""

_SECRET_WORDS: Final = word_set("password passwd passphrase passcode pass pw pin")


def _is_option_value(before: str, value: str) -> bool:
    """Whether `value` belongs to the option before it and looks like no secret, or the option says so."""
    if _NO_SECRET_OPTION.match(before) is not None:
        return True
    return before[:1] == "-" and "=" not in before and (":" in value or not is_typed(value))
