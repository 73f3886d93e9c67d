"""Runs one process per stage, starts again what ends, and gives up when that does not help.

It ends only its own children. They end when it is gone, because each holds a pipe from it as its standard input. A
stage that ends is started again after a pause, which doubles with each quick death. After too many quick deaths in a
row, or an exit code after which a restart does not help, all stages are stopped and the supervisor ends with that
stage's exit code. A stage that only lacks Kafka or the registry is started again for as long as they are away.

SIGTERM, SIGINT and SIGHUP (reload) are passed on. Stages that do not end in time are killed.
"""

import contextlib
import logging
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import FrameType

from app.processes.process_end import ExitCode

log = logging.getLogger(__name__)

HOPELESS = frozenset({ExitCode.WRONG_STATE, ExitCode.TOO_MANY_REFUSED, 2})
"""Exit codes after which a restart does not help; 2 is wrong settings."""

POLL_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class SupervisorLimits:
    """How patient a supervisor is; tests shorten it."""

    quick_death_seconds: float = 30.0
    """A stage that lived longer has done work, and its next death counts as a first one."""
    max_quick_deaths: int = 5
    first_pause_seconds: float = 0.5
    max_pause_seconds: float = 30.0
    """Pauses of 0.5, 1, 2 and 4 s: some seconds of patience with a broker that is coming up, and no storm."""
    stop_seconds: float = 10.0
    """Stages drain within nine."""


@dataclass(slots=True)
class _Child:
    name: str
    command: Sequence[str]
    environ: Mapping[str, str]
    process: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    quick_deaths: int = 0
    start_again_at: float = 0.0

    def start(self) -> None:
        self.process = subprocess.Popen(self.command, env=dict(self.environ), stdin=subprocess.PIPE)
        self.started_at = time.monotonic()
        log.info("stage started", extra={"facts": {"stage": self.name, "pid": self.process.pid}})


@dataclass(slots=True)
class Supervisor:
    """Children by name, each a command and its environment. `run` returns the exit code to end with."""

    limits: SupervisorLimits = field(default_factory=SupervisorLimits)
    _children: list[_Child] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)
    _reload: threading.Event = field(default_factory=threading.Event)

    def add(self, name: str, command: Sequence[str], environ: Mapping[str, str]) -> None:
        """Add a child, to be started by `run`."""
        self._children.append(_Child(name, command, environ))

    def stop(self) -> None:
        """Have `run` end as after a signal. May be called from any thread."""
        self._stop.set()

    def run(self) -> int:
        """Supervise until a signal or until giving up. Call from the main thread."""
        with self._signals_caught():
            for child in self._children:
                child.start()
            code = 0
            while not self._stop.wait(POLL_SECONDS) and not code:
                if self._reload.is_set():
                    self._reload.clear()
                    self._pass_on(signal.SIGHUP)
                code = self._look_after_all()
            stopped_well = self._stop_all()
        return code or (0 if stopped_well else int(ExitCode.DRAIN_OVERDUE))

    def _look_after_all(self) -> int:
        """Start again what is due; returns the exit code of a stage that is given up, else 0."""
        now = time.monotonic()
        for child in self._children:
            if child.process is None:
                if now >= child.start_again_at:
                    child.start()
                continue
            code = child.process.poll()
            if code is not None and self._bury(child, code, now):
                return code if code > 0 else 128 - code
        return 0

    def _bury(self, child: _Child, code: int, now: float) -> bool:
        """Take note of a death; returns whether to give up."""
        facts = {"stage": child.name, "exitCode": code}
        quick = now - child.started_at < self.limits.quick_death_seconds
        child.quick_deaths = child.quick_deaths + 1 if quick else 1
        child.process = None
        if code in HOPELESS:
            log.critical("a stage ended in a way that a restart does not help; giving up", extra={"facts": facts})
            return True
        if code != ExitCode.UNAVAILABLE and child.quick_deaths >= self.limits.max_quick_deaths:
            log.critical("a stage keeps dying; giving up", extra={"facts": facts | {"deaths": child.quick_deaths}})
            return True
        pause = min(self.limits.first_pause_seconds * 2 ** (child.quick_deaths - 1), self.limits.max_pause_seconds)
        child.start_again_at = now + pause
        log.error("a stage died; starting it again", extra={"facts": facts | {"pauseSeconds": pause}})
        return False

    def _pass_on(self, number: signal.Signals) -> None:
        for child in self._children:
            if child.process is not None:
                child.process.send_signal(number)

    def _stop_all(self) -> bool:
        """Ask all children to end, wait, kill what is left; returns whether all ended well."""
        running = [child.process for child in self._children if child.process is not None]
        for process in running:
            process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + self.limits.stop_seconds
        for process in running:
            try:
                process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                log.critical("a stage did not end in time; killing it", extra={"facts": {"pid": process.pid}})
                process.kill()
                process.wait()
        return all(process.returncode == 0 for process in running)

    @contextlib.contextmanager
    def _signals_caught(self) -> Iterator[None]:
        def stop(_number: int, _frame: FrameType | None) -> None:
            self._stop.set()

        def reload(_number: int, _frame: FrameType | None) -> None:
            self._reload.set()

        handlers = {signal.SIGTERM: stop, signal.SIGINT: stop, signal.SIGHUP: reload}
        before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
