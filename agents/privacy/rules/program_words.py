"""One program reads the words of its command line: options, values, positions, and which of them are secret."""

import re
from typing import Final

from agents.privacy.matching.masks import REDACTED, Mask
from agents.privacy.rules.command_words import CommandWord
from agents.privacy.rules.program_forms import Form, Position, Program
from agents.privacy.rules.value_ranges import cookie_values
from agents.privacy.rules.values import is_no_secret, is_place, looks_secret
from agents.privacy.rules.vocabulary import PLAIN_NAMES, word_set

# an enum's member costs a call in Python to look up, and another one to hash
_ATTACHED: Final = Form.ATTACHED
_COOKIE: Final = Form.COOKIE
_NEXT: Final = Form.NEXT
_PAIR: Final = Form.PAIR
_SKIPPED: Final = Form.SKIPPED
_TYPED: Final = Form.TYPED
_WHOLE: Final = (Form.EITHER, _NEXT, _ATTACHED, Form.SLASHED)
"""Forms whose whole value is the secret."""

_SEPARATOR_OF: Final = {Form.PAIR: ":", Form.PERCENT: "%", Form.COMMA: ",", Form.LITERAL: "="}
_QUOTES: Final = "\"'"
_PLACES: Final = ("file:", "env:", "@/")
_PLACES_OF_TYPED: Final = ("file:", "env:", "fd:", "stdin", "@/")
_SHARES: Final = ("//", "\\\\")
_SHORTEST_PIN: Final = 4
_NAME: Final = re.compile(r"[A-Z][A-Z0-9_]+=(?=.)")
"""A variable's name before its value."""

EXAMPLES: Final = {"_NAME": ("TOKEN=x", "token=x")}
"""By pattern: a line that it matches, and a similar one that it passes over (a test runs all of them)."""


class ProgramState:
    """A program that the walk has met, with what it has seen of the words after it.

    A plain class, because mypyc makes one of it that is made and read without Python.
    """

    __slots__ = ("awaited", "is_behind_keyword", "letters", "program", "seen")

    def __init__(self, program: Program) -> None:
        self.program: Final = program
        self.seen: list[str] = []
        self.letters: set[str] = set()
        self.awaited: Form | None = None
        self.is_behind_keyword = False


def take(state: ProgramState, word: CommandWord, text: str, masks: list[Mask]) -> None:
    """Let one program read one word."""
    if state.awaited is not None:
        if text.isdigit() and len(text) < _SHORTEST_PIN and state.is_behind_keyword:
            return  # a network's number stands between: `password 0 secret`
        form, state.awaited = state.awaited, None
        if not (text[:2] == "--" and text[2:3].isalpha()):  # else the program asks at the terminal
            _redact_value(form, word, text, 0, masks)
            return
    program = state.program
    if program.runs_another and (state.seen or text[:1] != "-"):
        state.seen.append(text)
        return
    if text.lower() in program.keywords:
        state.awaited, state.is_behind_keyword = _NEXT, True
        return
    state.is_behind_keyword = False
    if text[:1] in "-/" and len(text) > 1 and _take_option(state, word, text, masks):
        return
    state.seen.append(text.lower() if len(text) < 32 else text)
    for position in program.positions:
        if _is_at(position, state):
            _redact_position(position, word, text, masks)
            return


def _take_option(state: ProgramState, word: CommandWord, text: str, masks: list[Mask]) -> bool:
    """Whether `text` is an option of the program, to be kept out of its positions."""
    program = state.program
    if not program.needs or any(need in state.seen for need in program.needs):
        form = program.forms.get(text)
        if form is not None:
            state.awaited = None if form is _ATTACHED else form
            return True
        option, equals, _ = text.partition("=")
        if equals and len(option) > 2 and (form := program.forms.get(option)) is not None:
            _redact_value(form, word, text, len(option) + 1, masks)
            return True
        if _take_attached(state, word, text, masks):
            return True
    if any(text in position.after for position in program.positions):
        return False
    if text[0] == "-":
        state.letters.update(text[1:] if text[1:2] != "-" else ())
        return True
    return ":" in text and text[1:].partition(":")[0].isalpha()  # `/user:name`


def _take_attached(state: ProgramState, word: CommandWord, text: str, masks: list[Mask]) -> bool:
    """Whether `text` is an option with its value in the same word: `-psecret`, `-sSu user:secret`, `/p:secret`."""
    program = state.program
    for option in program.slashed:
        if text.lower().startswith(option + ":"):
            _redact_value(Form.SLASHED, word, text, len(option) + 1, masks)
            return True
    for option in program.attachable if text[0] == "-" and text[:2] != "--" else ():
        if len(option) == 2:
            at = _letter_at(program, option[1], text)
            if at and at + 1 == len(text):
                state.awaited = program.forms[option]
                return True
            if at and not _is_long_option(text):
                _redact_value(program.forms[option], word, text, at + 1, masks)
                return True
        elif text.startswith(option):
            _redact_value(_ATTACHED, word, text, len(option), masks)
            return True
    return False


