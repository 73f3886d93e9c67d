"""The ends of the certificates that settings name."""

from dataclasses import fields
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.x509.oid import NameOID

from app.settings import Settings
from app.telemetry.certificates import certificate_ends

SOON = datetime(2030, 1, 1, tzinfo=UTC)
LATE = datetime(2040, 1, 1, tzinfo=UTC)


def _certificate(end: datetime) -> bytes:
    key = ed25519.Ed25519PrivateKey.generate()
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    made = made.serial_number(1).not_valid_before(end - timedelta(days=9_000)).not_valid_after(end)
    return made.sign(key, None).public_bytes(serialization.Encoding.PEM)


def test_the_first_end_of_a_chain_and_the_last_of_a_bundle_of_cas_count(tmp_path: Path) -> None:
    """A chain breaks at its first end; an old CA may stay beside a new one while servers change."""
    both = tmp_path / "both.pem"
    both.write_bytes(_certificate(LATE) + _certificate(SOON))
    settings = Settings(kafka_ssl_cert_file=both, kafka_ssl_key_file=both, kafka_ssl_ca_file=both)

    assert certificate_ends(settings) == {
        "CALLSTREAM_KAFKA_SSL_CERT_FILE": SOON.timestamp(),
        "CALLSTREAM_KAFKA_SSL_CA_FILE": LATE.timestamp(),
    }


def test_a_file_that_cannot_be_read_has_no_time_left(tmp_path: Path) -> None:
    """So the alert for the end of a certificate tells of it too."""
    empty = tmp_path / "empty.pem"
    empty.write_bytes(b"")
    settings = Settings(tetragon_tls_ca_file=empty, schema_registry_ssl_ca_file=tmp_path / "missing.pem")

    assert certificate_ends(settings) == {
        "CALLSTREAM_TETRAGON_TLS_CA_FILE": 0.0,
        "CALLSTREAM_SCHEMA_REGISTRY_SSL_CA_FILE": 0.0,
    }


def test_every_setting_for_a_certificate_is_looked_at() -> None:
    """A later setting counts too, if its name ends as theirs do."""
    named: dict[str, Any] = {
        field.name: Path("/nowhere") for field in fields(Settings) if field.name.endswith(("_cert_file", "_ca_file"))
    }

    assert len(certificate_ends(Settings(**named))) == len(named) >= 8
