"""Records that were deleted before a stage read them: nobody claims that what they may have said never happened."""

import json
import signal
import time
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from confluent_kafka import Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from app.__main__ import cli
from app.embedded.broker import EmbeddedBroker
from app.stages.worker import registered_id
from schemas import coverage, records, topics
from schemas.coverage import CoverageGap, GapCause, SkippedOffsets
from schemas.topics import Stage
from tests.support import events
from tests.support.made_stores import store_with
from tests.support.pipeline_run import PipelineRun, pipeline_run

pytestmark = pytest.mark.integration

SECOND = 1_000_000_000
NODE = "quay-7"
ZLIB = "89abcdef0123456789abcdef0123456789abcdef"
WATCH_ID = "/usr/lib/libz.so.1!inflate"


def _has(run: PipelineRun, topic: str, records: int) -> bool:
    return sum(run.ends(topic).values()) == records


class _Scene:
    """A pipeline of which a test makes the events and the coverage itself."""

    def __init__(self, run: PipelineRun) -> None:
        self.run = run
        self.began_ns = time.time_ns()
        servers: dict[str, str | int | float | bool] = {"bootstrap.servers": run.settings.kafka_bootstrap_servers}
        self._producer, self._admin = Producer(servers), AdminClient(servers)
        self._pid = 100

    def send(self, count: int) -> None:
        """Events, in all partitions in turns."""
        for _ in range(count):
            self._pid += 1
            value = events.event("process_exec", events.process(self._pid)).SerializeToString()
            self._producer.produce(self.run.settings.name(topics.RAW), value, b"key", self._pid % 4)
        assert self._producer.flush(30) == 0

    def vouch(self) -> None:
        """Say that everything of the node was received, from an hour ago until now."""
        beat = CoverageGap(
            node=NODE,
            from_ns=self.began_ns - 3600 * SECOND,
            to_ns=time.time_ns(),
            cause=GapCause.HEARTBEAT,
        )
        value = coverage.encode(beat, registered_id(self.run.settings, topics.COVERAGE))
        self._producer.produce(self.run.settings.name(topics.COVERAGE), value, NODE.encode())
        assert self._producer.flush(30) == 0

    def watch(self) -> None:
        """Ask about a symbol for the last half hour."""
        fields = {
            "symbol": "inflate",
            "module": "/usr/lib/libz.so.1",
            "since_ns": self.began_ns - 1800 * SECOND,
            "every_call_probed": True,
        }
        value = records.encode(records.WATCH, registered_id(self.run.settings, topics.WATCH), fields)
        self._producer.produce(self.run.settings.name(topics.WATCH), value, WATCH_ID.encode())
        assert self._producer.flush(30) == 0

    def delete_all(self, topic: str) -> dict[int, int]:
        """Delete what a topic holds, as retention does; returns its ends."""
        ends = self.run.ends(topic)
        name = self.run.settings.name(topic)
        asked = [TopicPartition(name, number, end) for number, end in ends.items()]
        for answer in self._admin.delete_records(asked).values():
            answer.result(20)
        return ends

    def answer(self) -> dict[str, Any]:
        """The newest answer to the watch."""
        done = CliRunner().invoke(cli, ["hot-symbols", "--watched", "--json"], env=self.run.environ)
        found = [json.loads(line) for line in done.stdout.splitlines()]
        return next((one for one in found if one["watch_id"] == WATCH_ID), {"answer": "none yet"})

    def await_answer(self, wanted: str) -> dict[str, Any]:
        """Wait for it, vouching for the node."""

        def there() -> bool:
            self.vouch()
            return bool(self.answer()["answer"] == wanted)

        self.run.wait(there, 60, wanted)
        return self.answer()

    def skipped(self) -> list[CoverageGap]:
        """Gaps of all nodes on runtime.coverage."""
        found = [coverage.decode(one.value or b"") for one in self.run.records(topics.COVERAGE)]
        return [gap for gap in found if gap.skipped is not None]


