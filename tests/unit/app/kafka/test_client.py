"""app/kafka/client.py: how clients reach Kafka, what they say when they cannot, and what every producer has."""

import re
from collections.abc import Mapping
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException

from app.ingest import gap_writer, writer
from app.kafka import client
from app.kafka.client import (
    CONNECTION_ERRORS,
    LOSSLESS_PRODUCER,
    AdminConnection,
    KafkaUnreachableError,
    KafkaUnusableError,
    client_config,
    partition_count,
)
from app.settings import Settings, SettingsError
from app.streaming import delivery

PASSWORD = "pass-word-4711"


@pytest.fixture(name="password_file")
def _password_file(tmp_path: Path) -> Path:
    path = tmp_path / "password"
    path.write_text(f"{PASSWORD}\n")
    return path


def test_plaintext_has_no_security_options() -> None:
    """An option of TLS on a plaintext link would make librdkafka refuse to start."""
    config = client_config(Settings(kafka_bootstrap_servers="a:1,b:2"))

    assert config["bootstrap.servers"] == "a:1,b:2"
    assert not [name for name in config if name.startswith(("ssl.", "sasl."))]


def test_mutual_tls_names_its_files() -> None:
    """CA, certificate and key, in librdkafka's words."""
    config = client_config(
        Settings(
            kafka_security_protocol="SSL",
            kafka_ssl_ca_file=Path("ca.pem"),
            kafka_ssl_cert_file=Path("us.pem"),
            kafka_ssl_key_file=Path("us.key"),
        )
    )

    assert {name: config[name] for name in config if name.startswith("ssl.")} == {
        "ssl.ca.location": "ca.pem",
        "ssl.certificate.location": "us.pem",
        "ssl.key.location": "us.key",
    }


def test_sasl_reads_the_password_and_never_shows_it(password_file: Path) -> None:
    """The password is in the configuration and in no printed form of it."""
    config = client_config(
        Settings(
            kafka_security_protocol="SASL_SSL",
            kafka_sasl_username="ingest",
            kafka_sasl_password_file=password_file,
        )
    )

    assert (config["sasl.mechanism"], config["sasl.username"]) == ("SCRAM-SHA-512", "ingest")
    assert config["sasl.password"] == PASSWORD
    assert PASSWORD not in repr(config)
    assert PASSWORD not in f"{config}"


def test_merged_configuration_hides_its_secrets_too(password_file: Path) -> None:
    """`|` must not turn it into an ordinary dictionary that shows everything."""
    settings = Settings(
        kafka_security_protocol="SASL_PLAINTEXT", kafka_sasl_username="u", kafka_sasl_password_file=password_file
    )

    assert PASSWORD not in repr(client_config(settings) | {"linger.ms": 5})
    assert PASSWORD not in repr(client_config(settings, linger_ms=5))


def test_empty_password_file_is_named(tmp_path: Path) -> None:
    """An empty password would be an authentication failure without a reason."""
    empty = tmp_path / "password"
    empty.write_text("\n")
    settings = Settings(kafka_security_protocol="SASL_SSL", kafka_sasl_username="u", kafka_sasl_password_file=empty)

    with pytest.raises(SettingsError, match=rf"CALLSTREAM_KAFKA_SASL_PASSWORD_FILE names {empty}"):
        client_config(settings)


def test_absent_broker_is_named_with_its_reason() -> None:
    """Where, and why not, in one sentence that has the address once."""
    with pytest.raises(KafkaUnreachableError, match=r"^no Kafka broker answers at 127\.0\.0\.1:1: Connection refused$"):
        partition_count(Settings(kafka_bootstrap_servers="127.0.0.1:1"), "t", 1.0)


@pytest.fixture
def connection() -> AdminConnection:
    """A connection that is never used."""
    return AdminConnection(client_config(Settings(kafka_bootstrap_servers="127.0.0.1:1")))


def _failed(code: int) -> "Future[Any]":
    answer: Future[Any] = Future()
    answer.set_exception(KafkaException(KafkaError(code)))
    return answer


def test_an_answer_is_handed_out_and_a_fine_error_is_one(connection: AdminConnection) -> None:
    """Somebody else may have made a topic first."""
    answer: Future[Any] = Future()
    answer.set_result("made")
    assert connection.result(answer, "t cannot be made") == "made"
    exists = KafkaError.TOPIC_ALREADY_EXISTS
    assert connection.result(_failed(exists), "t cannot be made", fine=exists) is None
    with pytest.raises(KafkaUnusableError, match=r"^t cannot be made: "):
        connection.result(_failed(exists), "t cannot be made")


@pytest.mark.parametrize("code", sorted(CONNECTION_ERRORS))
def test_a_broken_connection_is_no_refusal(connection: AdminConnection, code: int) -> None:
    """Whatever was requested."""
    with pytest.raises(KafkaUnreachableError, match=r"no Kafka broker answers at 127\.0\.0\.1:1: "):
        connection.result(_failed(code), "t cannot be made")


def test_a_cluster_without_access_rules_is_named_with_the_setting(connection: AdminConnection) -> None:
    """Kafka's own words do not say which it is."""
    with pytest.raises(KafkaUnusableError, match=r"^rules cannot be read: .*set authorizer\.class\.name"):
        connection.result(_failed(KafkaError.SECURITY_DISABLED), "rules cannot be read")


@pytest.mark.parametrize("config", [writer.PRODUCER_CONFIG, gap_writer.PRODUCER_CONFIG, delivery.PRODUCER_CONFIG])
def test_every_producer_of_the_pipeline_is_lossless(config: Mapping[str, Any]) -> None:
    """No record counts as written before all replicas have it, comes twice, or expires."""
    assert config.items() >= LOSSLESS_PRODUCER.items()
    assert LOSSLESS_PRODUCER == {"acks": "all", "enable.idempotence": True, "message.timeout.ms": 0}


def test_every_consumer_reads_transactions_in_the_same_way() -> None:
    """Whoever makes a consumer takes the options that all have: none says for itself what an aborted record is."""
    app = Path(client.__file__).parents[1]
    makers = {path: path.read_text() for path in app.rglob("*.py") if re.search(r"[^\w.]Consumer\(", path.read_text())}
    assert len(makers) >= 4
    assert [path.name for path, text in makers.items() if "READING" not in text] == []
    others = [path.name for path in app.rglob("*.py") if "isolation.level" in path.read_text()]
    assert others == ["client.py"]
