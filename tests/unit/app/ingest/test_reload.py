import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event

import pytest

from app.ingest import reload
from app.ingest.reload import Inheritance, Reload

READY = "from app.ingest.reload import Inheritance\ninherited = Inheritance.take()\ninherited.say_ready()\n"
PATIENCE_S = 30.0
SLEEP = "import time\ntime.sleep(60)\n"


@pytest.fixture(name="listening")
def listening_socket() -> Iterator[socket.socket]:
    """A port that listens."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening


@pytest.fixture(name="program")
def program_of_the_process(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Makes this process one that was started with a Python program."""

    def program(text: str) -> None:
        monkeypatch.setattr(sys, "orig_argv", [sys.executable, "-c", text])

    return program


def _leaves(one: Reload, listening: socket.socket, trouble: Callable[[], str | None] = lambda: None) -> bool:
    """Whether the process comes to leave; False once the successor is given up."""
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        if one.may_leave(listening, trouble):
            return True
        if not one.is_asked():
            return False
        time.sleep(0.01)
    raise AssertionError("neither ready nor given up")


def test_successor_that_is_ready_answers_on_the_port_of_the_old_process(
    listening: socket.socket, program: Callable[[str], None]
) -> None:
    """It has the listening socket itself, so no client is refused in between."""
    program(READY + "client, _ = inherited.listening.accept()\nclient.sendall(b'here')\n")
    one = Reload(Event())

    one.ask()
    leaves = _leaves(one, listening)
    one.left()
    address = listening.getsockname()
    listening.close()
    with socket.create_connection(address, timeout=PATIENCE_S) as client:
        assert (leaves, client.recv(10)) == (True, b"here")


def test_successor_that_ends_is_given_up_and_the_next_one_may_come(
    listening: socket.socket, program: Callable[[str], None], caplog: pytest.LogCaptureFixture
) -> None:
    """The old process goes on and says why; a SIGHUP after the repair works."""
    one = Reload(Event())
    program("raise SystemExit(2)")
    one.ask()
    assert not _leaves(one, listening)

    program(READY + SLEEP)
    one.ask()
    assert _leaves(one, listening)
    one.give_up()

    assert ("this ingest goes on: it ended with 2" in caplog.text, one.refused) == (True, 1)


def test_successor_that_never_is_ready_is_ended(
    listening: socket.socket,
    program: Callable[[str], None],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The old process goes on."""
    monkeypatch.setattr(reload, "READY_SECONDS", 0.3)
    program(SLEEP)
    one = Reload(Event())
    one.ask()

    assert not _leaves(one, listening)
    assert "it was not ready within 0 s" in caplog.text


def test_ingest_whose_events_wait_for_kafka_does_not_leave(
    listening: socket.socket,
    program: Callable[[str], None],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What it could not write would be lost."""
    program(READY + SLEEP)
    one = Reload(Event())
    one.ask()

    def kafka_is_away() -> str:
        monkeypatch.setattr(reload.Successor, "is_late", lambda _: True)
        return "Kafka is away"

    assert not _leaves(one, listening, kafka_is_away)
    assert "this one cannot leave: Kafka is away" in caplog.text


def test_stop_that_comes_during_the_hand_over_is_the_successors(
    listening: socket.socket, program: Callable[[str], None], tmp_path: Path
) -> None:
    """Whoever stops the old process in its last moment stops ingest on the node."""
    told = tmp_path / "told"
    handler = f"import signal\nsignal.signal(15, lambda *_: open({str(told)!r}, 'w').close() or exit())\n"
    program(handler + READY + SLEEP)
    stop = Event()
    one = Reload(stop)
    one.ask()
    assert _leaves(one, listening)

    stop.set()
    one.left()
    end = time.monotonic() + PATIENCE_S
    while not told.exists() and time.monotonic() < end:
        time.sleep(0.01)
    assert told.exists()


@pytest.mark.parametrize(
    ("pid", "environ", "reason"),
    [
        pytest.param(1, {}, "a container ends with its first process", id="first process of a container"),
        pytest.param(77, {"SYSTEMD_EXEC_PID": "77"}, "add NotifyAccess=main", id="systemd that cannot be told"),
    ],
)
def test_no_successor_is_started_that_would_end_with_this_process(
    *,
    listening: socket.socket,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    pid: int,
    environ: dict[str, str],
    reason: str,
) -> None:
    """The old process goes on, and says what to do instead."""
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    one = Reload(Event())
    monkeypatch.setattr(os, "getpid", lambda: pid)
    one.ask()

    assert not _leaves(one, listening)
    assert (reason in caplog.text, one.refused) == (True, 1)


@pytest.mark.parametrize(
    ("has_gone", "handler", "expected"),
    [
        pytest.param(False, signal.SIG_DFL, (False, True), id="the terminal is there"),
        pytest.param(True, signal.SIG_DFL, (True, False), id="the terminal is gone"),
        pytest.param(True, signal.SIG_IGN, (False, False), id="the terminal is gone, under nohup"),
    ],
)
def test_hangup_of_the_terminal_stops_and_any_other_reloads(
    monkeypatch: pytest.MonkeyPatch, *, has_gone: bool, handler: signal.Handlers, expected: tuple[bool, bool]
) -> None:
    """Whoever closes the terminal of an ingest wants no new one without a terminal."""
    monkeypatch.setattr(reload, "_has_terminal", lambda: True)
    monkeypatch.setattr(signal, "getsignal", lambda _: handler)
    stop = Event()
    one = Reload(stop)
    monkeypatch.setattr(reload, "_has_terminal", lambda: not has_gone)

    one.ask(signal.SIGHUP, None)

    assert (stop.is_set(), one.is_asked()) == expected


def test_reload_without_a_terminal_that_went_long_ago(
    listening: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An ingest that was left in the background is reloaded as any other."""
    monkeypatch.setattr(reload, "_has_terminal", lambda: True)
    stop = Event()
    one = Reload(stop)
    monkeypatch.setattr(reload, "_has_terminal", lambda: False)
    one.may_leave(listening, lambda: None)

    one.ask(signal.SIGHUP, None)

    assert (stop.is_set(), one.is_asked()) == (False, True)


def test_process_that_nobody_started_as_a_successor_inherits_nothing() -> None:
    """It makes a port of its own."""
    assert Inheritance.take({}) is None
