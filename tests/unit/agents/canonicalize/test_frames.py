"""A Tetragon stack entry becomes a canonical frame that says how good it is."""

from dataclasses import dataclass, field

import pytest

from agents.canonicalize.frames import (
    MAX_KERNEL_FUNCTION_BYTES,
    MAX_OFFSET,
    CanonicalFrame,
    FrameResolution,
    OffsetBasis,
    canonicalize_frame,
    inlined_frames,
)
from agents.symbols.lookup import InlinedCall, Resolved, Unresolved

LIBC = "/usr/lib/x86_64-linux-gnu/libc.so.6"
BUILD_ID = "58254ca972028402bc40624f81388d85ec95f70d"


@dataclass(frozen=True)
class FakeResolver:
    """One process's modules and one answer for every offset; remembers nothing."""

    answer: Resolved | Unresolved = Unresolved.NO_INDEX
    build_ids: dict[str, str | Unresolved] = field(default_factory=lambda: {LIBC: BUILD_ID})
    kernel_modules: dict[str, str] = field(default_factory=dict)

    def lookup(self, build_id: str, file_offset: int, *, innermost: bool) -> Resolved | Unresolved:
        """The same answer whatever is asked."""
        assert (build_id, file_offset, innermost) == (BUILD_ID, 1209643, True)
        return self.answer

    def build_id(self, module: str, *, is_deleted: bool = False) -> str | Unresolved | None:
        """By normalized path, with the kernel's note behind it."""
        return self.build_ids.get(module + " (deleted)" * is_deleted)

    def probed_build_id(self, module: str) -> str | Unresolved | None:
        """The same."""
        return self.build_id(module)

    def kernel_module(self, symbol: str) -> str | None:
        """By symbol."""
        return self.kernel_modules.get(symbol)


def user_frame(
    symbol: str = "", module: str = LIBC, offset: int = 1209643, resolver: FakeResolver | None = None
) -> CanonicalFrame:
    """The innermost frame of a user stack."""
    return canonicalize_frame(offset, symbol, module, is_kernel=False, is_innermost=True, resolver=resolver)


def kernel_frame(symbol: str, offset: int, module: str = "", resolver: FakeResolver | None = None) -> CanonicalFrame:
    """The innermost frame of a kernel stack."""
    return canonicalize_frame(offset, symbol, module, is_kernel=True, is_innermost=True, resolver=resolver)


def test_inlined_function_has_a_frame_of_its_own_with_its_own_line() -> None:
    """Before the function that it was put into, with the line that runs; the outer frame has the line of the call."""
    calls = (InlinedCall("innermost", "a.h", 3), InlinedCall("middle", "a.c", 40))
    frame = user_frame(resolver=FakeResolver(Resolved("outer", 27, "a.c", 50, calls)))

    assert (frame.symbol, frame.offset, frame.source_file, frame.line_number) == ("outer", 27, "a.c", 50)
    assert frame.resolution is FrameResolution.EXACT
    assert inlined_frames(frame) == (
        CanonicalFrame(
            LIBC, "innermost", 0, False, OffsetBasis.NONE, FrameResolution.INLINED, BUILD_ID, None, "a.h", 3
        ),
        CanonicalFrame(LIBC, "middle", 0, False, OffsetBasis.NONE, FrameResolution.INLINED, BUILD_ID, None, "a.c", 40),
    )


def test_symbol_from_tetragon_is_a_hint_only() -> None:
    """Without our own index the symbol stays empty and the offset is the file offset that Tetragon sent."""
    assert user_frame("__connect") == CanonicalFrame(
        module=LIBC,
        symbol="",
        offset=1209643,
        is_kernel_space=False,
        source_file=None,
        line_number=None,
        build_id=None,
        offset_basis=OffsetBasis.MODULE,
        resolution=FrameResolution.HINT_ONLY,
        symbol_hint="__connect",
    )


