"""Secrets that only their program gives away: `mysql -psecret`, `curl -u user:secret`, `htpasswd -b file user secret`.

Walks the words of a command line, knows which programs of the table are running (the binary itself, and any that it
starts: `sudo mysql`, `docker exec db mysql`, `sh -c "mysql -psecret"`), and reads their options and positions. A
separator of shell commands ends the reach of a program; a command inside a command (`X=$(mysql -p)`) only interrupts
it. The value of a long option is not taken for a program. Quoted words with spaces are walked as command lines of their
own, four deep. What lies beyond the reader's limit goes from the first word on that announces.
"""

from collections.abc import Mapping
from typing import Final, NamedTuple

from agents.privacy.matching.gate import Pattern, compiled
from agents.privacy.matching.masks import REDACTED, Mask
from agents.privacy.matching.scan import Scan
from agents.privacy.rules.command_words import (
    CLOSES,
    OPENS,
    TARGET,
    WORD,
    CommandWord,
    commands_of,
    flattened,
    words_read,
)
from agents.privacy.rules.program_forms import Form, Program
from agents.privacy.rules.program_names import (
    COPY_GATE,
    RUN_NOTHING,
    RUNS_BEHIND,
    SHELLS,
    WRAPPERS,
    spelled_names,
)
from agents.privacy.rules.program_words import ProgramState, take
from agents.privacy.rules.vocabulary import word_set

_ARGUMENT: Final = r"(?:\A|[\s\"'(])"
"""What stands before an argument."""

_BEFORE_NAME: Final = r"\A|[\s/\\\"'|;&()$`<>[{,@]"
_BEHIND_NAME: Final = r"[\"'`],|[\"'`,;\])}@]*[\s<>]"
_AROUND_NAME: Final = " \n\t\"'`,<>|;&()[]{}$@/\\"
"""What stands before and behind the name of a program."""

EXAMPLES: Final = {"_BEHIND_NAME": ("mysql x", "mysql")}
"""By pattern: a line that it matches, and a similar one that it passes over (a test runs all of them)."""

_MAX_NAMED: Final = 8
"""Names looked at before the words are read in any case."""

_MAX_DEPTH: Final = 4
_MAX_RUNNING: Final = 4
"""Programs of one command whose words are read at once: a wrapper or two, and the program. The last ones count."""


class ProgramRules:
    """The table of programs, with the patterns that say whether a command line is worth walking."""

    __slots__ = ("_named", "_triggers", "announcing", "gate", "hint", "table")

    def __init__(self, table: Mapping[str, tuple[Program, ...]]) -> None:
        self.table = table
        self.gate: Final = "(?s)" + "|".join(
            rf"(?:{_BEFORE_NAME})(?:{'|'.join(map(_escaped, names))}){COPY_GATE}(?:{_BEHIND_NAME}){behind}"
            for names, behind in _by_what_follows(table)
        )
        names = "|".join(map(_escaped, sorted(table)))
        self._named = compiled(rf"(?i)(?:{_BEFORE_NAME})(?:{names}){COPY_GATE}(?:{_BEHIND_NAME})", captures=False)
        self.hint: Final = rf"(?:{_BEFORE_NAME})(?:{names}){COPY_GATE}(?:{_BEHIND_NAME})"
        self.announcing: Final = compiled(f"(?i){self.gate}", captures=False)
        self._triggers = {name: compiled(_trigger(programs), captures=False) for name, programs in table.items()}

    def programs(self, name: str) -> tuple[Program, ...]:
        """What is known of the program `name`, a binary's basename."""
        return self.of(spelled_names(name))

    def of(self, names: tuple[str, ...]) -> tuple[Program, ...]:
        """What is known of the program with the first of `names` that is in the table."""
        for name in names:
            if (found := self.table.get(name)) is not None:
                return found
        return ()

    def trigger(self, name: str) -> Pattern | None:
        """The pattern of all that can stand before a secret of the program `name`; None for a program not known."""
        return next((found for one in spelled_names(name) if (found := self._triggers.get(one)) is not None), None)

    def could_hold(self, scan: Scan) -> bool:
        """Whether a program that the text names could have a secret where the text has its words.

        Reading all words costs ten times as much as this look.
        """
        position = 0
        for _ in range(_MAX_NAMED):
            found = self._named.search(scan.encoded, position)
            if found is None:
                return False
            start, end = found[0]
            trigger = self.trigger(scan.text[start:end].strip(_AROUND_NAME))
            if trigger is None or trigger.search(scan.encoded, end - 1) is not None:
                return True
            position = end - 1
        return True

    def trigger_of(self, program: Program) -> Pattern | None:
        """The same for an entry of the table."""
        return self._triggers.get(program.names.lower().split()[0])


