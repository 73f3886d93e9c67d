"""app/streaming/stage_process.py: what its watchdog asks for; the rest runs in tests/integration."""

from pathlib import Path

from app.settings import Settings
from app.streaming.stage_process import _holder


def test_a_password_file_that_is_being_renewed_does_not_end_the_watchdog(tmp_path: Path) -> None:
    """Nobody can say then who is in the group; missing and empty files are alike."""
    password = tmp_path / "password"
    settings = Settings(
        kafka_security_protocol="SASL_PLAINTEXT",
        kafka_sasl_mechanism="PLAIN",
        kafka_sasl_username="u",
        kafka_sasl_password_file=password,
    )
    assert _holder(settings, "group", "worker-0") is None
    password.write_text("", encoding="utf-8")
    assert _holder(settings, "group", "worker-0") is None
