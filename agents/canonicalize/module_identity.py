"""Which file a process has mapped under a path: from module to build id.

Tetragon sends no build id with a frame. Two sources have it, and a path alone is neither (every image has its own
/usr/lib/libc.so.6):

1. loader events of the same process (`ProcessLoader{path, buildid}`), which say what the kernel mapped;
2. the symbol store's module maps, by the container's image, or by node for processes outside of containers.

Rules: pure; `LoadedModules` is a value that the stage keeps for each process and may write down and read back. Refuses
to know where it is kept, and what an index says of a build id.
"""

from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b
from typing import Final, Protocol, Self

from agents.canonicalize.frames import Resolved, SymbolLookup, Unresolved
from agents.canonicalize.paths import ModuleKind, normalize_module

MAX_LOADED_MODULES: Final = 1024
"""Modules remembered of one process. Large desktop programs map some 400."""

_BUILD_ID_BYTES: Final = range(8, 129)


class SymbolSource(SymbolLookup, Protocol):
    """A snapshot of a symbol store, with its module maps and kallsyms."""

    def mapped_build_id(self, image_id: str, node_name: str, module: str) -> str | None:
        """The build id of `module` by the maps of an image, or, where `image_id` is empty, of a node."""

    def kernel_module_on(self, node_name: str, symbol: str) -> str | None:
        """The kernel module that holds `symbol` on a node; None where it is built in, ambiguous or not known."""


@dataclass(frozen=True)
class LoadedModules:
    """Build ids by normalized module that loader events of one process reported, sorted by module.

    Two processes that loaded the same files have equal values with equal `digest`, so results can be shared by it.
    """

    build_ids: tuple[tuple[str, str], ...] = ()

    def with_module(self, module: str, build_id: str) -> Self:
        """With one more module; a later report of the same path replaces an earlier one. Ignored beyond the limit."""
        known = dict(self.build_ids)
        if known.get(module) == build_id or (module not in known and len(known) >= MAX_LOADED_MODULES):
            return self
        known[module] = build_id
        return type(self)(tuple(sorted(known.items())))

    @cached_property
    def by_module(self) -> dict[str, str]:
        """The same as a dict, for lookup."""
        return dict(self.build_ids)

    @cached_property
    def digest(self) -> bytes:
        """16 bytes that name this set of modules."""
        digest = blake2b(digest_size=16)
        for module, build_id in self.build_ids:
            digest.update(b"%d:%b=%b\n" % (len(module), module.encode("utf-8", "surrogatepass"), build_id.encode()))
        return digest.digest()


NOTHING_LOADED: Final = LoadedModules()


def loaded_module(path: str, build_id: bytes) -> tuple[str, str] | None:
    """(module, build id) of a loader event; None where it names no file or has no build id."""
    module = normalize_module(path)
    if module.kind is not ModuleKind.FILE or len(build_id) not in _BUILD_ID_BYTES:
        return None
    return module.path, build_id.hex()


@dataclass(frozen=True, slots=True)
class ProcessResolver:
    """A symbol source as one process sees it; a `FrameResolver`.

    `image_id` is empty for a process outside of containers. `is_contained` keeps a container whose image Tetragon did
    not name from being taken for a process of its node.
    """

    source: SymbolSource
    image_id: str
    node_name: str
    is_contained: bool
    loaded: LoadedModules

    def lookup(self, build_id: str, file_offset: int, *, innermost: bool) -> Resolved | Unresolved:
        """As the source answers."""
        return self.source.lookup(build_id, file_offset, innermost=innermost)

    def build_id(self, module: str) -> str | None:
        """By loader events of the process, then by map."""
        if (loaded := self.loaded.by_module.get(module)) is not None:
            return loaded
        if self.is_contained and not self.image_id:
            return None
        return self.source.mapped_build_id(self.image_id, self.node_name, module)

    def kernel_module(self, symbol: str) -> str | None:
        """By the node's kallsyms."""
        return self.source.kernel_module_on(self.node_name, symbol)
