"""A worker reads through aiokafka and writes through librdkafka over the same locked link."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka.admin import (
    AdminClient,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialUpsertion,
)

from app.embedded.broker import EmbeddedBroker
from app.embedded.kafka_server import Listener
from tests.support.certificates import Authority
from tests.support.delivery_run import assert_nothing_lost, delivery_run

pytestmark = pytest.mark.integration

TOTAL = 2_000
USER = "stage"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Signs the broker's certificate and the worker's."""
    return Authority.create(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def locked(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedBroker]:
    """A broker that demands a client certificate on MUTUAL, and a SCRAM password over TLS on SCRAM."""
    pair = authority.issue("localhost")
    tls = {
        "ssl.keystore.type": "PEM",
        "ssl.keystore.certificate.chain": pair.certificate.read_text(),
        "ssl.keystore.key": pair.key.read_text(),
        "ssl.truststore.type": "PEM",
        "ssl.truststore.certificates": authority.file.read_text(),
    }
    options = {f"listener.name.{name}.{key}": value for name in ("mutual", "scram") for key, value in tls.items()}
    options |= {
        "listener.name.mutual.ssl.client.auth": "required",
        "listener.name.scram.sasl.enabled.mechanisms": "SCRAM-SHA-512",
        "listener.name.scram.scram-sha-512.sasl.jaas.config": (
            "org.apache.kafka.common.security.scram.ScramLoginModule required;"
        ),
        "sasl.enabled.mechanisms": "SCRAM-SHA-512",
    }
    listeners = [Listener("MUTUAL", "SSL"), Listener("SCRAM", "SASL_SSL")]
    folder = tmp_path_factory.mktemp("locked") / "broker"
    with EmbeddedBroker(folder, kafka_properties=options, listeners=listeners) as broker:
        yield broker


def test_a_worker_works_over_mutual_tls(
    locked: EmbeddedBroker, authority: Authority, topic_prefix: str, tmp_path: Path
) -> None:
    """With a client certificate, and the broker's name verified."""
    pair = authority.issue("worker")
    environ = {
        "CALLSTREAM_KAFKA_BOOTSTRAP_SERVERS": locked.listener_address("MUTUAL"),
        "CALLSTREAM_KAFKA_SECURITY_PROTOCOL": "SSL",
        "CALLSTREAM_KAFKA_SSL_CA_FILE": str(authority.file),
        "CALLSTREAM_KAFKA_SSL_CERT_FILE": str(pair.certificate),
        "CALLSTREAM_KAFKA_SSL_KEY_FILE": str(pair.key),
    }
    _copies_everything(locked, topic_prefix, tmp_path, environ)


def test_a_worker_works_with_scram_over_tls(
    locked: EmbeddedBroker, authority: Authority, topic_prefix: str, tmp_path: Path
) -> None:
    """The password comes from a file, and is in no log line."""
    password = "-".join(["pass", "word", topic_prefix[-7:-1]])
    admin = AdminClient({"bootstrap.servers": locked.bootstrap_servers})
    info = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, 4_096)
    changes = admin.alter_user_scram_credentials([UserScramCredentialUpsertion(USER, info, password.encode())])
    changes[USER].result()
    file = tmp_path / "password"
    file.write_text(password)
    environ = {
        "CALLSTREAM_KAFKA_BOOTSTRAP_SERVERS": locked.listener_address("SCRAM"),
        "CALLSTREAM_KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
        "CALLSTREAM_KAFKA_SSL_CA_FILE": str(authority.file),
        "CALLSTREAM_KAFKA_SASL_MECHANISM": "SCRAM-SHA-512",
        "CALLSTREAM_KAFKA_SASL_USERNAME": USER,
        "CALLSTREAM_KAFKA_SASL_PASSWORD_FILE": str(file),
    }
    logs = _copies_everything(locked, topic_prefix, tmp_path, environ)
    assert password not in logs


def _copies_everything(broker: EmbeddedBroker, prefix: str, folder: Path, environ: dict[str, str]) -> str:
    """Run one worker with these settings to the end of a small load; returns its log."""
    with delivery_run(
        broker.bootstrap_servers, prefix, folder, total=TOTAL, rate=TOTAL, workers=1, environ=environ
    ) as run:
        run.read_until_complete(30)
        assert_nothing_lost(run)
        return run.logs()
