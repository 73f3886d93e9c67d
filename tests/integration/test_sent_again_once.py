"""Dead letters of stages that stopped themselves or were killed: after a retry each event counts once."""

import json
import re
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from agents.dead_letters import RETRY
from app.__main__ import cli
from app.dead_letters.resend import Resender
from app.embedded.broker import EmbeddedBroker
from app.processes.process_end import ExitCode
from schemas import topics
from schemas.tetragon.events_pb2 import GetEventsResponse
from tests.support.delivery_run import Worker
from tests.support.fault_proof import raw_account
from tests.support.own_count import OwnCount, hits_of_table, own_count
from tests.support.pipeline_run import PipelineRun, pipeline_run
from tests.support.sent_load import process_events, send_load, uncommitted

pytestmark = pytest.mark.integration

EVENTS = 4_000
STRICT_TEXT_BYTES = 1024
LONG_ARGUMENTS = " ".join(["argument"] * 200)
"""Longer than the strict policy allows."""

NO_LIMITS = {"CALLSTREAM_DEAD_LETTER_MAX_RUN": "0", "CALLSTREAM_DEAD_LETTER_MAX_PERCENT": "100"}


class _RetryCutShortError(Exception):
    """The retry ends between its copies and their notes."""


def _run(run: PipelineRun, *arguments: str) -> Result:
    return CliRunner().invoke(cli, [*arguments, "--json"], env=run.environ)


def _events() -> Iterator[bytes]:
    """Events of known kinds; every second one of a process has a text that is too long for the strict policy."""
    for number, event in enumerate(process_events(EVENTS)):
        answer = GetEventsResponse.FromString(event)
        kind = answer.WhichOneof("event")
        assert kind is not None
        if number % 2:
            getattr(answer, kind).process.arguments = LONG_ARGUMENTS
        yield answer.SerializeToString()


def _killed_at_first_commit(run: PipelineRun, stage: str, environ: dict[str, str]) -> None:
    worker = Worker(("tests.support.dying_worker", stage), run.environ | environ, run.folder / f"dying-{stage}.log")
    run.processes[f"dying-{stage}"] = worker
    worker.start()
    run.wait(lambda: worker.exit_code is not None, 60, f"{stage} to be killed")
    assert worker.exit_code == -signal.SIGKILL, worker.log_tail()


def _at_rest(run: PipelineRun) -> bool:
    return all(run.not_ready(name) is None for name in run.wanted) and run.books("--settled").exit_code == 0


def _letters(run: PipelineRun) -> Counter[str]:
    """How many dead letters are in each state."""
    document: dict[str, Any] = json.loads(_run(run, "dead-letters", "list", "--positions").stdout)
    return Counter(letter["state"] for letter in document["letters"])


