"""app/doctor/certificates_check.py: how long certificates are still good, and what to do."""

from pathlib import Path

import pytest

from app.doctor.certificates_check import check_certificates
from app.doctor.findings import CheckVerdict
from app.settings import Settings
from tests.support.certificates import Authority


@pytest.mark.parametrize(
    ("valid_days", "verdict", "said"),
    [
        ((-1, 825), CheckVerdict.OK, "is good for 825 days"),
        ((-1, 13), CheckVerdict.WARN, "ends in 13 days"),
        ((-9, -4), CheckVerdict.FAIL, "ended 4 days ago"),
    ],
)
def test_the_days_that_a_certificate_has_left_are_shown(
    tmp_path: Path, valid_days: tuple[int, int], verdict: CheckVerdict, said: str
) -> None:
    """Whoever looks before it ends has the time to renew it."""
    pair = Authority.create(tmp_path).issue("worker", valid_days=valid_days)

    (found,) = check_certificates(Settings(kafka_ssl_cert_file=pair.certificate, kafka_ssl_key_file=pair.key))

    assert (found.verdict, found.what) == (verdict, f"CALLSTREAM_KAFKA_SSL_CERT_FILE: the certificate {said}")
    assert bool(found.remedy) == (verdict is not CheckVerdict.OK)


def test_the_next_to_end_comes_first_and_a_file_without_a_certificate_before_it(tmp_path: Path) -> None:
    """What is urgent is not below what is well."""
    empty = tmp_path / "empty.pem"
    empty.write_bytes(b"")
    pair = Authority.create(tmp_path).issue("worker", valid_days=(-1, 400))
    settings = Settings(kafka_ssl_cert_file=pair.certificate, kafka_ssl_key_file=pair.key, tetragon_tls_ca_file=empty)

    assert [one.verdict for one in check_certificates(settings)] == [CheckVerdict.FAIL, CheckVerdict.OK]
