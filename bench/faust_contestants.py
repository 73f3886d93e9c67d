"""The programs that bench.faust_transport compares: one contestant a process.

Usage: python -m bench.faust_contestants CONTESTANT BOOTSTRAP_SERVERS TOPIC EVENTS GROUP; prints one line of JSON.
"""

import asyncio
import os
import sys
import tempfile
import threading
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, Final

import faust
import uvloop
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from agents.contract import DeadLetter, OutRecord, StepResult
from app.settings import Settings
from app.streaming.batch import RecordBatch
from app.streaming.delivery import PRODUCER_CONFIG, Delivery, Parcel
from app.streaming.runner import StepRunner
from app.streaming.stage_app import make_app
from app.streaming.table import StrictTable
from bench.contestant_meter import Meter

PARTITIONS: Final = 4
BATCH: Final = 1_000


class Nobody:
    """Observes nothing."""

    def taken(self, topic: str, records: int) -> None:
        """Nothing."""

    def done(self, topic: str, records: int, result: StepResult, step_seconds: float) -> None:
        """Nothing."""


def no_dead_letter(letter: DeadLetter) -> OutRecord:
    """Ends the run: what is measured holds nothing that a stage refuses."""
    raise AssertionError(letter.reason)


def scratch_settings(servers: str) -> Settings:
    """Settings with a state folder of its own."""
    return Settings(kafka_bootstrap_servers=servers, data_dir=Path(tempfile.mkdtemp(prefix="callstream-bench-")))


def make_topic(servers: str, name: str) -> str:
    """Create a topic; returns its name."""
    admin = AdminClient({"bootstrap.servers": servers})
    admin.create_topics([NewTopic(name, PARTITIONS, 1)])[name].result()
    return name


async def with_faust(app: faust.App, meter: Meter) -> None:
    """Run an app until the meter is done, print, and end the process."""
    await app.start()
    await meter.done.wait()
    meter.print()
    sys.stdout.flush()
    os._exit(0)  # nothing of the shutdown is measured


def stock_app(servers: str, group: str, **options: Any) -> faust.App:
    """A Faust app as its documentation shows it."""
    return faust.App(
        group,
        broker=f"kafka://{servers}",
        key_serializer="raw",
        value_serializer="raw",
        autodiscover=False,
        web_enabled=False,
        topic_allow_declare=False,
        topic_disable_leader=True,
        consumer_max_fetch_size=4 << 20,
        broker_commit_interval=1.0,
        datadir=tempfile.mkdtemp(prefix="callstream-bench-"),
        **{"store": "memory://", **options},
    )


async def stock_read(servers: str, topic: str, meter: Meter, group: str) -> None:
    """Faust as its documentation shows it."""
    app = stock_app(servers, group)

    @app.agent(app.topic(topic, key_type=bytes, value_type=bytes))
    async def read(stream: Any) -> None:
        async for _ in stream.events():
            meter.count(1)

    await with_faust(app, meter)


async def stock_copy(servers: str, topic: str, meter: Meter, group: str) -> None:
    """The same, sending each event on."""
    app = stock_app(
        servers,
        group,
        producer_acks=-1,
        producer_linger=0.005,
        producer_max_batch_size=1 << 20,
        producer_compression_type="zstd",
    )
    output = app.topic(make_topic(servers, f"{group}-out"), key_type=bytes, value_type=bytes)

    @app.agent(app.topic(topic, key_type=bytes, value_type=bytes))
    async def copy(stream: Any) -> None:
        async for event in stream.events():
            message = event.message
            await output.send(
                key=event.key, value=event.value, partition=message.partition, timestamp=message.timestamp
            )
            meter.count(1)

    await with_faust(app, meter)


async def ours_read(servers: str, topic: str, meter: Meter, group: str) -> None:
    """A fetched batch a message, finished at once."""
    app = make_app(scratch_settings(servers), group, index=0, partitions=PARTITIONS)

    @app.agent(app.topic(topic))
    async def read(stream: Any) -> None:
        async for event in stream.noack().events():
            batch: RecordBatch = event.value
            batch.hand_out.start()
            batch.hand_out.finish()
            meter.count(len(batch.records))

    await with_faust(app, meter)


