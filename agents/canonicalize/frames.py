"""One Tetragon stack entry becomes one canonical frame.

What the entry's numbers mean decides everything here (`StackTraceEntry`, pkg/procsyms and pkg/ksyms in Tetragon):

- a user entry's `offset` is a *file offset in its module*, even where `symbol` is set;
- a kernel entry's `offset` counts from `symbol`, and its `module` is always empty;
- `address` is ASLR: it takes no part, and no function here accepts one;
- a user entry's `symbol` was read from a file of the same name in the agent's own mount namespace. It is kept as a
  hint, and never becomes the frame's symbol.

Same entry, same resolver: same frame. `resolution` says how much of a frame is known; nothing here guesses.
"""

import enum
from typing import Final, NamedTuple, Protocol, assert_never

from agents.symbols.kernel_symbols import canonical_kernel_symbol, canonical_symbol
from agents.symbols.lookup import InlinedCall, Resolved, SymbolLookup, Unresolved
from agents.symbols.module_paths import UNKNOWN_MODULE, ModuleKind, ModulePath, normalize_module

KERNEL_MODULE: Final = "kernel"

# `offset` is an Avro long, Tetragon's is a uint64. No file and no function is larger: such a value is not an offset.
MAX_OFFSET: Final = 2**63 - 1

# Tetragon charges a kernel address to the nearest symbol before it, however far. The largest kernel functions are some
# 100 KiB; what lies a MiB behind a symbol is code that kallsyms does not list.
MAX_KERNEL_FUNCTION_BYTES: Final = 1 << 20


class OffsetBasis(enum.Enum):
    """What a frame's `offset` counts from; values are the Avro symbols."""

    NONE = "None"  # nothing: `offset` is 0 and has no meaning
    SYMBOL = "Symbol"  # bytes from the start of `symbol`
    MODULE = "Module"  # bytes from the start of the file `module`


class FrameResolution(enum.Enum):
    """How good a frame is, and why; values are the Avro symbols."""

    UNKNOWN = "Unknown"  # the enum's default for readers of newer writers; never produced here
    EXACT = "Exact"  # our index of exactly this file names the function
    HINT_ONLY = "HintOnly"  # no index of this file; Tetragon offers a name that nothing confirms
    MODULE_ONLY = "ModuleOnly"  # no index of this file and no name: module and file offset
    NO_SYMBOL_TABLE = "NoSymbolTable"  # we have an index, and the file has no symbols
    NO_SYMBOL = "NoSymbol"  # the offset lies in a gap between the file's symbols
    UNMAPPED = "Unmapped"  # the offset lies in no executable segment, or is too large to be one
    ANONYMOUS = "Anonymous"  # heap, stack, JIT code, memfd: no file, no stable offset
    VDSO = "Vdso"  # code the kernel maps into the process
    KERNEL = "Kernel"  # kernel symbol and offset, complete on their own
    KERNEL_MODULE = "KernelModule"  # the same, and a kallsyms snapshot of the node says which module
    KERNEL_TRAMPOLINE = "KernelTrampoline"  # code generated at run time: numbered names lose number and offset
    UNRESOLVED = "Unresolved"  # neither module nor symbol is known
    AMBIGUOUS = "Ambiguous"  # it may be one of several files, so there is no build id and no name
    INLINED = "Inlined"  # our index of exactly this file says that it was put into the function of the next frame


class CanonicalFrame(NamedTuple):
    """A stack frame that compares across hosts and restarts; `CanonicalStackFrame` in the Avro schema.

    `symbol` is mangled, and empty unless it is sure. `offset` is 0 where `offset_basis` is NONE. `inlined` are
    functions that were put into this one where it runs: frames of their own, see `inlined_frames`. A tuple, because one
    is made of every new entry, and a frozen dataclass of ten fields takes three times as long.
    """

    module: str
    symbol: str
    offset: int
    is_kernel_space: bool
    offset_basis: OffsetBasis
    resolution: FrameResolution
    build_id: str | None = None
    symbol_hint: str | None = None
    source_file: str | None = None
    line_number: int | None = None
    inlined: tuple[InlinedCall, ...] = ()


class FrameResolver(SymbolLookup, Protocol):
    """A symbol store as one process on one node sees it; build ids are of the files that it has mapped."""

    def build_id(self, module: str, *, is_deleted: bool = False) -> str | Unresolved | None:
        """The build id of `module` (normalized); `Unresolved.AMBIGUOUS` where it may be one of several files."""

    def probed_build_id(self, module: str) -> str | Unresolved | None:
        """The build id of a file that a user probe names, by a path without a word on whether it was replaced."""

    def kernel_module(self, symbol: str) -> str | None:
        """The node's kernel module that holds `symbol`; None where it is built in, ambiguous or not known."""


