"""The broker's options of docker-compose.yml, on a real Kafka: who may do what with the secrets of the script."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from click.testing import CliRunner
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer

from app.__main__ import cli
from app.embedded.broker import EmbeddedBroker
from app.embedded.kafka_server import Listener
from schemas import topics

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(shutil.which("openssl") is None, reason="deploy/make-secrets.sh needs openssl"),
]

_DEPLOY = Path(__file__).parents[2] / "deploy"
_WHERE = {"node.id", "process.roles", "log.dirs", "inter.broker.listener.name"}
"""Options that say where a broker is, not what it allows; the embedded broker has its own."""


def _options(secrets: Path) -> dict[str, str]:
    """The committed options, less addresses, with the secrets where the test has them."""
    lines = (_DEPLOY / "kafka" / "server.properties").read_text().splitlines()
    pairs = (line.split("=", 1) for line in lines if line and not line.startswith("#"))
    return {
        name: value.replace("/run/secrets", str(secrets))
        for name, value in pairs
        if name not in _WHERE
        and "listeners" not in name.split(".")
        and not name.startswith(("controller.", "listener.s"))
    }


@dataclass(frozen=True, slots=True)
class _Deployed:
    broker: EmbeddedBroker
    secrets: Path

    def client(self, user: str, listener: str) -> dict[str, str]:
        password = (self.secrets / f"kafka_{user.replace('-', '_')}_password").read_text()
        return {
            "bootstrap.servers": self.broker.listener_address(listener),
            "security.protocol": "SASL_SSL",
            "ssl.ca.location": str(self.secrets / "kafka_ca"),
            "sasl.mechanism": "PLAIN",
            "sasl.username": user,
            "sasl.password": password,
        }

    def settings(self) -> dict[str, str]:
        """Environment of the containers that make topics and rights, with this broker's addresses."""
        return {
            "CALLSTREAM_KAFKA_BOOTSTRAP_SERVERS": self.client("admin", "PIPELINE")["bootstrap.servers"],
            "CALLSTREAM_KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
            "CALLSTREAM_KAFKA_SSL_CA_FILE": str(self.secrets / "kafka_ca"),
            "CALLSTREAM_KAFKA_SASL_MECHANISM": "PLAIN",
            "CALLSTREAM_KAFKA_SASL_USERNAME": "admin",
            "CALLSTREAM_KAFKA_SASL_PASSWORD_FILE": str(self.secrets / "kafka_admin_password"),
            "CALLSTREAM_SCHEMA_REGISTRY_URL": self.broker.registry_url,
        }


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[_Deployed]:
    """A broker with the deployment's security, its topics and rights made as the deployment makes them."""
    folder = tmp_path_factory.mktemp("deployed")
    secrets = folder / "secrets"
    subprocess.run([str(_DEPLOY / "make-secrets.sh"), str(secrets), "127.0.0.1"], check=True, timeout=60)
    listeners = [Listener("PIPELINE", "SASL_SSL"), Listener("READERS", "SASL_SSL")]
    with EmbeddedBroker(folder / "broker", kafka_properties=_options(secrets), listeners=listeners) as broker:
        deployed = _Deployed(broker, secrets)
        for words in (["apply"], ["allow", str(_DEPLOY / "kafka" / "acls.toml")]):
            made = CliRunner().invoke(cli, ["topics", *words], env=deployed.settings())
            assert made.exit_code == 0, made.output
        yield deployed


def _send(client: dict[str, str], topic: str, value: bytes) -> KafkaError | None:
    answers: list[KafkaError | None] = []
    producer = Producer({**client, "message.timeout.ms": 5_000, "log_level": 0})
    producer.produce(topic, value, key=b"key", on_delivery=lambda error, _: answers.append(error))
    producer.flush(15)
    return answers[0]


def _first(client: dict[str, str], topic: str, group: str) -> bytes | KafkaError | None:
    """First record of a topic, or the error that stands for it, or nothing."""
    options = {"group.id": group, "auto.offset.reset": "earliest", "log_level": 0}
    consumer = Consumer({**client, **options})
    try:
        consumer.subscribe([topic])
        message = consumer.poll(15)
        return None if message is None else message.error() or message.value()
    except KafkaException as error:
        found = error.args[0]
        assert isinstance(found, KafkaError)
        return found
    finally:
        consumer.close()


