"""One process in a folder, and nobody else looks into it."""

import stat
from pathlib import Path

import pytest

from app.processes.folder_lock import FolderUnusableError, lock_folder


def _lock(folder: Path) -> None:
    lock_folder(folder, setting="CALLSTREAM_DATA_DIR", owner="callstream test").close()


def test_a_folder_that_others_could_read_becomes_private(tmp_path: Path) -> None:
    """Raw events and node names are in such folders; files keep what they have."""
    folder = tmp_path / "data"
    folder.mkdir(mode=0o755)

    _lock(folder)

    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE((folder / "lock").stat().st_mode) == 0o600


def test_a_folder_that_cannot_be_made_private_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A mounted volume may belong to another user: it is used, and the log says who may look into it."""
    folder = tmp_path / "volume"
    folder.mkdir(mode=0o755)

    def chmod(self: Path, mode: int) -> None:
        raise PermissionError(1, f"{self}: {mode}")

    monkeypatch.setattr(Path, "chmod", chmod)
    _lock(folder)

    assert [record.message for record in caplog.records] == [
        f"other users of this machine may look into {folder} (mode 755)"
    ]


def test_a_folder_in_use_is_refused_and_free_afterwards(tmp_path: Path) -> None:
    """The message names the variable and the folder."""
    held = lock_folder(tmp_path, setting="CALLSTREAM_DATA_DIR", owner="callstream test")
    with pytest.raises(FolderUnusableError, match=f"CALLSTREAM_DATA_DIR: another callstream test.*{tmp_path}"):
        _lock(tmp_path)
    held.close()
    _lock(tmp_path)
