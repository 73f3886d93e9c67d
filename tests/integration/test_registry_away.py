"""A schema registry that goes away, comes back, or comes back without its schemas."""

import signal
from pathlib import Path

import pytest
import urllib3
from click.testing import CliRunner, Result

from app.__main__ import cli
from app.processes.process_end import ExitCode
from schemas import avro_wire, topics
from schemas.topics import TOPICS, subject
from tests.support import events
from tests.support.breakable_broker import BreakableBroker
from tests.support.pipeline_run import PipelineRun, pipeline_run

pytestmark = pytest.mark.integration


def test_a_stage_waits_for_a_registry_that_is_away(
    embedded: BreakableBroker, topic_prefix: str, tmp_path: Path
) -> None:
    """A record may be of a schema that it does not know yet: nothing ends, and the record is read later."""
    with pipeline_run(embedded, topic_prefix, tmp_path) as run:
        worker = run.start("hot-symbols-0")
        run.await_ready()
        embedded.kill_registry()
        try:
            run.send(topics.COVERAGE, avro_wire.schema_header(987_654) + b"a record of a later version")
            run.wait(lambda: "waiting: subject" in worker.log_tail(), 30, "the worker to wait")
        finally:
            embedded.restart_registry()
        run.wait(lambda: "reason=unknown_schema" in worker.log_tail(), 60, "the record to be read")
        assert run.ended == []


def test_schemas_that_the_registry_has_lost_are_not_registered_again(
    embedded: BreakableBroker, topic_prefix: str, tmp_path: Path
) -> None:
    """Stages that run go on under the old ids; a start, `topics apply` and doctor say what is wrong."""
    with pipeline_run(embedded, topic_prefix, tmp_path) as run:
        for stage in ("canonicalize-0", "privacy-0"):
            run.start(stage)
        value = events.event("process_exec", events.process(101)).SerializeToString()
        run.send(topics.RAW, value)
        run.wait(lambda: sum(run.ends(topics.CALLS).values()) == 1, 60, "a call")
        for topic in TOPICS:
            if topic.value_schema is not None:
                _forget(run, run.settings.name(subject(topic.name)))

        run.send(topics.RAW, value)
        run.wait(lambda: sum(run.ends(topics.CALLS).values()) == 2, 60, "another call")
        for command in ("apply", "check"):
            asked = _callstream(run, "topics", command)
            assert asked.exit_code == 1, asked.output
            assert f"{run.settings.name(topics.CALLS)} has had 2 records" in asked.stderr
        assert "the registry has lost its schemas" in _callstream(run, "doctor").output
        privacy = run.processes["privacy-0"]
        run.end("privacy-0", signal.SIGTERM)
        privacy.start()
        assert privacy.wait(within_seconds=30) == ExitCode.UNAVAILABLE


def _forget(run: PipelineRun, name: str) -> None:
    address = f"{run.settings.schema_registry_url}/subjects/{name}"
    for more in ("", "?permanent=true"):
        urllib3.request("DELETE", address + more)
    assert urllib3.request("GET", f"{address}/versions").status == 404


def _callstream(run: PipelineRun, *arguments: str) -> Result:
    return CliRunner().invoke(cli, arguments, env=run.environ)
