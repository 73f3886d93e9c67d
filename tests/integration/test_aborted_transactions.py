"""A raw topic that a transactional mirror writes: what it took back is counted nowhere, live or by a replay."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from confluent_kafka import Producer

from app.__main__ import cli
from app.embedded.broker import EmbeddedBroker
from schemas import records, topics
from schemas.topics import Stage
from tests.support import events
from tests.support.pipeline_run import PipelineRun, pipeline_run

pytestmark = pytest.mark.integration

TURNS = ((5, True), (6, False), (4, True), (2, False), (3, True), (1, False))
"""How many events each transaction has, and whether it keeps them. The log ends in nothing to read."""

SEEN = sum(count for count, kept in TURNS if kept)


def test_what_an_aborted_transaction_wrote_is_counted_nowhere(
    embedded: EmbeddedBroker, topic_prefix: str, tmp_path: Path
) -> None:
    """Stages, books, archive and replay agree on the events that were kept, and nothing waits for ever."""
    with pipeline_run(embedded, topic_prefix, tmp_path) as run:
        for stage in (Stage.CANONICALIZE, Stage.PRIVACY):
            run.start(f"{stage.value}-0")
        written = _mirror(run)
        run.wait(lambda: len(list(run.records(topics.CALLS))) >= SEEN, 60, "all calls")
        run.wait(lambda: _books(run)["pipeline"]["waiting"] == 0, 30, "nothing to wait")

        calls = [records.decode(records.CALL, one.value or b"") for one in run.records(topics.CALLS)]
        assert sorted(call["process"]["pid"] for call in calls) == written
        books = _books(run)
        assert (books["balanced"], books["findings"]) == (True, [])
        assert books["pipeline"] | {"raw": SEEN, "calls": SEEN, "lost": 0, "counted_twice": 0} == books["pipeline"]

        archive = tmp_path / "case"
        assert _answer(run, "record", "--out", str(archive), "--with-published")["records"] == SEEN
        made = _answer(
            run, "replay", "--archive", str(archive), "--published", "--out", str(tmp_path / "run"), "--processes", "1"
        )
        assert made["proved"], made["findings"]
        assert made["books"]["calls"] == SEEN


def _mirror(run: PipelineRun) -> list[int]:
    """Write as an exactly-once mirror does; returns the pids of the events that it kept."""
    producer = Producer(
        {"bootstrap.servers": run.settings.kafka_bootstrap_servers, "transactional.id": run.settings.name("mirror")}
    )
    producer.init_transactions(30)
    pid, kept = 100, []
    for count, is_kept in TURNS:
        producer.begin_transaction()
        for _ in range(count):
            pid += 1
            kept += [pid] if is_kept else []
            event = events.event("process_exec", events.process(pid))
            producer.produce(run.settings.name(topics.RAW), event.SerializeToString(), b"key", partition=0)
        assert producer.flush(30) == 0
        if is_kept:
            producer.commit_transaction(30)
        else:
            producer.abort_transaction(30)
    return kept


def _books(run: PipelineRun) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(run.books("--json").stdout)
    return found


def _answer(run: PipelineRun, *arguments: str) -> dict[str, Any]:
    done = CliRunner().invoke(cli, [*arguments, "--json"], env=run.environ, catch_exceptions=False)
    assert done.exit_code == 0, f"{done.output}\n{done.exception!r}"
    found: dict[str, Any] = json.loads(done.stdout)
    return found
