"""The Python client without a broker: calls are left out once they came, and any version of a record becomes a type."""

import base64
import io
import json
import time
from collections.abc import Mapping
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, ClassVar

import fastavro
import pytest
from callstream_client import CALLS, COVERAGE, HOT_SYMBOLS, WATCHED, Connection, RegistryError, SeenSources, TopicKind
from callstream_client.decoding import Decoder, packaged_schema
from callstream_client.errors import ClientError
from callstream_client.records import ProbeType, RuntimeCallEvent
from fastavro.utils import generate_one

from schemas import avro_wire, records


def _encoded(name: str, schema: Any = None, **fields: Any) -> Mapping[str, Any]:
    made: dict[str, Any] = generate_one(schema or records.parsed_schema(name))
    return made | fields


def _call(partition: int, offset: int) -> RuntimeCallEvent:
    position = {"partition": partition, "offset": offset}
    return RuntimeCallEvent.of(_encoded(records.CALL, probe_type="Kprobe", source=position))


def test_a_call_that_comes_again_is_not_new() -> None:
    """By its raw position, in each partition apart; a call without one is always new."""
    seen = SeenSources()
    assert [seen.is_new(_call(0, offset)) for offset in (4, 5, 5, 4, 6)] == [True, True, False, False, True]
    assert seen.is_new(_call(1, 4))
    assert seen.is_new(_call(-1, -1))
    assert seen.is_new(_call(-1, -1))
    assert seen.highest == {0: 6, 1: 4}


class _Registry(BaseHTTPRequestHandler):
    """The versions of any subject, by number; the id of a version is 100 and its number."""

    versions: ClassVar[dict[int, str]] = {}
    requests: ClassVar[list[str]] = []
    shown: ClassVar[list[str | None]] = []

    def do_GET(self) -> None:
        if self.path.startswith("/elsewhere"):
            self.send_error(404)
            return
        self.requests.append(self.path)
        self.shown.append(self.headers.get("Authorization"))
        last = self.path.rpartition("/")[2]
        if last == "versions":
            self._answer(list(self.versions))
        else:
            self._answer({"id": 100 + int(last), "version": int(last), "schema": self.versions[int(last)]})

    def _answer(self, document: Any) -> None:
        body = json.dumps(document).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(name="connection")
def _connection() -> Any:
    _Registry.versions.clear()
    _Registry.requests.clear()
    _Registry.shown.clear()
    with ThreadingHTTPServer(("127.0.0.1", 0), _Registry) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield Connection(registry_url=f"http://127.0.0.1:{server.server_port}", patience_s=0.5)
        server.shutdown()


def _framed(schema_id: int, schema: Any, record: Mapping[str, Any]) -> bytes:
    out = io.BytesIO()
    out.write(avro_wire.schema_header(schema_id))
    fastavro.schemaless_writer(out, schema, record)
    return out.getvalue()


@pytest.mark.parametrize("kind", [CALLS, HOT_SYMBOLS, COVERAGE, WATCHED], ids=lambda kind: kind.topic)
def test_a_record_becomes_its_type(connection: Connection, kind: TopicKind[Any]) -> None:
    """Every field of a made-up record is in the type, under its name."""
    _Registry.versions[1] = records.schema_text(kind.schema)
    schema = records.parsed_schema(kind.schema)
    record = _encoded(kind.schema)
    found = Decoder(connection, kind).decode(_framed(101, schema, record))
    assert not isinstance(found, str), found
    for name, value in record.items():
        if isinstance(value, int | str | bool) or value is None:
            assert getattr(found, name) == value
        elif isinstance(value, list):
            assert len(getattr(found, name)) == len(value)


def test_a_newer_writer_is_understood(connection: Connection) -> None:
    """A further field is left out, and a further symbol of an enum is its default."""
    newer = json.loads(records.schema_text(records.CALL))
    newer["fields"].insert(0, {"name": "further", "type": "string", "default": "", "doc": "New."})
    probe_type = next(field for field in newer["fields"] if field["name"] == "probe_type")
    probe_type["type"]["symbols"].append("Quantum")
    _Registry.versions[1] = json.dumps(newer)
    schema: Any = fastavro.parse_schema(json.loads(json.dumps(newer)))
    record = _encoded(records.CALL, schema, probe_type="Quantum")
    found = Decoder(connection, CALLS).decode(_framed(101, schema, record))
    assert isinstance(found, RuntimeCallEvent)
    assert found.probe_type is ProbeType.UNKNOWN
    assert found.event_id == record["event_id"]


