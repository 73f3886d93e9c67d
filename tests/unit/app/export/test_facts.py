"""Runtime facts have the consumer's ids, and say of a file only what is certain."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from agents.hot_symbols.counting.recent import Recent
from agents.hot_symbols.counting.tally import Tally
from agents.hot_symbols.table.published import published_record
from agents.symbols.build_ids import BuildIdKind
from agents.vulnerabilities.file_packages import FilePackages
from agents.vulnerabilities.go_build import GoBuild, read_go_build
from app.export.fact_files import UNKNOWN_FILE, FactFile, FactFiles, SharedBuildIdError
from app.export.runtime_facts import ALL, FactOrder, fact_line
from app.export.symbol_map import MappedSymbol, SymbolMap, SymbolMapError, read_symbol_map
from app.symbols.adding import AddOptions
from tests.support.indexed_files import add_to
from tests.support.vulnerable_files import BUILD_ID, vulnerable_program

THEIRS = "sym:binary:abc"


def _hit() -> Tally:
    tally = Tally("/usr/bin/app")
    tally.hits = 1
    return tally


def _fact(container: str = "", file: FactFile = UNKNOWN_FILE, order: FactOrder = ALL) -> dict[str, Any]:
    containers = Recent()
    if container:
        containers.note((container,), 1)
        containers.settle()
    row = published_record(f"{BUILD_ID}!push", _hit())
    line = fact_line(row, "push", containers, ["push_old"], file=file, order=order)
    assert line is not None
    found: dict[str, Any] = json.loads(line)
    return found


def _node(mangled: str, **others: Any) -> dict[str, Any]:
    """A node of the consumer's call graph."""
    node = {"symbol_id": THEIRS, "build_id": f"gnu-build-id:{BUILD_ID}", "symbol": {"mangled": mangled}}
    return node | others


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


def test_a_file_is_found_by_its_digest_unless_others_have_its_build_id(tmp_path: Path) -> None:
    """No event says which of several files of one build id ran, so their facts are nobody's."""
    path = vulnerable_program(tmp_path / "usr/bin/app")
    add_to(tmp_path / "store", [path.resolve()], AddOptions(root=tmp_path, scope="node:n1"))
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    files = FactFiles(tmp_path / "store")

    assert files.build_id_of(digest) == BUILD_ID
    assert files.build_id_of("0" * 64) is FactFiles(None).build_id_of(digest) is None
    path.write_bytes(path.read_bytes() + b"patched")
    add_to(tmp_path / "store", [path.resolve()], AddOptions(root=tmp_path, scope="node:n2"))
    with pytest.raises(SharedBuildIdError, match="2 files of the symbol store"):
        FactFiles(tmp_path / "store").build_id_of(digest)


def test_facts_of_a_file_have_no_symbol_of_another() -> None:
    """By build id."""
    row = published_record(f"{BUILD_ID}!push", _hit())
    assert fact_line(row, "push", Recent(), order=FactOrder(build_id=BUILD_ID)) is not None
    assert fact_line(row, "push", Recent(), order=FactOrder(build_id="00" * 20)) is None


def test_a_container_is_named_by_its_whole_id_only() -> None:
    """The beginning of an id joins with nothing; the runtime before it is an operator's word."""
    assert _fact("c" * 64)["containerId"] == "c" * 64
    assert "containerId" not in _fact("c" * 31)
    order = FactOrder(container_runtime="cri-o")
    assert _fact("c" * 64, order=order)["containerId"] == "cri-o://" + "c" * 64
    assert "containerId" not in _fact("c" * 31, order=order)


@pytest.mark.parametrize("name", ["push", "push_old"])
def test_a_symbol_has_the_id_that_the_map_gives_its_code(tmp_path: Path, name: str) -> None:
    """By its own name or another one; what the map does not have keeps our id, and is counted."""
    symbols = _map(tmp_path, _node(name, x=1))
    fact = _fact(order=FactOrder(symbols))
    assert (fact["symbolId"], fact["metadata"]["callstreamSymbolId"]) == (THEIRS, f"{BUILD_ID}!push")
    assert symbols.missed == 0

    other = _map(tmp_path, _node(name, build_id="00" * 20))
    assert _fact(order=FactOrder(other))["symbolId"] == f"{BUILD_ID}!push"
    assert other.missed == 1


