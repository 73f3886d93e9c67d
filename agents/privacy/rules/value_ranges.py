"""Where a value ends: quotes, headers, queries, connection strings, and Tetragon's lossy quoting.

Tetragon joins arguments with spaces and puts `"` around one that holds a space, without escaping quotes inside it. So
an opening quote has no certain end. If a text can be read in two ways, the longer value is taken. Without a closing
quote the value runs to the end of the text.
"""

import re
from typing import Final, NamedTuple

_QUOTES: Final = "\"'`"
_BEFORE_OPENING: Final = " \n=:([{,;|&"
_LOOK_BACK: Final = (
    4096  # an opening quote further back than this is not looked for; the value then ends at white space
)

_QUOTES_IN_QUOTES: Final = ("\\'\"\\'\"\\'", "'\"'\"'", "'\\''", '"\'"\'"', '\\\\\\"', '\\"', "\\'")
"""How shells and programs write a quote inside of quotes."""

_SPELLED_QUOTES: Final = "\"'\\"

_MAX_INNER_QUOTES: Final = 32  # a value with more quotes inside is taken to run to the end of the text


class ValueRange(NamedTuple):
    """A value: `text[start:end]`, without its quotes."""

    start: int
    end: int


def enclosing(text: str, position: int) -> ValueRange | None:
    """The inside of the quoted argument that `position` stands in, or None outside of quotes."""
    low = max(0, position - _LOOK_BACK)
    opening = max(text.rfind('"', low, position), text.rfind("'", low, position), text.rfind("`", low, position))
    if opening < 0 or (opening > 0 and text[opening - 1] not in _BEFORE_OPENING):
        return None
    inside = quoted(text, opening)
    return inside if inside.end >= position else None


def quoted(text: str, opening: int) -> ValueRange:
    """The inside of the quotes that open at `opening`."""
    quote = text[opening]
    closing = text.find(quote, opening + 1)
    for _ in range(_MAX_INNER_QUOTES):
        if closing < 0:
            break
        if quote == "'" and (spelled := _spelled_quote(text, closing)):
            closing = text.find(quote, closing + len(spelled))
            continue
        after = text[closing + 1 : closing + 2]
        escaped = text[closing - 1] == "\\" and closing - 1 > opening
        if not escaped and (not after or not (after.isalnum() or after == quote)):
            break
        closing = text.find(quote, closing + 1)
    else:
        closing = -1
    if closing < 0 or (quote == '"' and _starts_argument(text, opening) and _is_unsure(text, opening, closing)):
        return ValueRange(opening + 1, len(text))
    return ValueRange(opening + 1, closing)


def _is_unsure(text: str, opening: int, closing: int) -> bool:
    """Whether the agent's quotes may hold further ones: an odd number follows, and none around it is open."""
    return text.count('"', closing + 1) % 2 == 1 and text.count('"', 0, opening) % 2 == 0


def _starts_argument(text: str, opening: int) -> bool:
    """Whether the quote could be Tetragon's own, whose inside may hold further quotes."""
    return opening == 0 or text[opening - 1] == " "


def word_end(text: str, start: int, limit: int) -> int:
    """The end of the run without white space that begins at `start`, at most `limit`."""
    end = text.find(" ", start, limit)
    if end < 0:
        end = limit
    line = text.find("\n", start, end)
    return line if line >= 0 else end


def line_end(text: str, start: int, limit: int) -> int:
    """The end of the line that `start` stands in, at most `limit`."""
    end = text.find("\n", start, limit)
    return limit if end < 0 else end


def value_at(text: str, key_start: int, start: int, *, assigned: bool, whole_line: bool) -> ValueRange:
    """The value at `start` of the name that begins at `key_start`.

    `assigned` says that `=`, `:` or the like stands between them; `whole_line` that the value may hold spaces (a
    header).
    """
    if start < len(text) and text[start] in _SPELLED_QUOTES and (spelled := _spelled_quote(text, start)):
        closing = text.find(spelled, start + len(spelled))
        return ValueRange(start + len(spelled), closing if closing >= 0 else len(text))
    if start < len(text) and text[start] in _QUOTES:
        return quoted(text, start)
    inside = enclosing(text, key_start)
    limit = inside.end if inside is not None and inside.end >= start else len(text)
    if whole_line:
        end = line_end(text, start, limit)
    else:
        end = _unquoted_end(text, key_start, start, limit, inside, assigned=assigned)
    spelled_break = text.find("\\n", start, end)
    return ValueRange(start, spelled_break if spelled_break > start else end)


