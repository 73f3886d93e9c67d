"""The reader of shell text: one pass over a command line says where its words are and where commands begin and end.

It follows the Shell Command Language of POSIX.1-2017: operators (2.3), quoting (2.2), redirections and here-documents
(2.7), command substitution and backquotes (2.6.3), lists, pipelines and subshells (2.9), and bash's process
substitution. It also reads what is no longer shell: the agent joins arguments by spaces, puts `"` around one that holds
a space, and escapes nothing. So no reader can be exact, a quote need not close, and lists of other languages
(`["mysql", "-p"]`) are read as words too.

A quote opens at the start of a word or right after `=`, `:`, `(` or an option's letter. It closes at the next such
quote that white space, a bracket or the end follows. A quote that never closes takes the rest. Words carry positions,
never copies. The pass is linear, because each character is looked at a fixed number of times, and it ends after
`MAX_WORDS` words; in a long text after fewer.
"""

import re
from collections.abc import Iterator
from enum import Enum
from typing import Final, NamedTuple

from agents.privacy.matching.scan import Scan
from agents.privacy.rules.program_names import RUNS_BEHIND
from agents.privacy.rules.value_ranges import word_end

MAX_WORDS: Final = 512
"""Words looked at in one text. Longer command lines are lists of files, and nobody reads on."""

_LONG: Final = 4096
_WORDS_OF_LONG: Final = 24
"""Words read in texts that are longer: whoever writes them for others to read pays, and not the reader."""

_NESTED: Final = "\x01"
"""Stands for a quote inside of quotes while a text is read, so that it ends no quote around it."""

_QUOTES: Final = "\"'" + _NESTED
_BEHIND_CLOSING: Final = " \n;|&),]}:>"
"""What stands behind a quote that closes."""

_EMPTY: Final = 2
"""Spaces between words that show an empty argument, which the agent does not quote."""

_MAX_TRIED: Final = 64
"""Quotes that are tried as the one that closes; a word with more is taken to run to the end."""


class Mark(Enum):
    """What the reader found: a word, or what stands between words."""

    WORD = "word"
    NEXT = "next"  # the next command begins: `;`, `|`, `&&`, a line break, `)` of a case arm
    OPENS = "opens"  # a command inside a command: `$(`, `<(`, `(`, a backquote
    CLOSES = "closes"
    TARGET = "target"  # the word after it is the file of a redirection


# an enum's member costs a call in Python to look up
WORD: Final = Mark.WORD
TARGET: Final = Mark.TARGET
NEXT: Final = Mark.NEXT
OPENS: Final = Mark.OPENS
CLOSES: Final = Mark.CLOSES


class CommandWord:
    """The word `text[inner:inner_end]`, without its quotes, or a mark between words.

    `is_open` says that a substitution follows in the same word, so that the value is not in it. This is a plain class,
    because mypyc makes one of it whose fields cost nothing to set and to read; nobody sets them later.
    """

    __slots__ = ("inner", "inner_end", "is_open", "mark")

    def __init__(self, inner: int, inner_end: int, mark: Mark = WORD, *, is_open: bool = False) -> None:
        self.inner: Final = inner
        self.inner_end: Final = inner_end
        self.mark: Final = mark
        self.is_open: Final = is_open


class CommandText(NamedTuple):
    """The words of a text, the quoted parts that are command lines of their own, and where the reader stopped."""

    words: list[CommandWord]
    inner: list[tuple[int, int]]
    stopped: int


_BLANK: Final = re.compile(r"[^ \n]")
_OPERATOR: Final = re.compile(
    r"\\."
    r"|\$\(|[<>]\((?=[\w/])"
    r"|[\[({]{1,3}(?=[\"'])|(?<=[\"'\])}])[,:]{1,2}[\[({]{0,2}(?=[\"'])"  # a list of another language
    r"|(?:(?<=[\s;&|(])[0-9]{1,2})?(?:&>>?|>&|<&|>>|>\||<<<|<<-?|<>|>|<)"
    r"|;;|;|&&|\|\||\||&(?![\w.%\-]+=)"
    r"|(?:(?<=[\s=;&|(\"'`])|\A)\(|\)|`"
)
"""An operator, and an escaped character, which is none."""

_HAS_OPERATOR: Final = re.compile(r"[;&|()<>`\[{,]|\$\(")

EXAMPLES: Final = {
    "_BLANK": ("x", " "),
    "_OPERATOR": ("a;b", "ab"),
    "_NESTED_QUOTE": ("'\"'\"'", "'"),
    "_HAS_OPERATOR": ("a|b", "ab"),
}
"""By pattern: a line that it matches, and a similar one that it passes over (a test runs all of them)."""


def words_read(text: str) -> int:
    """How many words of `text` are read."""
    return MAX_WORDS if len(text) <= _LONG else _WORDS_OF_LONG


