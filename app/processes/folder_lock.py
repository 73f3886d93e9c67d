"""One process at a time in a folder: whoever holds the folder's lock file works in it."""

import fcntl
import os
from pathlib import Path
from typing import IO

from app.operators.errors import OperatorError


class FolderUnusableError(OperatorError):
    """Somebody else uses the folder, or it cannot be written; the message names the folder and what to change."""


def lock_folder(folder: Path, setting: str) -> IO[bytes]:
    """Make the folder where it is missing, and lock it until the returned file is closed or the process ends.

    The lock file can be read by its owner only. `setting` names the variable that chose the folder. Raises
    FolderUnusableError.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = open(folder / "lock", "wb", opener=lambda name, flags: os.open(name, flags, 0o600))  # noqa: SIM115 - held
    except OSError as error:
        raise FolderUnusableError(f"{setting}: cannot write to {folder}: {error.strerror}") from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock.close()
        raise FolderUnusableError(
            f"{setting}: another callstream ingest is using {folder}; give each a folder of its own"
        ) from None
    return lock
