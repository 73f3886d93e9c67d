"""app/kafka.py on a broker with TLS, mutual TLS, SASL PLAIN and SCRAM: what works, and what is said where not."""

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

from app.embedded.broker import EmbeddedBroker
from app.embedded.kafka_server import Listener
from app.kafka import KafkaUnreachable, KafkaUnusable, client_config, partition_count
from app.settings import Settings
from tests.support.certificates import Authority

pytestmark = pytest.mark.integration

TOPIC = "locked"
USER = "ingest"
PASSWORD = "pass-word-0815"
LOGIN = "org.apache.kafka.common.security"


@dataclass(frozen=True, slots=True)
class Locked:
    """A broker with three locked listeners, and what a client needs for each."""

    broker: EmbeddedBroker
    authority: Authority
    folder: Path

    def settings(self, listener: str) -> Settings:
        """Settings that get in."""
        base = Settings(
            kafka_bootstrap_servers=self.broker.listener_address(listener),
            kafka_ssl_ca_file=self.authority.file,
            kafka_security_protocol="SSL",
        )
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


@pytest.fixture(name="locked", scope="module")
def _locked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Locked]:
    folder = tmp_path_factory.mktemp("locked")
    authority = Authority.create(folder)
    pair = authority.issue("localhost")
    tls = {
        "ssl.keystore.type": "PEM",
        "ssl.keystore.certificate.chain": pair.certificate.read_text(),
        "ssl.keystore.key": pair.key.read_text(),
        "ssl.truststore.type": "PEM",
        "ssl.truststore.certificates": authority.file.read_text(),
    }
    names = ("mutual", "plain", "scram")
    options = {f"listener.name.{name}.{key}": value for name in names for key, value in tls.items()}
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
    listeners = [Listener("MUTUAL", "SSL"), Listener("PLAIN", "SASL_SSL"), Listener("SCRAM", "SASL_SSL")]
    with EmbeddedBroker(folder / "broker", kafka_properties=options, listeners=listeners) as broker:
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

    with pytest.raises(KafkaUnusable, match=r"refuses us: .*[Aa]uthentication") as caught:
        partition_count(settings, TOPIC, 5)
    assert wrong not in str(caught.value)


def test_wrong_authority_is_told(locked: Locked, tmp_path: Path) -> None:
    """A CA file that did not sign the broker's certificate."""
    stranger = Authority.create(tmp_path, "stranger")
    settings = replace(locked.settings("SCRAM"), kafka_ssl_ca_file=stranger.file)

    with pytest.raises((KafkaUnusable, KafkaUnreachable), match=r"certificate verify failed"):
        partition_count(settings, TOPIC, 5)


def test_missing_client_certificate_is_told(locked: Locked) -> None:
    """Mutual TLS without a certificate."""
    settings = replace(locked.settings("MUTUAL"), kafka_ssl_cert_file=None, kafka_ssl_key_file=None)

    with pytest.raises((KafkaUnusable, KafkaUnreachable), match=r"(?i)certificate|handshake|disconnected"):
        partition_count(settings, TOPIC, 5)


def test_plaintext_against_tls_is_told(locked: Locked) -> None:
    """The security protocol was forgotten."""
    settings = Settings(kafka_bootstrap_servers=locked.broker.listener_address("SCRAM"))

    with pytest.raises((KafkaUnusable, KafkaUnreachable), match=r"set CALLSTREAM_KAFKA_SECURITY_PROTOCOL"):
        partition_count(settings, TOPIC, 5)


def test_tls_against_plaintext_is_told(locked: Locked) -> None:
    """A plain listener and a client that wants TLS."""
    settings = replace(locked.settings("SCRAM"), kafka_bootstrap_servers=locked.broker.bootstrap_servers)

    with pytest.raises((KafkaUnusable, KafkaUnreachable), match=r"(?i)plaintext broker|ssl"):
        partition_count(settings, TOPIC, 5)


def test_missing_topic_names_the_way_out(locked: Locked) -> None:
    """The broker is fine and the topic is not there."""
    with pytest.raises(KafkaUnusable, match=r"has no topic nope; create it with: callstream topics apply"):
        partition_count(locked.settings("SCRAM"), "nope", 20)
