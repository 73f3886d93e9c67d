"""Retries that run at the same time, are killed or stand still: each event is sent once."""

import json
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from app.__main__ import cli
from app.dead_letters.turn import RetryRunningError
from app.embedded.broker import EmbeddedBroker
from schemas import topics
from tests.support.delivery_run import Worker
from tests.support.dying_retry import ANSWER_IS_GOOD_SECONDS, AT_ONCE, COPIES, NOTES, SESSION_SECONDS
from tests.support.fault_proof import call_account, raw_account
from tests.support.pipeline_run import PipelineRun, pipeline_run
from tests.support.sent_load import process_events, send_load, uncommitted

pytestmark = pytest.mark.integration

EVENTS = 2_500
KILLS = 2

Retry = subprocess.Popen[str]


def _refused_and_repaired(run: PipelineRun) -> None:
    """A tenth of all events has dead letters, and nothing refuses them any more."""
    send_load(run, list(process_events(EVENTS)))
    broken = Worker(("tests.support.refusing_worker",), run.environ, run.folder / "broken.log")
    run.processes["broken"] = broken
    broken.start()
    run.start("privacy-0")
    run.wait(lambda: sum(run.ends(topics.DEAD_LETTERS).values()) > 0 and uncommitted(run) == 0, 60, "the dead letters")
    broken.end(signal.SIGTERM, within_seconds=15)
    run.start("canonicalize-0")
    run.wait(lambda: run.not_ready("canonicalize-0") is None and uncommitted(run) == 0, 60, "the repaired worker")


def _start(run: PipelineRun, *program: str) -> Retry:
    command = [sys.executable, "-m", *program]
    return subprocess.Popen(command, env=run.environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def _dying(run: PipelineRun, what: str, number: int, name: str) -> Retry:
    return _start(run, "tests.support.dying_retry", what, str(number), name)


def _await_standstill(retry: Retry) -> None:
    for _ in range(600):
        state = Path(f"/proc/{retry.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0]
        if state == "T":
            return
        assert retry.poll() is None, retry.communicate()
        time.sleep(0.1)
    raise AssertionError("the retry wrote nothing")


@pytest.mark.proof
def test_each_event_is_sent_once_by_retries_that_stand_still_are_killed_or_run_at_once(
    embedded: EmbeddedBroker, topic_prefix: str, tmp_path: Path, seed: int, size: int
) -> None:
    """The one that stood still writes nothing more; of two at once, the second waits until nothing is left to send."""
    choice = random.Random(seed)
    with pipeline_run(embedded, topic_prefix, tmp_path, dead_letter_max_run="0") as run:
        _refused_and_repaired(run)
        refused = sum(run.ends(topics.DEAD_LETTERS).values())
        before = raw_account(run)
        still = _dying(run, COPIES, choice.randint(1, AT_ONCE), "SIGSTOP")
        try:
            _await_standstill(still)
            time.sleep(SESSION_SECONDS)
            for _ in range(KILLS * size):
                killed = _dying(run, choice.choice((COPIES, NOTES)), choice.randint(1, 2 * AT_ONCE), "SIGKILL")
                said = killed.communicate(timeout=120)
                assert killed.returncode in {-signal.SIGKILL, 0}, said
            both = [_start(run, "app", "dead-letters", "retry", "--json") for _ in range(2)]
            ended = [(*retry.communicate(timeout=120), retry.returncode) for retry in both]
            still.send_signal(signal.SIGCONT)
            woken = still.communicate(timeout=120)
        finally:
            still.kill()
            still.wait()
        run.wait(lambda: uncommitted(run) == 0, 60, "what was sent again")
        raw, calls = raw_account(run), call_account(run)
        listed = CliRunner().invoke(cli, ["dead-letters", "list", "--json"], env=run.environ)

    codes = [code for _, _, code in ended]
    assert 0 in codes, ended
    assert set(codes) <= {0, RetryRunningError.exit_code}, ended
    # it wakes up either before it has sent, or while it waits for what it sent, which has expired by then
    assert (still.returncode, "lost its turn" in woken[1], "took no record" in woken[1]) in {
        (RetryRunningError.exit_code, True, False),
        (2, False, True),
    }, woken
    (group,) = json.loads(listed.stdout)["groups"]
    assert (group["letters"], group["sent_again"]) == (refused, refused)
    assert raw.records == before.records + refused
    assert calls.ids == raw.calls
    assert calls.records == len(raw.calls), "an event was published twice"


def test_a_retry_that_stood_still_for_less_than_its_session_sends_each_event_once(
    embedded: EmbeddedBroker, topic_prefix: str, tmp_path: Path
) -> None:
    """What waited in its producer is not sent; it asks whether the turn is still its own, and begins the step again."""
    with pipeline_run(embedded, topic_prefix, tmp_path, dead_letter_max_run="0") as run:
        _refused_and_repaired(run)
        refused = sum(run.ends(topics.DEAD_LETTERS).values())
        before = raw_account(run)
        still = _dying(run, COPIES, AT_ONCE // 2, "SIGSTOP")
        try:
            _await_standstill(still)
            time.sleep(ANSWER_IS_GOOD_SECONDS)
            still.send_signal(signal.SIGCONT)
            said = still.communicate(timeout=120)
        finally:
            still.kill()
            still.wait()
        raw = raw_account(run)

    assert still.returncode == 0, said
    assert json.loads(said[0])["sent"] == refused
    assert raw.records == before.records + refused
    assert raw.values == before.values
