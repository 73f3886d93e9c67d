from pathlib import Path

import pytest

from app.kafka.client import KafkaUnreachableError, client_config, partition_count
from app.settings import Settings, SettingsError

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
    """Where, and why not."""
    with pytest.raises(KafkaUnreachableError, match=r"no Kafka broker answers at 127\.0\.0\.1:1: .*refused"):
        partition_count(Settings(kafka_bootstrap_servers="127.0.0.1:1"), "t", 1.0)
