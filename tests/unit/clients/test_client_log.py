"""clients/python: what an application's log gets while no broker answers."""

import logging
import socket

import pytest
from callstream_client.quiet import REPEAT_SECONDS, OncePerOutage
from callstream_client.stream import kafka_log
from confluent_kafka import Consumer


def test_a_line_that_repeats_itself_appears_once_in_a_while_with_a_count() -> None:
    """Numbers make no other line; another logger's is another one."""
    now = [0.0]
    line = OncePerOutage(lambda: now[0])

    def said(number: int, name: str = "a") -> str | None:
        record = logging.LogRecord(name, logging.WARNING, "", 0, "broker %d is away", (number,), None)
        return record.getMessage() if line.filter(record) else None

    assert [said(1), said(2), said(2, "b"), said(3)] == ["broker 1 is away", None, "broker 2 is away", None]
    now[0] = REPEAT_SECONDS
    assert said(4) == "broker 4 is away (and 2 times more before)"


def test_a_reader_without_a_broker_says_so_in_a_few_lines(caplog: pytest.LogCaptureFixture) -> None:
    """Librdkafka itself says the same again and again."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        away = f"127.0.0.1:{free.getsockname()[1]}"
    options = {"bootstrap.servers": away, "group.id": "g", "reconnect.backoff.max.ms": 100}
    consumer = Consumer(options | {"debug": "broker"}, logger=kafka_log)
    try:
        with caplog.at_level(logging.DEBUG):
            for _ in range(10):
                consumer.poll(0.2)
    finally:
        consumer.close()
    lines = [record.getMessage() for record in caplog.records if record.name == kafka_log.name]
    assert any("Connection refused" in line for line in lines)
    assert len(lines) == len({"".join(c for c in line if not c.isdigit()) for line in lines})
