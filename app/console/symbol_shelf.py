"""The rows of hot symbols as far as a search needs them, in memory. The rest of a row stays in its topic.

A search looks through all rows and takes those with the most hits; 100,000 rows take some 15 ms. They are in no order,
for rows change all the time, and to sort them again would take longer. Rows share texts that many of them have, such as
the path of a file, and each such text is looked into once.
"""

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from heapq import nlargest
from operator import attrgetter
from typing import Any, Final, NamedTuple

from agents.hot_symbols.identity import SymbolIdError, parse_symbol_id
from app.kafka.records import Recorded

MAX_ROWS: Final = 1_000_000
"""Of some 800 bytes here. Whoever may write the topic may write any number of rows; more are counted."""

_hits: Final = attrgetter("hits")

_MIN_PLACES: Final = 1_024


@dataclass(frozen=True, slots=True, kw_only=True)
class SymbolWanted:
    """What is searched for; an empty text is not a condition. All of them are parts of a name, in any case."""

    text: str = ""
    file: str = ""
    build_id: str = ""
    image: str = ""
    namespace: str = ""


class RowPlaces(NamedTuple):
    """Where a symbol is and ran. Images and namespaces are texts to search in, in lower case."""

    module: str
    build_id: str
    images: str
    namespaces: str

    def meet(self, wanted: SymbolWanted) -> bool:
        """Whether they are what is wanted; its texts are in lower case."""
        return (
            wanted.file in self.module.lower()
            and self.build_id.startswith(wanted.build_id)
            and wanted.image in self.images
            and wanted.namespace in self.namespaces
        )


@dataclass(frozen=True, slots=True)
class ShelvedRow:
    """What a search needs of a row, and where the row lies. Texts to search in are in lower case."""

    symbol_id: str
    is_kernel_space: bool
    evidence: str
    hits: int
    confirmed_hits: int
    last_seen_ns: int
    partition: int
    offset: int
    names: str
    shown_name: str
    """The symbol as people read it, if that differs. To make it readable takes longer than a search."""
    places: "RowPlaces"

    @property
    def name(self) -> str:
        """The symbol, mangled; empty if it is not known. It stands in the id, so it is not kept a second time."""
        try:
            return parse_symbol_id(self.symbol_id).symbol or ""
        except SymbolIdError:  # whoever may write the topic may write anything
            return ""

    def document(self) -> dict[str, Any]:
        """As the page shows it."""
        symbol = self.name
        return {
            "symbol_id": self.symbol_id,
            "symbol": symbol,
            "shown_name": self.shown_name or symbol,
            "module": self.places.module,
            "build_id": self.places.build_id or None,
            "is_kernel_space": self.is_kernel_space,
            "evidence": self.evidence,
            "hits": self.hits,
            "confirmed_hits": self.confirmed_hits,
            "last_seen_ns": self.last_seen_ns,
        }


_ANYWHERE: Final = SymbolWanted()


@dataclass(frozen=True, slots=True)
class SymbolsFound:
    """The rows with the most hits, and how many there are in all."""

    rows: tuple[ShelvedRow, ...]
    found: int
    of: int


class SymbolShelf:
    """All rows by symbol id. Rows are taken on one thread and searched on others."""

    def __init__(self, shown_name: Callable[[str], str], max_rows: int = MAX_ROWS) -> None:
        """`shown_name` makes a symbol readable."""
        self._shown_name = shown_name
        self._max_rows = max_rows
        self._rows: dict[str, ShelvedRow] = {}
        self._places: dict[RowPlaces, RowPlaces] = {}
        self.left_out = 0
        """Rows for which there was no room."""

    def take(self, record: Recorded, row: Mapping[str, Any] | None) -> None:
        """Take the newest record of a key, decoded; None removes the row."""
        key = (record.key or b"").decode("utf-8", "replace")
        if row is None:
            self._rows.pop(key, None)
        elif key in self._rows or len(self._rows) < self._max_rows:
            self._rows[key] = self._shelved(key, record, row)
        else:
            self.left_out += 1

    def __len__(self) -> int:
        return len(self._rows)

    def get(self, symbol_id: str) -> ShelvedRow | None:
        """The row with this id."""
        return self._rows.get(symbol_id)

    def find(self, wanted: SymbolWanted, count: int) -> SymbolsFound:
        """The `count` rows with the most hits among those that are wanted; of equal ones those that came first."""
        rows = list(self._rows.values())  # a copy, which no other thread changes
        lower = SymbolWanted(
            file=wanted.file.lower(),
            build_id=wanted.build_id.lower(),
            image=wanted.image.lower(),
            namespace=wanted.namespace.lower(),
        )
        found = rows
        if lower != _ANYWHERE:
            meeting = {id(one) for one in list(self._places) if one.meet(lower)}
            found = [row for row in found if id(row.places) in meeting]
        for word in wanted.text.lower().split():
            found = [row for row in found if word in row.names]
        return SymbolsFound(tuple(nlargest(count, found, key=_hits)), len(found), len(rows))

    def _shelved(self, key: str, record: Recorded, row: Mapping[str, Any]) -> ShelvedRow:
        """The row; what its key, other rows or the row before have, too, is the same object."""
        symbol_id, symbol, hits, confirmed_hits = row["symbol_id"], row["symbol"], row["hits"], row["confirmed_hits"]
        before = self._rows.get(key)
        if before is not None and before.symbol_id == symbol_id:
            symbol_id, names, shown_name = before.symbol_id, before.names, before.shown_name
        else:
            symbol_id = key if key == symbol_id else symbol_id
            shown_name = self._shown_name(symbol)
            names = _names(symbol_id, symbol, shown_name)
            shown_name = "" if shown_name == symbol else shown_name
        return ShelvedRow(
            symbol_id=symbol_id,
            is_kernel_space=row["is_kernel_space"],
            evidence=sys.intern(row["evidence"]),
            hits=hits,
            confirmed_hits=hits if confirmed_hits == hits else confirmed_hits,
            last_seen_ns=row["last_seen_ns"],
            partition=record.partition,
            offset=record.offset,
            names=names,
            shown_name=shown_name,
            places=self._known_places(row),
        )

    def _known_places(self, row: Mapping[str, Any]) -> RowPlaces:
        images = "\n".join(f"{one['image_name']}\n{one['image_id']}" for one in row["images"]).lower()
        namespaces = "\n".join(one["namespace"] for one in row["namespaces"]).lower()
        places = RowPlaces(row["module"], row["build_id"] or "", images, namespaces)
        known = self._places.get(places)
        if known is not None:
            return known
        if len(self._places) > 2 * len(self._rows) + _MIN_PLACES:  # most of them are those of rows as they were
            self._places = {row.places: row.places for row in self._rows.values()}
        self._places[places] = places
        return places


def _names(symbol_id: str, symbol: str, shown_name: str) -> str:
    """All names in lower case, each once: an id has the symbol in it, but for characters that it escapes."""
    found = symbol_id.lower()
    for name in (symbol.lower(), shown_name.lower()):
        if name not in found:
            found = f"{found}\n{name}"
    return found
