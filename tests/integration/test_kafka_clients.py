"""app/kafka/client.py on a broker with TLS, mutual TLS, SASL PLAIN and SCRAM: what works, and what a failure says."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import (
    AdminClient,
    NewTopic,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialUpsertion,
)

from app.embedded.kafka_server import Listener
from app.kafka.client import KafkaUnreachableError, KafkaUnusableError, client_config, partition_count
from app.provision.topic_admin import TopicAdmin
from app.settings import Settings
from tests.support.breakable_broker import BreakableBroker
from tests.support.certificates import Authority, Pair

pytestmark = pytest.mark.integration

TOPIC = "locked"
USER = "ingest"
PASSWORD = "pass-word-0815"
LOGIN = "org.apache.kafka.common.security"


@dataclass(frozen=True, slots=True)
class Locked:
    """A broker with three locked listeners, and what a client needs for each."""

    broker: BreakableBroker
    authority: Authority
    folder: Path

    def settings(self, listener: str) -> Settings:
        """Settings that get in."""
        base = Settings(
            kafka_bootstrap_servers=self.broker.listener_address(listener),
            kafka_ssl_ca_file=self.authority.file,
            kafka_security_protocol="SSL",
        )
        if listener in {"EXPIRED", "RENAMED"}:
            return base
        if listener == "MUTUAL":
            pair = self.authority.issue("client")
            return replace(base, kafka_ssl_cert_file=pair.certificate, kafka_ssl_key_file=pair.key)
        return replace(
            base,
            kafka_security_protocol="SASL_SSL",
            kafka_sasl_mechanism="PLAIN" if listener == "PLAIN" else "SCRAM-SHA-256",
            kafka_sasl_username=USER,
            kafka_sasl_password_file=self.password_file(PASSWORD),
        )

    def password_file(self, password: str) -> Path:
        """A file with this password."""
        path = self.folder / f"password-{len(password)}"
        path.write_text(password)
        return path


def _tls(authority: Authority, pair: Pair) -> Iterator[tuple[str, str]]:
    """A listener's options for a certificate."""
    yield "ssl.keystore.type", "PEM"
    yield "ssl.keystore.certificate.chain", pair.certificate.read_text()
    yield "ssl.keystore.key", pair.key.read_text()
    yield "ssl.truststore.type", "PEM"
    yield "ssl.truststore.certificates", authority.file.read_text()


@pytest.fixture(name="locked", scope="module")
def _locked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Locked]:
    folder = tmp_path_factory.mktemp("locked")
    authority = Authority.create(folder)
    good = authority.issue("localhost")
    pairs = {
        **dict.fromkeys(("mutual", "plain", "scram"), good),
        "expired": authority.issue("outdated", valid_days=(-9, -2)),
        "renamed": authority.issue("kafka.example", loopback=False),
    }
    options = {
        f"listener.name.{name}.{key}": value for name, pair in pairs.items() for key, value in _tls(authority, pair)
    }
    options |= {
        "listener.name.mutual.ssl.client.auth": "required",
        "sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-256",
        "listener.name.plain.sasl.enabled.mechanisms": "PLAIN",
        "listener.name.plain.plain.sasl.jaas.config": (
            f'{LOGIN}.plain.PlainLoginModule required user_{USER}="{PASSWORD}";'
        ),
        "listener.name.scram.sasl.enabled.mechanisms": "SCRAM-SHA-256",
        "listener.name.scram.scram-sha-256.sasl.jaas.config": f"{LOGIN}.scram.ScramLoginModule required;",
    }
    listeners = [Listener("PLAIN", "SASL_SSL"), Listener("SCRAM", "SASL_SSL")]
    listeners += [Listener(name, "SSL") for name in ("MUTUAL", "EXPIRED", "RENAMED")]
    with BreakableBroker(folder / "broker", kafka_properties=options, listeners=listeners) as broker:
        admin = AdminClient({"bootstrap.servers": broker.bootstrap_servers})
        admin.create_topics([NewTopic(TOPIC, 2, 1)])[TOPIC].result()
        info = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_256, 4096)
        admin.alter_user_scram_credentials([UserScramCredentialUpsertion(USER, info, PASSWORD.encode())])[USER].result()
        yield Locked(broker, authority, folder)


