"""Only regular files are read, and only up to a size."""

import os
from pathlib import Path

import pytest

from app.operators.regular_files import read_regular, read_regular_text


def test_a_file_of_the_largest_size_is_read(tmp_path: Path) -> None:
    """And one that is a byte larger is not; the error names the file."""
    (tmp_path / "a").write_bytes("ä".encode())

    assert read_regular_text(tmp_path / "a", 2) == "ä"
    with pytest.raises(OSError, match="more than 1 bytes") as refused:
        read_regular(tmp_path / "a", 1)
    assert refused.value.filename == str(tmp_path / "a")


def test_a_pipe_a_device_and_a_folder_are_refused_at_once(tmp_path: Path) -> None:
    """A pipe would wait for a writer, a device may have no end. A link to a file is as good as the file."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "file").write_bytes(b"1")
    (tmp_path / "link").symlink_to(tmp_path / "file")

    for path in (tmp_path / "pipe", Path("/dev/zero"), tmp_path):
        with pytest.raises(OSError, match="regular"):
            read_regular(path, 10)
    assert read_regular(tmp_path / "link", 10) == b"1"