def test_what_is_no_record_is_refused_with_a_reason(connection: Connection) -> None:
    """An unknown id costs one question a minute, not one a record; a schema of another record is not used."""
    _Registry.versions[1] = records.schema_text(records.CALL)
    _Registry.versions[2] = records.schema_text(records.DEAD_LETTER)
    decoder = Decoder(connection, CALLS)
    framed = _framed(101, packaged_schema(records.CALL), _encoded(records.CALL))
    wrong = [
        b"",
        b"\x01\x00\x00\x00\x65",
        framed[:-3],
        _framed(102, packaged_schema(records.CALL), {**_encoded(records.CALL)}),
    ]
    reasons = [decoder.decode(value) for value in [*wrong, avro_wire.schema_header(7), avro_wire.schema_header(7)]]
    assert all(isinstance(reason, str) for reason in reasons), reasons
    assert isinstance(decoder.decode(framed), RuntimeCallEvent)
    lists = [path for path in _Registry.requests if path.endswith("versions")]
    assert len(lists) <= 3


def test_a_registry_that_is_away_is_an_error_that_names_it() -> None:
    """And not a refused record: it will be there again."""
    away = Connection(registry_url="http://127.0.0.1:1", patience_s=0.0)
    with pytest.raises(RegistryError, match="versions"):
        Decoder(away, CALLS).decode(avro_wire.schema_header(1))


def test_a_wrong_path_of_the_registry_is_an_error_that_names_the_usual_one(connection: Connection) -> None:
    """And not a refused record: a reader would commit past every record without a word."""
    elsewhere = Connection(registry_url=f"{connection.registry_url}/elsewhere", patience_s=0.0)
    with pytest.raises(RegistryError, match=r"404.*/apis/ccompat/v7"):
        Decoder(elsewhere, CALLS).decode(avro_wire.schema_header(1))


def test_tokens_come_from_a_file_or_an_identity_provider(tmp_path: Path) -> None:
    """A JWT says when it ends; another token counts for a minute. Options are those of librdkafka's own client."""
    claims = base64.urlsafe_b64encode(json.dumps({"exp": 1_800_000_000}).encode()).decode().rstrip("=")
    path = tmp_path / "token"
    path.write_text(f"e30.{claims}.x\n")
    base: Any = {"security_protocol": "SASL_SSL", "sasl_mechanism": "OAUTHBEARER"}
    ask = Connection(**base, sasl_oauth_token_file=str(path)).consumer_options("g")["oauth_cb"]
    assert ask("") == (f"e30.{claims}.x", 1_800_000_000.0, "", {})
    path.write_text("opaque\n")
    assert ask("")[0] == "opaque"
    assert 0 < ask("")[1] - time.time() <= 60
    (tmp_path / "secret").write_text("hidden\n")
    base |= {"sasl_oauth_client_id": "me", "sasl_oauth_client_secret_file": str(tmp_path / "secret")}
    options = Connection(**base, sasl_oauth_token_url="https://idp/token").consumer_options("g")
    assert options["sasl.oauthbearer.method"] == "oidc"
    assert options["sasl.oauthbearer.client.secret"] == "hidden"


def test_a_second_address_of_the_registry_is_tried(connection: Connection, tmp_path: Path) -> None:
    """And each request shows the token that is in the file by then."""
    (tmp_path / "token").write_text("word\n")
    _Registry.versions[1] = records.schema_text(records.CALL)
    both = replace(
        connection,
        registry_url=f"http://127.0.0.1:1, {connection.registry_url}",
        registry_token_file=str(tmp_path / "token"),
        patience_s=10.0,
    )
    framed = _framed(101, packaged_schema(records.CALL), _encoded(records.CALL))
    assert isinstance(Decoder(both, CALLS).decode(framed), RuntimeCallEvent)
    assert set(_Registry.shown) == {"Bearer word"}


def test_settings_are_those_of_the_pipeline(tmp_path: Path) -> None:
    """The variables that a worker has; a password stands in no text of the connection."""
    (tmp_path / "password").write_text("hunter2-hunter2\n")
    connection = Connection.from_env(
        {
            "CALLSTREAM_KAFKA_BOOTSTRAP_SERVERS": "kafka:9093",
            "CALLSTREAM_KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
            "CALLSTREAM_KAFKA_SASL_USERNAME": "scoring",
            "CALLSTREAM_KAFKA_SASL_PASSWORD_FILE": str(tmp_path / "password"),
            "CALLSTREAM_KAFKA_SSL_CA_FILE": "/ca.pem",
            "CALLSTREAM_TOPIC_PREFIX": "east.",
        }
    )
    options = connection.consumer_options("scoring.calls")
    assert options["sasl.password"] == "hunter2-hunter2"
    assert options["ssl.ca.location"] == "/ca.pem"
    assert connection.topic(CALLS.topic) == "east.runtime.calls"
    assert "hunter2" not in repr(connection)
    with pytest.raises(ClientError, match="CALLSTREAM_KAFKA_SASL_AWS_REGION"):
        Connection.from_env({"CALLSTREAM_KAFKA_SASL_AWS_REGION": "eu-west-1"})
    with pytest.raises(ClientError, match="password file"):
        Connection(security_protocol="SASL_SSL", sasl_password_file="/none").consumer_options("g")
