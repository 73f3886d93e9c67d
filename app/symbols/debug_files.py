"""Where the separate debug file of a binary may be: by build id, and by the name in .gnu_debuglink.

The order is gdb's ("Debugging Information in Separate Files"): the build id's file below each debug folder, then the
linked name beside the binary, in its .debug folder, and below each debug folder. Everything is looked for inside one
root, its debug folder too, so a container's links cannot lead to the host's files. Whether a file is the right one is
decided by its reader.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from app.symbols.elf import DebugLink

DEBUG_FOLDER: Final = Path("usr/lib/debug")
"""Where distributions install debug files, inside a root."""


def find_debug_file(
    path: Path, build_id: str | None, link: DebugLink | None, *, root: Path, debug_folders: Sequence[Path] = ()
) -> Path | None:
    """The first candidate that is a regular file inside `root` or a debug folder; never `path` itself.

    `debug_folders` are searched before the root's own and may lie anywhere.
    """
    folders = [*debug_folders, root / DEBUG_FOLDER]
    homes = [root.resolve(), *(folder.resolve() for folder in debug_folders)]
    for candidate in _candidates(path, build_id, link, root, folders):
        try:
            found = candidate.resolve(strict=True)
        except (OSError, RuntimeError):  # absent, or a loop of links
            continue
        if found.is_file() and found != path.resolve() and any(found.is_relative_to(home) for home in homes):
            return found
    return None


def _candidates(
    path: Path, build_id: str | None, link: DebugLink | None, root: Path, folders: list[Path]
) -> Iterator[Path]:
    if build_id is not None:
        for folder in folders:
            yield folder / ".build-id" / build_id[:2] / f"{build_id[2:]}.debug"
    if link is not None:
        yield path.parent / link.file_name
        yield path.parent / ".debug" / link.file_name
        inside = path.parent.relative_to(root) if path.parent.is_relative_to(root) else Path()
        for folder in folders:
            yield folder / inside / link.file_name