def test_frame_without_symbol_is_module_and_offset() -> None:
    """A module and a file offset are an identity of their own."""
    frame = user_frame()

    assert (frame.resolution, frame.offset, frame.symbol_hint) == (FrameResolution.MODULE_ONLY, 1209643, None)


def test_index_replaces_the_hint() -> None:
    """What our index of this build id says is the frame; Tetragon's name for it takes no part."""
    resolver = FakeResolver(Resolved("__libc_connect", 27, "connect.c", 26))

    assert user_frame("wrong_name", resolver=resolver) == user_frame("", resolver=resolver)
    assert user_frame("wrong_name", resolver=resolver) == CanonicalFrame(
        module=LIBC,
        symbol="__libc_connect",
        offset=27,
        is_kernel_space=False,
        source_file="connect.c",
        line_number=26,
        build_id=BUILD_ID,
        offset_basis=OffsetBasis.SYMBOL,
        resolution=FrameResolution.EXACT,
        symbol_hint=None,
    )


@pytest.mark.parametrize(
    ("answer", "resolution"),
    [
        (Unresolved.NO_INDEX, FrameResolution.HINT_ONLY),
        (Unresolved.NO_SYMBOL_TABLE, FrameResolution.NO_SYMBOL_TABLE),
        (Unresolved.NO_SYMBOL, FrameResolution.NO_SYMBOL),
        (Unresolved.UNMAPPED, FrameResolution.UNMAPPED),
    ],
)
def test_frame_that_the_index_does_not_name_keeps_its_file_offset(
    answer: Unresolved, resolution: FrameResolution
) -> None:
    """Each reason has its own grade; the offset counts from the file and the hint stays a hint."""
    frame = user_frame("hint", resolver=FakeResolver(answer))

    assert (frame.symbol, frame.offset, frame.offset_basis) == ("", 1209643, OffsetBasis.MODULE)
    assert (frame.resolution, frame.build_id, frame.symbol_hint) == (resolution, BUILD_ID, "hint")


def test_module_of_unknown_build_id_is_not_looked_up() -> None:
    """An index is only asked for the file that the process is known to have mapped."""
    frame = user_frame("x", resolver=FakeResolver(Resolved("never", 0), build_ids={}))

    assert (frame.resolution, frame.symbol, frame.build_id) == (FrameResolution.HINT_ONLY, "", None)


@pytest.mark.parametrize("offset", [MAX_OFFSET + 1, 2**64 - 1])
def test_offset_that_no_file_has_is_unmapped(offset: int) -> None:
    """A uint64 that an Avro long cannot hold is never wrapped round."""
    frame = user_frame(offset=offset, resolver=FakeResolver())

    assert (frame.offset, frame.offset_basis, frame.resolution) == (0, OffsetBasis.NONE, FrameResolution.UNMAPPED)


@pytest.mark.parametrize(
    ("module", "name"), [("", "[anon]"), ("[heap]", "[anon]"), ("/memfd:jit (deleted)", "[memfd]")]
)
def test_frame_in_no_file_has_no_offset(module: str, name: str) -> None:
    """Offsets in generated code depend on the order of allocation, so they are not kept."""
    frame = user_frame(module=module)

    assert (frame.module, frame.offset, frame.offset_basis) == (name, 0, OffsetBasis.NONE)
    assert frame.resolution is FrameResolution.ANONYMOUS


def test_vdso_keeps_its_offset() -> None:
    """The vdso is one file for one kernel build."""
    frame = user_frame(module="[vdso]", offset=2560)

    assert (frame.module, frame.offset, frame.resolution) == ("[vdso]", 2560, FrameResolution.VDSO)


def test_empty_entry_is_unresolved() -> None:
    """An entry with neither module, symbol nor offset names nothing."""
    frame = user_frame(module="", offset=0)

    assert (frame.module, frame.resolution) == ("[unknown]", FrameResolution.UNRESOLVED)


