"""A watch: the question whether a symbol is ever executed, and which rows of the table answer it.

A row is the watched symbol, or may be it, or is not (`Bearing`). A watch by build id means exactly that file; one by
path means the file under that path, whatever its build id; one by file name means it in any folder; one by symbol alone
means any file. A module beside a build id says which files of unknown build id may be that file. Which names are the
watched function is found in the files (`agents/hot_symbols/watch/watched_code.py`).
"""

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from posixpath import basename
from typing import Any, Final

from agents.hot_symbols.identity import SymbolIdentity, symbol_id
from schemas.text_limits import MAX_PLACE_CHARS, MAX_SYMBOL_CHARS

KERNEL: Final = "kernel"
_KERNEL_MODULE: Final = "kernel:"

MAX_CHARS: Final[Mapping[str, int]] = {
    "symbol": MAX_SYMBOL_CHARS,
    "module": MAX_SYMBOL_CHARS,
    "build_id": 128,
    "vulnerability": MAX_PLACE_CHARS,
}
"""Longest texts of a watch, for everybody who adds one; a build id is at most 64 bytes in hex."""


MAX_VULNERABILITIES_CHARS: Final = 32 << 10
"""Of all vulnerabilities of a watch, which its answer repeats: some two thousand."""


class Bearing(enum.Enum):
    """What a row says about a watch."""

    NONE = enum.auto()
    MAY_BE = enum.auto()  # its hits may be of the symbol
    IS = enum.auto()  # its hits are of the symbol


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """One watch; see the module's docstring for what `module` and `build_id` mean.

    `symbol` is mangled and has no version. `since_ns`, and `added_ns`, which may be later, are in nanoseconds since the
    Unix epoch.
    """

    symbol: str
    module: str | None = None
    build_id: str | None = None
    since_ns: int = 0
    vulnerabilities: tuple[str, ...] = ()
    every_call_probed: bool = False
    """Its author's word that, since it began, a probe fires whenever any of its code is entered."""
    added_ns: int = field(default=0, compare=False)

    @property
    def watch_id(self) -> str:
        """The watch as text, in the form of symbol ids: the key of its records on every topic."""
        if self.build_id is not None:
            return symbol_id(SymbolIdentity(self.build_id, None, self.symbol))
        module = self.module or ""
        is_kernel = module == KERNEL or module.startswith(_KERNEL_MODULE)
        return symbol_id(SymbolIdentity(None, module.removeprefix(_KERNEL_MODULE), self.symbol, is_kernel))

    def in_file(self, row: SymbolIdentity, path: str) -> Bearing:
        """Whether a row is of the watched file, whatever its symbol."""
        if self.build_id is not None:
            return self._in_build(row, path)
        if self.module is None:
            return Bearing.IS
        if self.module == KERNEL:
            return Bearing.IS if row.is_kernel_space else Bearing.NONE
        if self.module.startswith(_KERNEL_MODULE):
            return self._in_kernel_module(row)
        if row.is_kernel_space:
            return Bearing.NONE
        if self.module in {path, basename(path)}:
            return Bearing.IS
        # a file with a build id may have been seen under more paths than the one that the row keeps
        is_near = row.build_id is not None and basename(path) == basename(self.module)
        return Bearing.MAY_BE if is_near else Bearing.NONE

    def _in_build(self, row: SymbolIdentity, path: str) -> Bearing:
        if row.build_id is not None:
            return Bearing.IS if row.build_id == self.build_id else Bearing.NONE
        is_other = row.is_kernel_space or (self.module is not None and basename(path) != basename(self.module))
        return Bearing.NONE if is_other else Bearing.MAY_BE

    def _in_kernel_module(self, row: SymbolIdentity) -> Bearing:
        assert self.module is not None
        if row.is_kernel_space and row.module == self.module.removeprefix(_KERNEL_MODULE):
            return Bearing.IS
        # a node without a snapshot of its kernel's symbols cannot tell which module one is of
        return Bearing.MAY_BE if row.is_kernel_space and row.module == KERNEL else Bearing.NONE

    def as_record(self) -> dict[str, Any]:
        """Fields of schemas/avro/watch.avsc."""
        return {
            "symbol": self.symbol,
            "module": self.module,
            "build_id": self.build_id,
            "since_ns": self.since_ns,
            "vulnerability": self.vulnerabilities[0] if self.vulnerabilities else None,
            "vulnerabilities": list(self.vulnerabilities),
            "every_call_probed": self.every_call_probed,
        }

    def joined(self, other: "Watch") -> "Watch":
        """One watch for two records of it: the earlier beginning, and all that either says of that time.

        That every call is probed was said for the time since the beginning of the record that says so, and no earlier.
        """
        first, second = sorted((self, other), key=lambda one: (one.since_ns, one.added_ns, one.vulnerabilities))
        return replace(
            first,
            module=first.module or second.module,
            added_ns=min(first.added_ns, second.added_ns),
            vulnerabilities=tuple(dict.fromkeys(first.vulnerabilities + second.vulnerabilities)),
            every_call_probed=any(one.every_call_probed and one.since_ns == first.since_ns for one in (first, second)),
        )


class WatchFault(enum.Enum):
    """Why a record describes no watch."""

    NO_SYMBOL = enum.auto()
    TEXT_TOO_LONG = enum.auto()


def from_record(record: Mapping[str, Any]) -> Watch | WatchFault:
    """The watch that a record of schemas/avro/watch.avsc describes, or why it describes none.

    A text is never cut here: a watch on a cut name would be the watch of another symbol.
    """
    if not record["symbol"]:
        return WatchFault.NO_SYMBOL
    named = [one for one in (record["vulnerability"], *record["vulnerabilities"]) if one]
    texts = [(name, record[name]) for name in MAX_CHARS] + [("vulnerability", one) for one in named]
    if any(len(text or "") > MAX_CHARS[name] for name, text in texts):
        return WatchFault.TEXT_TOO_LONG
    if sum(map(len, named)) > MAX_VULNERABILITIES_CHARS:
        return WatchFault.TEXT_TOO_LONG
    return Watch(
        symbol=record["symbol"],
        module=record["module"] or None,
        build_id=record["build_id"] or None,
        since_ns=record["since_ns"],
        vulnerabilities=tuple(dict.fromkeys(named)),
        every_call_probed=record["every_call_probed"],
    )
