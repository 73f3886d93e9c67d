"""What a loader event says: which build of a file a process has mapped under a path.

Tetragon sends no build id with a frame. Two sources have it: loader events of the same process
(`ProcessLoader{path, buildid}`), which say what the kernel mapped; and a symbol store's module maps, by the container's
image, or by node for processes outside of containers. A path alone is not enough, because every image has its own
/usr/lib/libc.so.6.
"""

from agents.symbols.build_ids import told_build_id
from agents.symbols.module_paths import ModuleKind, ModulePath, normalize_module


def loaded_module(path: str, build_id: bytes) -> tuple[ModulePath, str] | None:
    """Module and build id of a loader event; None where it does not name a file or has no build id."""
    module, told = normalize_module(path), told_build_id(build_id)
    if module.kind is not ModuleKind.FILE or told is None:
        return None
    return module, told
