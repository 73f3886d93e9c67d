"""The demonstration's processes: the real commands, each with its own log file and metrics address.

Processes are stopped in the order of the data, so that each one finishes what the one before has sent. One that does
not end in time is killed by its id, and a second Ctrl-C does not interrupt the stopping. If this process is killed, the
kernel kills the others. They get none of the operator's own settings.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, Self

from app.embedded.ports import pick_free
from app.embedded.tied_exec import tied
from app.operators.errors import OperatorError
from app.settings import PREFIX

STOP_SECONDS: Final = 12.0
"""Workers drain within nine seconds, ingest within ten."""


class CommandFailedError(OperatorError):
    """A command of ours failed; the message has its name and the end of what it said."""

    exit_code = 1


class Processes:
    """Commands of callstream as child processes with one environment. Use as a context, at whose end they end."""

    def __init__(self, folder: Path, environ: Mapping[str, str]) -> None:
        """`folder` gets a log file a process."""
        self._folder = folder
        # without the operator's own settings: a demonstration shows the defaults
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
        self._environ = {**inherited, **environ}
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._ports: dict[str, int] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with _undisturbed():
            self.stop()

    def start(self, name: str, *arguments: str, environ: Mapping[str, str] | None = None) -> None:
        """Start `callstream ARGUMENTS`, serving metrics on a free port."""
        port = pick_free(frozenset(self._ports.values()))
        self._ports[name] = port
        with self.log_file(name).open("ab") as log:
            self._running[name] = subprocess.Popen(
                tied(sys.executable, "-m", "app", *arguments),
                env={**self._environ, "CALLSTREAM_HTTP_PORT": str(port), **(environ or {})},
                stdout=subprocess.PIPE,
                stderr=log,
            )

    def first_line(self, name: str) -> dict[str, Any]:
        """The line of JSON that a server prints when it is ready. Raises CommandFailedError if it ends instead."""
        output = self._running[name].stdout
        assert output is not None
        line = output.readline()
        if not line:
            raise CommandFailedError(f"{name} ended: {self._last_words(name)}")
        found: dict[str, Any] = json.loads(line)
        return found

    def run(self, *arguments: str) -> str:
        """Run `callstream ARGUMENTS` to its end and return what it printed. Raises CommandFailedError."""
        done = subprocess.run(
            [sys.executable, "-m", "app", *arguments], env=self._environ, capture_output=True, text=True, check=False
        )
        if done.returncode:
            said = done.stderr.strip() or done.stdout.strip()
            raise CommandFailedError(f"callstream {arguments[0]} ended with {done.returncode}: {said[-500:]}")
        return done.stdout

    def metrics_address(self, name: str) -> str:
        """Where a process serves its metrics."""
        return f"127.0.0.1:{self._ports[name]}"

    def check_alive(self) -> None:
        """Raise CommandFailedError if a process has ended by itself."""
        for name, process in self._running.items():
            if process.poll() is not None:
                raise CommandFailedError(f"{name} ended with {process.returncode}: {self._last_words(name)}")

    def log_file(self, name: str) -> Path:
        """What a process wrote to standard error."""
        return self._folder / f"{name}.log"

    def stop(self) -> None:
        """Stop all processes, one after another: by SIGTERM, or by SIGKILL if that takes too long."""
        for process in self._running.values():
            process.terminate()
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            if process.stdout is not None:
                process.stdout.close()
        self._running.clear()

    def _last_words(self, name: str) -> str:
        text = self.log_file(name).read_text(encoding="utf-8", errors="replace").strip()
        return text[-500:] or "it said nothing"


@contextlib.contextmanager
def _undisturbed() -> Iterator[None]:
    """Ignore SIGINT and SIGTERM inside the block."""
    before = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
