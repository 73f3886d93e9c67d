"""Questions about published rows: which of them are meant, and in which order they come.

A pattern with `*`, `?` or `[` is a shell pattern over the whole text, anything else is the text itself; case counts. A
symbol that is the text itself may mean rows under any name of that function (`Query.by_any_name`).
The order is by hits, the highest first, then by symbol id, so that one question has one answer.
"""

import heapq
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from posixpath import basename
from typing import Any, Final

from agents.hot_symbols.identity import SymbolIdError, parse_symbol_id
from agents.hot_symbols.table.any_name import AnyName, NamesBefore, NamesOf

_WILDCARDS: Final = re.compile(r"[*?]")

_ESCAPED_IN_IDS: Final = re.compile(r"[^\x21-\x7e]|[%!]")
"""Characters that may stand otherwise in a symbol id than in a symbol."""

Row = Mapping[str, Any]
"""A HotSymbol record: fields of schemas/avro/hot_symbol.avsc."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """The conditions on a row; None is not a condition. A row must meet all of them.

    `module` is a path, a file name or a build id; `image` a name or an id. `since_ns` asks for rows seen then or later,
    in nanoseconds since the Unix epoch.
    """

    symbol: str | None = None
    module: str | None = None
    namespace: str | None = None
    image: str | None = None
    since_ns: int | None = None
    any_name: AnyName | None = field(default=None, compare=False)
    """The function that `symbol` names in full, where rows under its other names are meant too."""

    def by_any_name(self, names_of: NamesOf | None, names_before: NamesBefore = lambda _build_id: ()) -> "Query":
        """The query, with rows under any name of the function that it names in full, alone or in an id."""
        if not self.symbol or _is_pattern(self.symbol):
            return self
        if "!" not in self.symbol:
            return replace(self, any_name=AnyName(self.symbol, names_of, names_before=names_before))
        try:
            asked = parse_symbol_id(self.symbol)
        except SymbolIdError:
            return self
        if names_of is None or not asked.symbol or asked.build_id is None:
            return self
        return replace(self, any_name=AnyName(asked.symbol, names_of, asked.build_id, names_before))

    def matches(self, row: Row) -> bool:
        """Whether a row is meant."""
        return self._means_file(row, row["symbol_id"]) and self.means_place(
            [one["namespace"] for one in row["namespaces"]],
            [(one["image_name"], one["image_id"]) for one in row["images"]],
        )

    def means_place(self, namespaces: Iterable[str], images: Iterable[tuple[str, str]]) -> bool:
        """Whether one of these namespaces and one of these images, as name and id, meets the conditions."""
        return (self.namespace is None or any(fits(self.namespace, name) for name in namespaces)) and (
            self.image is None or any(fits(self.image, *image) for image in images)
        )

    @property
    def symbol_id(self) -> str | None:
        """The id of the one row that is meant, where the symbol is named in full."""
        is_id = self.symbol is not None and "!" in self.symbol and not _is_pattern(self.symbol)
        return self.symbol if is_id and self.any_name is None else None

    def needles(self) -> list[bytes]:
        """Bytes that a row that matches has in its key or its state, so that most need not be unpacked."""
        asked = [self.module, self.namespace, self.image]
        if self.symbol is not None and self.any_name is None and not _ESCAPED_IN_IDS.search(self.symbol):
            asked.append(self.symbol)
        return [needle for needle in map(longest_literal, filter(None, asked)) if needle]

    def may_mean_key(self, key: bytes) -> bool:
        """Whether the row with this key can match, before it is parsed."""
        return self.any_name is None or self.any_name.may_be(key)

    def may_mean(self, symbol: str, symbol_id: str, build_id: str | None) -> bool:
        """Whether a row with this symbol, id and build id can match, before anything else of it is known."""
        if self.symbol is None or fits(self.symbol, symbol, symbol_id):
            return True
        return self.any_name is not None and self.any_name.is_it(symbol, build_id)

    def matches_answer(self, answer: Row) -> bool:
        """Whether the answer to a watch meets the conditions; those on places do not apply to a watch."""
        return self._means_file(answer, answer["watch_id"])

    def _means_file(self, row: Row, symbol_id: str) -> bool:
        """Whether the time, the symbol and the file of a row or an answer meet the conditions."""
        module = row["module"] or ""
        return (
            (self.since_ns is None or (row["hits"] > 0 and row["last_seen_ns"] >= self.since_ns))
            and self.may_mean(row["symbol"], symbol_id, row["build_id"])
            and (self.module is None or fits(self.module, module, basename(module), row["build_id"]))
        )


def top(rows: Iterable[Row], count: int) -> list[Row]:
    """The first `count` rows by hits."""
    return heapq.nsmallest(count, rows, key=lambda row: (-row["hits"], row["symbol_id"]))


def longest_literal(pattern: str) -> bytes:
    """The longest part of a pattern in front of its first `[` that stands for itself."""
    literal = pattern.partition("[")[0] if _is_pattern(pattern) else pattern
    parts = _WILDCARDS.split(literal) if _is_pattern(pattern) else [literal]
    return max(parts, key=len).encode("utf-8", "surrogatepass")


def _is_pattern(text: str) -> bool:
    return any(character in text for character in "*?[")


def fits(pattern: str, *texts: str | None) -> bool:
    """Whether one of the texts is the text, or matches the pattern."""
    if _is_pattern(pattern):
        return any(text is not None and fnmatchcase(text, pattern) for text in texts)
    return pattern in texts
