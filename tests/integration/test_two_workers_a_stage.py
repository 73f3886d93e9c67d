"""Two workers a stage, started as anybody would, through kills: nothing is missing, and little is sent twice."""

import itertools
import signal
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from confluent_kafka import Producer

from app.embedded.broker import EmbeddedBroker
from app.ingest.keys import KeyReader
from app.processes.process_end import ExitCode
from schemas import topics
from schemas.node import NodeId
from schemas.topics import Stage
from tests.support.delivery_run import Worker
from tests.support.fault_proof import raw_account
from tests.support.own_count import hits_of_table, own_count
from tests.support.pipeline_run import PipelineRun, pipeline_run
from tests.support.sent_load import process_events

pytestmark = pytest.mark.integration

EVENTS = 16_000
RATE_PER_S = 800
AT_ONCE = 80


def _send(run: PipelineRun, events: Sequence[bytes]) -> None:
    """Send at a steady rate."""
    producer = Producer({"bootstrap.servers": run.settings.kafka_bootstrap_servers, "partitioner": "murmur2_random"})
    keys, began = KeyReader(NodeId("", "node-1")).read(events).keys, time.monotonic()
    for number, (event, key) in enumerate(zip(events, keys, strict=True)):
        if number % AT_ONCE == 0:
            producer.flush(30)
            time.sleep(max(0.0, began + number / RATE_PER_S - time.monotonic()))
        producer.produce(run.settings.name(topics.RAW), event, key)
    assert producer.flush(30) == 0


def _add_workers(run: PipelineRun) -> list[tuple[str, str]]:
    """Two workers a stage without an index, over one data folder; returns their names by stage."""
    pairs = []
    for stage in Stage:
        pair = (f"{stage.value}-0", f"{stage.value}-1")
        for name in pair:
            program = ("app", "worker", "--stage", stage.value)
            run.processes[name] = Worker(program, run.environ, run.folder / f"{name}.log")
            run.start(name)
        pairs.append(pair)
    return pairs


def _is_shared(run: PipelineRun) -> bool:
    """Whether every worker does its job and has partitions."""
    return all(
        run.not_ready(name) is None and "runtime_consumer_lag_records{" in run.processes[name].get("/metrics")[1]
        for name in run.wanted
    )


def test_two_workers_a_stage_without_an_index_lose_nothing_and_send_little_twice_under_kills(
    embedded: EmbeddedBroker, topic_prefix: str, tmp_path: Path
) -> None:
    """Each worker is killed once; at most a fifth of the records of each topic come twice, and the table is exact."""
    events = list(process_events(EVENTS))
    with pipeline_run(embedded, topic_prefix, tmp_path) as run:
        pairs = _add_workers(run)
        run.wait(lambda: _is_shared(run), 120, "all workers to have partitions")
        sending = threading.Thread(target=_send, args=(run, events))
        sending.start()
        run.sleep(2)
        for victim in itertools.chain(*zip(*pairs, strict=True)):
            run.end(victim, signal.SIGKILL)
            run.sleep(1)
            run.start(victim)
            run.sleep(2)
        sending.join()
        run.wait(lambda: _is_shared(run) and run.books("--settled").exit_code == 0, 120, "everything to be counted")
        raw, calls, table = raw_account(run), own_count(run), hits_of_table(run)
        canonical = sum(run.ends(topics.CANONICAL).values())

    assert raw.records == EVENTS
    assert calls.places.keys() == raw.calls
    assert {len(found) for found in calls.places.values()} == {1}
    assert canonical - len(raw.calls) <= len(raw.calls) / 5
    assert calls.records - len(raw.calls) <= len(raw.calls) / 5
    assert table == calls.hits
    assert {one.code for one in run.ended} <= {ExitCode.UNAVAILABLE}, run.ended
