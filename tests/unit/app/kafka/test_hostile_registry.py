"""A registry that answers anything: readers of topics refuse a record, or say soon that it cannot be used."""

import gzip
import json
import socket
import threading
import time
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from app.kafka import registry_link
from app.kafka.registry import RegistryError, SchemaRegistry
from app.kafka.schemas import RecordDecoder, RecordFault
from app.logins import answers
from app.settings import Settings
from schemas import avro_wire, records, topics

WATCH = records.encode(records.WATCH, 7, {"symbol": "f", "since_ns": 1})
WATCH_SCHEMA = records.schema_text(records.WATCH)
MOST_SECONDS = 5.0
MOST_BYTES = 64 << 20


def _ok(body: bytes, *headers: str) -> bytes:
    lines = ["HTTP/1.1 200 OK", f"Content-Length: {len(body)}", "Connection: close", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


def _version(schema: object, schema_id: object = 7) -> bytes:
    return _ok(json.dumps({"id": schema_id, "schema": schema}).encode())


@contextmanager
def _registry(versions: bytes, version: bytes, pause_seconds: float = 0.0) -> Iterator[tuple[str, list[bytes]]]:
    """Answers the question for versions, and that for one of them, with bytes; `pause_seconds` before each of these.

    Gives its address and, in the list, what was asked.
    """
    server = socket.create_server(("127.0.0.1", 0))
    asked: list[bytes] = []

    def answer(client: socket.socket) -> None:
        with client:
            asked.append(client.recv(65_536).partition(b"\r\n")[0])
            content = version if b"/versions/" in asked[-1] else versions
            try:
                if pause_seconds:
                    for byte in content:
                        client.sendall(bytes([byte]))
                        time.sleep(pause_seconds)
                else:
                    client.sendall(content)
            except OSError:
                pass

    def serve() -> None:
        while True:
            try:
                client, _ = server.accept()
            except OSError:
                return
            threading.Thread(target=answer, args=(client,), daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.getsockname()[1]}", asked
    finally:
        server.shutdown(socket.SHUT_RDWR)
        server.close()


ONE = _ok(b"[1]")
DEEP = b'{"schema":' + b"[" * 200_000
EVIL_SCHEMAS: list[object] = [
    "",
    "no JSON",
    "[" * 100_000,
    json.dumps("x" * 3_000_000),
    json.dumps(
        {"type": "record", "name": "Watch", "fields": [{"name": f"f{n}", "type": "long"} for n in range(50_000)]}
    ),
    json.dumps(
        {"type": "record", "name": "Watch", "fields": [{"name": "zz", "type": {"type": "array", "items": "null"}}]}
    ),
    records.schema_text(records.CALL),
    json.dumps({"type": "fixed", "name": "Watch", "size": 1 << 60}),
    5,
    None,
    ["string"],
]
ANSWERS: list[tuple[bytes, bytes]] = [
    *((ONE, _version(schema)) for schema in EVIL_SCHEMAS),
    *((ONE, _version(WATCH_SCHEMA, schema_id)) for schema_id in (8, -1, 1 << 70, "7", None, True, 7.5)),
    (ONE, _ok(b"\xff\xfe garbage")),
    (ONE, _ok(DEEP)),
    (ONE, _ok(b"null")),
    (ONE, b"no HTTP at all\r\n\r\n"),
    (ONE, b"HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\nshort"),
    (ONE, b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n{}"),
    (ONE, b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 5_000 + b"\r\n{}"),
    (ONE, _ok(gzip.compress(b" " * 300_000_000, 1), "Content-Encoding: gzip")),
    (ONE, b""),
    (_ok(b"{}"), ONE),
    (_ok(b'["1", null, {}, -3]'), ONE),
    (_ok(json.dumps(list(range(200_000))).encode()), _ok(b"null")),
    (_ok(b"[" * 200_000), ONE),
]


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry_link, "_RETRIES", registry_link._RETRIES.new(backoff_factor=0))


def _decoded(url: str) -> dict[str, object] | RecordFault | None:
    """What becomes of a watch; None if the registry is said to be of no use."""
    with SchemaRegistry(url) as registry:
        try:
            return RecordDecoder(Settings(), registry, topics.WATCH).decode(WATCH)
        except RegistryError:
            return None


@pytest.mark.parametrize("number", range(len(ANSWERS)))
def test_an_answer_that_is_no_schema_costs_a_record_at_most(number: int) -> None:
    """Never an exception of another kind, nor time, nor memory."""
    versions, version = ANSWERS[number]
    began = time.monotonic()
    with _registry(versions, version) as (url, _):
        tracemalloc.start()
        try:
            found = _decoded(url)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert found in {None, RecordFault.UNKNOWN_SCHEMA, RecordFault.MALFORMED}
    assert peak < MOST_BYTES
    assert time.monotonic() - began < MOST_SECONDS


def test_a_good_answer_is_taken() -> None:
    """So the others are refused for what they are."""
    with _registry(ONE, _version(WATCH_SCHEMA)) as (url, _):
        found = _decoded(url)
    assert isinstance(found, dict)
    assert found["symbol"] == "f"


def test_a_redirection_is_not_followed() -> None:
    """The address is the operator's choice, and the password goes nowhere else."""
    with _registry(ONE, _version(WATCH_SCHEMA)) as (elsewhere, asked_elsewhere):
        away = (
            f"HTTP/1.1 302 Found\r\nLocation: {elsewhere}/\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode()
        )
        with _registry(ONE, away) as (url, _):
            assert _decoded(url) is None
        assert asked_elsewhere == []


def test_an_answer_that_trickles_in_ends_by_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each byte is in time; all of them are not."""
    monkeypatch.setattr(answers, "ANSWER_SECONDS", 0.5)
    body = b" " * 5_000
    began = time.monotonic()
    with (
        _registry(_ok(body), ONE, pause_seconds=0.002) as (url, _),
        SchemaRegistry(url) as registry,
        pytest.raises(RegistryError, match="did not send its answer within"),
    ):
        registry.versions("s")
    assert time.monotonic() - began < MOST_SECONDS


def test_a_header_of_another_schema_is_no_question_more() -> None:
    """Thousands of unknown ids ask the registry once."""
    with _registry(ONE, _version(WATCH_SCHEMA)) as (url, asked), SchemaRegistry(url) as registry:
        decoder = RecordDecoder(Settings(), registry, topics.WATCH)
        faults = {decoder.decode(avro_wire.schema_header(1_000 + number) + b"x") for number in range(3_000)}
    assert faults == {RecordFault.UNKNOWN_SCHEMA}
    assert len(asked) == 2
