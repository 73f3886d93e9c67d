"""`callstream tetragon-sim` as a process of its own, for tests that must not share an interpreter with it."""

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class SimulatorProcess:
    """A running simulator and the line it printed when it was ready."""

    process: "subprocess.Popen[str]"
    ready: dict[str, Any]

    @property
    def address(self) -> str:
        """Where it listens."""
        return str(self.ready["address"])


@contextlib.contextmanager
def simulator_process(*arguments: str) -> Iterator[SimulatorProcess]:
    """Starts the command, waits until it is ready, and ends it at the latest when the block is left."""
    line = [sys.executable, "-m", "app", "tetragon-sim", *arguments]
    with subprocess.Popen(line, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            first = process.stdout.readline()
            if not first:
                raise RuntimeError(f"tetragon-sim ended with code {process.wait()} before it was ready")
            yield SimulatorProcess(process, json.loads(first))
        finally:
            process.terminate()
