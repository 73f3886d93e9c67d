"""`callstream symbols` as people and scripts use it."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from agents.symbols.index_format import SymbolOrigin
from app.__main__ import cli
from app.symbols.snapshot import ObjectKind, object_path
from app.symbols.store import SymbolStore
from tests.support.elf_files import LOCAL, ElfFile, ElfSymbol
from tests.support.symbol_maps import host_scope, maps_now

BUILD_ID = bytes(range(20)).hex()
EXPORTED = (ElfSymbol("shown", 0x1000, 0x20),)
ALL = (*EXPORTED, ElfSymbol("hidden", 0x1100, 0x40, binding=LOCAL))


def symbols(store: Path, *arguments: str | Path) -> Result:
    """Run a subcommand on a store."""
    head, *rest = map(str, arguments)
    return CliRunner().invoke(cli, ["symbols", head, "--store", str(store), *rest])


def answer(store: Path, *arguments: str | Path) -> Any:
    """The JSON document that a successful subcommand prints."""
    result = symbols(store, *arguments, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.output)


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """Where the store will be."""
    return tmp_path / "store"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A container's root with a stripped library under the name that maps shows, and its full copy elsewhere."""
    folder = tmp_path / "root"
    (folder / "usr/lib").mkdir(parents=True)
    (folder / "usr/lib/libshop.so.1").write_bytes(ElfFile(dynsym=EXPORTED).encode())
    (folder / "usr/lib/libshop.so").symlink_to("libshop.so.1")
    (folder / "usr/lib/notes.txt").write_text("no program")
    (folder / "usr/lib/escape").symlink_to("/etc")
    (tmp_path / "full").write_bytes(ElfFile(ALL, dynsym=EXPORTED).encode())
    return folder


def test_container_root_is_added_and_looked_up_by_image(store: Path, root: Path) -> None:
    """Paths count from the root; links and other files are passed over."""
    added = answer(store, "add", "--image", "shop@sha256:" + "12" * 32, root)

    assert [(row["outcome"], row["build_id"], row["functions"]) for row in added["files"]] == [("added", BUILD_ID, 1)]
    found = answer(store, "lookup", "--image", "other@sha256:" + "12" * 32, "/lib/libshop.so.1+0x1004")
    assert found["text"] == "/usr/lib/libshop.so.1!shown+0x4"


def test_better_file_replaces_the_index_and_a_poorer_one_does_not(store: Path, root: Path, tmp_path: Path) -> None:
    """Names of the full copy come in; adding the stripped library again takes nothing away."""
    outcomes = [answer(store, "add", path)["files"][0]["outcome"] for path in (root, tmp_path / "full", root)]

    assert outcomes == ["added", "replaced a poorer index", "there already"]
    assert answer(store, "show", BUILD_ID, "--functions")["spans"][1]["name"] == "hidden"


def test_copies_of_one_build_are_added_together(store: Path, root: Path, tmp_path: Path) -> None:
    """The best copy is read, and the digest does not depend on which came first."""
    added = answer(store, "add", root, tmp_path / "full")
    other = answer(tmp_path / "other", "add", tmp_path / "full", root)

    assert {row["functions"] for row in added["files"]} == {2}
    assert added["store_digest"] == other["store_digest"]


def test_file_with_a_foreign_build_id_is_refused(store: Path, root: Path, tmp_path: Path) -> None:
    """Other code under a build id that is in the store is never mixed with it."""
    answer(store, "add", root)
    (tmp_path / "impostor").write_bytes(ElfFile(ALL, text=b"\xcc\xcc").encode())
    result = symbols(store, "add", tmp_path / "impostor")

    assert result.exit_code == 1
    assert "different code" in result.output
    assert answer(store, "show", BUILD_ID)["functions"] == 1


def test_refused_file_is_named_and_the_rest_is_added(store: Path, root: Path) -> None:
    """Exit code 1 says that not everything is in; what could be read is."""
    result = symbols(store, "add", root / "usr/lib/notes.txt", root)

    assert result.exit_code == 1
    assert "notes.txt  refused  no ELF file" in result.output
    assert answer(store, "verify")["objects"] == 2  # its index and its packages


