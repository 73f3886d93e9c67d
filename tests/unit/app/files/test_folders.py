"""Folders are made for good, and private where they hold what must not leave."""

import os
import stat
from pathlib import Path

import pytest

from app.files.folders import make_folder, make_private


def _mode(folder: Path) -> int:
    return stat.S_IMODE(folder.stat().st_mode)


def test_all_that_is_made_is_private(tmp_path: Path) -> None:
    """The folders above it too, as far as they were missing."""
    assert make_private(tmp_path / "a" / "b") is None

    assert (_mode(tmp_path / "a"), _mode(tmp_path / "a" / "b")) == (0o700, 0o700)


def test_a_folder_that_existed_becomes_private_and_those_above_stay(tmp_path: Path) -> None:
    """An operator's folder may be shared with others; ours in it is not."""
    (tmp_path / "a").mkdir(mode=0o755)
    (tmp_path / "a" / "b").mkdir(mode=0o755)
    assert make_private(tmp_path / "a" / "b") is None

    assert (_mode(tmp_path / "a"), _mode(tmp_path / "a" / "b")) == (0o755, 0o700)


@pytest.mark.parametrize("refuses", [True, False])
def test_a_folder_that_stays_open_to_others_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, refuses: bool
) -> None:
    """Of another user, or on a file system that keeps no modes."""
    folder = tmp_path / "volume"
    folder.mkdir(mode=0o755)

    def chmod(self: Path, mode: int) -> None:
        if refuses:
            raise PermissionError(1, f"{self}: {mode}")

    monkeypatch.setattr(Path, "chmod", chmod)

    assert make_private(folder) == f"other users of this machine may look into {folder} (mode 755)"


def test_each_folder_that_is_made_is_synced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A power cut does not take a folder away with all that was synced inside it."""
    synced: list[str] = []
    fsync = os.fsync

    def watched(descriptor: int) -> None:
        synced.append(str(Path(f"/proc/self/fd/{descriptor}").readlink()))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", watched)
    make_folder(tmp_path / "a" / "b")

    assert synced == [str(tmp_path), str(tmp_path / "a")]


def test_a_file_in_its_place_is_named(tmp_path: Path) -> None:
    """The error says which path it is."""
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(FileExistsError, match="file"):
        make_folder(tmp_path / "file")
    with pytest.raises(NotADirectoryError, match="file/inside"):
        make_folder(tmp_path / "file" / "inside")
