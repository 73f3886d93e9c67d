"""The broker's options of docker-compose.yml, on a real Kafka: who may do what with the secrets of the script."""

import os
import shutil
import subprocess
from collections.abc import Iterator

import pytest
from click.testing import CliRunner
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer

from app.__main__ import cli
from schemas import topics
from tests.support.deployed_broker import DEPLOY, DeployedBroker, deployed_broker

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(shutil.which("openssl") is None, reason="deploy/make-secrets.sh needs openssl"),
]


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DeployedBroker]:
    """A broker with the deployment's security, its topics and rights made as the deployment makes them."""
    with deployed_broker(tmp_path_factory.mktemp("deployed")) as deployed:
        for words in (["apply"], ["allow", str(DEPLOY / "kafka" / "acls.toml")]):
            made = CliRunner().invoke(cli, ["topics", *words], env=deployed.settings("admin"))
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


def test_each_process_may_write_and_read_what_is_its_own(deployed: DeployedBroker) -> None:
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
def test_no_process_may_write_what_another_one_makes(deployed: DeployedBroker, user: str, topic: str) -> None:
    """A broken or captured process cannot forge calls or raw events."""
    error = _send(deployed.client(user, "PIPELINE"), topic, b"forged")
    assert error is not None
    assert error.code() == KafkaError.TOPIC_AUTHORIZATION_FAILED


@pytest.mark.parametrize("user", ["privacy", "hot-symbols", "watcher"])
def test_raw_events_are_closed_to_whoever_does_not_need_them(deployed: DeployedBroker, user: str) -> None:
    """Only the stage that converts them reads what is not filtered."""
    group = {"privacy": topics.Stage.PRIVACY.group, "hot-symbols": topics.Stage.HOT_SYMBOLS.group}.get(user, "reader.x")
    error = _first(deployed.client(user, "PIPELINE"), topics.RAW, group)
    assert isinstance(error, KafkaError)


def test_the_pipeline_writes_and_a_reader_reads_what_is_for_everyone(deployed: DeployedBroker) -> None:
    """The public topic is readable over TLS with the reader's password, in a group of the reader's own."""
    assert _send(deployed.client("privacy", "PIPELINE"), topics.CALLS, b"a call") is None
    assert _first(deployed.client("reader", "READERS"), topics.CALLS, "reader.scoring") == b"a call"


@pytest.mark.parametrize("topic", [topics.RAW, topics.CANONICAL, topics.HOT_PARTIALS])
def test_a_reader_cannot_read_restricted_topics(deployed: DeployedBroker, topic: str) -> None:
    """What is not filtered, or internal, is refused by Kafka itself."""
    error = _first(deployed.client("reader", "READERS"), topic, "reader.scoring")
    assert isinstance(error, KafkaError)
    assert error.code() in {KafkaError.TOPIC_AUTHORIZATION_FAILED, KafkaError.UNKNOWN_TOPIC_OR_PART}


def test_a_reader_cannot_write(deployed: DeployedBroker) -> None:
    """Nobody but the pipeline can put a call on the public topic."""
    error = _send(deployed.client("reader", "READERS"), topics.CALLS, b"forged")
    assert error is not None
    assert error.code() == KafkaError.TOPIC_AUTHORIZATION_FAILED


def test_a_reader_cannot_use_the_pipelines_groups(deployed: DeployedBroker) -> None:
    """Committed offsets of a stage are out of reach, so a reader cannot make it skip records."""
    group = topics.Stage.HOT_SYMBOLS.group
    error = _first(deployed.client("reader", "READERS"), topics.CALLS, group)
    assert isinstance(error, KafkaError)
    assert error.code() == KafkaError.GROUP_AUTHORIZATION_FAILED


@pytest.mark.parametrize(("user", "listener"), [("reader", "PIPELINE"), ("privacy", "READERS")])
def test_each_user_is_known_on_one_listener_only(deployed: DeployedBroker, user: str, listener: str) -> None:
    """The reader cannot come in on the inner network's listener, nor the pipeline's password be tried from outside."""
    error = _send(deployed.client(user, listener), topics.CALLS, b"x")
    assert error is not None


def test_secrets_are_closed_to_other_users_of_the_host_and_kept(deployed: DeployedBroker) -> None:
    """The folder is the owner's alone, the authority's key too; running the script again changes nothing."""
    before = {path.name: path.read_bytes() for path in deployed.secrets.iterdir()}
    subprocess.run([str(DEPLOY / "make-secrets.sh"), str(deployed.secrets)], check=True, timeout=60)
    assert {path.name: path.read_bytes() for path in deployed.secrets.iterdir()} == before
    assert deployed.secrets.stat().st_mode & 0o077 == 0
    assert (deployed.secrets / "ca.key").stat().st_mode & 0o077 == 0
    assert os.access(DEPLOY / "make-secrets.sh", os.X_OK)
