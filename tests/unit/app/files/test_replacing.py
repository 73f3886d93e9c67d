"""A file has its old content or its new one, whatever the disk does, and others read it only where they may."""

import errno
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from app.files.replacing import BY_UMASK, SHARED, replace_file, replacing


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_file_is_made_and_replaced(tmp_path: Path) -> None:
    """Nothing else is left in the folder."""
    path = tmp_path / "file"
    replace_file(path, b"old")
    replace_file(path, b"new")

    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(("mode", "expected"), [(0o600, 0o600), (SHARED, 0o644), (BY_UMASK, 0o640)])
def test_the_mode_is_the_one_asked_for(tmp_path: Path, mode: int | None, expected: int) -> None:
    """The umask decides where it is asked to, and nowhere else."""
    before = os.umask(0o027)
    try:
        replace_file(tmp_path / "file", b"x", mode)
    finally:
        os.umask(before)

    assert _mode(tmp_path / "file") == expected


def test_everything_is_synced_before_and_after_the_move(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file first, then the folder: a power cut in between leaves the old content."""
    seen: list[str] = []
    fsync, replace = os.fsync, Path.replace

    def watched_sync(descriptor: int) -> None:
        seen.append("folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file")
        fsync(descriptor)

    def watched_move(self: Path, target: Path) -> Path:
        seen.append("move")
        return replace(self, target)

    monkeypatch.setattr(os, "fsync", watched_sync)
    monkeypatch.setattr(Path, "replace", watched_move)
    replace_file(tmp_path / "file", b"x")

    assert seen == ["file", "move", "folder"]


def _refusing_fsync(code: int, *, of_folder: bool) -> Callable[[int], None]:
    fsync = os.fsync

    def refuse(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode) == of_folder:
            raise OSError(code, os.strerror(code))
        fsync(descriptor)

    return refuse


@pytest.mark.parametrize("of_folder", [False, True])
@pytest.mark.parametrize("existed", [False, True])
def test_what_is_refused_is_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, existed: bool, of_folder: bool
) -> None:
    """A disk that cannot sync the file or its folder leaves what was there before."""
    path = tmp_path / "file"
    if existed:
        replace_file(path, b"old")
    monkeypatch.setattr(os, "fsync", _refusing_fsync(errno.EIO, of_folder=of_folder))
    with pytest.raises(OSError, match="Input/output error"):
        replace_file(path, b"new")

    assert [one.read_bytes() for one in tmp_path.iterdir()] == ([b"old"] if existed else [])


def test_a_block_that_raises_changes_nothing(tmp_path: Path) -> None:
    """What the writer found wrong is not half a file."""
    path = tmp_path / "file"
    replace_file(path, b"old")

    def write_half() -> None:
        with replacing(path) as file:
            file.write(b"half")
            raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        write_half()

    assert [one.read_bytes() for one in tmp_path.iterdir()] == [b"old"]


@pytest.mark.parametrize("code", [errno.EINVAL, errno.ENOTSUP])
def test_a_file_system_that_syncs_no_folders_will_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    """Some answer so for every folder; the file itself is synced."""
    monkeypatch.setattr(os, "fsync", _refusing_fsync(code, of_folder=True))
    replace_file(tmp_path / "file", b"x")

    assert (tmp_path / "file").read_bytes() == b"x"


def test_a_file_system_that_keeps_no_modes_will_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stick refuses every change of a mode; whoever makes the folder tells of it."""

    def refuse(descriptor: int, mode: int) -> None:
        raise PermissionError(errno.EPERM, f"{descriptor}: {mode}")

    monkeypatch.setattr(os, "fchmod", refuse)
    replace_file(tmp_path / "file", b"x")

    assert (tmp_path / "file").read_bytes() == b"x"


def test_what_a_killed_process_left_is_no_hindrance(tmp_path: Path) -> None:
    """Not even a link that somebody put there leads out of the folder."""
    (tmp_path / "elsewhere").write_bytes(b"untouched")
    (tmp_path / "file.partial").symlink_to(tmp_path / "elsewhere")
    replace_file(tmp_path / "file", b"x")

    assert (tmp_path / "file").read_bytes() == b"x"
    assert (tmp_path / "elsewhere").read_bytes() == b"untouched"