def _in_a_version(run: PipelineRun, stage: str) -> OwnCount:
    """Counts of a new version, which begins at `stage`: a run without faults over the same history."""
    command = [sys.executable, "-m", "app", "reprocess", "--stage", stage, "--once", "--json"]
    done = subprocess.run(command, env=run.environ, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    version = json.loads(done.stdout.splitlines()[-1])["output"].removeprefix(run.settings.topic_prefix)
    assert version != topics.CALLS
    return own_count(run, version)


def _exported(run: PipelineRun, form: str) -> int:
    """How many calls an export of the whole topic counts."""
    to = run.folder / form
    done = CliRunner().invoke(
        cli, ["export", "--format", form, "--from", "first", "-o", str(to), "--json"], env=run.environ
    )
    assert done.exit_code == 0, done.output
    window = json.loads(done.stdout)["window"]
    return int(window["calls"]) + int(window["without_stack"])


def test_every_event_is_counted_once_after_kills_a_stop_at_a_limit_a_repair_and_a_retry_that_was_cut_short(
    embedded: EmbeddedBroker, topic_prefix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two stages are killed between output and commit, and privacy runs into a limit, before the repair."""
    policy, log = tmp_path / "strict.toml", tmp_path / "patient.log"
    default = files("agents.privacy.policies").joinpath("default.toml").read_text()
    policy.write_text(re.sub(r"max_text_bytes = \w+", f"max_text_bytes = {STRICT_TEXT_BYTES}", default))
    strict = {"CALLSTREAM_PRIVACY_POLICY_FILE": str(policy)}
    with pipeline_run(embedded, topic_prefix, tmp_path) as run:
        events = list(_events())
        send_load(run, events[: EVENTS // 2])
        _killed_at_first_commit(run, "canonicalize", {})
        run.start("canonicalize-0")
        patient = Worker(("app", "worker", "--stage", "privacy", "--index", "0"), run.environ | strict | NO_LIMITS, log)
        run.processes["patient"] = patient
        patient.start()
        run.wait(lambda: uncommitted(run) == 0, 60, "the first half to be refused or published")
        patient.end(signal.SIGTERM, within_seconds=15)
        send_load(run, events[EVENTS // 2 :])
        _killed_at_first_commit(run, "privacy", strict | NO_LIMITS)
        stopped = run.start("privacy-0", strict)
        run.wanted.discard("privacy-0")
        run.wait(lambda: stopped.exit_code is not None, 60, "privacy to stop itself")
        assert stopped.exit_code == ExitCode.TOO_MANY_REFUSED, stopped.log_tail()
        early = _run(run, "dead-letters", "retry", "--dry-run")
        del run.processes["privacy-0"]
        run.start("privacy-0")
        run.start("hot-symbols-0")
        run.wait(lambda: _at_rest(run), 90, "the repaired stages")
        before = _letters(run)

        note = Resender._note

        def note_or_end(self: Resender, one: Any, reason: str, raw_offset: int) -> None:
            if reason == RETRY:
                raise _RetryCutShortError
            note(self, one, reason, raw_offset)

        monkeypatch.setattr(Resender, "_note", note_or_end)
        cut_short = _run(run, "dead-letters", "retry")
        monkeypatch.undo()
        early_version = _in_a_version(run, "canonicalize")
        retried = _run(run, "dead-letters", "retry")
        run.wait(lambda: _at_rest(run), 90, "what was sent again")
        again = _run(run, "dead-letters", "retry")
        after = _letters(run)
        own = own_count(run)
        table = hits_of_table(run)
        late_version = _in_a_version(run, "privacy")
        exported = {form: _exported(run, form) for form in ("folded", "runtime-facts")}
        raw = raw_account(run)
        books = run.books("--dead-letters", "--json")

    assert early.exit_code == 1
    assert json.loads(early.stdout)["waiting"] > 0, "privacy had not read everything"
    assert before["open"] > 0, "nothing was left to send again: the test has proved nothing"
    assert isinstance(cut_short.exception, _RetryCutShortError)
    assert retried.exit_code == 0, retried.output
    assert json.loads(retried.stdout)["sent"] == before["open"]
    assert (again.exit_code, json.loads(again.stdout)["sent"]) == (0, 0)
    assert after == Counter({"published": before["published"], "sent again": before["open"]})
    assert raw.records == EVENTS + before["open"]
    assert own.places.keys() == raw.calls
    assert {len(found) for found in own.places.values()} == {1}, "an event counts twice"
    assert table == own.hits
    for version in (early_version, late_version):
        assert version.places.keys() == raw.calls
        assert {len(found) for found in version.places.values()} == {1}, "a version has an event and its copy"
        assert table == version.hits, "the table is not that of a run without faults"
    assert exported == dict.fromkeys(exported, len(raw.calls))
    assert books.exit_code == 0, books.output
    assert json.loads(books.stdout)["dead_letters"] == {
        "refused": before["open"] + before["published"],
        "open": 0,
        "waiting": 0,
        "published": before["published"],
        "sent_again": before["open"],
    }
