"""The programs that bench.stages compares: one stage's step on one engine, a process each.

Usage: python -m bench.stage_contestants STAGE ENGINE BOOTSTRAP_SERVERS TOPIC EVENTS LAP ROUND; prints one line of JSON.
"""

import asyncio
import sys
from typing import Any, Final

import uvloop
from confluent_kafka import Producer

from agents.contract import Step
from app import steps
from app.processes.garbage import collect_seldom
from app.settings import Settings
from app.streaming.delivery import Delivery
from app.streaming.runner import StepRunner
from app.streaming.stage_app import make_app
from bench.contestant_meter import Meter
from bench.faust_contestants import (
    BATCH,
    PARTITIONS,
    Nobody,
    confluent_consumer,
    make_topic,
    no_dead_letter,
    producer_config,
    scratch_settings,
    stock_app,
    with_faust,
)

SCHEMA_ID: Final = 1
"""Stands for the registry's; its value changes nothing that is measured."""


def step_of(stage: str) -> Step:
    """The stage's pure step under default settings."""
    return steps.canonicalize_step(Settings()) if stage == "canonicalize" else steps.privacy_step(Settings(), SCHEMA_ID)


async def ours(stage: str, group: str, servers: str, topic: str, meter: Meter) -> None:
    """The stage as `callstream worker` runs it: fetched batches, parcels, commits behind acknowledgements."""
    app = make_app(scratch_settings(servers), group, index=0, partitions=PARTITIONS)
    run = StepRunner(
        step_of(stage),
        Delivery({"bootstrap.servers": servers}),
        output_topic=make_topic(servers, f"{group}-out"),
        dead_letter_topic="none",
        encode_dead_letter=no_dead_letter,
        observer=Nobody(),
    )

    @app.agent(app.topic(topic))
    async def convert(stream: Any) -> None:
        async for event in stream.noack().events():
            await run(event.value)
            meter.count(len(event.value.records))

    collect_seldom()
    await with_faust(app, meter)


async def stock(stage: str, group: str, servers: str, topic: str, meter: Meter) -> None:
    """The same step in a Faust agent as its documentation shows one: an event a message."""
    step = step_of(stage)
    app = stock_app(servers, group, producer_acks=-1, producer_compression_type="zstd")
    output = app.topic(make_topic(servers, f"{group}-out"), key_type=bytes, value_type=bytes)

    @app.agent(app.topic(topic, key_type=bytes, value_type=bytes))
    async def convert(stream: Any) -> None:
        async for event in stream.events():
            for record in step([_Record(event)]).outputs:
                await output.send(key=record.key, value=record.value, partition=event.message.partition)
            meter.count(1)

    await with_faust(app, meter)


class _Record:
    """A Faust event as a source record."""

    __slots__ = ("key", "offset", "partition", "timestamp", "topic", "value")

    def __init__(self, event: Any) -> None:
        message = event.message
        self.topic, self.partition, self.offset = message.topic, message.partition, message.offset
        self.timestamp = int(message.timestamp * 1000)
        self.key, self.value = event.key, event.value


async def confluent(stage: str, group: str, servers: str, topic: str, meter: Meter) -> None:
    """The same step in a plain loop, without Faust."""
    step = step_of(stage)
    consumer, producer = confluent_consumer(servers, topic, group), Producer(producer_config(servers))
    output = make_topic(servers, f"{group}-out")
    finished = False
    while not finished:
        messages = consumer.consume(BATCH, 1.0)
        by_partition: dict[int, list[Any]] = {}
        for message in messages:
            by_partition.setdefault(message.partition() or 0, []).append(_Message(message))
        for partition, records in by_partition.items():
            for record in step(records).outputs:
                producer.produce(output, record.value, record.key, partition, None, None, record.timestamp_ms)
        producer.flush()
        finished = meter.count(len(messages))
    consumer.commit(asynchronous=False)
    meter.print()


class _Message:
    """A confluent-kafka message as a source record."""

    __slots__ = ("key", "offset", "partition", "timestamp", "topic", "value")

    def __init__(self, message: Any) -> None:
        self.topic, self.partition, self.offset = message.topic(), message.partition(), message.offset()
        self.timestamp = message.timestamp()[1]
        self.key, self.value = message.key(), message.value()


ENGINES: Final = {"ours": ours, "stock": stock, "confluent": confluent}


def main() -> None:
    """Run the contestant that the command line names."""
    stage, engine, servers, topic, events, lap, number = sys.argv[1:]
    uvloop.install()

    async def contest() -> None:
        await ENGINES[engine](stage, f"{stage}-{engine}-{number}", servers, topic, Meter(int(events), int(lap)))

    asyncio.run(contest())


if __name__ == "__main__":
    main()