def _unquoted_end(
    text: str, key_start: int, start: int, limit: int, inside: ValueRange | None, *, assigned: bool
) -> int:
    """The end of a value without quotes that stands `inside` an argument, or in none."""
    before = text[key_start - 1] if key_start else ""
    if before in {"?", "&"}:
        return _first_of("&#\"' \n<>", text, start, limit)
    if assigned and text[key_start] != "-" and (end := _pair_end(text, key_start, start, limit)) is not None:
        return _before_option(text, start, end) if inside is None else end
    end = word_end(text, start, limit)
    if inside is not None and assigned and not _runs_commands(text, inside.start):
        if _BEGINS.match(text, inside.start, key_start) is not None:
            end = limit
        elif before and before in ",[":
            end = _first_of(",]", text, start, limit)
    elif before in {"{", ","} and inside is None:
        end = _first_of("},", text, start, end)
    if assigned and text[key_start] != "-" and (another := _ANOTHER.search(text, start + 1, end)) is not None:
        end = another.start()
    return end


_ANOTHER: Final = re.compile(r"(?:[,&]|; ?)[A-Za-z][\w.\-]*=")
"""Where a list goes on behind a value: `password=x,host=y`, `password=x&user=y`."""


def _before_option(text: str, start: int, end: int) -> int:
    """The end of a value that an option follows, or `end`."""
    option = text.find(" -", start, end)
    return option if option > start else end


_SESSION: Final = re.compile(r"(?i)[\w.\-]*(?:sess|sid|auth|token|pass|key|secret|login)[\w.\-]*=")
"""The name of a cookie that is a session whatever its value looks like."""

_COOKIE: Final = re.compile(r"(?:(?:[Pp]ath|[Dd]omain|[Ee]xpires|[Mm]ax-[Aa]ge)=[^;]*|[\w.\-]+=([^;]*))(?:;\s*|\Z)")
_SETTING: Final = re.compile(r"[a-z]{0,7}\Z|[0-9]{1,2}\Z|\[redacted\]\Z")
"""What a cookie holds that is not a session: `theme=dark`; or a mask."""


def cookie_values(header: str) -> list[ValueRange]:
    """The values of a cookie header that could be secret; all of it if it is not a list of pairs."""
    found: list[ValueRange] = []
    position = 0
    while (pair := _COOKIE.match(header, position)) is not None and pair.end() > position:
        is_session = _SESSION.match(header, position) is not None and pair.group(1) not in {"", "[redacted]", None}
        position = pair.end()
        if pair.group(1) is not None and (is_session or _SETTING.match(pair.group(1)) is None):
            found.append(ValueRange(*pair.span(1)))
    return found if position == len(header) else [ValueRange(0, len(header))]


def _spelled_quote(text: str, start: int) -> str:
    """The quote inside of quotes that stands at `start`, or nothing."""
    return next((spelled for spelled in _QUOTES_IN_QUOTES if text.startswith(spelled, start)), "")


_BEGINS: Final = re.compile(r"[-/ \t]*(?:--?[\w.\-]+=[\w.\-]*\.?|[\w.\-]+[:.])?\Z")
"""What may stand before a name that begins an argument: dashes, another option (`--setopt=acme.`), a section."""


def _runs_commands(text: str, inside: int) -> bool:
    """Whether the quoted argument is a shell's command, so that a value in it ends at a space."""
    before = text[max(0, inside - 8) : inside - 1].rstrip(" ,\"'\\")
    word = before.rsplit(" ", 1)[-1].lstrip("\"'\\")
    return word.startswith("-") and word.endswith("c")


def _pair_end(text: str, key_start: int, start: int, limit: int) -> int | None:
    """The end of a value in `key=value;key=value`, where values may hold spaces; None in any other text."""
    semicolon = text.find(";", start, limit)
    left = text[max(0, key_start - 256) : key_start].rstrip(" ")
    if left.endswith(";") and "=" in left[left.rfind(";", 0, -1) + 1 :]:
        return semicolon if semicolon >= 0 else line_end(text, start, limit)
    if semicolon < 0:
        return None
    name, equals, _ = text[semicolon + 1 : semicolon + 64].partition("=")
    if equals and name.strip() and name.replace(" ", "").replace("_", "").isalnum():
        return semicolon
    return None


def _first_of(stops: str, text: str, start: int, limit: int) -> int:
    """The first position from `start` that holds one of `stops`, or `limit`."""
    return min((found for stop in stops if (found := text.find(stop, start, limit)) >= 0), default=limit)
