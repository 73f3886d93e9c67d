"""Folders that are there after a power cut, and folders that nobody else looks into."""

import stat
from contextlib import suppress
from pathlib import Path
from typing import Final

from app.files.replacing import sync_folder

_OWNER_ONLY: Final = 0o700
_OTHERS: Final = 0o077

PRIVATE_UMASK: Final = _OTHERS
"""For processes whose files are for their owner only, whichever library makes them."""


def make_folder(folder: Path, mode: int = 0o777) -> None:
    """Make the folder and those above it, as far as they are missing. Raises OSError."""
    missing = [one for one in (folder, *folder.parents) if not one.exists()]
    for one in reversed(missing):
        one.mkdir(mode=mode, exist_ok=True)
        sync_folder(one.parent)
    if not folder.is_dir():
        folder.mkdir(mode=mode)  # says what is in its place


def make_private(folder: Path) -> str | None:
    """As `make_folder`, and for its owner only, also one that existed.

    Returns None, or a sentence for the operator where that is not allowed, as for a mounted volume of another user.
    """
    make_folder(folder, _OWNER_ONLY)
    if _mode(folder) & _OTHERS:
        with suppress(PermissionError):
            folder.chmod(_OWNER_ONLY)
        if (mode := _mode(folder)) & _OTHERS:  # some file systems take a mode and keep none
            return f"other users of this machine may look into {folder} (mode {mode:03o})"
    return None


def _mode(folder: Path) -> int:
    return stat.S_IMODE(folder.stat().st_mode)