def _by_what_follows(table: Mapping[str, tuple[Program, ...]]) -> tuple[tuple[list[str], str], ...]:
    """Names with what must stand behind them: an option, or any word for programs whose positions count."""
    positional = sorted(
        name for name, programs in table.items() if any(program.positions or program.keywords for program in programs)
    )
    return (positional, r"+[^\s]"), (sorted(table.keys() - set(positional)), r"(?:.*[\s\"'(,])?[-/][^\s]")


def _trigger(programs: tuple[Program, ...]) -> str:
    """A pattern for all that can stand before a secret of `programs`."""
    forms: set[str] = set()
    for program in programs:
        needed = rf"(?i:{'|'.join(map(_escaped, program.needs))})(?:[\s\"',].*)?[\s\"'(]" if program.needs else ""
        secret = (option for option, form in program.forms.items() if form is not Form.SKIPPED)
        forms.update(needed + _spelled(program, option) for option in secret)
        forms.update(rf"{needed}(?i:{_escaped(option)}):" for option in program.slashed)
        forms.update(rf"(?i:{_escaped(word)})[\"']?[\s,=]+[^\s]" for word in program.keywords)
        for position in program.positions:
            if position.after:
                words = r"[\"']?[\s,]+[^\s]+" * position.index
                forms.add(rf"(?i:{_escaped(position.after[-1])}){words}[\"']?[\s,]+[^\s]")
        if any(not position.after for position in program.positions):
            forms.add("")
    return rf"(?s)(?:\A|[\s\"'(,\[;|&<>`])(?:{'|'.join(sorted(forms))})"


def _spelled(program: Program, option: str) -> str:
    """A pattern for the beginning of a word that is `option`, alone, in a cluster or with a value attached."""
    behind = ""
    if program.forms[option] is Form.ATTACHED:
        behind = r"[^\s]"
    elif program.forms[option] is Form.PAIR:
        behind = r".*[:0-9]"  # a pair, whose user may have spaces, or a token
    if option not in program.attachable:
        return _escaped(option) + (behind or r"(?:[^A-Za-z0-9_\-]|\z)")
    if len(option) == 2 and program.clustered:
        return f"{option[0]}[{_escaped(program.clustered)}]*{option[1]}{behind}"
    return _escaped(option) + behind


def _escaped(word: str) -> str:
    return "".join(c if c.isalnum() or c in "_-/" else f"\\{c}" for c in word)


def program_values(scan: Scan, rules: ProgramRules, name: str) -> list[Mask]:
    """Masks over secrets in options and positions of known programs; `name` is the running binary's basename."""
    text = flattened(scan.text)
    walk = _Walk(scan, text, rules)
    programs = rules.programs(name)
    # nested parts are read after the line they stand in; each character belongs to a few of them at most
    waiting = [_Line(0, len(scan.text), programs, name, _MAX_DEPTH)]
    left = words_read(text)
    while waiting:
        line = waiting.pop()
        literal = bool(line.program) and line.program not in SHELLS
        found = commands_of(scan, text, line.start, line.end, literal=literal)
        running = walk.over(found.words, line)
        left -= len(found.words)
        if found.stopped < line.end or left < 0:
            walk.give_up(min(found.stopped, line.end), running)
            break
        if line.depth:
            waiting += [_Line(start, end, (), "", line.depth - 1) for start, end in found.inner]
    return walk.masks


