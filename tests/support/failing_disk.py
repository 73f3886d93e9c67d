"""A disk that refuses, for a process that is started with the preloaded library of `failing_disk.c`."""

import atexit
import ctypes
import errno
import functools
import json
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from random import Random

SOURCE = Path(__file__).with_suffix(".c")
_OWN_MOUNTS = ("unshare", "--user", "--map-root-user", "--mount", "sh", "-c")
_MOST_SECONDS = 3_600.0
ALL_THAT_FOLLOW = 1 << 40
KILL = -1


@dataclass(frozen=True, slots=True)
class Fault:
    """Calls `after` to before `after + count` are met; `error` and `half` are explained in `failing_disk.c`."""

    after: int
    count: int
    error: int
    half: bool

    @classmethod
    def any(cls, chance: Random, calls: int) -> "Fault":
        """One of the faults that a disk may have, at one of a number of calls."""
        error = chance.choice((errno.ENOSPC, errno.ENOSPC, errno.EIO, errno.EIO, errno.EROFS, KILL, KILL, 0))
        count = chance.choice((1, 1, 2, 5, ALL_THAT_FOLLOW))
        return cls(chance.randrange(calls), count, error, chance.random() < 0.5)

    def environ(self, library: Path, folder: Path) -> dict[str, str]:
        """Variables that have a program meet it below `folder`."""
        return {
            "LD_PRELOAD": str(library),
            "DISK_FOLDER": str(folder),
            "DISK_AFTER": str(self.after),
            "DISK_COUNT": str(self.count),
            "DISK_ERROR": str(self.error),
            "DISK_HALF": str(int(self.half)),
        }


NO_FAULT = Fault(after=0, count=0, error=0, half=False)


@functools.cache
def failing_disk() -> Path | None:
    """The library, compiled once; None where no compiler is."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        return None
    folder = Path(tempfile.mkdtemp(prefix="callstream-disk-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    target = folder / "failing_disk.so"
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", target, SOURCE, "-ldl"], check=True)
    return target


def own_file_system(folder: Path, options: str) -> list[str] | None:
    """A command that runs another one with a small file system at `folder`; None where this user may not mount one."""
    mount = f'mount -t tmpfs -o {options} tmpfs "{folder}"'
    if subprocess.run([*_OWN_MOUNTS, mount], check=False, capture_output=True).returncode:
        return None
    return [*_OWN_MOUNTS, f'{mount} && exec "$@"', "sh"]


def fill(filler: Path, *, leaving: int = 0) -> None:
    """Take all room of the file system but some."""
    with filler.open("wb", buffering=0) as file:
        try:
            while file.write(bytes(1 << 16)):
                pass
        except OSError:
            pass
        file.truncate(max(0, file.tell() - leaving))


def run_disk(folder: Path, kind: str, cycles: int, seed: int) -> dict[str, int] | str:
    """The figures of a run of `disk_run` in `folder`, or why it cannot run here. Raises AssertionError if it fails."""
    environ, within = {**os.environ}, list[str]()
    if kind == "full":
        mounted = own_file_system(folder, "size=6m")
        if mounted is None:
            return "this user may not mount a file system"
        within = mounted
    elif (library := failing_disk()) is None:
        return "there is no C compiler for the library that fails calls"
    else:
        environ["LD_PRELOAD"] = str(library)
    command = [*within, sys.executable, "-m", "tests.support.disk_run", str(folder), kind, str(cycles), str(seed)]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False, timeout=_MOST_SECONDS)
    assert done.returncode == 0, done.stderr[-6_000:]
    figures: dict[str, int] = json.loads(done.stdout)
    return figures


def arm(folder: Path, fault: Fault) -> None:
    """Have this process meet a fault below `folder`. Raises AttributeError without the library."""
    ctypes.CDLL(None).disk_arm(
        os.fsencode(folder),
        ctypes.c_long(fault.after),
        ctypes.c_long(fault.count),
        ctypes.c_int(fault.error),
        ctypes.c_int(fault.half),
    )


def unsynced(folder: Path) -> str | None:
    """What a power cut could still change in a folder; None if nothing, or without the library."""
    count = getattr(ctypes.CDLL(None), "disk_unsynced", None)
    if count is None:
        return None
    first = ctypes.create_string_buffer(4096)
    count.restype = ctypes.c_long
    return os.fsdecode(first.value) if count(os.fsencode(folder), first, ctypes.c_long(4095)) else None


def calls() -> int:
    """Calls since `arm` that could have been met."""
    count = ctypes.CDLL(None).disk_calls
    count.restype = ctypes.c_long
    return int(count())
