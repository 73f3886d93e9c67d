"""The rows of hot symbols as far as a search needs them, in memory. The rest of a row stays in its topic.

A search looks through all rows and takes those with the most hits; 100,000 rows take some 20 ms.
"""

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from posixpath import basename
from typing import Any, Final

from app.kafka.records import Recorded

MAX_ROWS: Final = 1_000_000
"""Of some 700 bytes here. Whoever may write the topic may write any number of rows; more are counted."""

_SORTED_FOR_SECONDS: Final = 2.0
"""How long an order by hits is used while rows change."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SymbolWanted:
    """What is searched for; an empty text is no condition. All of them are parts of a name, in any case."""

    text: str = ""
    file: str = ""
    build_id: str = ""
    image: str = ""
    namespace: str = ""


@dataclass(frozen=True, slots=True)
class ShelvedRow:
    """What a search needs of a row, and where the row lies. Texts to search in are in lower case."""

    symbol_id: str
    name: str
    shown_name: str
    module: str
    build_id: str
    is_kernel_space: bool
    evidence: str
    hits: int
    confirmed_hits: int
    last_seen_ns: int
    partition: int
    offset: int
    names: str
    file: str
    images: str
    namespaces: str

    def meets(self, wanted: SymbolWanted, words: Sequence[str]) -> bool:
        """Whether the row is one of those that are wanted; `words` are those of the text, in lower case."""
        return (
            all(word in self.names for word in words)
            and wanted.file in self.file
            and self.build_id.startswith(wanted.build_id)
            and wanted.image in self.images
            and wanted.namespace in self.namespaces
        )

    def document(self) -> dict[str, Any]:
        """As the page shows it."""
        return {
            "symbol_id": self.symbol_id,
            "symbol": self.name,
            "shown_name": self.shown_name,
            "module": self.module,
            "build_id": self.build_id or None,
            "is_kernel_space": self.is_kernel_space,
            "evidence": self.evidence,
            "hits": self.hits,
            "confirmed_hits": self.confirmed_hits,
            "last_seen_ns": self.last_seen_ns,
        }


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

    def find(self, wanted: SymbolWanted, count: int) -> SymbolsFound:
        """The `count` rows with the most hits among those that are wanted."""
        rows = self._by_hits()
        lower = SymbolWanted(
            file=wanted.file.lower(),
            build_id=wanted.build_id.lower(),
            image=wanted.image.lower(),
            namespace=wanted.namespace.lower(),
        )
        words = wanted.text.lower().split()
        if not words and lower == SymbolWanted():
            return SymbolsFound(tuple(rows[:count]), len(rows), len(rows))
        matching = self._matching(rows, lower, words)
        first = tuple(islice(matching, count))
        return SymbolsFound(first, len(first) + sum(1 for _ in matching), len(rows))

    def _matching(self, rows: list[ShelvedRow], wanted: SymbolWanted, words: list[str]) -> Iterator[ShelvedRow]:
        if wanted == SymbolWanted() and len(words) == 1:  # what people type: one look into one text a row
            word = words[0]
            return (row for row in rows if word in row.names)
        return (row for row in rows if row.meets(wanted, words))

    def _by_hits(self) -> list[ShelvedRow]:
        with self._lock:
            now = time.monotonic()
            if self._changed and (not self._sorted or now - self._sorted_at > _SORTED_FOR_SECONDS):
                self._changed = False
                rows = list(self._rows.values())  # a copy, which no other thread changes
                self._sorted = sorted(rows, key=lambda row: (-row.hits, row.symbol_id))
                self._sorted_at = now
            return self._sorted

    def _shelved(self, record: Recorded, row: Mapping[str, Any], before: ShelvedRow | None) -> ShelvedRow:
        """The row; texts that are as before are the same objects, so that a million updates take no more memory."""
        symbol, module = row["symbol"], row["module"]
        shown = before.shown_name if before is not None and before.name == symbol else self._shown_name(symbol)
        file = _same(before, "file", f"{module}\n{basename(module)}".lower())
        images = "\n".join(f"{one['image_name']}\n{one['image_id']}" for one in row["images"]).lower()
        namespaces = "\n".join(one["namespace"] for one in row["namespaces"]).lower()
        return ShelvedRow(
            symbol_id=row["symbol_id"],
            name=_same(before, "name", symbol),
            shown_name=shown,
            module=_same(before, "module", module),
            build_id=_same(before, "build_id", row["build_id"] or ""),
            is_kernel_space=row["is_kernel_space"],
            evidence=row["evidence"],
            hits=row["hits"],
            confirmed_hits=row["confirmed_hits"],
            last_seen_ns=row["last_seen_ns"],
            partition=record.partition,
            offset=record.offset,
            names=_same(before, "names", f"{symbol}\n{shown}\n{row['symbol_id']}".lower()),
            file=file,
            images=_same(before, "images", images),
            namespaces=_same(before, "namespaces", namespaces),
        )


def _same(before: ShelvedRow | None, field: str, now: str) -> str:
    said = "" if before is None else str(getattr(before, field))
    return said if said == now else now