async def ours_copy(servers: str, topic: str, meter: Meter, group: str) -> None:
    """A stage whose step copies."""
    app = make_app(scratch_settings(servers), group, index=0, partitions=PARTITIONS)
    run = StepRunner(
        lambda records: StepResult(outputs=[OutRecord(r.key, r.value, r.timestamp) for r in records]),
        Delivery({"bootstrap.servers": servers}),
        output_topic=make_topic(servers, f"{group}-out"),
        dead_letter_topic="none",
        encode_dead_letter=no_dead_letter,
        observer=Nobody(),
    )

    @app.agent(app.topic(topic))
    async def copy(stream: Any) -> None:
        async for event in stream.noack().events():
            await run(event.value)
            meter.count(len(event.value.records))

    await with_faust(app, meter)


async def aiokafka_read(servers: str, topic: str, meter: Meter, group: str) -> None:
    """The client under Faust, alone."""
    consumer = AIOKafkaConsumer(
        topic,
        bootstrap_servers=servers,
        group_id=group,
        auto_offset_reset="earliest",
        max_partition_fetch_bytes=4 << 20,
    )
    await consumer.start()
    while not meter.done.is_set():
        for records in (await consumer.getmany(timeout_ms=1_000, max_records=BATCH)).values():
            meter.count(len(records))
    meter.print()
    await consumer.stop()


async def confluent_read(servers: str, topic: str, meter: Meter, group: str) -> None:
    """Librdkafka's consumer, alone."""
    consumer = confluent_consumer(servers, topic, group)
    while not meter.count(len([m.value() for m in consumer.consume(BATCH, 1.0)])):
        pass
    meter.print()


async def confluent_copy(servers: str, topic: str, meter: Meter, group: str) -> None:
    """The plain loop that a stage without Faust would be."""
    consumer, producer = confluent_consumer(servers, topic, group), Producer(producer_config(servers))
    output = make_topic(servers, f"{group}-out")
    errors: list[object] = []

    def report(error: object, _message: object) -> None:
        if error:
            errors.append(error)

    finished = False
    while not finished:
        messages = consumer.consume(BATCH, 1.0)
        for m in messages:
            producer.produce(output, m.value(), m.key(), m.partition() or 0, report, report, m.timestamp()[1])
        producer.flush()
        assert not errors
        finished = meter.count(len(messages))
    consumer.commit(asynchronous=False)
    meter.print()


def confluent_consumer(servers: str, topic: str, group: str) -> Consumer:
    """A consumer that starts at the beginning."""
    consumer = Consumer(
        {
            "bootstrap.servers": servers,
            "group.id": group,
            "enable.auto.commit": False,
            "enable.auto.offset.store": True,
            "auto.offset.reset": "earliest",
            "max.partition.fetch.bytes": 4 << 20,
            "queued.max.messages.kbytes": 16 << 10,
        }
    )
    consumer.assign([TopicPartition(topic, number, 0) for number in range(PARTITIONS)])
    return consumer


def producer_config(servers: str) -> dict[str, Any]:
    """What our own delivery uses."""
    return {**PRODUCER_CONFIG, "bootstrap.servers": servers, "log_level": 0}


def _values(servers: str, topic: str) -> list[OutRecord]:
    """One batch of records, read from the source topic."""
    consumer = confluent_consumer(servers, topic, "values")
    found: list[OutRecord] = []
    while len(found) < BATCH:
        found += [OutRecord(m.key(), m.value(), m.timestamp()[1]) for m in consumer.consume(BATCH, 5.0)]
    consumer.close()
    return found[:BATCH]


async def send_report_last(servers: str, topic: str, meter: Meter, group: str) -> None:
    """Delivery as stages use it, eight batches ahead."""
    records, output = _values(servers, topic), make_topic(servers, f"{group}-out")
    delivery = Delivery({"bootstrap.servers": servers})
    await delivery.deliver([Parcel(output, 0, records)])
    await _send(meter, lambda number: delivery.send([Parcel(output, number % PARTITIONS, records)]))


async def send_report_each(servers: str, topic: str, meter: Meter, group: str) -> None:
    """A report for every record, polled on the loop."""
    await _send_plain(servers, topic, meter, group, each=True, thread=False)


async def send_polling_thread(servers: str, topic: str, meter: Meter, group: str) -> None:
    """A report a parcel, polled by a thread."""
    await _send_plain(servers, topic, meter, group, each=False, thread=True)


