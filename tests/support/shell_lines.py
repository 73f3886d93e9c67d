"""The lines of a document's shell blocks, and a shell that runs them one by one, as a reader would type them."""

import contextlib
import os
import re
import shlex
import signal
import subprocess
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

_BLOCK: Final = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_READY: Final = "line of JSON"
_STOP_SECONDS: Final = 20.0
_OWN_LOOPBACK: Final = ("unshare", "--user", "--map-root-user", "--net", "--")


@dataclass(frozen=True, slots=True)
class Ran:
    """What a line did: its exit code (0 for a line that stays in the background) and all that was printed meanwhile."""

    exit_code: int
    output: str


def shell_lines(document: str, heading: str) -> list[str]:
    """Lines of all `sh` blocks in the section `## heading`, as written. Raises LookupError if it is not there."""
    sections = re.split(r"^## ", document, flags=re.MULTILINE)
    found = [section for section in sections if section.startswith(f"{heading}\n")]
    if len(found) != 1:
        raise LookupError(f"{len(found)} sections are called {heading!r}")
    return [line for block in _BLOCK.findall(found[0]) for line in block.splitlines() if line.strip()]


class Shell:
    """One bash in a folder; the end of the `with` block stops it and everything that it started.

    `on_own_loopback`: it has a network of its own where the kernel allows that, so that fixed ports are free.
    """

    def __init__(self, folder: Path, environ: Mapping[str, str], *, on_own_loopback: bool = True) -> None:
        """`folder` is where the lines run; what they print is kept in a file beside it."""
        self._log = folder.with_name(f"{folder.name}.log")
        with self._log.open("ab") as log:
            self._bash = subprocess.Popen(
                [*(_own_loopback() if on_own_loopback else ()), "bash", "--norc", "--noprofile"],
                cwd=folder,
                env=dict(environ),
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def __enter__(self) -> Self:
        """Return the shell, which runs already."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the shell's processes, politely at first."""
        assert self._bash.stdin is not None
        self._bash.stdin.close()
        for number in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._bash.pid, number)
            deadline = time.monotonic() + _STOP_SECONDS
            while self._is_running() and time.monotonic() < deadline:
                time.sleep(0.05)

    def _is_running(self) -> bool:
        """Whether a process of the shell's group is left."""
        self._bash.poll()
        try:
            os.killpg(self._bash.pid, 0)
        except ProcessLookupError:
            return False
        return True

    def run(self, line: str, *, seconds: float) -> Ran:
        """Run a line as written; where its comment speaks of a line of JSON, wait for that too.

        Raises TimeoutError with what was printed.
        """
        begin = self._log.stat().st_size
        mark = uuid.uuid4().hex
        assert self._bash.stdin is not None
        self._bash.stdin.write(f"{line}\necho {shlex.quote(mark)} $?\n".encode())
        self._bash.stdin.flush()
        printed = ""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and self._bash.poll() is None:
            with self._log.open("rb") as log:
                log.seek(begin)
                printed = log.read().decode(errors="replace")
            ended = re.search(rf"{mark} (\d+)\n", printed)
            if ended and (_READY not in line or re.search(r"^\{.*\}$", printed, re.MULTILINE)):
                return Ran(int(ended[1]), printed.replace(ended[0], ""))
            time.sleep(0.05)
        raise TimeoutError(f"{line!r} did not end: {printed[-2000:]}")


def _own_loopback() -> list[str]:
    """What to put in front of a command to give it a network of its own, or nothing where that is not allowed."""
    up = ["sh", "-c", 'ip link set lo up && exec "$@"', "sh"]
    trial = subprocess.run([*_OWN_LOOPBACK, *up, "true"], capture_output=True, check=False)
    return [*_OWN_LOOPBACK, *up] if trial.returncode == 0 else []