def test_code_id_and_package_are_those_of_the_map(tmp_path: Path) -> None:
    """They join with the consumer's graph. Without a map there is no code id, and the package is that of the file."""
    order = FactOrder(_map(tmp_path, _node("push", code_id="code:binary:xyz", purl="pkg:cargo/smallvec@0.6.9")))
    file = FactFile(package_url="pkg:deb/debian/app@1")
    fact, without = _fact(file=file, order=order), _fact(file=file)

    assert (fact["codeId"], fact["purl"]) == ("code:binary:xyz", "pkg:cargo/smallvec@0.6.9")
    assert ("codeId" in without, without["purl"]) == (False, "pkg:deb/debian/app@1")


_GO = """path\texample.com/shop/cmd
mod\texample.com/shop\tv1.0.0
dep\texample.com/lib.v2\tv2.1.0
dep\texample.com/lib.v2/sub\tv0.1.0
dep\texample.com/old\tv1.0.0
=>\texample.com/new\tv1.5.0"""


@pytest.mark.parametrize(
    ("symbol", "package"),
    [
        ("example.com/lib%2ev2.Parse", "pkg:golang/example.com/lib.v2@v2.1.0"),
        ("example.com/lib.v2/inner.(*Reader[...]).Read", "pkg:golang/example.com/lib.v2@v2.1.0"),
        ("example.com/lib.v2/sub/x.F", "pkg:golang/example.com/lib.v2/sub@v0.1.0"),
        ("example.com/library.F", "pkg:deb/debian/app@1"),
        ("example.com/old.F", "pkg:golang/example.com/new@v1.5.0"),
        ("main.main", "pkg:golang/example.com/shop@v1.0.0"),
        ("example.com/lib.v2/inner.Parse.func1", "pkg:deb/debian/app@1"),
        ("runtime.mallocgc", "pkg:deb/debian/app@1"),
        ("_ZN3foo3barEv", "pkg:deb/debian/app@1"),
    ],
)
def test_a_function_of_go_has_the_package_of_its_module(symbol: str, package: str) -> None:
    """By the file's own build information; a closure may be another module's."""
    build = read_go_build("go1.26.0", _GO)
    assert isinstance(build, GoBuild)
    packages = FilePackages(BuildIdKind.GO, go=build)

    assert FactFile(package_url="pkg:deb/debian/app@1", packages=packages).package_of(symbol) == package


def test_nodes_of_no_native_code_are_passed_over_and_counted(tmp_path: Path) -> None:
    """A call graph has nodes of Java, too; of a stripped file they have no names."""
    java = {"symbol_id": "sym:java:abc", "lang": "java"}
    symbols = _map(tmp_path, java, _node(""), _node("push"))

    assert symbols.passed_over == 2
    assert symbols.find(BUILD_ID, "push", ()) == MappedSymbol(THEIRS)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("nothing", "is not JSON"),
        ("[]", "has no list of nodes"),
        ('{"nodes": [{}]}', "node 0 has no symbol_id"),
        ('{"nodes": [3]}', "node 0 is not an object"),
        ('{"nodes": [{"symbol_id": "a", "symbol": "b"}]}', "node 0, symbol is not an object"),
        ('{"nodes": [{"symbol_id": "a", "build_id": 7}]}', "node 0: build_id is not text"),
        (
            json.dumps({"nodes": [{"symbol_id": one, "build_id": "b", "symbol": {"mangled": "c"}} for one in "ad"]}),
            "node 1 says something else",
        ),
    ],
)
def test_a_map_that_is_none_is_refused_with_the_place(tmp_path: Path, text: str, said: str) -> None:
    """Two ids for one symbol are not an answer."""
    (tmp_path / "map.json").write_text(text)
    with pytest.raises(SymbolMapError, match=said):
        read_symbol_map(tmp_path / "map.json")