def read_commands(text: str, start: int = 0, end: int | None = None, *, literal: bool = False) -> CommandText:
    """The words of `text[start:end]`, and what stands between them.

    With `literal` the text is arguments as a program got them: operators inside of words are parts of them, but may be
    shell text for another program, so such words are given as `inner` as well.
    """
    limit = len(text) if end is None else end
    reader = _WordReader(text, limit)
    most = words_read(text)
    position = start
    while (found := _BLANK.search(text, position, limit)) is not None:
        begins = found.start()
        if literal:
            if begins - position == _EMPTY and reader.words:
                reader.empty(position + 1)
        elif position < begins and reader.words and _has_line_break(text, position, begins):
            reader.mark(begins, NEXT)
        position = begins
        if len(reader.words) >= most:
            return CommandText(reader.words, reader.inner, position)
        position = reader.quoted(position) if text[position] in _QUOTES else reader.plain(position, literal=literal)
    return CommandText(reader.words, reader.inner, limit)


def command_words(text: str) -> list[CommandWord]:
    """The words alone, as far as the reader goes."""
    return [word for word in read_commands(text).words if word.mark is WORD]


def _has_line_break(text: str, start: int, end: int) -> bool:
    """Whether a command ends in the white space `text[start:end]`: a line break that no backslash takes back."""
    line = text.find("\n", start, end)
    return line >= 0 and text[line - 1] != "\\"


class _WordReader:
    """What has been read of a text."""

    __slots__ = ("_depth", "_limit", "_most", "_text", "_ticked", "inner", "words")

    def __init__(self, text: str, limit: int) -> None:
        self.words: list[CommandWord] = []
        self.inner: list[tuple[int, int]] = []
        self._text = text
        self._limit = limit
        self._most = words_read(text)
        self._depth = 0  # commands inside of commands that are open
        self._ticked = False  # whether a backquote is open

    def mark(self, position: int, mark: Mark) -> None:
        """Note what stands between words."""
        self.words.append(CommandWord(position, position, mark))

    def empty(self, position: int) -> None:
        """Note an empty argument."""
        self.words.append(CommandWord(position, position))

    def quoted(self, opening: int) -> int:
        """Read the quoted word at `opening`; the position behind it."""
        closing = _closing(self._text, opening, self._limit)
        end, inner_end = (self._limit, self._limit) if closing < 0 else (closing + 1, closing)
        self.words.append(CommandWord(opening + 1, inner_end))
        self._note(opening + 1, inner_end)
        return end

    def plain(self, start: int, *, literal: bool) -> int:
        """Read the word at `start`, which begins with no quote; the position behind it."""
        text = self._text
        end = _plain_end(text, start, self._limit)
        if text[start] in _OPENS_LIST and text[start + 1 : start + 2] in {'"', "'"}:
            return start + 1
        if end - start < 3:
            if text[start:end] in _SEPARATORS:
                self.mark(start, NEXT)
                return end
            if not text[start:end].strip(_BETWEEN):
                return end
        if _HAS_OPERATOR.search(text, start, end) is None:
            self.words.append(CommandWord(start, end))
            self._quotes_in(start, end)
            return end
        if literal:
            self.words.append(CommandWord(start, end))
            if _OPERATOR.search(text, start, end) is not None:
                self.inner.append((start, end))
            return end
        return self._split(start, end)

    def _split(self, start: int, end: int) -> int:
        """Read a word with operators in it; the position behind what was read."""
        text = self._text
        position, at = start, start
        continues = False  # what follows a substitution belongs to a word that has been read
        while (found := _OPERATOR.search(text, at, end)) is not None:
            operator = found.group()
            if operator[0] == "\\":
                at = found.end()
                continue
            quote = _first_quote(text, at, found.start())
            if quote >= 0:
                closing = text.find(text[quote], quote + 1, end)
                if closing >= 0:
                    at = closing + 1
                    continue
                if quote > start and (text[quote] == '"' or text[quote - 1] in _GLUED_BEHIND):
                    break  # it closes beyond the word: what is in it is a value
            if operator == ")" and not self._depth and text[position] == "-":  # a part of a value
                at = found.end()
                continue
            opens = operator in _SUBSTITUTIONS or (operator == "`" and not self._ticked)
            if not continues and (found.start() > position or opens):
                self._piece(position, found.start(), is_open=opens)
            continues = self._operator(operator, found.start(), opens=opens)
            position = at = found.end()
            if len(self.words) >= self._most or (position < end and text[position] in _QUOTES):
                return position
        if position < end and not continues:
            self._piece(position, end, is_open=False)
        return end

    def _piece(self, start: int, end: int, *, is_open: bool) -> None:
        self.words.append(CommandWord(start, end, is_open=is_open))
        self._quotes_in(start, end)

    def _operator(self, operator: str, position: int, *, opens: bool) -> bool:
        """Note an operator; whether what follows it belongs to the word before it."""
        if operator == "`":
            self._ticked = opens
        if opens or operator == "(":
            self._depth += 1
            self.mark(position, OPENS)
        elif operator in {")", "`"} and self._depth:
            self._depth -= 1
            self.mark(position, CLOSES)
            return True
        elif operator[-1] in "[({,":
            return False
        elif operator[-1] in "<>" or ">" in operator or "<" in operator:
            self.mark(position, TARGET)
        else:
            self.mark(position, NEXT)
        return False

    def _quotes_in(self, start: int, end: int) -> None:
        """Note the quoted parts of a word that hold spaces: `X="$(mysql -p)"`."""
        text = self._text
        if text.find(" ", start, end) < 0:
            return
        opening = _first_quote(text, start, end)
        if opening >= 0:
            closing = text.rfind(text[opening], opening + 1, end)
            self._note(opening + 1, closing if closing >= 0 else end)

    def _note(self, start: int, end: int) -> None:
        if self._text.find(" ", start, end) >= 0:
            self.inner.append((start, end))