def canonicalize_frame(
    offset: int,
    symbol: str,
    module: str,
    *,
    is_kernel: bool,
    is_innermost: bool,
    resolver: FrameResolver | None = None,
) -> CanonicalFrame:
    """The canonical frame of one `StackTraceEntry`.

    `is_kernel` is the list it came from, for no field says it. `is_innermost` is true for index 0 of that list: the
    probed instruction itself; all others are return addresses.
    """
    if is_kernel:
        return _kernel_frame(offset, symbol, module, resolver)
    path = normalize_module(module)
    hint = canonical_symbol(symbol) or None
    match path.kind:
        case ModuleKind.FILE:
            return _file_frame(path, offset, hint, is_innermost=is_innermost, resolver=resolver)
        case ModuleKind.VDSO:
            return _module_frame(path.path, offset, FrameResolution.VDSO, None, hint)
        case ModuleKind.ANONYMOUS | ModuleKind.MEMFD:
            # An empty entry. Tetragon finds an address strictly above its mapping's start: real offsets are not 0.
            if not module and not offset and hint is None:
                return _baseless_frame(UNKNOWN_MODULE, FrameResolution.UNRESOLVED, None)
            return _baseless_frame(path.path, FrameResolution.ANONYMOUS, hint)
        case ModuleKind.UNKNOWN:
            return _baseless_frame(path.path, FrameResolution.UNRESOLVED, hint)
        case _:
            assert_never(path.kind)


def inlined_frames(frame: CanonicalFrame) -> tuple[CanonicalFrame, ...]:
    """The frames of functions that were put into that of `frame`, innermost first: they stand before it on the stack.

    Each has its own symbol and line. It has no offset: its code is a part of the function that it was put into.
    """
    return tuple(
        CanonicalFrame(
            module=frame.module,
            symbol=call.symbol,
            offset=0,
            is_kernel_space=False,
            offset_basis=OffsetBasis.NONE,
            resolution=FrameResolution.INLINED,
            build_id=frame.build_id,
            source_file=call.source_file,
            line_number=call.line_number,
        )
        for call in frame.inlined
    )


def _file_frame(
    path: ModulePath, offset: int, hint: str | None, *, is_innermost: bool, resolver: FrameResolver | None
) -> CanonicalFrame:
    module = path.path
    build_id = None if resolver is None else resolver.build_id(module, is_deleted=path.is_deleted)
    no_index = FrameResolution.MODULE_ONLY if hint is None else FrameResolution.HINT_ONLY
    if isinstance(build_id, Unresolved):
        return _module_frame(module, offset, FrameResolution.AMBIGUOUS, None, hint)
    if resolver is None or build_id is None or offset > MAX_OFFSET:
        return _module_frame(module, offset, no_index, build_id, hint)
    found = resolver.lookup(build_id, offset, innermost=is_innermost)
    match found:
        case Resolved():
            # The hint goes: what a frame says must not depend on the files in the agent's own mount namespace.
            symbol, in_symbol, file, line, inlined = found
            # by position: keywords double the time that a named tuple takes
            basis, resolution = OffsetBasis.SYMBOL, FrameResolution.EXACT
            return CanonicalFrame(
                module, symbol, in_symbol, False, basis, resolution, build_id, None, file, line, inlined
            )
        case Unresolved.NO_INDEX:
            return _module_frame(module, offset, no_index, build_id, hint)
        case Unresolved.AMBIGUOUS:
            return _module_frame(module, offset, FrameResolution.AMBIGUOUS, None, hint)
        case Unresolved.NO_SYMBOL_TABLE | Unresolved.NO_SYMBOL | Unresolved.UNMAPPED:
            return _module_frame(module, offset, FrameResolution[found.name], build_id, hint)
        case _:
            assert_never(found)


def _module_frame(
    module: str, offset: int, resolution: FrameResolution, build_id: str | None, hint: str | None
) -> CanonicalFrame:
    """A frame known by its position in a file."""
    if offset > MAX_OFFSET:
        return _baseless_frame(module, FrameResolution.UNMAPPED, hint, build_id)
    return CanonicalFrame(module, "", offset, False, OffsetBasis.MODULE, resolution, build_id, hint)


def _baseless_frame(
    module: str, resolution: FrameResolution, hint: str | None, build_id: str | None = None
) -> CanonicalFrame:
    """A user frame whose offset compares with nothing."""
    return CanonicalFrame(module, "", 0, False, OffsetBasis.NONE, resolution, build_id, hint)


def _kernel_frame(offset: int, raw_symbol: str, raw_module: str, resolver: FrameResolver | None) -> CanonicalFrame:
    symbol = canonical_kernel_symbol(raw_symbol, offset)
    # Tetragon sends no module today. Should it begin to, brackets are how kallsyms and every kernel trace print one.
    sent = symbol.module or raw_module.strip("[]")
    basis, resolution, hint = OffsetBasis.SYMBOL, FrameResolution.KERNEL, None
    if not symbol.name:
        basis, resolution = OffsetBasis.NONE, FrameResolution.UNRESOLVED
    elif symbol.is_trampoline:
        basis, resolution = OffsetBasis.NONE, FrameResolution.KERNEL_TRAMPOLINE
    elif symbol.offset > MAX_KERNEL_FUNCTION_BYTES:
        basis, resolution, hint = OffsetBasis.NONE, FrameResolution.UNMAPPED, symbol.name
    elif sent or (resolver is not None and (sent := resolver.kernel_module(symbol.name) or "")):
        resolution = FrameResolution.KERNEL_MODULE
    return CanonicalFrame(
        module=f"[{sent}]" if resolution is FrameResolution.KERNEL_MODULE else KERNEL_MODULE,
        symbol="" if hint is not None else symbol.name,
        offset=symbol.offset if basis is OffsetBasis.SYMBOL else 0,
        is_kernel_space=True,
        offset_basis=basis,
        resolution=resolution,
        symbol_hint=hint,
    )
