"""The consumer's own ids of symbols, from its call graph, so that facts join with it.

JSON as its contract richgraph-v1 has it (docs/contracts/richgraph-v1.md there): `{"nodes": [{"symbol_id": "sym:...",
"build_id": "gnu-build-id:5f1c...", "symbol": {"mangled": "_ZN3foo3barEv"}, "code_id": "code:...", "purl":
"pkg:..."}]}`. `code_id` and `purl` may be missing, and other keys are passed over. A node without a build id or a
mangled name is of no native code, so it is passed over and counted. A build id may stand without its prefix. A symbol
is found by its build id and mangled name, or else by another name of its code, where these lead to one node only.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from app.operators.errors import OperatorError
from app.operators.regular_files import read_regular_text

_MAX_BYTES: Final = 1 << 30
_PREFIX: Final = "gnu-build-id:"


class SymbolMapError(OperatorError):
    """The file is not a map of symbols; the message says where and why."""


@dataclass(frozen=True, slots=True)
class MappedSymbol:
    """A symbol as the consumer has it; what it does not say of it is empty."""

    symbol_id: str
    code_id: str = ""
    package_url: str = ""


class SymbolMap:
    """Symbols of the consumer by build id and mangled name; `missed` counts symbols that it does not have."""

    def __init__(self, symbols: dict[tuple[str, str], MappedSymbol], passed_over: int = 0) -> None:
        """`passed_over` are nodes of no native code."""
        self._symbols = symbols
        self.passed_over = passed_over
        self.missed = 0

    def find(self, build_id: str | None, symbol: str, others: Iterable[str]) -> MappedSymbol | None:
        """The consumer's symbol; None, and counted, if there is none or it is not certain."""
        found = None
        if build_id and symbol:
            found = self._symbols.get((build_id, symbol))
            if found is None:
                named = {self._symbols[build_id, one] for one in others if (build_id, one) in self._symbols}
                found = next(iter(named)) if len(named) == 1 else None
        self.missed += found is None
        return found


def read_symbol_map(path: Path) -> SymbolMap:
    """Read a map. Raises SymbolMapError."""
    try:
        document = json.loads(read_regular_text(path, _MAX_BYTES))
    except OSError as error:
        raise SymbolMapError(f"{path}: {error.strerror or error}") from None
    except (ValueError, RecursionError):
        raise SymbolMapError(f"{path}: is not JSON") from None
    nodes = document.get("nodes") if isinstance(document, dict) else None
    if not isinstance(nodes, list):
        raise SymbolMapError(f"{path}: has no list of nodes")
    symbols: dict[tuple[str, str], MappedSymbol] = {}
    passed_over = 0
    for number, node in enumerate(nodes):
        where = f"{path}: node {number}"
        symbol_id = _text(node, "symbol_id", where)
        if not symbol_id:
            raise SymbolMapError(f"{where} has no symbol_id")
        name = node.get("symbol")
        mangled = "" if name is None else _text(name, "mangled", f"{where}, symbol")
        build_id = _text(node, "build_id", where)
        if not mangled or not build_id:
            passed_over += 1
            continue
        mapped = MappedSymbol(symbol_id, _text(node, "code_id", where), _text(node, "purl", where))
        if symbols.setdefault((build_id.removeprefix(_PREFIX).lower(), mangled), mapped) != mapped:
            raise SymbolMapError(f"{where} says something else than one before it: {mangled}")
    return SymbolMap(symbols, passed_over)


def _text(fields: Any, name: str, where: str) -> str:
    """A text; empty where there is none. Raises SymbolMapError for anything else."""
    if not isinstance(fields, dict):
        raise SymbolMapError(f"{where} is not an object")
    found = fields.get(name)
    if found is not None and not isinstance(found, str):
        raise SymbolMapError(f"{where}: {name} is not text")
    return found or ""
