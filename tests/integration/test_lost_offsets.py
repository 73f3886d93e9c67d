"""A stage that was away until Kafka had forgotten its offsets: it says so, and nothing counts twice."""

import json
import signal
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from app.__main__ import cli
from app.embedded.broker import EmbeddedBroker
from schemas import topics
from schemas.topics import Stage
from tests.support import events
from tests.support.pipeline_run import PipelineRun, pipeline_run

pytestmark = pytest.mark.integration

EVENTS = 24


def test_offsets_that_expired_are_noticed_and_counts_stay_exact(
    embedded: EmbeddedBroker, topic_prefix: str, tmp_path: Path
) -> None:
    """Each call is there twice, under the same raw position; the table has each event once."""
    with pipeline_run(embedded, topic_prefix, tmp_path) as run:
        run.start_stages()
        _send(run)
        run.wait(lambda: _hits(run) == {"vfs_read": EVENTS}, 60, "all to be counted")

        run.end("canonicalize-0", signal.SIGTERM)
        admin = AdminClient({"bootstrap.servers": run.settings.kafka_bootstrap_servers})
        group = run.settings.name(Stage.CANONICALIZE.group)
        run.wait(lambda: _forgotten(admin, group), 60, "the group to be empty, and its offsets deleted")
        worker = run.start("canonicalize-0")
        run.wait(lambda: sum(run.ends(topics.CALLS).values()) == 2 * EVENTS, 60, "calls that come twice")
        run.wait(lambda: json.loads(run.books("--json").stdout)["pipeline"]["waiting"] == 0, 60, "rest")

        assert _hits(run) == {"vfs_read": EVENTS}
        assert worker.metric('runtime_offsets_lost_total{topic="tetragon.raw"}') == 4
        assert "offsets of" in worker.log_tail()
        assert "are gone" in worker.log_tail()


def _send(run: PipelineRun) -> None:
    frames = [events.kernel_frame("vfs_read", 7)]
    made = (events.kprobe(who=events.process(100 + number), kernel=frames) for number in range(EVENTS))
    run.send(topics.RAW, *(event.SerializeToString() for event in made))


def _hits(run: PipelineRun) -> dict[str, int]:
    asked = CliRunner().invoke(cli, ["hot-symbols", "--module", "kernel", "--json"], env=run.environ)
    rows: list[dict[str, Any]] = [json.loads(line) for line in asked.stdout.splitlines()]
    return {row["symbol"]: row["hits"] for row in rows if row["symbol"] == "vfs_read"}


def _forgotten(admin: AdminClient, group: str) -> bool:
    """Delete the group, which works once its last session is over."""
    try:
        for answer in admin.delete_consumer_groups([group]).values():
            answer.result(20)
    except KafkaException:
        return False
    return True