@pytest.mark.parametrize("listener", ["MUTUAL", "PLAIN", "SCRAM"])
def test_right_settings_get_in_and_write(locked: Locked, listener: str) -> None:
    """Metadata and a record, over every kind of lock."""
    settings = locked.settings(listener)
    failed: list[object] = []

    partitions = partition_count(settings, TOPIC, 20)
    producer = Producer(client_config(settings))
    producer.produce(TOPIC, b"v", on_delivery=lambda error, _: failed.append(error))

    assert partitions == 2
    assert producer.flush(20) == 0
    assert failed == [None]


@pytest.mark.parametrize("listener", ["PLAIN", "SCRAM"])
def test_wrong_password_is_a_refusal(locked: Locked, listener: str) -> None:
    """Told at once as what it is, without the password."""
    wrong = "not-" + PASSWORD
    settings = replace(locked.settings(listener), kafka_sasl_password_file=locked.password_file(wrong))

    with pytest.raises(KafkaUnusableError, match=r"refuses us: .*[Aa]uthentication") as caught:
        partition_count(settings, TOPIC, 5)
    assert wrong not in str(caught.value)


def _mistake(settings: Settings) -> str:
    """What is said of a link that cannot work, by those who ask for a topic and by those who make topics alike."""
    with pytest.raises(KafkaUnusableError) as caught:
        partition_count(settings, TOPIC, 5)
    with pytest.raises(KafkaUnusableError) as caught_too:
        TopicAdmin(client_config(settings)).existing([TOPIC])
    assert str(caught.value) == str(caught_too.value)
    assert settings.kafka_bootstrap_servers in str(caught.value)
    return str(caught.value)


def test_wrong_authority_is_told(locked: Locked, tmp_path: Path) -> None:
    """The first usual mistake: a CA file that did not sign the broker's certificate."""
    stranger = Authority.create(tmp_path, "stranger")
    settings = replace(locked.settings("SCRAM"), kafka_ssl_ca_file=stranger.file)
    assert "not signed by a CA of CALLSTREAM_KAFKA_SSL_CA_FILE" in _mistake(settings)


def test_expired_certificate_is_told(locked: Locked) -> None:
    """The second: nobody renewed the broker's certificate."""
    assert "has expired" in _mistake(locked.settings("EXPIRED"))


def test_name_mismatch_is_told(locked: Locked) -> None:
    """The third: a certificate for another name than the one that we connect to."""
    told = _mistake(locked.settings("RENAMED"))
    assert "is not for '127.0.0.1'" in told
    assert "CALLSTREAM_KAFKA_BOOTSTRAP_SERVERS" in told


def test_missing_client_certificate_is_told(locked: Locked) -> None:
    """The fourth: mutual TLS without a certificate."""
    settings = replace(locked.settings("MUTUAL"), kafka_ssl_cert_file=None, kafka_ssl_key_file=None)
    assert "client certificate: set CALLSTREAM_KAFKA_SSL_CERT_FILE and" in _mistake(settings)


def test_plaintext_against_tls_is_told(locked: Locked) -> None:
    """The fifth: the security protocol was forgotten."""
    settings = Settings(kafka_bootstrap_servers=locked.broker.listener_address("SCRAM"))
    assert "speaks TLS and we do not: set CALLSTREAM_KAFKA_SECURITY_PROTOCOL" in _mistake(settings)


def test_tls_against_plaintext_is_told(locked: Locked) -> None:
    """The sixth: a plain listener and a client that wants TLS."""
    settings = replace(locked.settings("SCRAM"), kafka_bootstrap_servers=locked.broker.bootstrap_servers)
    assert "does not speak TLS there: set CALLSTREAM_KAFKA_SECURITY_PROTOCOL" in _mistake(settings)


def test_a_broker_that_does_not_answer_is_waited_for(locked: Locked) -> None:
    """It may be about to: this is not a mistake in the settings, with TLS or without."""
    locked.broker.pause_kafka()
    time.sleep(0.5)  # a signal takes effect a little later
    try:
        for settings in (locked.settings("SCRAM"), Settings(kafka_bootstrap_servers=locked.broker.bootstrap_servers)):
            with pytest.raises(KafkaUnreachableError):
                partition_count(settings, TOPIC, 2)
    finally:
        locked.broker.resume_kafka()


def test_missing_topic_names_the_way_out(locked: Locked) -> None:
    """The broker is fine and the topic is not there."""
    with pytest.raises(KafkaUnusableError, match=r"has no topic nope; create it with: callstream topics apply"):
        partition_count(locked.settings("SCRAM"), "nope", 20)
