"""A cluster of three nodes, of which one is killed, one paused until nothing can be written, and one stopped gently."""

import json
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from app.__main__ import cli
from app.embedded.broker import EmbeddedBroker
from app.kafka.client import KafkaUnreachableError, KafkaUnusableError, client_config
from app.provision.topic_admin import TopicAdmin
from schemas import records, topics
from tests.support.fault_proof import raw_account
from tests.support.pipeline_run import INGEST, PipelineRun, pipeline_run
from tests.support.run_size import run_size
from tests.support.simulator_process import simulator_process
from tests.support.three_brokers import ThreeBrokers

pytestmark = [pytest.mark.integration, pytest.mark.proof]

PROOF_EVENTS = 20_000
RATE_PER_S = 250
PAUSED_SECONDS = 10.0
"""Longer than a paused node counts as in sync."""


def test_nothing_is_lost_and_nothing_dies_while_one_node_after_the_other_goes(
    embedded: EmbeddedBroker,
    topic_prefix: str,
    tmp_path: Path,
    seed: int,
    record_property: Callable[[str, object], None],
) -> None:
    """Each event becomes a call once, the table counts exactly, and no process of ours ends."""
    events = min(PROOF_EVENTS, 3_000 * run_size())
    load = tmp_path / "events.bin"
    made = CliRunner().invoke(cli, ["workload", "--events", str(events), "--seed", str(seed), "--out", str(load)])
    assert made.exit_code == 0, made.output
    more = {"http_port": "0"}
    with (
        ThreeBrokers(tmp_path / "brokers", embedded.registry_url) as cluster,
        simulator_process(
            "--listen", "127.0.0.1:0", "--events", str(load), "--rate", str(RATE_PER_S), "--repeat", "1"
        ) as agent,
        pipeline_run(cluster, topic_prefix, tmp_path, tetragon_address=agent.address, **more) as run,
    ):
        _assert_three_copies(run)
        run.start_stages()
        run.await_ready()
        run.start(INGEST)
        run.wait(lambda: _written(run) > 0, 60, "the first events")

        cluster.kill(1)
        run.wait(lambda: _written(run) > 0, 90, "leaders beside a killed node")
        written = _written(run)
        # on a slow machine all may have been written by now
        run.wait(lambda: _written(run) > min(written, events - 1), 90, "events to be written beside a killed node")
        cluster.pause(2)
        run.sleep(min(2, run_size()) * PAUSED_SECONDS)
        cluster.resume(2)
        cluster.start(1)
        cluster.await_whole()
        cluster.stop(3)
        run.sleep(3)
        cluster.start(3)
        cluster.await_whole()

        try:
            run.wait(lambda: _written(run) >= events, 240, "all events")
            seconds = run.wait(lambda: run.books("--settled").exit_code == 0, 90, "rest")
        except AssertionError as error:
            raise AssertionError(f"{run.books('--settled').output}\n{error}") from None
        assert run.ended == [], run.logs()

        raw, calls = raw_account(run), _calls(run)
        assert (raw.records, raw.refused) == (events, 0)
        assert {one["event_id"].encode() for one in calls.values()} == raw.calls
        assert _kernel_rows(run) == _kernel_frames(calls)
        copies = sum(run.ends(topics.CALLS).values())
        for name, value in {"events": events, "calls": len(calls), "twice": copies - len(calls)}.items():
            record_property(name, value)
        record_property("seconds_to_rest", round(seconds, 1))


def _assert_three_copies(run: PipelineRun) -> None:
    """`topics apply` has chosen them by itself."""
    names = [run.settings.name(topic.name) for topic in topics.TOPICS]
    made = TopicAdmin(client_config(run.settings)).existing(names)
    assert {(one.replicas, one.config["min.insync.replicas"]) for one in made.values()} == {(3, "2")}
    other = CliRunner().invoke(cli, ["topics", "check", "--json"], env={**run.environ, "CALLSTREAM_PARTITIONS": ""})
    assert json.loads(other.stdout)["chosen"]["partitions_from"] == "existing topics"
    empty = {"CALLSTREAM_PARTITIONS": "", "CALLSTREAM_TOPIC_PREFIX": "none."}
    other = CliRunner().invoke(cli, ["topics", "check", "--json"], env={**run.environ, **empty})
    assert json.loads(other.stdout)["chosen"] == {
        "brokers": 3,
        "partitions": 12,
        "partitions_from": "rule",
        "replication_factor": 3,
        "min_insync_replicas": 2,
    }


def _written(run: PipelineRun) -> int:
    """Raw events that are written; none while a partition looks for a leader."""
    try:
        return sum(run.ends(topics.RAW).values())
    except (KafkaUnreachableError, KafkaUnusableError):
        return 0


def _calls(run: PipelineRun) -> dict[tuple[int, int], dict[str, Any]]:
    """Calls by raw position."""
    decoded = (records.decode(records.CALL, one.value or b"") for one in run.records(topics.CALLS))
    return {(one["source"]["partition"], one["source"]["offset"]): one for one in decoded}


def _kernel_frames(calls: Mapping[tuple[int, int], dict[str, Any]]) -> Counter[str]:
    """How often each kernel symbol stands on a stack, counted in the plainest way."""
    frames = (frame for call in calls.values() for frame in call["stack_frames"] if frame["is_kernel_space"])
    return Counter(frame["symbol"] for frame in frames if frame["module"] == "kernel")


def _kernel_rows(run: PipelineRun) -> Counter[str]:
    """The same, as the table says it."""
    asked = ["hot-symbols", "--module", "kernel", "--top", "100000", "--json"]
    found = CliRunner().invoke(cli, asked, env=run.environ).stdout.splitlines()
    return Counter({row["symbol"]: row["hits"] for row in map(json.loads, found)})