_GLUED_BEHIND: Final = "=:(,pPuUa["
"""What an apostrophe follows that opens a value; elsewhere it is an apostrophe."""

_SEPARATORS: Final = frozenset({";", ";;", "&&", "||", "|", "&"})
_OPENS_LIST: Final = "[({,"
_BETWEEN: Final = ",]})"
"""What stands between the items of a list, and behind it."""

_SUBSTITUTIONS: Final = frozenset({"$(", "<(", ">("})


def _first_quote(text: str, start: int, end: int) -> int:
    """The first quote in `text[start:end]`, or -1."""
    return min((at for quote in _QUOTES if (at := text.find(quote, start, end)) >= 0), default=-1)


def _plain_end(text: str, start: int, limit: int) -> int:
    """The end of a word that begins with no quote, with what is quoted in it."""
    end = word_end(text, start, limit)
    for quote in _QUOTES:
        opening = text.find(quote, start, end)
        if opening > start and text.count(quote, opening, end) % 2:
            closing = text.find(quote, end, limit)
            if closing >= 0 and (quote == '"' or text[opening - 1] in _GLUED_BEHIND):
                end = word_end(text, closing + 1, limit)
    return end


def _closing(text: str, opening: int, limit: int) -> int:
    """The quote that closes: the first of its kind that white space, a bracket or the end follows."""
    quote = text[opening]
    closing = text.find(quote, opening + 1, limit)
    for _ in range(_MAX_TRIED):
        if closing < 0 or closing + 1 >= limit or text[closing + 1] in _BEHIND_CLOSING:
            return closing
        closing = text.find(quote, closing + 1, limit)
    return -1


def flattened(text: str, quote: str = _NESTED) -> str:
    """`text` with `quote` for quotes inside of quotes, each character at its place: `'"'"'a b'"'"'` as `'a b'`."""
    if "'\"'\"'" not in text and "'\\''" not in text and "\\'\"\\'" not in text:
        return text

    def as_plain(found: re.Match[str]) -> str:
        width = len(found.group()) - 1
        start = found.start()
        begins = not start or text[start - 1] in " \n([{" or (text[start - 1] == "," and text[start - 2] in "\"'])} ")
        return " " * width + quote if begins else quote + " " * width

    return _NESTED_QUOTE.sub(as_plain, text)


_NESTED_QUOTE: Final = re.compile(r"'\"'\"'(?!\"'\"')|'\\''|\\'\"\\'\"\\'")


class CommandsRead(NamedTuple):
    """The words of each command of a text, and where the reader stopped."""

    commands: list[list[CommandWord]]
    stopped: int


def commands_of(scan: Scan, text: str, start: int, end: int, *, literal: bool) -> CommandText:
    """The same as `read_commands`, read once for all rules that look at a scan; `text` is its text, flattened."""
    found = scan.read.get((start, end, literal))
    if not isinstance(found, CommandText):
        found = scan.read[start, end, literal] = read_commands(text, start, end, literal=literal)
    return found


def commands_in(scan: Scan, *, literal: bool = False) -> CommandsRead:
    """The commands of a text, those in quotes after the line that holds them."""
    text = flattened(scan.text)
    waiting = [(0, len(text))]
    left = words_read(text)
    commands: list[list[CommandWord]] = []
    for number, (start, end) in enumerate(waiting):  # grows while it is read
        found = commands_of(scan, text, start, end, literal=literal and not number)
        commands += _split(text, found.words)
        left -= len(found.words) + 1
        if found.stopped < end or left <= 0:
            return CommandsRead(commands, min(found.stopped, end) if found.stopped < end else start)
        waiting += found.inner
    return CommandsRead(commands, len(text))


def _split(text: str, words: list[CommandWord]) -> Iterator[list[CommandWord]]:
    """The words of each command, without the files of redirections."""
    command: list[CommandWord] = []
    is_target = False
    for word in words:
        if word.mark is WORD and text[word.inner : word.inner_end] not in RUNS_BEHIND:
            if not is_target:
                command.append(word)
        elif command and word.mark is not TARGET:
            yield command
            command = []
        is_target = word.mark is TARGET
    if command:
        yield command
