"""The supervisor starts again what dies, gives up in time, and ends only its own children."""

import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from app.processes.process_end import ExitCode
from app.processes.supervisor import Supervisor, SupervisorLimits

QUICK = SupervisorLimits(
    quick_death_seconds=30.0, max_quick_deaths=3, first_pause_seconds=0.01, max_pause_seconds=0.02, stop_seconds=2.0
)


def _child(program: str, *arguments: str) -> list[str]:
    return [sys.executable, "-c", program, *arguments]


NOTE_START = "import sys, time, signal; open(sys.argv[1], 'a').write('start\\n'); "
SLEEP = "time.sleep(60)"


def _starts(log: Path) -> int:
    return log.read_text().count("start") if log.exists() else 0


def _terminate_once_started(log: Path, *, after: tuple[signal.Signals, ...] = ()) -> None:
    """Send SIGTERM, and signals before it, to this process as an operator would, when the child has its handlers."""

    def send() -> None:
        while not _starts(log):
            time.sleep(0.01)
        for number in (*after, signal.SIGTERM):
            time.sleep(0.3)  # the child installs its handlers after its note
            signal.raise_signal(number)

    threading.Thread(target=send, daemon=True).start()


def test_a_child_that_keeps_dying_is_given_up_with_its_exit_code_and_the_others_are_stopped(tmp_path: Path) -> None:
    """After three quick deaths, with pauses between them."""
    supervisor = Supervisor(QUICK)
    supervisor.add("dying", _child(NOTE_START + "sys.exit(70)", str(tmp_path / "dying")), {})
    supervisor.add("living", _child(NOTE_START + SLEEP, str(tmp_path / "living")), {})
    assert supervisor.run() == 70
    assert _starts(tmp_path / "dying") == 3
    assert _starts(tmp_path / "living") == 1


@pytest.mark.parametrize("code", [int(ExitCode.WRONG_STATE), 2])
def test_a_death_that_a_restart_does_not_help_is_given_up_at_once(tmp_path: Path, code: int) -> None:
    """Topics and state that contradict each other, and wrong settings."""
    supervisor = Supervisor(QUICK)
    supervisor.add("wrong", _child(NOTE_START + f"sys.exit({code})", str(tmp_path / "wrong")), {})
    assert supervisor.run() == code
    assert _starts(tmp_path / "wrong") == 1


def test_a_child_that_waits_for_kafka_or_the_registry_is_never_given_up(tmp_path: Path) -> None:
    """However often it has to be started: the others need not be stopped for that, and they come back by themselves."""
    supervisor = Supervisor(QUICK)
    log = tmp_path / "waiting"
    wait = f"log = open(sys.argv[1]).read(); sys.exit({int(ExitCode.UNAVAILABLE)} if log.count('start') < 6 else 2)"
    supervisor.add("waiting", _child(NOTE_START + wait, str(log)), {})
    assert supervisor.run() == 2
    assert _starts(log) == 6


def test_a_child_that_was_killed_counts_as_128_plus_the_signal(tmp_path: Path) -> None:
    """As shells do, so that the code is never 0."""
    supervisor = Supervisor(QUICK)
    program = NOTE_START + "import os; os.kill(os.getpid(), signal.SIGKILL)"
    supervisor.add("killed", _child(program, str(tmp_path / "killed")), {})
    assert supervisor.run() == 128 + signal.SIGKILL


def test_a_reload_is_passed_on_and_ends_nothing(tmp_path: Path) -> None:
    """SIGHUP reaches every child, and the supervisor goes on."""
    reload = "signal.signal(signal.SIGHUP, lambda *_: open(sys.argv[1], 'a').write('reloaded')); "
    drain = "signal.signal(signal.SIGTERM, lambda *_: sys.exit(0)); "
    loop = "[time.sleep(0.01) for _ in range(6000)]"
    supervisor = Supervisor(QUICK)
    supervisor.add("reloading", _child(NOTE_START + reload + drain + loop, str(tmp_path / "reloading")), {})
    _terminate_once_started(tmp_path / "reloading", after=(signal.SIGHUP,))
    assert supervisor.run() == 0
    assert (tmp_path / "reloading").read_text() == "start\nreloaded"


def test_a_termination_is_passed_on_and_ends_with_0_when_all_children_end_well(tmp_path: Path) -> None:
    """A child that drains and exits with 0 makes a clean end."""
    drain = "signal.signal(signal.SIGTERM, lambda *_: (open(sys.argv[1], 'a').write('drained'), sys.exit(0))); "
    supervisor = Supervisor(QUICK)
    supervisor.add("draining", _child(NOTE_START + drain + SLEEP, str(tmp_path / "draining")), {})
    _terminate_once_started(tmp_path / "draining")
    assert supervisor.run() == 0
    assert "drained" in (tmp_path / "draining").read_text()


def test_a_child_that_does_not_end_in_time_is_killed_and_the_end_is_not_clean(tmp_path: Path) -> None:
    """The exit code says that something was not drained."""
    deaf = "signal.signal(signal.SIGTERM, signal.SIG_IGN); "
    supervisor = Supervisor(QUICK)
    supervisor.add("deaf", _child(NOTE_START + deaf + SLEEP, str(tmp_path / "deaf")), {})
    _terminate_once_started(tmp_path / "deaf")
    assert supervisor.run() == ExitCode.DRAIN_OVERDUE


def test_a_process_that_is_no_child_is_left_alone(tmp_path: Path) -> None:
    """Giving up stops children, and nothing else that looks like one."""
    with subprocess.Popen(_child(SLEEP_ALONE)) as stranger:
        supervisor = Supervisor(QUICK)
        supervisor.add("wrong", _child(NOTE_START + "sys.exit(2)", str(tmp_path / "wrong")), {})
        assert supervisor.run() == 2
        assert stranger.poll() is None
        stranger.kill()


SLEEP_ALONE = "import time; time.sleep(60)"


def test_signal_handlers_are_put_back(tmp_path: Path) -> None:
    """The command line around it keeps its own."""
    before = signal.getsignal(signal.SIGTERM)
    supervisor = Supervisor(QUICK)
    supervisor.add("wrong", _child(NOTE_START + "sys.exit(2)", str(tmp_path / "wrong")), {})
    supervisor.run()
    assert signal.getsignal(signal.SIGTERM) is before
