"""Which file a process has mapped under a path: what can say so, in the forms that the rest of the stage takes.

Tetragon sends no build id with a frame. Two sources have it, and a path alone is neither (every image has its own
/usr/lib/libc.so.6): loader events of the same process (`ProcessLoader{path, buildid}`), which say what the kernel
mapped; and a symbol store's module maps, by the container's image, or by node for processes outside of containers.

Refuses to know who remembers loader events (modules.py) and how a store keeps its maps.
"""

from typing import Final, Protocol

from agents.canonicalize.frames import SymbolLookup
from agents.symbols.module_paths import ModuleKind, normalize_module

_BUILD_ID_BYTES: Final = range(8, 21)
"""The kernel hands out 20 bytes at most (BUILD_ID_SIZE_MAX in include/linux/buildid.h)."""

_TEXT_BYTES: Final = 16
"""So many printable characters in a row are text that somebody put there, and no digest: one in ten million is."""


class ScopeMaps(Protocol):
    """What a symbol source's maps say where a process runs; the same object wherever they say the same. Hashable."""

    def build_id(self, module: str) -> str | None:
        """The build id of `module` (normalized), by the maps of the image or the node; None where none has it."""

    def kernel_module(self, symbol: str) -> str | None:
        """The node's kernel module that holds `symbol`; None where it is built in, ambiguous or not known."""


class SymbolSource(SymbolLookup, Protocol):
    """A snapshot of a symbol store, with its module maps and kallsyms."""

    def maps(self, image_id: str, node_name: str, is_contained: bool) -> ScopeMaps:
        """The maps that hold for a process: its image's, or those of its node where it is not contained."""


def loaded_module(path: str, build_id: bytes) -> tuple[str, str] | None:
    """(module, build id) of a loader event; None where it names no file or has no build id."""
    module = normalize_module(path)
    if module.kind is not ModuleKind.FILE or len(build_id) not in _BUILD_ID_BYTES or _is_text(build_id):
        return None
    return module.path, build_id.hex()


def _is_text(build_id: bytes) -> bool:
    return len(build_id) >= _TEXT_BYTES and build_id.isascii() and build_id.decode("ascii").isprintable()
