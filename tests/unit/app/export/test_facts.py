"""Runtime facts have the consumer's ids, and say of a file only what is certain."""

import json
from pathlib import Path
from typing import Any

import pytest

from agents.hot_symbols.counting.recent import Recent
from agents.hot_symbols.counting.tally import Tally
from agents.hot_symbols.table.published import published_record
from agents.symbols.build_ids import BuildIdKind
from app.export.fact_files import UNKNOWN_FILE, FactFile, FactFiles
from app.export.runtime_facts import fact_line
from app.export.symbol_map import SymbolMap, SymbolMapError, read_symbol_map
from app.symbols.adding import AddOptions
from tests.support.indexed_files import add_to
from tests.support.vulnerable_files import BUILD_ID, vulnerable_program

THEIRS = "sym:binary:abc"


def _fact(container: str = "", file: FactFile = UNKNOWN_FILE, symbols: SymbolMap | None = None) -> dict[str, Any]:
    tally = Tally("/usr/bin/app")
    tally.hits = 1
    containers = Recent()
    if container:
        containers.note((container,), 1)
        containers.settle()
    row = published_record(f"{BUILD_ID}!push", tally)
    line = fact_line(row, "push", containers, ["push_old"], file=file, symbols=symbols)
    assert line is not None
    found: dict[str, Any] = json.loads(line)
    return found


def _map(folder: Path, *nodes: Any) -> SymbolMap:
    path = folder / "map.json"
    path.write_text(json.dumps({"nodes": nodes}))
    return read_symbol_map(path)


@pytest.mark.parametrize("kind", [*BuildIdKind, None])
def test_only_a_gnu_note_is_a_build_id_to_the_consumer(kind: BuildIdKind | None) -> None:
    """Any other one is named with its kind."""
    fact = _fact(file=FactFile(kind, "9" * 64))
    assert fact.get("buildId") == (f"gnu-build-id:{BUILD_ID}" if kind is BuildIdKind.GNU else None)
    assert fact["metadata"]["buildIdKind"] == (kind.value if kind is not None else "unknown")
    assert (fact["metadata"]["buildId"], fact["metadata"]["fileSha256"]) == (BUILD_ID, "9" * 64)


def test_a_store_knows_the_file_of_a_build_id(tmp_path: Path) -> None:
    """Its kind and its digest; without a store, or of another file, nothing."""
    path = vulnerable_program(tmp_path / "usr/bin/app")
    add_to(tmp_path / "store", [path.resolve()], AddOptions(root=tmp_path, scope="node:n1"))
    known = FactFiles(tmp_path / "store").file(BUILD_ID)

    assert known.kind is BuildIdKind.GNU
    assert len(known.sha256) == 64
    assert FactFiles(tmp_path / "store").file("00" * 20) == FactFiles(None).file(BUILD_ID) == UNKNOWN_FILE


def test_a_container_is_named_by_its_whole_id_only() -> None:
    """The beginning of an id joins with nothing."""
    assert _fact("c" * 64)["containerId"] == "c" * 64
    assert "containerId" not in _fact("c" * 31)


@pytest.mark.parametrize("name", ["push", "push_old"])
def test_a_symbol_has_the_id_that_the_map_gives_its_code(tmp_path: Path, name: str) -> None:
    """By its own name or another one; what the map does not have keeps our id, and is counted."""
    symbols = _map(tmp_path, {"symbol_id": THEIRS, "build_id": f"gnu-build-id:{BUILD_ID}", "mangled": name, "x": 1})
    fact = _fact(symbols=symbols)
    assert (fact["symbolId"], fact["metadata"]["callstreamSymbolId"]) == (THEIRS, f"{BUILD_ID}!push")
    assert symbols.missed == 0

    other = _map(tmp_path, {"symbol_id": THEIRS, "build_id": "00" * 20, "mangled": name})
    assert _fact(symbols=other)["symbolId"] == f"{BUILD_ID}!push"
    assert other.missed == 1


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("nothing", "is not JSON"),
        ("[]", "has no list of nodes"),
        ('{"nodes": [{"symbol_id": "a"}]}', "node 0 has no symbol_id, build_id, mangled"),
        (
            json.dumps({"nodes": [{"symbol_id": one, "build_id": "b", "mangled": "c"} for one in "ad"]}),
            "node 1 has another symbol_id",
        ),
    ],
)
def test_a_map_that_is_none_is_refused_with_the_place(tmp_path: Path, text: str, said: str) -> None:
    """Two ids for one symbol are no answer."""
    (tmp_path / "map.json").write_text(text)
    with pytest.raises(SymbolMapError, match=said):
        read_symbol_map(tmp_path / "map.json")
