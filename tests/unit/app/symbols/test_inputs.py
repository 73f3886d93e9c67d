"""What operators hand to `callstream symbols`: kallsyms, map files, source paths, debug folders."""

from pathlib import Path

import pytest

from app.symbols.debug_files import find_debug_file
from app.symbols.elf import DebugLink
from app.symbols.kallsyms import NotKallsymsError, kernel_modules
from app.symbols.module_map_file import ModuleMapFileError, parse_module_map
from app.symbols.module_maps import MappedFile
from app.symbols.source_paths import public_source

BUILD_ID = "58254ca972028402bc40624f81388d85ec95f70d"


def test_kernel_module_is_taken_for_names_that_occur_once() -> None:
    """A name that occurs twice says nothing; data symbols and generated code do not count."""
    lines = [
        "ffffffff81000000 T _stext\n",
        "ffffffff81000100 t init_once\n",
        "ffffffffc0201000 t nft_do_chain\t[nf_tables]\n",
        "ffffffffc0201100 t init_once\t[nf_tables]\n",
        "ffffffffc0201200 t helper.llvm.1234567\t[nf_tables]\n",
        "ffffffffc0201300 d table\t[nf_tables]\n",
        "ffffffffc0201400 t bpf_prog_6deef7357e7b4530\t[bpf]\n",
        "ffffffffc0201500 t ftrace_trampoline\t[__builtin__ftrace]\n",
    ]

    assert kernel_modules(lines) == {"nft_do_chain": "nf_tables", "helper": "nf_tables"}


def test_snapshot_without_addresses_serves() -> None:
    """An unprivileged reader sees zeros, and addresses are not needed."""
    assert kernel_modules(["0000000000000000 t nft_do_chain\t[nf_tables]"]) == {"nft_do_chain": "nf_tables"}


@pytest.mark.parametrize("lines", [[], ["hello world"], ["ffffffff81000000 d only_data"], ["ffffffff81000000 T a b c"]])
def test_file_that_is_not_kallsyms_is_refused(lines: list[str]) -> None:
    """The wrong file is noticed, not taken for a kernel without modules."""
    with pytest.raises(NotKallsymsError):
        kernel_modules(lines)


def test_module_map_is_read_by_scope() -> None:
    """Paths are normalized; an image is known by its digest, whatever its repository."""
    text = f"""
    [image."registry.example/shop@sha256:{"12" * 32}"]
    "/lib/x86_64-linux-gnu/libc.so.6" = "{BUILD_ID}"
    [node."worker-*"]
    "/usr/bin/containerd" = "{BUILD_ID}"
    "/usr/bin/runc" = {{ build_id = "{BUILD_ID}", since = 2026-11-30T02:00:00.25Z }}
    """

    assert parse_module_map(text) == {
        "image:sha256:" + "12" * 32: {"/usr/lib/x86_64-linux-gnu/libc.so.6": MappedFile(BUILD_ID)},
        "node:worker-*": {
            "/usr/bin/containerd": MappedFile(BUILD_ID),
            "/usr/bin/runc": MappedFile(BUILD_ID, since_ns=1_796_004_000_250_000_000),
        },
    }


def test_every_fault_of_a_module_map_is_named_at_once() -> None:
    """A wrong table, a wrong path and a wrong build id are three lines, each with its place."""
    with pytest.raises(ModuleMapFileError) as refused:
        parse_module_map('[pod]\nx = 1\n[node.n]\n"relative" = "00"\n"/a" = "XY"\n"/b" = 7\n"/memfd:x" = "00"')

    assert [error.split(":")[0] for error in refused.value.errors] == [
        "pod",
        'node."n"."relative"',
        'node."n"."/a"',
        'node."n"."/b"',
        'node."n"."/memfd',
    ]


@pytest.mark.parametrize(
    ("said", "fault"),
    [
        (f'"{"00" * 20}"', "bits are all equal"),
        (f'"{"ff" * 20}"', "bits are all equal"),
        (f'{{ build_id = "{BUILD_ID}", since = 2026-11-30T02:00:00 }}', "a time with an offset"),
        (f'{{ build_id = "{BUILD_ID}", since = "yesterday" }}', "a time with an offset"),
        (f'{{ build_id = "{BUILD_ID}", until = 2026-11-30T02:00:00Z }}', "only build_id and since"),
        ("{ since = 2026-11-30T02:00:00Z }", "not lower hex"),
    ],
)
def test_file_of_a_module_map_that_says_nothing_usable_is_refused(said: str, fault: str) -> None:
    """The error says what is wrong with the value, beside its path."""
    with pytest.raises(ModuleMapFileError, match=fault):
        parse_module_map(f'[node.n]\n"/usr/bin/a" = {said}')


def test_deleted_file_has_no_place_in_a_map() -> None:
    """What lies at its path is another file."""
    with pytest.raises(ModuleMapFileError, match="deleted"):
        parse_module_map(f'[node.n]\n"/usr/bin/a (deleted)" = "{BUILD_ID}"')


