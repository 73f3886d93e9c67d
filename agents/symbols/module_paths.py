"""Module paths: what /proc/PID/maps printed becomes the path inside the container's root.

`StackTraceEntry.module` is the path column of the process's maps file as the agent read it, so one library arrives
under many names: through /proc/PID/root, below a container engine's storage, with ` (deleted)` behind it, from /lib or
/usr/lib. `normalize_module` gives each file one name and says of everything else what it is. That a file was deleted is
kept beside its name: what lies at that path today is another file.

Lexical only, idempotent, and the same on every host. Symbolic links, bind mounts and home directories stay as they are:
the first two need the node's file system, the last belongs to the privacy filter.
"""

import enum
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

ANONYMOUS_MODULE: Final = "[anon]"
MEMFD_MODULE: Final = "[memfd]"
VDSO_MODULE: Final = "[vdso]"
VSYSCALL_MODULE: Final = "[vsyscall]"
UNKNOWN_MODULE: Final = "[unknown]"

# The kernel's PATH_MAX. Nothing longer comes out of a maps file, and the cache below must not be filled with megabytes.
MAX_PATH_CHARS: Final = 4096
# A node maps a few thousand distinct files of some 60 characters each.
_CACHED_PATHS: Final = 8192


class ModuleKind(enum.Enum):
    """What the path column of a mapping stands for."""

    FILE = "file"  # an offset means a position in that file
    ANONYMOUS = "anonymous"  # heap, stack, JIT code: an offset depends on the order of allocation
    MEMFD = "memfd"  # its name is chosen by the process and may hold data, its content belongs to no file
    VDSO = "vdso"  # code that the kernel maps; offsets are stable for one kernel build
    UNKNOWN = "unknown"  # no path that a kernel would print


@dataclass(frozen=True, slots=True)
class ModulePath:
    """A normalized module: its kind, the text that stands in a canonical frame, and whether the file was unlinked."""

    kind: ModuleKind
    path: str
    is_deleted: bool = False


_ANONYMOUS: Final = ModulePath(ModuleKind.ANONYMOUS, ANONYMOUS_MODULE)
_MEMFD: Final = ModulePath(ModuleKind.MEMFD, MEMFD_MODULE)
_VDSO: Final = ModulePath(ModuleKind.VDSO, VDSO_MODULE)
_VSYSCALL: Final = ModulePath(ModuleKind.VDSO, VSYSCALL_MODULE)
_UNKNOWN: Final = ModulePath(ModuleKind.UNKNOWN, UNKNOWN_MODULE)

_DELETED: Final = " (deleted)"

# What perf prints where it had no room for a path (kernel/events/core.c). No file is called so.
_NO_PATH: Final = frozenset({"//toolong", "//enomem"})

# Names the kernel prints for mappings that no file backs (fs/proc/task_mmu.c, mm/shmem.c, ipc/shm.c, fs/aio.c).
_ANONYMOUS_NAME: Final = re.compile(
    r"\[.*|/?anon_inode:.*|/anon|/anon_hugepage|/\[aio\]|/SYSV[0-9a-f]{8}"
    r"|/dev/zero|/dev/ashmem(?:/.*)?|/i915|/drm mm object",
    re.DOTALL,
)

# `/lib` and its like are symbolic links into /usr on merged systems, and maps prints either name.
_USR_MERGED: Final = frozenset({"bin", "sbin", "lib", "lib32", "lib64", "libx32", "libo32"})