async def send_aiokafka(servers: str, topic: str, meter: Meter, group: str) -> None:
    """The client under Faust, a future a batch."""
    records, output = _values(servers, topic), make_topic(servers, f"{group}-out")
    producer = AIOKafkaProducer(
        bootstrap_servers=servers,
        enable_idempotence=True,
        acks="all",
        compression_type="zstd",
        max_batch_size=4 << 20,
        max_request_size=4 << 20,
    )
    await producer.start()

    async def send(number: int) -> Any:
        batch = producer.create_batch()
        for key, value, timestamp_ms in records:
            assert batch.append(key=key, value=value, timestamp=timestamp_ms) is not None
        return await producer.send_batch(batch, output, partition=number % PARTITIONS)

    await _send(meter, send)
    await producer.stop()


async def _send(meter: Meter, send: Callable[[int], Awaitable[Any]]) -> None:
    meter.start()
    waiting: list[Any] = []
    number = 0
    while not meter.done.is_set():
        waiting.append(await send(number))
        number += 1
        if len(waiting) >= 8:
            await waiting.pop(0)
            meter.count(BATCH)
    meter.print()


async def _send_plain(servers: str, topic: str, meter: Meter, group: str, *, each: bool, thread: bool) -> None:
    records, output = _values(servers, topic), make_topic(servers, f"{group}-out")
    producer, loop = Producer(producer_config(servers)), asyncio.get_running_loop()

    def poll_for_ever() -> None:
        while True:
            producer.poll(0.1)

    def tick() -> None:
        producer.poll(0)
        loop.call_later(0.003, tick)

    if thread:
        threading.Thread(target=poll_for_ever, daemon=True).start()
    else:
        tick()

    async def send(number: int) -> "asyncio.Future[None]":
        receipt: asyncio.Future[None] = loop.create_future()
        left = [len(records) if each else 1]

        def report(error: object, _message: object) -> None:
            assert not error
            left[0] -= 1
            if not left[0]:
                loop.call_soon_threadsafe(receipt.set_result, None)

        for index, (key, value, timestamp_ms) in enumerate(records):
            callback = report if each or index == len(records) - 1 else None
            producer.produce(output, value, key, number % PARTITIONS, callback, callback, timestamp_ms)
        return receipt

    await _send(meter, send)


async def stock_recovery(servers: str, topic: str, meter: Meter, group: str) -> None:
    """Faust's table, from nothing; its changelog is `<group>-rows-changelog`."""
    app = stock_app(servers, group, store="rocksdb://", topic_partitions=PARTITIONS, table_standby_replicas=0)
    app.Table("rows", key_type=bytes, value_type=bytes, partitions=PARTITIONS)
    await _recover(app, topic, meter)


async def ours_recovery(servers: str, topic: str, meter: Meter, group: str) -> None:
    """Our table, from nothing."""
    app = make_app(scratch_settings(servers), group, index=0, partitions=PARTITIONS)
    admin = AdminClient({"bootstrap.servers": servers})
    delivery = Delivery({"bootstrap.servers": servers})
    StrictTable(app, name="rows", partitions=PARTITIONS, source_topic="-", delivery=delivery, admin=admin)
    await _recover(app, topic, meter)


async def _recover(app: faust.App, topic: str, meter: Meter) -> None:
    @app.agent(app.topic(topic))
    async def read(stream: Any) -> None:
        async for _ in stream.noack().events():
            pass

    meter.start()
    starting = asyncio.ensure_future(app.start())
    tables: Any = app.tables
    while not tables.recovery.completed.is_set():  # noqa: ASYNC110 - an event of another loop's making
        await asyncio.sleep(0.02)
    offsets: Mapping[Any, int] = tables.recovery.active_offsets
    meter.count(sum(offset + 1 for offset in offsets.values()))
    meter.print()
    sys.stdout.flush()
    starting.cancel()
    os._exit(0)


CONTESTANTS: Final = {
    "stock-read": stock_read,
    "ours-read": ours_read,
    "confluent-read": confluent_read,
    "aiokafka-read": aiokafka_read,
    "stock-copy": stock_copy,
    "ours-copy": ours_copy,
    "confluent-copy": confluent_copy,
    "send-report-each": send_report_each,
    "send-report-last": send_report_last,
    "send-polling-thread": send_polling_thread,
    "send-aiokafka": send_aiokafka,
    "stock-recovery": stock_recovery,
    "ours-recovery": ours_recovery,
}


def main() -> None:
    """Run the contestant that the command line names."""
    name, servers, topic, events, group = sys.argv[1:]
    uvloop.install()

    async def contest() -> None:
        await CONTESTANTS[name](servers, topic, Meter(int(events)), group)

    asyncio.run(contest())


if __name__ == "__main__":
    main()