@pytest.mark.parametrize(
    ("compilation_dir", "directory", "name", "public"),
    [
        ("/home/ci/build/shop", "src", "cart.c", "src/cart.c"),
        ("/home/ci/build/shop", "", "cart.c", "cart.c"),
        ("/home/ci/build/shop", "/home/ci/build/shop/src", "cart.c", "src/cart.c"),
        ("/home/ci/build/shop", "./a/../src", "cart.c", "src/cart.c"),
        ("/home/ci/build/shop/obj", "../src", "cart.c", "src/cart.c"),
        ("/home/ci/build", "/home/alice/lib", "x.h", "x.h"),
        ("/home/ci", "/home/alice", "x.h", "x.h"),
        ("/build", "/secret", "x.h", "x.h"),
        ("/", "home/alice", "x.c", "x.c"),
        ("/home/ci/build", "/usr/include/c++/12", "vector", "/usr/include/c++/12/vector"),
        ("/usr/src/python-3.11/debian", "..", "ceval.c", "/usr/src/python-3.11/ceval.c"),
        ("./csu", "../sysdeps/x86_64", "start.S", "sysdeps/x86_64/start.S"),
        (".", "../../x", "y.c", "x/y.c"),
        ("", "src", "a.c", "src/a.c"),
        ("/home/ci/p", "/home/ci/.cargo/registry/src/index-6f17/serde-1.0/src", "lib.rs", "serde-1.0/src/lib.rs"),
        ("/home/ci/p", "/home/ci/go/pkg/mod/github.com/x/y@v1.2.3", "z.go", "github.com/x/y@v1.2.3/z.go"),
        ("/home/ci/p", "/opt/hostedtoolcache/go1.26/src/runtime", "proc.go", "runtime/proc.go"),
        ("/home/ci/p", f"/rustc/{'ab' * 20}/library/core/src", "mod.rs", f"/rustc/{'ab' * 20}/library/core/src/mod.rs"),
        ("/home/ci/p", "", "", ""),
    ],
)  # fmt: skip
def test_source_path_loses_the_build_machine(compilation_dir: str, directory: str, name: str, public: str) -> None:
    """What is left of a source path names no folder of the machine that built the program."""
    assert public_source(compilation_dir, directory, name) == public


@pytest.mark.parametrize(
    "place",
    [
        "usr/lib/debug/.build-id/58/254ca972028402bc40624f81388d85ec95f70d.debug",
        "opt/shop/shop.debug",
        "opt/shop/.debug/shop.debug",
        "usr/lib/debug/opt/shop/shop.debug",
    ],
)
def test_debug_file_is_found_where_gdb_looks(tmp_path: Path, place: str) -> None:
    """By build id below the debug folder, beside the program, in .debug, and below the debug folder by path."""
    program = _touched(tmp_path / "opt/shop/shop")
    expected = _touched(tmp_path / place)
    _touched(tmp_path / "opt/shop/other.debug")

    assert find_debug_file(program, BUILD_ID, DebugLink("shop.debug", 0), root=tmp_path) == expected.resolve()


def test_link_out_of_the_root_is_not_followed(tmp_path: Path) -> None:
    """A container cannot have the host's files read as its debug files."""
    outside = _touched(tmp_path / "host/secret")
    program = _touched(tmp_path / "root/opt/shop")
    (tmp_path / "root/opt/shop.debug").symlink_to(outside)

    assert find_debug_file(program, None, DebugLink("shop.debug", 0), root=tmp_path / "root") is None


def test_debug_folder_that_is_a_link_out_of_the_root_is_not_followed(tmp_path: Path) -> None:
    """The root's own debug folder has no right to lead elsewhere; one that the operator names has."""
    found = _touched(tmp_path / "host/.build-id/58/254ca972028402bc40624f81388d85ec95f70d.debug")
    program = _touched(tmp_path / "root/opt/shop/shop")
    (tmp_path / "root/usr/lib").mkdir(parents=True)
    (tmp_path / "root/usr/lib/debug").symlink_to(tmp_path / "host")
    root, folders = tmp_path / "root", (tmp_path / "host",)

    assert find_debug_file(program, BUILD_ID, None, root=root) is None
    assert find_debug_file(program, BUILD_ID, None, root=root, debug_folders=folders) == found.resolve()


def test_program_that_names_itself_or_a_loop_has_no_debug_file(tmp_path: Path) -> None:
    """A debuglink to the program itself, or to a link that goes round, ends the search."""
    program = _touched(tmp_path / "opt/shop")
    (tmp_path / "opt/.debug").mkdir()
    (tmp_path / "opt/.debug/shop").symlink_to("shop")

    assert find_debug_file(program, None, DebugLink("shop", 0), root=tmp_path) is None


def _touched(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path