def test_never_hit_is_not_said_over_records_that_were_deleted_unread(
    embedded: EmbeddedBroker, topic_prefix: str, tmp_path: Path
) -> None:
    """The answer becomes "not seen" with the gap, `coverage` and `books` name it, and a metric calls somebody."""
    store = tmp_path / "symbols"
    store_with(store, {ZLIB: [["inflate"], ["deflate"]]}, {"image:any": {"/usr/lib/libz.so.1": ZLIB}})
    with pipeline_run(embedded, topic_prefix, tmp_path, symbol_store_dir=str(store)) as run:
        scene = _Scene(run)
        run.start_stages()
        scene.send(20)
        scene.watch()
        scene.await_answer("NeverHit")

        run.end("canonicalize-0", signal.SIGTERM)
        stopped_ns, before = time.time_ns(), run.ends(topics.RAW)
        scene.send(40)
        ends = scene.delete_all(topics.RAW)
        worker = run.start("canonicalize-0")
        run.await_ready()
        said = scene.await_answer("NotSeen")
        assert {(gap["node"], gap["cause"]) for gap in said["gaps"]} == {("", "Skipped")}

        gaps = scene.skipped()
        assert {gap.skipped for gap in gaps} == {
            SkippedOffsets(topics.RAW, number, before[number], end) for number, end in ends.items()
        }
        assert all(gap.from_ns < stopped_ns < gap.to_ns for gap in gaps)
        window = ["coverage", "--node", NODE, "--from", "20m", "--to", "now", "--json"]
        asked = CliRunner().invoke(cli, window, env=run.environ)
        assert asked.exit_code == 1, asked.output
        assert {gap["skipped"]["topic"] for gap in json.loads(asked.stdout)["gaps"]} == {topics.RAW}
        books = run.books()
        assert books.exit_code == 1
        assert "10 records of tetragon.raw[0] before offset 15 were deleted before they were read" in books.stderr
        assert worker.metric('runtime_records_skipped_total{topic="tetragon.raw"}') == 40


def test_what_was_deleted_before_a_group_committed_anything_is_a_gap_too(
    embedded: EmbeddedBroker, topic_prefix: str, tmp_path: Path
) -> None:
    """Books say it before the stage has run and after; an operator who moves the group leaves a gap as well."""
    with pipeline_run(embedded, topic_prefix, tmp_path) as run:
        scene = _Scene(run)
        scene.send(8)
        ends = scene.delete_all(topics.RAW)
        assert "2 records of tetragon.raw[1] were deleted before any was read" in run.books().stderr
        run.start("canonicalize-0")
        run.wait(lambda: len(scene.skipped()) == len(ends), 60, "a gap of each partition")
        assert {gap.skipped for gap in scene.skipped()} == {
            SkippedOffsets(topics.RAW, number, 0, end) for number, end in ends.items()
        }
        assert {gap.from_ns for gap in scene.skipped()} == {0}
        run.wait(lambda: "2 records of tetragon.raw[1] before offset 2 were deleted" in run.books().stderr, 30)


def test_what_is_deleted_while_a_stage_waits_for_its_output_is_a_gap(
    embedded: EmbeddedBroker, topic_prefix: str, tmp_path: Path
) -> None:
    """Privacy lacks the canonical events: the gap is of runtime.canonical, and the stage goes on behind it."""
    with pipeline_run(embedded, topic_prefix, tmp_path) as run:
        scene = _Scene(run)
        for stage in (Stage.CANONICALIZE, Stage.PRIVACY):
            run.start(f"{stage.value}-0")
        scene.send(8)
        run.wait(lambda: sum(run.ends(topics.CALLS).values()) == 8, 60, "the first calls")
        privacy = run.processes["privacy-0"]
        privacy.signal(signal.SIGSTOP)
        try:
            for sent in (16, 24):  # an answer that was on its way may hold the first of them
                scene.send(8)
                run.wait(partial(_has, run, topics.CANONICAL, sent), 60, "canonical events")
            scene.delete_all(topics.CANONICAL)
            scene.send(8)
            run.wait(lambda: sum(run.ends(topics.CANONICAL).values()) == 32, 60, "canonical events")
        finally:
            privacy.signal(signal.SIGCONT)
        run.wait(lambda: len(scene.skipped()) == 4, 60, "a gap of each partition")
        lost = {gap.skipped.partition: gap.skipped for gap in scene.skipped() if gap.skipped is not None}
        assert {(one.topic, one.next) for one in lost.values()} == {(topics.CANONICAL, 6)}
        assert all(one.first in {2, 4} for one in lost.values())
        left = 32 - sum(one.next - one.first for one in lost.values())
        run.wait(lambda: sum(run.ends(topics.CALLS).values()) == left, 60, "the last calls")
        assert privacy.exit_code is None
