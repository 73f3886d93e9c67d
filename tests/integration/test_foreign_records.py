"""Another program writes on a topic that a stage keeps for itself: the stage ends, and says where and what to do."""

from pathlib import Path

import pytest
from confluent_kafka import Producer

from agents.hot_symbols.identity import SymbolIdentity, symbol_id
from app.embedded.broker import EmbeddedBroker
from app.processes.process_end import ExitCode
from schemas import topics
from schemas.topics import Stage
from tests.support.calls import frame
from tests.support.events import event
from tests.support.hostile_batches import bomb, send_batches
from tests.support.pipeline_run import pipeline_run
from tests.support.watch_scene import watch_scene

pytestmark = pytest.mark.integration

FINE = frame("/usr/lib/libfine.so", "fine")
KEY = symbol_id(SymbolIdentity(None, "/usr/lib/libfine.so", "fine")).encode()
ROWS = topics.changelog(Stage.HOT_SYMBOLS, topics.HOT_SYMBOLS_TABLE)
COUNTS = topics.changelog(Stage.HOT_SYMBOLS, topics.PARTIAL_COUNTS_TABLE)
MODULES = topics.changelog(Stage.CANONICALIZE, topics.MODULES_TABLE)
BOMB = b"a bomb"


def _write(servers: str, topic: str, key: bytes, value: bytes) -> None:
    """Write to every partition."""
    if value is BOMB:
        assert send_batches(servers, topic, 0, [bomb("zstd", 100 << 20)]) == [0]
        return
    producer = Producer({"bootstrap.servers": servers, "log_level": 0})
    for partition in range(4):
        producer.produce(topic, value, key, partition)
    assert producer.flush(30) == 0


@pytest.mark.parametrize(
    "foreign",
    [
        (topics.HOT_PARTIALS, b"no key of a partial", b"\x01\x00\x00"),
        (topics.HOT_PARTIALS, KEY + b"\x000", b"no partial"),
        (topics.HOT_PARTIALS, KEY, BOMB),
        (ROWS, KEY, b"no row"),
        (COUNTS, KEY, b"no count"),
        (COUNTS, KEY, BOMB),
    ],
)
def test_a_foreign_record_ends_the_hot_symbols_stage_by_its_code(
    embedded: EmbeddedBroker, topic_prefix: str, tmp_path: Path, foreign: tuple[str, bytes, bytes]
) -> None:
    """With topic, partition, offset and cure in the log; a row that was recovered once ends the next start, too."""
    topic, key, value = foreign
    with watch_scene(embedded, topic_prefix, tmp_path) as scene:
        _write(embedded.bootstrap_servers, topic_prefix + topic, key, value)
        worker = scene.add_worker()
        for partition in range(4):
            scene.call(FINE, partition=partition)
        for _ in range(2 if topic == ROWS else 1):
            assert worker.wait(within_seconds=90) == ExitCode.FOREIGN_RECORD, worker.log_tail()
            if topic == ROWS:
                worker.start()
        log = worker.log_tail()
        worker.kill()
    assert f"{topic_prefix}{topic}[" in log
    assert "has a record at offset 0 that the stage did not write: take away the right to write there" in log
    assert "run `callstream topics apply`" in log


def test_a_foreign_row_of_modules_ends_canonicalize_by_the_same_code(
    embedded: EmbeddedBroker, topic_prefix: str, tmp_path: Path
) -> None:
    """What it keeps of processes is a table too."""
    with pipeline_run(embedded, topic_prefix, tmp_path) as run:
        _write(embedded.bootstrap_servers, topic_prefix + MODULES, b"exec-1", b"no row")
        for _ in range(4):
            _write(
                embedded.bootstrap_servers, topic_prefix + topics.RAW, b"k", event("process_exec").SerializeToString()
            )
        worker = run.start("canonicalize-0")
        assert worker.wait(within_seconds=90) == ExitCode.FOREIGN_RECORD, worker.log_tail()
        assert f"{MODULES}[" in worker.log_tail()
