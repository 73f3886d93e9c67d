"""What a node's containers run: their images, and the files of each image that the container has not changed.

Kubernetes says which image a container has (`app/symbols/node_pods.py`). The container runtime has its files: a folder
for each container, with an overlay mounted on `rootfs`. What a container writes lies in the overlay's upper folder.
Such a file is not the image's, whatever its path says, so it may not get into the image's map.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from app.symbols.adding import elf_files

MOUNTS: Final = Path("/proc/self/mountinfo")
_ESCAPED: Final = re.compile(rb"\\([0-7]{3})")


@dataclass(frozen=True, slots=True)
class ContainerFiles:
    """The file system of a container: what its processes see, and the folder with what they changed."""

    root: Path
    changes: Path

    def image_files(self) -> list[Path]:
        """Programs, libraries and debug files that are as the image has them."""
        return [file for file in elf_files([self.root]) if not self.is_changed(file)]

    def is_changed(self, file: Path) -> bool:
        """Whether the container has a file of its own there."""
        own = self.changes / file.relative_to(self.root.resolve())
        try:
            own.lstat()
        except (FileNotFoundError, NotADirectoryError):
            return False
        return True


@dataclass(frozen=True, slots=True)
class ContainerRefusal:
    """A container of which nobody can say which files are its image's, and why."""

    reason: str


def container_files(
    host: Path, runtime: Path, container: str, mounts: bytes
) -> ContainerFiles | ContainerRefusal | None:
    """The files of a container; None if it does not run here.

    `host` is where the node's file system is mounted, `runtime` the runtime's folder on the node, and `mounts` what
    /proc/self/mountinfo says.
    """
    root = _below(host, runtime / container / "rootfs")
    if not root.is_dir():
        return None
    upper = next((upper for point, upper in _overlays(mounts) if point == root), None)
    if upper is None:
        return ContainerRefusal("its root is not an overlay that is mounted here")
    changes = _below(host, upper)
    if not changes.is_dir():
        return ContainerRefusal(f"{upper}, where its changes lie, is not mounted here")
    return ContainerFiles(root, changes)


def changed_meanwhile(files: ContainerFiles, read: Iterable[Path]) -> bool:
    """Whether the container has changed one of these since they were listed: it may have been read in its new form."""
    return any(files.is_changed(file) for file in read)


def _below(host: Path, path: Path) -> Path:
    return host / path.relative_to("/")


def _overlays(mounts: bytes) -> Iterator[tuple[Path, Path]]:
    """Where overlays are mounted, with their upper folders, the latest mount first (proc_pid_mountinfo(5))."""
    for line in reversed(mounts.splitlines()):
        before, _, after = line.partition(b" - ")
        fields, kind = before.split(b" "), after.split(b" ")
        if len(fields) < 5 or len(kind) < 3 or kind[0] != b"overlay":
            continue
        for option in kind[2].split(b","):
            name, _, value = option.partition(b"=")
            if name == b"upperdir" and value.startswith(b"/"):
                yield _path(fields[4]), _path(value)


def _path(text: bytes) -> Path:
    return Path(_ESCAPED.sub(lambda found: bytes([int(found[1], 8)]), text).decode(errors="surrogateescape"))
