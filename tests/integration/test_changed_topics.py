"""Topics that somebody changes while the pipeline runs: more partitions, and records that the broker stamps."""

import json
import signal
from pathlib import Path
from random import Random

import pytest
from click.testing import CliRunner
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewPartitions,
    ResourceType,
)

from app.__main__ import cli
from app.embedded.broker import EmbeddedBroker
from app.processes.process_end import ExitCode
from schemas import coverage, records, topics
from schemas.coverage import GapCause, SkippedOffsets
from tests.support import events
from tests.support.pipeline_run import INGEST, PipelineRun, pipeline_run

pytestmark = pytest.mark.integration


def _admin(run: PipelineRun) -> AdminClient:
    return AdminClient({"bootstrap.servers": run.settings.kafka_bootstrap_servers})


def _stamp(run: PipelineRun, topic: str, by: str) -> None:
    _set(run, topic, "message.timestamp.type", by)


def _set(run: PipelineRun, topic: str, option: str, value: str) -> None:
    entry = ConfigEntry(option, value, incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ResourceType.TOPIC, run.settings.name(topic), incremental_configs=[entry])
    admin = _admin(run)
    for answer in admin.incremental_alter_configs([resource]).values():
        answer.result(20)


def test_partitions_that_are_added_are_noticed_by_all(
    embedded: EmbeddedBroker, topic_prefix: str, tmp_path: Path
) -> None:
    """Every stage and ingest say so in /readyz, books find it, and what lies there is a gap of all nodes."""
    nowhere = {"tetragon_address": f"unix://{tmp_path}/none.sock"}
    with pipeline_run(embedded, topic_prefix, tmp_path, **nowhere) as run:
        run.start_stages()
        run.start(INGEST)
        raw = run.settings.name(topics.RAW)
        # a stage that starts afterwards refuses the topics, and never gets so far as to notice a change
        run.wait(lambda: all(run.not_ready(name) is None for name in run.wanted - {INGEST}), 60, "the stages")
        run.wait(lambda: run.processes[INGEST].serves, 60, "ingest")
        admin = _admin(run)
        for answer in admin.create_partitions([NewPartitions(raw, 6)]).values():
            answer.result(20)
        value = events.event("process_exec", events.process(101)).SerializeToString()
        run.send(topics.RAW, value, partition=5)

        said = f"{raw} has 6 partitions"
        run.wait(lambda: all(said in (run.not_ready(name) or "") for name in run.wanted), 60, "all to notice")
        books = run.books()
        assert books.exit_code == 1
        assert "nobody reads the 1 records of the partitions from 4 on" in books.stderr

        def gaps() -> set[SkippedOffsets]:
            found = [coverage.decode(one.value or b"") for one in run.records(topics.COVERAGE)]
            return {gap.skipped for gap in found if gap.cause is GapCause.SKIPPED and gap.skipped is not None}

        run.wait(lambda: gaps() == {SkippedOffsets(topics.RAW, 5, 0, 1)}, 60, "the gap")
        asked = CliRunner().invoke(
            cli, ["coverage", "--node", "any", "--from", "1h", "--to", "now", "--json"], env=run.environ
        )
        assert (asked.exit_code, json.loads(asked.stdout)["trust"]) == (1, "not-trusted")


def test_a_stage_neither_starts_nor_goes_on_where_the_broker_stamps_records(
    embedded: EmbeddedBroker, topic_prefix: str, tmp_path: Path
) -> None:
    """It ends with the code for topics and state that contradict each other, and the log says how to set it back."""
    with pipeline_run(embedded, topic_prefix, tmp_path) as run:
        _stamp(run, topics.RAW, "LogAppendTime")
        worker = run.start("canonicalize-0")
        assert worker.wait(within_seconds=30) == ExitCode.WRONG_STATE
        assert "message.timestamp.type=CreateTime" in worker.log_tail()

        _stamp(run, topics.RAW, "CreateTime")
        worker.start()
        run.await_ready()
        _stamp(run, topics.CANONICAL, "LogAppendTime")
        assert worker.wait(within_seconds=60) == ExitCode.WRONG_STATE
        assert f"{run.settings.name(topics.CANONICAL)}: the broker stamps records" in worker.log_tail()


def test_events_that_their_topic_does_not_take_cost_themselves_only(
    embedded: EmbeddedBroker, topic_prefix: str, tmp_path: Path
) -> None:
    """Batches are made to fit; a canonical event or a call that does not is a dead letter, and the stages go on."""
    with pipeline_run(embedded, topic_prefix, tmp_path) as run:
        _set(run, topics.CANONICAL, "max.message.bytes", "60000")
        _set(run, topics.CALLS, "max.message.bytes", "30000")
        for stage in ("canonicalize-0", "privacy-0"):
            run.start(stage)
        small, chance = 300, Random(5)
        texts = [f"{chance.getrandbits(8 * 900):x}" for _ in range(small)]
        texts += [" ".join(f"{chance.getrandbits(4_000):x}" for _ in range(count)) for count in (45, 90)]
        processes = (events.process(pid, arguments=text) for pid, text in enumerate(texts, 100))
        run.send(topics.RAW, *(events.event("process_exec", who).SerializeToString() for who in processes))
        run.wait(lambda: sum(run.ends(topics.CALLS).values()) == small, 60, "the small events")
        run.wait(lambda: sum(run.ends(topics.DEAD_LETTERS).values()) == 2, 60, "the large ones")
        letters = [records.decode(records.DEAD_LETTER, one.value or b"") for one in run.records(topics.DEAD_LETTERS)]
        assert {(one["stage"], one["reason"]) for one in letters} == {
            ("canonicalize", "too_large_for_topic"),
            ("privacy", "too_large_for_topic"),
        }
        assert run.ended == []
        _set(run, topics.DEAD_LETTERS, "max.message.bytes", "1000")
        run.end("privacy-0", signal.SIGTERM)
        run.processes["privacy-0"].start()
        assert run.processes["privacy-0"].wait(within_seconds=30) == ExitCode.WRONG_STATE
        assert "callstream topics apply raises it" in run.processes["privacy-0"].log_tail()
