"""Ingest starts on a disk that is full, goes on while it is, and says what is wrong with one that it cannot use."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from app.ingest.event_books import EventInterval
from app.ingest.journal import Journal
from app.ingest.spill import SpillFolder
from app.processes.folder_lock import FolderUnusableError
from tests.support.disk_writers import JournalWriter, SpillWriter
from tests.support.failing_disk import fill, own_file_system

STARTS_FULL = """
import errno, sys
from pathlib import Path
from tests.unit.app.ingest.test_full_disk import starts_on_a_full_disk
starts_on_a_full_disk(Path(sys.argv[1]))
"""


def starts_on_a_full_disk(disk: Path) -> None:
    """What the test with this name does, on a file system of its own."""
    filler = disk / "filler"
    fill(filler)
    journal, spill = Journal(disk / "ingest"), SpillFolder(disk / "spill", 1 << 20)
    journal.add([JournalWriter.gap(1)])
    assert journal.trouble == "the journal cannot be written: No space left on device"
    chunk, interval = SpillWriter.chunk(1, 3_000), EventInterval(3, 1, 1)
    with pytest.raises(OSError, match="No space left"):
        spill.append(chunk, interval)

    filler.unlink()
    journal.store_again()
    assert journal.trouble is None
    assert spill.append(chunk, interval)
    journal.close()
    spill.close()
    assert list(Journal(disk / "ingest").pending) == [JournalWriter.gap(1)]
    assert SpillFolder(disk / "spill", 1 << 20).stored()[0] == 3


def test_a_disk_that_is_full_at_the_start_costs_nothing_but_room(tmp_path: Path) -> None:
    """Gaps wait in memory and events in the buffer; both are stored as soon as there is room."""
    within = own_file_system(tmp_path, "size=2m")
    if within is None:
        pytest.skip("this user may not mount a file system")
    done = subprocess.run(
        [*within, sys.executable, "-c", STARTS_FULL, str(tmp_path)], check=False, capture_output=True, text=True
    )

    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("code", [errno.EROFS, errno.ENOSPC, errno.EMFILE])
def test_a_folder_that_takes_no_file_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    """A read-only file system, one without inodes, a process with too many files: the setting and the reason."""
    real = os.open

    def refuse(path: str, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        if flags & os.O_CREAT:
            raise OSError(code, os.strerror(code))
        return real(path, flags, mode, dir_fd=dir_fd)

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(FolderUnusableError, match=f"CALLSTREAM_DATA_DIR: cannot write to .*: {os.strerror(code)}"):
        Journal(tmp_path / "ingest")
    with pytest.raises(FolderUnusableError, match=f"CALLSTREAM_SPILL_DIR: cannot write to .*: {os.strerror(code)}"):
        SpillFolder(tmp_path / "spill", 1 << 20)