def test_list_shows_indexes_maps_and_the_digest(store: Path, root: Path) -> None:
    """The digest is what manifests name."""
    answer(store, "add", "--node", "worker-*", "--root", root, root)
    listed = answer(store, "list")

    assert listed["store_digest"] == SymbolStore.open(store).digest
    assert [(row["build_id"], row["origins"]) for row in listed["indexes"]] == [
        (BUILD_ID, [str(SymbolOrigin.DYNSYM.name).lower()])
    ]
    assert listed["maps"] == [{"kind": "modules", "scope": "node:worker-*"}]
    assert BUILD_ID in symbols(store, "list").output


@pytest.mark.parametrize(
    ("where", "flags", "code", "output"),
    [
        (f"{BUILD_ID}+0x1000", (), 0, f"{BUILD_ID}!shown+0x0"),
        (f"{BUILD_ID}+0x1020", (), 1, "between symbols"),
        (f"{BUILD_ID}+0x1020", ("--return-address",), 0, f"{BUILD_ID}!shown+0x20"),
        (f"{BUILD_ID}+0x9000", (), 1, "no executable segment"),
        (f"{'00' * 20}+0x1000", (), 1, "no index"),
        (f"{BUILD_ID}", (), 2, "MODULE+0xOFFSET"),
        (f"{BUILD_ID}+1000", (), 2, "MODULE+0xOFFSET"),
        ("/nowhere/x+0x1", (), 2, "cannot be read"),
    ],
)
def test_lookup_names_or_says_why_not(
    *, store: Path, root: Path, where: str, flags: tuple[str, ...], code: int, output: str
) -> None:
    """0 with a name, 1 with the reason why there is none, 2 for what is no question."""
    answer(store, "add", root)
    result = symbols(store, "lookup", where, *flags)

    assert (result.exit_code, output in result.output) == (code, True), result.output


def test_verify_finds_a_damaged_object(store: Path, root: Path) -> None:
    """Exit code 1 and the build id of what is damaged."""
    answer(store, "add", root)
    opened = SymbolStore.open(store)
    path = object_path(store, opened.snapshot.of_kind(ObjectKind.INDEX)[BUILD_ID])
    path.write_bytes(path.read_bytes()[:-1])
    result = symbols(store, "verify")

    assert result.exit_code == 1
    assert f"index {BUILD_ID}" in result.output


def test_kernel_snapshot_is_added_for_nodes(store: Path, tmp_path: Path) -> None:
    """Frames of matching nodes find their kernel module."""
    (tmp_path / "kallsyms").write_text("ffffffffc0201000 t nft_do_chain\t[nf_tables]\n")
    counts = answer(store, "add-kernel", "--node", "worker-*", tmp_path / "kallsyms")

    assert (counts["symbols"], counts["modules"]) == (1, 1)
    assert maps_now(SymbolStore.open(store), host_scope("worker-1")).kernel_module("nft_do_chain") == "nf_tables"


def test_map_file_is_taken(store: Path, tmp_path: Path) -> None:
    """An operator's own map covers what no index was built for here."""
    (tmp_path / "map.toml").write_text(f'[node.worker-1]\n"/bin/x" = "{BUILD_ID}"\n')

    assert answer(store, "map", tmp_path / "map.toml")["paths"] == 1
    assert maps_now(SymbolStore.open(store), host_scope("worker-1")).build_id("/usr/bin/x") == BUILD_ID


@pytest.mark.parametrize("name", ["kallsyms", "map"])
def test_wrong_input_file_is_refused_whole(store: Path, tmp_path: Path, name: str) -> None:
    """Nothing of a wrong file gets into the store."""
    (tmp_path / "wrong").write_text("[[[")
    arguments = ("add-kernel", "--node", "n") if name == "kallsyms" else ("map",)
    result = symbols(store, *arguments, tmp_path / "wrong")

    assert result.exit_code == 2
    assert not store.exists()


def test_store_that_is_not_there_ends_with_the_way_out(store: Path) -> None:
    """Reading commands say what makes a store."""
    result = symbols(store, "list")

    assert result.exit_code == 2
    assert "symbols add" in result.output


def test_store_must_be_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without option and setting there is no store to use."""
    monkeypatch.delenv("CALLSTREAM_SYMBOL_STORE_DIR", raising=False)
    result = CliRunner().invoke(cli, ["symbols", "list"])

    assert result.exit_code == 2
    assert "CALLSTREAM_SYMBOL_STORE_DIR" in result.output