class _Line(NamedTuple):
    """A part of a text to be walked as a command line: what runs it, and how many more may stand inside it."""

    start: int
    end: int
    programs: tuple[Program, ...]
    program: str
    depth: int


class _Command:
    """The command that is being read: its programs, the word before, and whether its words may still be programs."""

    __slots__ = ("at_head", "before", "is_closed", "running")

    def __init__(self, running: list[ProgramState], *, at_head: bool = True, is_closed: bool = False) -> None:
        self.running = running
        self.before = ""
        self.at_head = at_head
        self.is_closed = is_closed


class _Walk:
    """A walk over the words of one text, and what it found."""

    __slots__ = ("masks", "rules", "scan", "text")

    def __init__(self, scan: Scan, text: str, rules: ProgramRules) -> None:
        """`text` is the scan's, flattened."""
        self.scan: Final = scan
        self.text: Final = text
        self.rules: Final = rules
        self.masks: Final[list[Mask]] = []

    def over(self, words: list[CommandWord], line: _Line) -> list[ProgramState]:
        """Walk a line's words; the programs that run at its end."""
        command = _Command(
            [ProgramState(program) for program in line.programs],
            at_head=not line.program or line.program in WRAPPERS,
            is_closed=line.program in RUN_NOTHING,
        )
        outer: list[_Command] = []
        is_target = False
        for word in words:
            mark = word.mark
            if mark is WORD:
                if not is_target:
                    self._read(command, word)
                is_target = False
            elif mark is TARGET:
                is_target = True
            elif mark is OPENS:
                outer.append(command)
                command = _Command([])
            elif mark is CLOSES and outer:
                command = outer.pop()
            else:
                command = _Command([])
        return command.running

    def _read(self, command: _Command, word: CommandWord) -> None:
        """Let the programs of a command read a word, which may be a program itself."""
        inner = self.text[word.inner : word.inner_end]
        for state in command.running:
            take(state, word, inner, self.masks)
            if word.is_open:
                state.awaited = None
        before, command.before = command.before, inner
        names = spelled_names(inner) if not word.is_open and len(inner) > 1 else ()
        if inner in RUNS_BEHIND:
            command.at_head, command.is_closed = True, False
        elif names and not command.is_closed and not _is_value(before):
            if (programs := self.rules.of(names)) and not _is_assignment(inner):
                others = [s for s in command.running if all(s.program is not program for program in programs)]
                command.running = others + [ProgramState(program) for program in programs]
                del command.running[:-_MAX_RUNNING]
            if command.at_head and not (before[:1] == "-" and len(before) == 2):
                command.is_closed = not RUN_NOTHING.isdisjoint(names)
            command.at_head = command.at_head and not command.is_closed and _leads(inner, names)

    def give_up(self, position: int, running: list[ProgramState]) -> None:
        """Mask what lies beyond the limit, from the first word on that could announce something."""
        scan = self.scan
        patterns = [self.rules.announcing, *(t for s in running if (t := self.rules.trigger_of(s.program)) is not None)]
        found = [ranges[0][0] for p in patterns if (ranges := p.search(scan.encoded, position)) is not None]
        if found and scan.text[(start := min(found) + (min(found) > position)) :] != REDACTED:
            self.masks.append(Mask(start, len(scan.text), REDACTED, "program"))


_FLAGS: Final = word_set("--scope --user --pty --wait --collect --rm --tty --interactive --verbose --quiet --")
"""Long options of wrappers that take no value."""


def _is_value(before: str) -> bool:
    """Whether a word is the value of the long option `before` it, unless the option takes none."""
    return before[:2] == "--" and len(before) > 2 and "=" not in before and before not in _FLAGS


def _leads(word: str, names: tuple[str, ...]) -> bool:
    """Whether a command may follow `word`: a wrapper, an assignment, an option, a number."""
    return word[0] == "-" or _is_assignment(word) or word[0].isdigit() or not WRAPPERS.isdisjoint(names)


def _is_assignment(word: str) -> bool:
    name, equals, _ = word.partition("=")
    return bool(equals) and name.isidentifier()
