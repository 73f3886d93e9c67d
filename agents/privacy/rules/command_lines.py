"""Secrets that only their program gives away: `mysql -psecret`, `curl -u user:secret`, `htpasswd -b file user secret`.

Walks the words of a command line, knows which programs of the table are running (the binary itself, and any that it
starts: `sudo mysql`, `docker exec db mysql`, `sh -c "mysql -psecret"`), and reads their options and positions. A
separator of shell commands ends the reach of a program. The value of a long option is not taken for a program. Quoted
words with spaces are walked as command lines of their own, three deep.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final, NamedTuple

from agents.privacy.matching.gate import Pattern, compiled
from agents.privacy.matching.masks import REDACTED, Mask
from agents.privacy.matching.scan import Scan
from agents.privacy.rules.command_words import CommandWord, command_words
from agents.privacy.rules.program_table import Form, Position, Program
from agents.privacy.rules.values import is_no_secret, is_place, looks_secret
from agents.privacy.rules.vocabulary import word_set

_ARGUMENT: Final = r"(?:\A|[\s\"'(])"
"""What stands before an argument."""

LONE_GATE: Final = r"(?:\A|\s)-p\s+[^\s]*[!#$%^&]"
"""`-p` with a value that has a special character: the only sign of a password beside a program that is not known."""


EXAMPLES: Final = {"LONE_GATE": ("tool -p s3cret!", "mkdir -p a/b")}
"""By pattern: a line that it matches, and a similar one that it passes over (a test runs all of them)."""

_SEPARATORS: Final = frozenset({";", "&&", "||", "|", "&"})
_MAX_DEPTH: Final = 3
_SEPARATOR_OF: Final = {Form.PAIR: ":", Form.PERCENT: "%", Form.COMMA: ",", Form.LITERAL: "="}
_PLACES: Final = ("file:", "env:", "fd:", "stdin")

# `-p` of these is known to be no password, whatever its value looks like.
_P_IS_HARMLESS: Final = word_set("""
    mkdir ssh scp cp ps git docker nmap grep perl make read tar rsync install lsof kill top iptables nc ncat
    screen tmux patch systemd-run journalctl ldconfig python python3 node bash sh zsh echo printf test
""")


@dataclass(slots=True)
class _ProgramState:
    """A program that the walk has met, with what it has seen of the words after it."""

    program: Program
    seen: list[str] = field(default_factory=list)
    letters: set[str] = field(default_factory=set)
    awaited: Form | None = None


class ProgramRules:
    """The table of programs, with the patterns that say whether a command line is worth walking."""

    __slots__ = ("_triggers", "gate", "table")

    def __init__(self, table: Mapping[str, tuple[Program, ...]]) -> None:
        self.table = table
        self.gate: Final = "(?s)" + "|".join(
            rf"(?:\A|[\s/\\\"'|;&($`])(?:{'|'.join(map(_escaped, names))})(?:\.exe)?[\"']?\s{behind}"
            for names, behind in _by_what_follows(table)
        )
        self._triggers = {name: compiled(_trigger(programs), captures=False) for name, programs in table.items()}

    def trigger(self, name: str) -> Pattern | None:
        """The pattern of all that can stand before a secret of the program `name`; None for a program not known."""
        return self._triggers.get(name)


def _by_what_follows(table: Mapping[str, tuple[Program, ...]]) -> tuple[tuple[list[str], str], ...]:
    """Names with what must stand behind them: an option, or any word for programs whose positions count."""
    positional = sorted(
        name for name, programs in table.items() if any(program.positions or program.keywords for program in programs)
    )
    return (positional, r"+[^\s]"), (sorted(table.keys() - set(positional)), r"(?:.*[\s\"'(])?[-/][^\s]")


def _trigger(programs: tuple[Program, ...]) -> str:
    """A pattern for all that can stand before a secret of `programs`."""
    forms: set[str] = set()
    for program in programs:
        needed = rf"(?i:{'|'.join(map(_escaped, program.needs))})(?:\s.*)?[\s\"'(]" if program.needs else ""
        secret = (option for option, form in program.forms.items() if form is not Form.SKIPPED)
        forms.update(needed + _spelled(program, option) for option in secret)
        forms.update(rf"{needed}(?i:{_escaped(option)}):" for option in program.slashed)
        announcing = (*program.keywords, *(position.after[-1] for position in program.positions if position.after))
        forms.update(rf"(?i:{_escaped(word)})" for word in announcing)
        if any(not position.after for position in program.positions):
            forms.add("")
    return rf"(?s)(?:\A|[\s\"'(])(?:{'|'.join(sorted(forms))})"


def _spelled(program: Program, option: str) -> str:
    """A pattern for the beginning of a word that is `option`, alone, in a cluster or with a value attached."""
    if option not in program.attachable:
        return _escaped(option) + r"(?:[^A-Za-z0-9_\-]|\z)"
    if len(option) == 2 and program.clustered:
        return f"{option[0]}[{_escaped(program.clustered)}]*{option[1]}"
    return _escaped(option)


def _escaped(word: str) -> str:
    return "".join(c if c.isalnum() or c in "_-/" else f"\\{c}" for c in word)


def basename(binary: str) -> str:
    """The lower-case name of a program from its path, without `.exe`."""
    name = binary.rpartition("/")[2].rpartition("\\")[2].lower()
    return name.removesuffix(".exe")


def program_values(scan: Scan, rules: ProgramRules, name: str) -> list[Mask]:
    """Masks over secrets in options and positions of known programs; `name` is the running binary's basename."""
    walk = _Walk(scan, rules.table, [])
    walk.over(0, len(scan.text), rules.table.get(name, ()), _MAX_DEPTH)
    return walk.masks


