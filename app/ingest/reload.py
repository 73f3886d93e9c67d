"""A reload of ingest: on a SIGHUP the program is started again beside the old process, which leaves when that is ready.

The successor is a child with the same arguments, so it reads changed files, and is the program that is installed now.
It waits as any second ingest does (`succession`), and it inherits the socket of /metrics, so the port never closes. It
says through a pipe that its stream is open. Where it does not come up, the old process stays and says so.
"""

import contextlib
import logging
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, MutableMapping
from dataclasses import dataclass
from threading import Event
from typing import Final, Self

log = logging.getLogger(__name__)

READY_SECONDS: Final = 60.0
"""For a successor to start and open its stream. It takes two; on an overloaded machine it takes ten times that."""
_END_SECONDS: Final = 10.0
"""A waiting ingest ends at once; one that does not is killed."""
_VARIABLE: Final = "_CALLSTREAM_SUCCESSOR"
_READY: Final = b"r"


@dataclass(frozen=True, slots=True)
class Inheritance:
    """What a successor has from the process that started it."""

    listening: socket.socket
    """Of /metrics; that process answers on it until it leaves."""
    _pipe: int

    @classmethod
    def take(cls, environ: MutableMapping[str, str] = os.environ) -> Self | None:
        """What this process inherited, for once; None where nobody started it as a successor."""
        numbers = environ.pop(_VARIABLE, None)
        if numbers is None:
            return None
        listening, pipe = (int(number) for number in numbers.split(","))
        os.set_inheritable(listening, False)
        os.set_inheritable(pipe, False)
        return cls(socket.socket(fileno=listening), pipe)

    def say_ready(self) -> None:
        """Tell the old process that it may leave; harmless where it has left."""
        with contextlib.suppress(OSError):
            os.write(self._pipe, _READY)


class Successor:
    """The child, from its start on. Raises OSError where it cannot be started."""

    def __init__(self, listening: socket.socket) -> None:
        self._pipe, its_end = os.pipe()
        os.set_blocking(self._pipe, False)
        try:
            self._process = subprocess.Popen(
                [sys.executable, *sys.orig_argv[1:]],
                env={**os.environ, _VARIABLE: f"{listening.fileno()},{its_end}"},
                pass_fds=(listening.fileno(), its_end),
            )
        except OSError:
            os.close(self._pipe)
            raise
        finally:
            os.close(its_end)
        self.pid = self._process.pid
        self.is_ready = False
        self._patience_ends = time.monotonic() + READY_SECONDS

    def trouble(self) -> str | None:
        """Why it will not do; looks whether it is ready, too."""
        with contextlib.suppress(BlockingIOError):
            self.is_ready = self.is_ready or os.read(self._pipe, 1) == _READY
        if (code := self._process.poll()) is not None:
            return f"it ended with {code}"
        if not self.is_ready and self.is_late():
            return f"it was not ready within {READY_SECONDS:.0f} s"
        return None

    def is_late(self) -> bool:
        """Whether patience has ended."""
        return time.monotonic() > self._patience_ends

    def leave_alone(self) -> None:
        """It goes on without this process."""
        os.close(self._pipe)
        self._process.returncode = 0  # nobody waits for it here

    def stop(self) -> None:
        """End it, and return when it has ended."""
        os.close(self._pipe)
        self._process.terminate()
        try:
            self._process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


class Reload:
    """What SIGHUP does to a process. `ask` is its handler; the rest is for the main thread."""

    def __init__(self, stop: Event) -> None:
        """`stop` is set where a SIGHUP only says that the terminal is gone, unless the program runs under nohup."""
        self._stop = stop
        self._ignores_hangup = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
        self._had_terminal = _has_terminal()
        self.refused = 0
        """How often this process went on after a SIGHUP."""
        self._asked = False
        self._successor: Successor | None = None

    def ask(self, *_: object) -> None:
        """Have a successor started at the next step."""
        if not self._had_terminal or _has_terminal():
            self._asked = True
        elif not self._ignores_hangup:
            self._stop.set()

    def is_asked(self) -> bool:
        """Whether a successor is to come, or is coming up."""
        return self._asked or self._successor is not None

    def may_leave(self, listening: socket.socket, trouble: Callable[[], str | None]) -> bool:
        """One step; true once a successor is ready, and `trouble` has no reason to stay."""
        self._had_terminal = self._had_terminal and _has_terminal()  # one that went without a signal is forgotten
        if self._asked:  # also while one comes up: it may have read the files before they changed
            self._asked = False
            self.give_up()
            self._start(listening)
        if self._successor is None:
            return False
        stays = self._successor.trouble()
        if stays is None and self._successor.is_ready:
            stays = trouble()
            if stays is None:
                _tell_systemd(self._successor.pid)
                return True
            stays = f"this one cannot leave: {stays}" if self._successor.is_late() else None
        if stays is not None:
            log.error("the successor does not take over, and this ingest goes on: %s", stays)
            self.refused += 1
            self.give_up()
        return False

    def give_up(self) -> None:
        """Before this process stops without a successor: end one that is coming up, so that it does not go on."""
        if self._successor is not None:
            self._successor.stop()
            self._successor = None

    def left(self) -> None:
        """This process has stopped; a stop that came meanwhile is the successor's."""
        if self._successor is None:
            return
        if self._stop.is_set():
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._successor.pid, signal.SIGTERM)
        self._successor.leave_alone()

    def _start(self, listening: socket.socket) -> None:
        self._asked = False
        if (obstacle := _obstacle()) is not None:
            log.error("no successor is started, and this ingest goes on: %s", obstacle)
            self.refused += 1
            return
        try:
            self._successor = Successor(listening)
        except OSError as error:
            log.error("no successor can be started, and this ingest goes on: %s", error.strerror)
            self.refused += 1
            return
        facts = {"pid": self._successor.pid}
        log.info("a successor starts, and this ingest leaves when it is ready", extra={"facts": facts})


def _obstacle() -> str | None:
    """Why a successor would end together with this process."""
    if os.getpid() == 1:
        return "a container ends with its first process; start a second container beside this one"
    started_by_systemd = os.environ.get("SYSTEMD_EXEC_PID") == str(os.getpid())
    if started_by_systemd and "NOTIFY_SOCKET" not in os.environ:
        return "systemd would stop the service; add NotifyAccess=main to its unit"
    return None


def _tell_systemd(pid: int) -> None:
    """Say which process the service is from now on, before this one ends."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
        try:
            notify.sendto(f"MAINPID={pid}".encode(), address.replace("@", "\0", 1) if address[0] == "@" else address)
        except OSError as error:
            log.warning("systemd cannot be told of the successor: %s", error.strerror)


def _has_terminal() -> bool:
    try:
        os.close(os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY))
    except OSError:
        return False
    return True
