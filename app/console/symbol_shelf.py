"""The rows of hot symbols as far as a search needs them, in memory. The rest of a row stays in its topic.

A search looks through all rows and takes those with the most hits; 100,000 rows take some 20 ms. Rows share texts that
many of them have, such as the path of a file, and each such text is looked into once.
"""

import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, Final, NamedTuple

from agents.hot_symbols.identity import SymbolIdError, parse_symbol_id
from app.kafka.records import Recorded

MAX_ROWS: Final = 1_000_000
"""Of some 700 bytes here. Whoever may write the topic may write any number of rows; more are counted."""

_symbol_id: Final = attrgetter("symbol_id")
_hits: Final = attrgetter("hits")

_MIN_PLACES: Final = 1_024

_SORTED_FOR_SECONDS: Final = 2.0
"""How long an order by hits is used while rows change."""


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
    places: "RowPlaces"

    @property
    def name(self) -> str:
        """The symbol, mangled; empty if it is not known. It stands in the id, so it is not kept a second time."""
        try:
            return parse_symbol_id(self.symbol_id).symbol or ""
        except SymbolIdError:  # whoever may write the topic may write anything
            return ""

    def document(self, shown_name: Callable[[str], str]) -> dict[str, Any]:
        """As the page shows it; `shown_name` makes a symbol readable."""
        symbol = self.name
        return {
            "symbol_id": self.symbol_id,
            "symbol": symbol,
            "shown_name": shown_name(symbol),
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
        self._lock = threading.Lock()
        self._sorted: list[ShelvedRow] = []
        self._sorted_at = 0.0
        self._changed = False
        self.left_out = 0
        """Rows for which there was no room."""

    def take(self, record: Recorded, row: Mapping[str, Any] | None) -> None:
        """Take the newest record of a key, decoded; None removes the row."""
        key = (record.key or b"").decode("utf-8", "replace")
        if row is None:
            self._changed |= self._rows.pop(key, None) is not None
        elif key in self._rows or len(self._rows) < self._max_rows:
            self._rows[key] = self._shelved(record, row, self._rows.get(key))
            self._changed = True
        else:
            self.left_out += 1

    def __len__(self) -> int:
        return len(self._rows)

    def get(self, symbol_id: str) -> ShelvedRow | None:
        """The row with this id."""
        return self._rows.get(symbol_id)

    def order(self) -> None:
        """Bring the rows in order, so that the next search need not."""
        self._by_hits()

    def find(self, wanted: SymbolWanted, count: int) -> SymbolsFound:
        """The `count` rows with the most hits among those that are wanted."""
        rows = self._by_hits()
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
        return SymbolsFound(tuple(found[:count]), len(found), len(rows))

    def _by_hits(self) -> list[ShelvedRow]:
        with self._lock:
            now = time.monotonic()
            if self._changed and (not self._sorted or now - self._sorted_at > _SORTED_FOR_SECONDS):
                self._changed = False
                rows = list(self._rows.values())  # a copy, which no other thread changes
                rows.sort(key=_symbol_id)
                rows.sort(key=_hits, reverse=True)
                self._sorted = rows
                self._sorted_at = now
            return self._sorted

    def _shelved(self, record: Recorded, row: Mapping[str, Any], before: ShelvedRow | None) -> ShelvedRow:
        """The row; what other rows or the row before have, too, is the same object."""
        symbol_id, hits, confirmed_hits = row["symbol_id"], row["hits"], row["confirmed_hits"]
        if before is not None and before.symbol_id == symbol_id:
            symbol_id, names = before.symbol_id, before.names
        else:
            names = _names(symbol_id, row["symbol"], self._shown_name(row["symbol"]))
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
