"""tests/support/leftovers.py."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.leftovers import processes_naming

WAITS = "print('up', flush=True); input()"


@pytest.mark.parametrize("way", ["argument", "environment", "working folder"])
def test_a_running_process_of_the_folder_is_named(way: str, tmp_path: Path) -> None:
    """By process id and command line, as long as it runs."""
    inside = tmp_path / "data"
    inside.mkdir()
    arguments = [str(inside)] if way == "argument" else []
    environment = {"DATA": str(inside)} if way == "environment" else {}
    with subprocess.Popen(
        [sys.executable, "-S", "-c", WAITS, *arguments],
        env=environment,
        cwd=inside if way == "working folder" else "/",
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"up\n", "until it runs, its command line may be this process's"
        (left,) = processes_naming(tmp_path)
        assert left.startswith(f"{process.pid}: ")
        assert WAITS in left
        process.communicate(b"\n")
    assert processes_naming(tmp_path) == []


def test_a_folder_whose_name_only_begins_the_same_is_another(tmp_path: Path) -> None:
    """`pytest-1` is not `pytest-12`."""
    with subprocess.Popen(
        [sys.executable, "-S", "-c", WAITS, f"{tmp_path}-other"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"up\n"
        assert processes_naming(tmp_path) == []
        process.communicate(b"\n")