def test_kernel_frame_counts_from_its_symbol() -> None:
    """A kernel entry is complete on its own."""
    frame = kernel_frame("__sys_connect", 181)

    assert (frame.module, frame.symbol, frame.offset) == ("kernel", "__sys_connect", 181)
    assert (frame.is_kernel_space, frame.offset_basis, frame.resolution) == (
        True,
        OffsetBasis.SYMBOL,
        FrameResolution.KERNEL,
    )


def test_kernel_module_comes_from_the_nodes_snapshot() -> None:
    """Tetragon drops the module's name; only the kallsyms of the node has it."""
    resolver = FakeResolver(kernel_modules={"nft_do_chain": "nf_tables"})

    named = kernel_frame("nft_do_chain", 9, resolver=resolver)
    built_in = kernel_frame("vfs_read", 9, resolver=resolver)

    assert (named.module, named.resolution) == ("[nf_tables]", FrameResolution.KERNEL_MODULE)
    assert (built_in.module, built_in.resolution) == ("kernel", FrameResolution.KERNEL)


@pytest.mark.parametrize("module", ["nf_tables", "[nf_tables]"])
def test_kernel_module_that_is_sent_is_used(module: str) -> None:
    """A Tetragon that sends the module needs no snapshot."""
    assert kernel_frame("nft_do_chain", 9, module).module == "[nf_tables]"


def test_trampoline_has_no_offset() -> None:
    """Generated kernel code has a name without its number, and nothing to count from."""
    frame = kernel_frame("bpf_trampoline_6442453466", 77)

    assert (frame.symbol, frame.offset, frame.offset_basis) == ("bpf_trampoline", 0, OffsetBasis.NONE)
    assert frame.resolution is FrameResolution.KERNEL_TRAMPOLINE


@pytest.mark.parametrize("offset", [MAX_KERNEL_FUNCTION_BYTES + 1, 2**64 - 1])
def test_kernel_address_far_behind_any_symbol_is_not_attributed(offset: int) -> None:
    """Tetragon charges unlisted code to the last symbol before it; that name is a hint then."""
    frame = kernel_frame("last_symbol", offset)

    assert (frame.symbol, frame.symbol_hint, frame.offset) == ("", "last_symbol", 0)
    assert (frame.offset_basis, frame.resolution) == (OffsetBasis.NONE, FrameResolution.UNMAPPED)


def test_kernel_entry_without_symbol_is_unresolved() -> None:
    """An offset without its symbol means nothing in the kernel."""
    frame = kernel_frame("", 5)

    assert (frame.offset, frame.resolution) == (0, FrameResolution.UNRESOLVED)


@pytest.mark.parametrize(
    "resolver",
    [FakeResolver(build_ids={LIBC: Unresolved.AMBIGUOUS}), FakeResolver(answer=Unresolved.AMBIGUOUS)],
    ids=["path of several files", "build id of several files"],
)
def test_one_of_several_files_has_neither_build_id_nor_name(resolver: FakeResolver) -> None:
    """Which file it was is not guessed: the frame says so, and keeps path, offset and hint."""
    assert user_frame("__connect", resolver=resolver) == CanonicalFrame(
        module=LIBC,
        symbol="",
        offset=1209643,
        is_kernel_space=False,
        offset_basis=OffsetBasis.MODULE,
        resolution=FrameResolution.AMBIGUOUS,
        symbol_hint="__connect",
    )


def test_deleted_file_is_not_looked_up_by_its_path() -> None:
    """Whoever knows build ids is told that the file was unlinked; the module is the plain path."""
    resolver = FakeResolver(answer=Resolved("__libc_connect", 27))

    frame = user_frame("__connect", module=f"{LIBC} (deleted)", resolver=resolver)

    assert (frame.module, frame.build_id, frame.resolution) == (LIBC, None, FrameResolution.HINT_ONLY)
