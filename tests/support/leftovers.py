"""Finds processes that tests started and did not end.

A process belongs to the run when its command line, environment or working folder names the run's temporary folder, as
brokers, workers and ingest processes do.
"""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

_PATIENCE_SECONDS = 10
"""How long a process that was stopped a moment ago may take to end."""


@pytest.fixture(scope="session", autouse=True)
def no_process_is_left(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Fail at the end of the run if a process of it still runs, and name each one."""
    folder = tmp_path_factory.getbasetemp()
    yield
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while left := processes_naming(folder):
        assert time.monotonic() < deadline, "tests left processes running:\n" + "\n".join(left)
        time.sleep(0.2)


def processes_naming(folder: Path) -> list[str]:
    """Process id and command line of every running process that names `folder` or a path in it.

    This process and those that started it are not among them: `pytest --basetemp=FOLDER` names the folder too.
    """
    needle = os.fsencode(folder)
    starters = set(_self_and_starters())
    return [
        f"{entry.name}: {_read(entry / 'cmdline').replace(bytes(1), b' ').decode(errors='replace').strip()}"
        for entry in sorted(Path("/proc").iterdir())
        if entry.name.isdigit() and int(entry.name) not in starters and _names(entry, needle)
    ]


def _self_and_starters() -> Iterator[int]:
    """This process, its parent, the parent's parent and so on."""
    pid = os.getpid()
    while pid > 0:
        yield pid
        status = _read(Path(f"/proc/{pid}/stat")).rpartition(b")")[2].split()
        pid = int(status[1]) if status else 0


def _names(entry: Path, needle: bytes) -> bool:
    """Whether a process names a folder. A process that has ended, or is somebody else's, names nothing."""
    texts = [*_read(entry / "cmdline").split(b"\0"), *_read(entry / "environ").split(b"\0"), _working_folder(entry)]
    return any(needle + b"/" in text + b"/" for text in texts)


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError:
        return b""


def _working_folder(entry: Path) -> bytes:
    try:
        return os.fsencode((entry / "cwd").readlink())
    except OSError:
        return b""
