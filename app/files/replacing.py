"""Files that appear whole or not at all, and outlast a power cut: the one way in which a file gets new content.

New content is written beside the file, synced, moved to its place, and the folder is synced. Whoever hears that this
failed finds what was there before.
"""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Final

PRIVATE: Final = 0o600
SHARED: Final = 0o644
BY_UMASK: Final = None

_NOT_SYNCED: Final = frozenset({errno.EINVAL, errno.ENOTSUP, errno.EACCES})
"""From file systems that cannot sync a folder, and for a folder that this user may write but not read."""

_NO_SECOND_NAME: Final = frozenset({errno.EPERM, errno.ENOTSUP, errno.EMLINK, errno.ENOSYS})
"""From file systems without hard links, and for files of other users."""


class UncertainWriteError(OSError):
    """New content is in its place and the former one is gone, but a power cut may undo that."""


@contextmanager
def replacing(path: Path, mode: int | None = PRIVATE, *, partial: Path | None = None) -> Iterator[BinaryIO]:
    """A file to write, which takes the place of `path` when the block ends. `mode` None leaves it to the umask.

    One writer at a time may do this; others give a `partial` of their own, beside `path`. Raises OSError; then, and
    after any other exception of the block, `path` is as before, unless it is an UncertainWriteError.
    """
    partial = partial or path.with_name(f"{path.name}.partial")
    try:
        partial.unlink(missing_ok=True)  # of a process that was killed
        with partial.open("xb") as file:
            if mode is not None:
                set_mode(file.fileno(), mode)
            yield file
            file.flush()
            os.fsync(file.fileno())
        _move(partial, path)
    except BaseException:
        with suppress(OSError):
            partial.unlink(missing_ok=True)
        raise


def replace_file(path: Path, content: bytes, mode: int | None = PRIVATE) -> None:
    """Give a file new content, as `replacing` does."""
    with replacing(path, mode) as file:
        file.write(content)


def set_mode(descriptor: int, mode: int) -> None:
    """Give an open file its mode, if that is allowed; else `make_private` says that others may look into the folder."""
    if stat.S_IMODE(os.fstat(descriptor).st_mode) != mode:
        with suppress(PermissionError):
            os.fchmod(descriptor, mode)


def sync_file(path: Path) -> None:
    """Have the disk keep a file that was written already. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_folder(folder: Path) -> None:
    """Have the disk keep the folder's names. Raises OSError."""
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        if error.errno not in _NOT_SYNCED:
            raise


def _move(partial: Path, path: Path) -> None:
    """Move it, and move it back where the folder cannot be synced: a power cut might undo what was reported as done."""
    existed = os.path.lexists(path)
    former = _kept(path) if existed else None
    partial.replace(path)
    try:
        sync_folder(path.parent)
    except OSError as error:
        try:
            _put_back(path, former, existed=existed)
        except OSError:
            unknown = f"{error.strerror}; whether the new content stays is not known"
            raise UncertainWriteError(error.errno, unknown, str(path)) from None
        with suppress(OSError):
            sync_folder(path.parent)
        raise
    if former is not None:
        with suppress(OSError):
            former.unlink()


def _kept(path: Path) -> Path | None:
    """Another name for what is at `path`; None where a file has one name only. Raises OSError."""
    former = path.with_name(f"{path.name}.former")
    former.unlink(missing_ok=True)
    try:
        former.hardlink_to(path)
    except OSError as error:
        if error.errno not in _NO_SECOND_NAME:
            raise
        return None
    return former


def _put_back(path: Path, former: Path | None, *, existed: bool) -> None:
    if former is not None:
        former.replace(path)
    elif existed:
        raise FileNotFoundError
    else:
        path.unlink()
