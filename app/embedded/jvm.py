"""One Java process: started, watched, ended, and never left behind.

The process runs in its own session, so that Ctrl-C reaches only us and we decide the order of stopping. It gets none of
our environment variables, because both servers would take settings from them. The kernel kills it when we end in any
way.
"""

import os
import signal
import subprocess
from concurrent.futures import Executor
from dataclasses import dataclass

from app.embedded.data_dir import DataDir
from app.embedded.java import java_executable
from app.embedded.tied_exec import tied

STOP_SECONDS = 15
"""Both servers stop in well under a second; a server that takes longer than this hangs, and is killed."""

_LEAN = (
    "-XX:+UseSerialGC",  # two cores: parallel collectors cost more CPU than they save
    "-XX:TieredStopAtLevel=1",  # measured: cheaper a record than the optimizing compiler until after 600,000 of them
    "-XX:+ExitOnOutOfMemoryError",
    "-XX:-UsePerfData",
    "-Djava.net.preferIPv4Stack=true",
    "-Djava.awt.headless=true",
    "--enable-native-access=ALL-UNNAMED",
    "--sun-misc-unsafe-memory-access=allow",
    "--add-opens=java.base/java.lang=ALL-UNNAMED",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class JavaProgram:
    """What to run: `arguments` are the class path, system properties, main class and its arguments.

    The data folder is its working folder, whose `tmp` takes the native libraries that Java unpacks.
    """

    name: str
    heap_mib: int
    arguments: tuple[str, ...]
    data: DataDir
    stop_seconds: int = STOP_SECONDS


class JavaProcess:
    """A Java program that can be started again after its end."""

    def __init__(self, program: JavaProgram, spawner: Executor) -> None:
        """`spawner` has one thread, which starts processes.

        The parent-death signal fires when the *thread* that started a process ends. So this thread must live for as
        long as the process. After its end, on Linux the kernel kills every process it started that still runs.
        """
        self.program = program
        self.log_file = program.data.log_file(program.name)
        self._spawner = spawner
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Process id of the last start; 0 before the first."""
        return self._process.pid if self._process else 0

    @property
    def running(self) -> bool:
        """Whether the process runs; paused counts as running."""
        return self._process is not None and self._process.poll() is None

    @property
    def exit_code(self) -> int | None:
        """Exit code of the last start, negative for a signal; None while it runs or before the first."""
        return self._process.poll() if self._process else None

    def start(self) -> None:
        """Start the program; the data folder's lock stays open in it. The log of the run before is kept as `.1`."""
        self._spawner.submit(self._spawn).result()

    def _spawn(self) -> None:
        assert not self.running
        program, folder = self.program, self.program.data.root
        temporary = folder / "tmp"
        temporary.mkdir(mode=0o700, exist_ok=True)
        if self.log_file.exists():
            self.log_file.replace(self.log_file.with_suffix(".log.1"))
        java = [str(java_executable()), "-Xms48m", f"-Xmx{program.heap_mib}m", *_LEAN, f"-Djava.io.tmpdir={temporary}"]
        with self.log_file.open("wb") as log:
            self._process = subprocess.Popen(
                tied(*java, *program.arguments),
                cwd=folder,
                env={"PATH": os.defpath, "LC_ALL": "C.UTF-8"},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                pass_fds=(program.data.descriptor,),
                start_new_session=True,
            )

    def ask_to_stop(self) -> None:
        """Send SIGTERM, and wake a paused process so that it can stop. Does nothing to a process that has ended."""
        self._signal(signal.SIGTERM)
        self._signal(signal.SIGCONT)

    def wait_stopped(self) -> None:
        """Wait until the process has ended; kill it after the program's `stop_seconds`."""
        if self._process is None:
            return
        try:
            self._process.wait(self.program.stop_seconds)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """SIGKILL, and wait for the end."""
        self._signal(signal.SIGKILL)
        if self._process is not None:
            self._process.wait()

    def log_tail(self, lines: int = 12) -> str:
        """Last lines of the log without Java's stack frames, the newest last; from its last 32 KiB."""
        try:
            with self.log_file.open("rb") as log:
                log.seek(max(0, log.seek(0, os.SEEK_END) - (32 << 10)))
                text = log.read().decode("utf-8", "replace")
        except OSError:
            return ""
        said = [line for line in text.splitlines() if not line.startswith("\tat ")]
        return "\n".join(said[-lines:])

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(number)  # polls first, so a reused process id is never signalled
