"""What a loader event says: which build of a file a process has mapped under a path.

Tetragon sends no build id with a frame. Two sources have it: loader events of the same process
(`ProcessLoader{path, buildid}`), which say what the kernel mapped; and a symbol store's module maps, by the container's
image, or by node for processes outside of containers. A path alone is not enough, because every image has its own
/usr/lib/libc.so.6.
"""

from typing import Final

from agents.symbols.build_ids import is_blank
from agents.symbols.module_paths import ModuleKind, ModulePath, normalize_module

_BUILD_ID_BYTES: Final = range(8, 21)
"""The kernel hands out 20 bytes at most (BUILD_ID_SIZE_MAX in include/linux/buildid.h)."""

_TEXT_BYTES: Final = 16
"""So many printable characters are a text that somebody put there: one digest in ten million looks like that."""


def loaded_module(path: str, build_id: bytes) -> tuple[ModulePath, str] | None:
    """Module and build id of a loader event; None where it does not name a file or has no build id."""
    module = normalize_module(path)
    if module.kind is not ModuleKind.FILE or len(build_id) not in _BUILD_ID_BYTES:
        return None
    if _is_text(build_id) or is_blank(build_id):
        return None
    return module, build_id.hex()


def _is_text(build_id: bytes) -> bool:
    return len(build_id) >= _TEXT_BYTES and build_id.isascii() and build_id.decode("ascii").isprintable()