def lone_passwords(scan: Scan, name: str) -> list[Mask]:
    """Masks over `-p` values that look like passwords beside a program that is not in the table."""
    masks: list[Mask] = []
    if name in _P_IS_HARMLESS:
        return masks
    found = command_words(scan.text)
    if found is None:
        scan.give_up()
        return masks
    for before, word in pairwise(found):
        value = scan.text[word.inner : word.inner_end]
        if scan.text[before.start : before.end] != "-p" or " " in value or is_no_secret(value):
            continue
        harmless = any(basename(w) in _P_IS_HARMLESS for w in scan.text[: before.start].split())
        if not harmless and _could_be_typed(value):
            masks.append(Mask(word.inner, word.inner_end, REDACTED, "program"))
    return masks


def _could_be_typed(value: str) -> bool:
    """Whether `value` has the letters and the special character of a password, and begins like no path or option."""
    return value[0] not in "$/.:=-" and any(c in "!#$%^&" for c in value) and any(map(str.isalpha, value))


class _Walk(NamedTuple):
    """A walk over the words of one text, and what it found."""

    scan: Scan
    table: Mapping[str, tuple[Program, ...]]
    masks: list[Mask]

    def over(self, start: int, end: int, programs: tuple[Program, ...], depth: int) -> None:
        """Walk the command line `text[start:end]` inside of `programs`, and quoted ones in it `depth` deep."""
        text = self.scan.text
        found = command_words(text, start, end)
        if found is None or not self.scan.spend(len(found) // 16):
            self.scan.give_up()
            return
        running = [_ProgramState(program) for program in programs]
        before = ""
        for word in found:
            inner = text[word.inner : word.inner_end]
            if inner in _SEPARATORS and not word.quoted:
                running, before = [], ""
                continue
            for state in running:
                _take(state, word, inner, self.masks)
            if word.quoted and " " in inner and depth:
                self.over(word.inner, word.inner_end, (), depth - 1)
            elif not (before.startswith("--") and before != "--" and "=" not in before):
                running += [_ProgramState(program) for program in self.table.get(basename(inner.lstrip("(`$")), ())]
            before = inner
            if inner.endswith(";") and not word.quoted:
                running = []


def _take(state: _ProgramState, word: CommandWord, text: str, masks: list[Mask]) -> None:
    """Let one program read one word."""
    if state.awaited is not None:
        form, state.awaited = state.awaited, None
        _redact_value(form, word, text, 0, masks)
        return
    program = state.program
    if text.lower() in program.keywords:
        state.awaited = Form.NEXT
        return
    if text[:1] in "-/" and len(text) > 1 and _take_option(state, word, text, masks):
        return
    state.seen.append(text.lower() if len(text) < 32 else text)
    for position in program.positions:
        if _is_at(position, state):
            _redact_position(position, word, text, masks)
            return


def _take_option(state: _ProgramState, word: CommandWord, text: str, masks: list[Mask]) -> bool:
    """Whether `text` is an option of the program, to be kept out of its positions."""
    program = state.program
    if not program.needs or any(need in state.seen for need in program.needs):
        form = program.forms.get(text)
        if form is not None:
            state.awaited = None if form is Form.ATTACHED else form
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


def _take_attached(state: _ProgramState, word: CommandWord, text: str, masks: list[Mask]) -> bool:
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
            if at:
                _redact_value(program.forms[option], word, text, at + 1, masks)
                return True
        elif text.startswith(option):
            _redact_value(Form.ATTACHED, word, text, len(option), masks)
            return True
    return False


def _letter_at(program: Program, letter: str, text: str) -> int:
    """Where the option's letter stands in the cluster `text`, or 0."""
    at = text.find(letter, 1)
    if at < 0 or any(other not in program.clustered for other in text[1:at]):
        return 0
    return at


def _is_at(position: Position, state: _ProgramState) -> bool:
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
    index = len(state.seen) - 1 - behind
    return index >= position.index if position.rest else index == position.index


def _redact_position(position: Position, word: CommandWord, text: str, masks: list[Mask]) -> None:
    if not position.separator:
        _redact_value(Form.NEXT, word, text, 0, masks)
        return
    user, separator, secret = text.partition(position.separator)
    if separator and secret and user:
        end = text.rfind("@") if "@" in secret else len(text)
        masks.append(Mask(word.inner + len(user) + 1, word.inner + end, REDACTED, "program"))


def _redact_value(form: Form, word: CommandWord, text: str, offset: int, masks: list[Mask]) -> None:
    """Add the mask of the secret in `text[offset:]`, which `form` says how to read."""
    if form is Form.SKIPPED:
        return
    value = text[offset:]
    quote = value[:1] in {'"', "'"}
    if quote:
        offset += 1
        value = value[1:].removesuffix(text[offset - 1])
    separator = _SEPARATOR_OF.get(form)
    if separator is not None:
        user, found, secret = value.partition(separator)
        if found and (secret or not looks_secret(user)):  # an API's token may stand in the user's place: `-u TOKEN:`
            offset, value = offset + len(user) + 1, secret
        elif not looks_secret(value) or is_place(value):
            return
    if form is Form.TYPED:
        if value.startswith(_PLACES):
            return
    elif form is not Form.PAIR and _is_port_mapping(value):
        return
    if value and not is_no_secret(value):
        masks.append(Mask(word.inner + offset, word.inner + offset + len(value), REDACTED, "program"))


def _is_port_mapping(value: str) -> bool:
    """Whether `value` is `8080:80` or `127.0.0.1:8080:80/tcp`, which other programs' `-p` takes."""
    return ":" in value and value.replace(":", "").replace(".", "").split("/")[0].replace("-", "").isdigit()
