"""One process at a time in a folder, and nobody else reads it: whoever holds the folder's lock file works in it."""

import fcntl
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final

from app.files.folders import make_private
from app.operators.errors import OperatorError

log = logging.getLogger(__name__)

_LOCK: Final = "lock"


class FolderUnusableError(OperatorError):
    """Somebody else uses the folder, or it cannot be written; the message names the folder and what to change."""


def lock_folder(folder: Path, *, setting: str, owner: str) -> IO[bytes]:
    """Make the folder where it is missing, and lock it until the returned file is closed or the process ends.

    The folder is for its owner only afterwards, also one that existed; a log line says so when that is not allowed, as
    for a mounted volume of another user. `setting` names the variable that chose the folder, `owner` the program that
    uses such folders. Raises FolderUnusableError.
    """
    lock = open_lock(folder, setting=setting)
    if not take_lock(lock):
        lock.close()
        raise FolderUnusableError(f"{setting}: another {owner} is using {folder}; give each a folder of its own")
    return lock


def open_lock(folder: Path, *, setting: str) -> IO[bytes]:
    """Make the folder as `lock_folder` does, and open its lock without taking it. Raises FolderUnusableError."""
    try:
        if (trouble := make_private(folder)) is not None:
            log.warning("%s", trouble)
        return open(folder / _LOCK, "wb", opener=lambda name, flags: os.open(name, flags, 0o600))
    except OSError as error:
        raise FolderUnusableError(f"{setting}: cannot write to {folder}: {error.strerror}") from None


def take_lock(lock: IO[bytes]) -> bool:
    """Take an open lock if nobody has it, until it is closed or the process ends; whether that was so."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def is_locked(folder: Path) -> bool:
    """Whether another process has the folder's lock now."""
    try:
        with (folder / _LOCK).open("rb") as lock:
            return not take_lock(lock)
    except OSError:  # nobody ever locked it
        return False


@contextmanager
def alone_in(folder: Path, *, owner: str) -> Iterator[None]:
    """Hold a folder that exists, without a file in it, where its file system can.

    Raises FolderUnusableError if another process holds it.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise FolderUnusableError(f"{folder}: another {owner} is writing into it") from None
        except OSError as error:  # NFS locks no folders
            log.info("%s cannot be locked: %s", folder, error.strerror)
        yield
    finally:
        os.close(descriptor)