def test_each_process_may_write_and_read_what_is_its_own(deployed: _Deployed) -> None:
    """From ingest to the stage that reads it, under the names and passwords of the deployment."""
    assert _send(deployed.client("ingest", "PIPELINE"), topics.RAW, b"raw") is None
    canonicalize = deployed.client("canonicalize", "PIPELINE")
    assert _first(canonicalize, topics.RAW, topics.Stage.CANONICALIZE.group) == b"raw"
    assert _send(canonicalize, topics.CANONICAL, b"canonical") is None
    privacy = deployed.client("privacy", "PIPELINE")
    assert _first(privacy, topics.CANONICAL, topics.Stage.PRIVACY.group) == b"canonical"
    assert _send(deployed.client("hot-symbols", "PIPELINE"), topics.HOT_PARTIALS, b"partial") is None


@pytest.mark.parametrize(
    ("user", "topic"),
    [
        ("ingest", topics.CALLS),
        ("canonicalize", topics.CALLS),
        ("privacy", topics.RAW),
        ("hot-symbols", topics.CALLS),
        ("watcher", topics.CALLS),
    ],
)
def test_no_process_may_write_what_another_one_makes(deployed: _Deployed, user: str, topic: str) -> None:
    """A broken or captured process cannot forge calls or raw events."""
    error = _send(deployed.client(user, "PIPELINE"), topic, b"forged")
    assert error is not None
    assert error.code() == KafkaError.TOPIC_AUTHORIZATION_FAILED


@pytest.mark.parametrize("user", ["privacy", "hot-symbols", "watcher"])
def test_raw_events_are_closed_to_whoever_does_not_need_them(deployed: _Deployed, user: str) -> None:
    """Only the stage that converts them reads what is not filtered."""
    group = {"privacy": topics.Stage.PRIVACY.group, "hot-symbols": topics.Stage.HOT_SYMBOLS.group}.get(user, "reader.x")
    error = _first(deployed.client(user, "PIPELINE"), topics.RAW, group)
    assert isinstance(error, KafkaError)


def test_the_pipeline_writes_and_a_reader_reads_what_is_for_everyone(deployed: _Deployed) -> None:
    """The public topic is readable over TLS with the reader's password, in a group of the reader's own."""
    assert _send(deployed.client("privacy", "PIPELINE"), topics.CALLS, b"a call") is None
    assert _first(deployed.client("reader", "READERS"), topics.CALLS, "reader.scoring") == b"a call"


@pytest.mark.parametrize("topic", [topics.RAW, topics.CANONICAL, topics.HOT_PARTIALS])
def test_a_reader_cannot_read_restricted_topics(deployed: _Deployed, topic: str) -> None:
    """What is not filtered, or internal, is refused by Kafka itself."""
    error = _first(deployed.client("reader", "READERS"), topic, "reader.scoring")
    assert isinstance(error, KafkaError)
    assert error.code() in {KafkaError.TOPIC_AUTHORIZATION_FAILED, KafkaError.UNKNOWN_TOPIC_OR_PART}


def test_a_reader_cannot_write(deployed: _Deployed) -> None:
    """Nobody but the pipeline can put a call on the public topic."""
    error = _send(deployed.client("reader", "READERS"), topics.CALLS, b"forged")
    assert error is not None
    assert error.code() == KafkaError.TOPIC_AUTHORIZATION_FAILED


def test_a_reader_cannot_use_the_pipelines_groups(deployed: _Deployed) -> None:
    """Committed offsets of a stage are out of reach, so a reader cannot make it skip records."""
    group = topics.Stage.HOT_SYMBOLS.group
    error = _first(deployed.client("reader", "READERS"), topics.CALLS, group)
    assert isinstance(error, KafkaError)
    assert error.code() == KafkaError.GROUP_AUTHORIZATION_FAILED


@pytest.mark.parametrize(("user", "listener"), [("reader", "PIPELINE"), ("privacy", "READERS")])
def test_each_user_is_known_on_one_listener_only(deployed: _Deployed, user: str, listener: str) -> None:
    """The reader cannot come in on the inner network's listener, nor the pipeline's password be tried from outside."""
    error = _send(deployed.client(user, listener), topics.CALLS, b"x")
    assert error is not None


def test_secrets_are_closed_to_other_users_of_the_host_and_kept(deployed: _Deployed) -> None:
    """The folder is the owner's alone, the authority's key too; running the script again changes nothing."""
    before = {path.name: path.read_bytes() for path in deployed.secrets.iterdir()}
    subprocess.run([str(_DEPLOY / "make-secrets.sh"), str(deployed.secrets)], check=True, timeout=60)
    assert {path.name: path.read_bytes() for path in deployed.secrets.iterdir()} == before
    assert deployed.secrets.stat().st_mode & 0o077 == 0
    assert (deployed.secrets / "ca.key").stat().st_mode & 0o077 == 0
    assert os.access(_DEPLOY / "make-secrets.sh", os.X_OK)
