"""The consumer's own ids of symbols, from a file, so that facts join with its call graph.

JSON: `{"nodes": [{"symbol_id": "sym:...", "build_id": "gnu-build-id:5f1c...", "mangled": "_ZN3foo3barEv"}]}`; other
keys are passed over. A build id may stand without its prefix. A symbol is found by its build id and mangled name, or
else by another name of its code, where these lead to one id only.
"""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from app.operators.errors import OperatorError
from app.operators.regular_files import read_regular_text

_MAX_BYTES: Final = 1 << 30
_PREFIX: Final = "gnu-build-id:"
_FIELDS: Final = ("symbol_id", "build_id", "mangled")


class SymbolMapError(OperatorError):
    """The file is no map of symbols; the message says where and why."""


class SymbolMap:
    """Ids of the consumer by build id and mangled name; `missed` counts symbols that it does not have."""

    def __init__(self, ids: dict[tuple[str, str], str]) -> None:
        self._ids = ids
        self.missed = 0

    def id_of(self, build_id: str | None, symbol: str, others: Iterable[str]) -> str | None:
        """The consumer's id of a symbol; None, and counted, if there is none or it is not certain."""
        found = None
        if build_id and symbol:
            found = self._ids.get((build_id, symbol))
            if found is None:
                named = {self._ids[build_id, one] for one in others if (build_id, one) in self._ids}
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
    ids: dict[tuple[str, str], str] = {}
    for number, node in enumerate(nodes):
        values = [node.get(name) for name in _FIELDS] if isinstance(node, dict) else [None]
        texts = [one for one in values if isinstance(one, str) and one]
        if len(texts) != len(_FIELDS):
            raise SymbolMapError(f"{path}: node {number} has no {', '.join(_FIELDS)}")
        symbol_id, build_id, mangled = texts
        key = build_id.removeprefix(_PREFIX).lower(), mangled
        if ids.setdefault(key, symbol_id) != symbol_id:
            raise SymbolMapError(f"{path}: node {number} has another symbol_id than one before it: {mangled}")
    return SymbolMap(ids)