_ID: Final = r"[0-9a-f]{12,64}(?:-init)?"
_CONTAINER_ROOT: Final = re.compile(
    "(?:"
    + "|".join(
        (
            # the process's own root, as procfs or an agent that mounts it elsewhere shows it
            r"(?:/[^/]+)*/(?:proc|procRoot)/(?:[0-9]+|self|thread-self)(?:/task/[0-9]+)?/root",
            # Docker's storage drivers, below any data root
            rf"(?:/[^/]+)*/overlay2/{_ID}/(?:merged|diff)",
            rf"(?:/[^/]+)*/docker/(?:[^/]+/)?aufs/(?:mnt|diff)/{_ID}",
            rf"(?:/[^/]+)*/docker/(?:[^/]+/)?devicemapper/mnt/{_ID}/rootfs",
            rf"(?:/[^/]+)*/docker/(?:[^/]+/)?rootfs/[^/]+/{_ID}",
            rf"(?:/[^/]+)*/(?:docker|storage)/(?:[^/]+/)?(?:btrfs/subvolumes|vfs/dir|zfs/graph)/{_ID}",
            # containers/storage: Podman and CRI-O, rootful or in a home directory
            rf"(?:/[^/]+)*/storage/overlay/{_ID}/(?:merged|diff)",
            # containerd snapshotters and its runtime bundles, below any root (k3s, MicroK8s, BuildKit have their own)
            r"(?:/[^/]+)*/snapshots/[0-9]+/fs",
            r"(?:/[^/]+)*/io\.containerd\.snapshotter\.v1\.btrfs/(?:active|view|snapshots)/[0-9]+",
            r"(?:/[^/]+)*/io\.containerd\.runtime\.v[12]\.[a-z]+/[^/]+/[^/]+/rootfs",
            r"(?:/[^/]+)*/kata-containers/(?:shared/sandboxes/[^/]+/(?:shared|mounts)/)?[^/]+/rootfs",
            # system containers
            r"(?:/[^/]+)*/lx[cd]/(?:storage-pools/[^/]+/)?(?:containers/)?[^/]+/rootfs",
            r"/var/lib/machines/[^/]+",
        )
    )
    + r")(?=/|\Z)"
)


def normalize_module(raw: str) -> ModulePath:
    """The canonical module of the path column `raw` of a mapping (`StackTraceEntry.module`, `ProcessLoader.path`)."""
    if len(raw) > MAX_PATH_CHARS:
        return _UNKNOWN
    return _normalized(raw)


@lru_cache(maxsize=_CACHED_PATHS)
def _normalized(raw: str) -> ModulePath:
    if raw in _NO_PATH:
        return _UNKNOWN
    path = _collapsed(raw)
    is_deleted = path.endswith(_DELETED)
    path = _without_deleted(path)
    while (root := _CONTAINER_ROOT.match(path)) is not None:  # containers nest, so do their prefixes
        path = _collapsed(path[root.end() :]) or "/"
    if path in {"[vdso]", "[vdso32]", "linux-vdso.so.1", "linux-gate.so.1"}:
        return _VDSO
    if path == VSYSCALL_MODULE:
        return _VSYSCALL
    if path == UNKNOWN_MODULE:
        return _UNKNOWN
    if path.startswith(("/memfd:", "memfd:")) or path == MEMFD_MODULE:
        return _MEMFD
    if not path or _ANONYMOUS_NAME.fullmatch(path) is not None:
        return _ANONYMOUS
    return ModulePath(ModuleKind.FILE, _usr_merged(path), is_deleted)


def _without_deleted(path: str) -> str:
    """Without the kernel's note that the file was unlinked; even where the file itself was called so."""
    while path.endswith(_DELETED):
        path = _collapsed(path[: -len(_DELETED)])
    return path


def _collapsed(path: str) -> str:
    """Without empty, `.` and `..` components; an absolute path never leaves its root."""
    if "//" not in path and "/." not in path and not path.startswith(".") and not path.endswith("/"):
        return path
    return ("/" if path.startswith("/") else "") + "/".join(path_components(path))


def path_components(path: str) -> list[str]:
    """The components of a path, without empty and `.` ones; `..` takes away the one before it, if there is one."""
    kept: list[str] = []
    for component in path.split("/"):
        if component == "..":
            if kept:
                kept.pop()
        elif component not in {"", "."}:
            kept.append(component)
    return kept


def _usr_merged(path: str) -> str:
    """`/lib/x` as `/usr/lib/x`: both name one file where the merge has happened, and no other file where it has not."""
    if path.startswith("/"):
        top, separator, _ = path[1:].partition("/")
        if separator and top in _USR_MERGED:
            return "/usr" + path
    return path
