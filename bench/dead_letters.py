"""What it costs to find out which dead letters are open: `python -m bench.dead_letters`.

A topic of calls lacks a few raw records, which have dead letters. `callstream dead-letters list` looks for their calls
around their times. Beside it, the topic is read from the oldest dead letter on, as it would have to be without that.
"""

import time
from collections.abc import Callable, Iterator
from typing import Final

from confluent_kafka import Producer

from agents.contract import DeadLetter
from agents.dead_letters import encode_dead_letter
from app.dead_letters.settling import read_letters, rising
from app.kafka.registry import SchemaRegistry
from app.kafka.topic_reader import TopicReader
from app.progress import Progress
from app.replay.compare.published import PublishedSchemas, raw_position
from app.settings import Settings
from app.stages.worker import registered_id
from bench.deployment import Deployment, deployment
from bench.figures import Row, Table, record, text_of
from schemas import avro_wire, topics
from schemas.topics import Stage
from tests.support.calls import encode_call, frame

CALLS: Final = 1_000_000
RATE_PER_S: Final = 500
"""Of one partition: a topic of four takes 2,000 events a second."""

LETTERS: Final = (0.1, 0.5, 0.9)
"""Where the dead letters stand, as parts of the topic."""

FRAMES: Final = 12
_SOURCE_BYTES: Final = 2


def main() -> None:
    """Measure and record."""
    with deployment({"CALLSTREAM_PARTITIONS": "1"}) as running:
        settings = Settings(
            kafka_bootstrap_servers=running.broker.bootstrap_servers, schema_registry_url=running.broker.registry_url
        )
        missing = [int(CALLS * part) for part in LETTERS]
        received_ms = time.time_ns() // 1_000_000 - CALLS * 1_000 // RATE_PER_S
        _fill(running, settings, missing, received_ms)
        rows = [_row("around each", lambda: _listed(settings)), _row("from the oldest on", lambda: _read_all(settings))]
    shared = {"calls": CALLS, "dead letters": len(missing), "events a second": RATE_PER_S}
    table = Table("which dead letters are open", shared, rows)
    print(text_of(table))
    record("dead_letters", [table])


def _fill(running: Deployment, settings: Settings, missing: list[int], received_ms: int) -> None:
    producer = Producer({"bootstrap.servers": running.broker.bootstrap_servers, "compression.type": "lz4"})
    for offset, value in _calls(registered_id(settings, topics.CALLS)):
        if offset not in missing:
            producer.produce(topics.CALLS, value, b"k", 0, timestamp=received_ms + offset * 1_000 // RATE_PER_S)
        if offset % 10_000 == 0:
            producer.flush()
    schema_id = registered_id(settings, topics.DEAD_LETTERS)
    for offset in missing:
        time_ms = received_ms + offset * 1_000 // RATE_PER_S
        letter = DeadLetter(topics.RAW, 0, offset, Stage.CANONICALIZE, "too_deep", None, 0, offset, time_ms)
        note = encode_dead_letter(letter, schema_id)
        producer.produce(topics.DEAD_LETTERS, note.value, note.key, 0, timestamp=note.timestamp_ms)
    assert producer.flush() == 0


def _calls(schema_id: int) -> Iterator[tuple[int, bytes]]:
    frames = [frame("kernel", f"function_{number}", offset=number) for number in range(FRAMES)]
    call = encode_call({"stack_frames": frames, "source": {"partition": 0, "offset": 0}}, schema_id=schema_id)
    common = call[:-_SOURCE_BYTES] + avro_wire.long(0)
    return ((offset, common + avro_wire.long(offset)) for offset in range(CALLS))


def _listed(settings: Settings) -> None:
    with Progress() as progress:
        found = read_letters(settings, progress, patience_seconds=0)
    assert not found.published
    assert len(found.by_event) == len(LETTERS)


def _read_all(settings: Settings) -> None:
    with SchemaRegistry.from_settings(settings) as registry, TopicReader(settings) as reader:
        schemas = PublishedSchemas.of_topics(registry, topics.CALLS, topics.AUDIT)
        ends, highest = reader.ends(topics.CALLS, 0), -1
        for taken in reader.read(topics.CALLS, 0, int(CALLS * min(LETTERS)), ends.next - 1):
            positions = [raw_position(one.value, schemas) for one in taken]
            _, highest = rising([one for one in positions if one is not None], highest)
        assert highest == CALLS - 1


def _row(name: str, work: Callable[[], None]) -> Row:
    began = time.perf_counter()
    work()
    return Row(name, {"seconds": round(time.perf_counter() - began, 2)})


if __name__ == "__main__":
    main()
