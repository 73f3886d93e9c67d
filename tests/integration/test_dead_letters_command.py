"""`callstream dead-letters` after a bad deployment: what was refused is listed, and goes through after the repair."""

import json
import signal
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from app.__main__ import cli
from app.embedded.broker import EmbeddedBroker
from schemas import topics
from tests.support.delivery_run import Worker
from tests.support.fault_proof import call_account, raw_account
from tests.support.pipeline_run import PipelineRun, pipeline_run
from tests.support.refusing_worker import REASON
from tests.support.sent_load import process_events, send_load, uncommitted

pytestmark = pytest.mark.integration

EVENTS = 3_000
GARBAGE = b"\xff\xff never an event"


def _ask(run: PipelineRun, *arguments: str) -> tuple[int, dict[str, Any]]:
    asked: Result = CliRunner().invoke(cli, ["dead-letters", *arguments, "--json"], env=run.environ)
    return asked.exit_code, json.loads(asked.stdout)


def _records(run: PipelineRun, topic: str) -> int:
    return sum(run.ends(topic).values())


def test_refused_events_go_through_after_the_repair_and_each_once(
    embedded: EmbeddedBroker, topic_prefix: str, tmp_path: Path
) -> None:
    """Every event id of the raw topic is on runtime.calls exactly once, in an order in which none looks repeated."""
    with pipeline_run(embedded, topic_prefix, tmp_path, dead_letter_max_run="0") as run:
        send_load(run, [*process_events(EVENTS), GARBAGE])  # no repair helps the last one
        broken = Worker(("tests.support.refusing_worker",), run.environ, tmp_path / "broken.log")
        run.processes["broken"] = broken
        broken.start()
        run.start("privacy-0")
        refused = sum(-(-end // 10) for end in run.ends(topics.RAW).values())  # offsets 0, 10, 20...
        run.wait(lambda: _records(run, topics.DEAD_LETTERS) >= refused, 60, "the dead letters")
        run.wait(lambda: uncommitted(run) == 0, 60, "the rest to be finished")
        broken.end(signal.SIGTERM, within_seconds=10)

        listed = _ask(run, "list", "--positions")
        run.start("canonicalize-0")
        run.wait(lambda: uncommitted(run) == 0, 60, "the repaired worker")
        tried = _ask(run, "retry", "--dry-run")
        before = raw_account(run)
        retried = _ask(run, "retry")
        run.wait(lambda: uncommitted(run) == 0, 60, "what was sent again")
        again = _ask(run, "retry")
        listed_after = _ask(run, "list", "--reason", REASON)
        raw, calls = raw_account(run), call_account(run)

    letters = listed[1]["letters"]
    good = len(letters) - 1
    assert listed[0] == 0
    assert good >= refused - 1
    assert len(letters) == sum(group["letters"] for group in listed[1]["groups"])
    refusals = {f"canonicalize/{REASON}": 1}
    assert tried == (1, {"sent": good, "refused": refusals, "gone": 0, "waiting": 0, "dry_run": True})
    assert retried == (1, tried[1] | {"dry_run": False})
    assert again == (1, retried[1] | {"sent": 0})
    assert [(group["letters"], group["sent_again"]) for group in listed_after[1]["groups"]] == [(len(letters), good)]
    assert raw.records == before.records + good
    assert calls.ids == raw.calls == before.calls
    assert calls.records == len(raw.calls), "an event was published twice"


def test_an_empty_topic_has_no_dead_letters(embedded: EmbeddedBroker, topic_prefix: str, tmp_path: Path) -> None:
    """And nothing to retry, which is not a failure."""
    with pipeline_run(embedded, topic_prefix, tmp_path) as run:
        assert _ask(run, "list") == (0, {"groups": [], "strangers": 0})
        assert _ask(run, "retry") == (0, {"sent": 0, "refused": {}, "gone": 0, "waiting": 0, "dry_run": False})