def _is_long_option(text: str) -> bool:
    """Whether `-password` is spelled as a word, so that no value is attached to a letter."""
    return text[1:].partition("=")[0].lower() in _LONG_OPTIONS


_LONG_OPTIONS: Final = word_set(
    "password passwd pass passwordfile passphrase port path protocol prefix print proxy pidfile pid profile project "
    "platform private-key public passin passout package user username url host help version"
)
"""Options that programs write with one dash."""


def _letter_at(program: Program, letter: str, text: str) -> int:
    """Where the option's letter stands in the cluster `text`, or 0."""
    at = text.find(letter, 1)
    if at < 0 or any(other not in program.clustered for other in text[1:at]):
        return 0
    return at


def _is_at(position: Position, state: ProgramState) -> bool:
    """Whether the word just seen is the one that `position` speaks of."""
    if position.flag and position.flag not in state.letters:
        return False
    after = len(position.after)
    behind = 0
    if after:
        for index in range(len(state.seen) - after):
            if tuple(state.seen[index : index + after]) == position.after:
                behind = index + after
                break
        else:
            return False
    if after and position.after[-1] == "user" and state.seen[behind] == "add":
        behind += 1
    index = len(state.seen) - 1 - behind
    return index >= position.index if position.rest else index == position.index


def _redact_position(position: Position, word: CommandWord, text: str, masks: list[Mask]) -> None:
    if not position.separator:
        if text.partition("=")[0].lower() not in PLAIN_NAMES:
            _redact_value(_NEXT, word, text, 0, masks)
        return
    user, separator, secret = text.partition(position.separator)
    if separator and secret and user and user[-1] != "@" and user.lower() not in PLAIN_NAMES:
        end = text.rfind("@") if "@" in secret else len(text)
        masks.append(Mask(word.inner + len(user) + 1, word.inner + end, REDACTED, "program"))


def _redact_value(form: Form, word: CommandWord, text: str, offset: int, masks: list[Mask]) -> None:
    """Add the mask of the secret in `text[offset:]`, which `form` says how to read."""
    if form is _SKIPPED:
        return
    end = len(text)
    if offset < end and text[offset] in _QUOTES:
        end -= len(text) > offset + 1 and text[-1] == text[offset]
        offset += 1
    start, kept = (0, end - offset) if form in _WHOLE else _secret_part(form, text[offset:end])
    offset, end = offset + start, offset + kept
    value = text[offset:end]
    if name := _NAME.match(value):
        offset, value = offset + name.end(), value[name.end() :]
    if not value or _is_other(form, value) or is_no_secret(value):
        return
    begins = word.inner + offset
    if form is not _COOKIE:
        masks.append(Mask(begins, word.inner + end, REDACTED, "program"))
        return
    masks += [Mask(begins + first, begins + last, REDACTED, "program") for first, last in cookie_values(value)]


def _secret_part(form: Form, value: str) -> tuple[int, int]:
    """Where the secret is in the value of an option: its beginning and its end; equal if there is none."""
    match form:
        case Form.LAST:
            return len(value.rpartition(":")[0]) + 1, len(value)
        case Form.TYPED:
            return (len("pass:") if value.startswith("pass:") else 0), len(value)
        case Form.COOKIE:
            return 0, len(value) if "=" in value else 0
        case Form.BEFORE_AT:
            return 0, len(value.rpartition("@")[0])
        case Form.PAIR | Form.PERCENT | Form.COMMA | Form.LITERAL:
            user, found, secret = value.partition(_SEPARATOR_OF[form])
            if form is Form.LITERAL and user.lower() in PLAIN_NAMES:
                return 0, 0
            if found and (secret or not looks_secret(user)):  # an API's token may stand in the user's place: `TOKEN:`
                return len(user) + 1, len(value)
            return 0, len(value) if looks_secret(value) and not is_place(value) else 0
        case _:
            return 0, len(value)


def _is_other(form: Form, value: str) -> bool:
    """Whether a value says where the secret is, or is a port, a share or a word of another kind."""
    if value.startswith(_PLACES_OF_TYPED if form is _TYPED else _PLACES) or value == "-":
        return True
    if form is not _TYPED and form is not _PAIR and _is_port_mapping(value):
        return True
    return value.startswith(_SHARES) or (value[0] == "+" and value[1:].replace("_", "").isalpha())


def _is_port_mapping(value: str) -> bool:
    """Whether `value` is `8080:80` or `127.0.0.1:8080:80/tcp`, which other programs' `-p` takes."""
    return ":" in value and value.replace(":", "").replace(".", "").split("/")[0].replace("-", "").isdigit()
