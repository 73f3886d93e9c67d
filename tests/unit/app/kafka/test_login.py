"""Logins by token: what librdkafka's and aiokafka's clients get, from one source."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from app.kafka.client import KafkaUnreachableError, KafkaUnusableError, aiokafka_options, client_config
from app.kafka.login import NoTokenError, aiokafka_login, token_source
from app.settings import Settings

TOKEN = "token-of-" + "the-test"


@pytest.fixture(name="settings")
def _settings(tmp_path: Path) -> Settings:
    file = tmp_path / "token"
    file.write_text(TOKEN)
    return Settings(
        kafka_security_protocol="SASL_PLAINTEXT",
        kafka_sasl_mechanism="OAUTHBEARER",
        kafka_sasl_oauth_token_file=file,
        kafka_sasl_oauth_extensions=(("logicalCluster", "lkc-1"),),
    )


def test_both_libraries_get_the_token_of_one_source(settings: Settings) -> None:
    """And what goes with it; neither configuration shows it."""
    config = client_config(settings)
    provider = aiokafka_options(settings)["sasl_oauth_token_provider"]
    assert config["sasl.mechanism"] == "OAUTHBEARER"
    assert config["oauth_cb"]("")[0] == asyncio.run(provider.token()) == TOKEN
    assert config["oauth_cb"]("")[3] == provider.extensions() == {"logicalCluster": "lkc-1"}
    assert config["oauth_cb"].source is token_source(settings)
    assert not [name for name in config if name in {"sasl.username", "sasl.password"}]
    assert TOKEN not in repr(config) + repr(aiokafka_options(settings))


def test_without_a_token_no_client_is_made(settings: Settings, tmp_path: Path) -> None:
    """Librdkafka's would wait for ten seconds and say little; aiokafka's tries again by itself."""
    missing = replace(settings, kafka_sasl_oauth_token_file=tmp_path / "none")
    with pytest.raises(KafkaUnusableError, match=r"^CALLSTREAM_KAFKA_SASL_OAUTH_TOKEN_FILE names .*none: No such file"):
        client_config(missing)
    provider = aiokafka_login(missing)
    assert provider is not None
    with pytest.raises(NoTokenError, match="No such file") as caught:
        asyncio.run(provider.token())
    assert caught.value.retriable


def test_a_provider_that_is_away_is_no_wrong_setting(settings: Settings, tmp_path: Path) -> None:
    """Whoever waits for Kafka waits for it, too."""
    away = replace(
        settings,
        kafka_sasl_oauth_token_file=None,
        kafka_sasl_oauth_token_url="http://127.0.0.1:1/token",
        kafka_sasl_oauth_client_id="us",
        kafka_sasl_oauth_client_secret_file=tmp_path / "token",
    )
    with pytest.raises(
        KafkaUnreachableError, match=r"^CALLSTREAM_KAFKA_SASL_OAUTH_TOKEN_URL: no token from http://127"
    ):
        client_config(away)


def test_passwords_have_no_source(tmp_path: Path) -> None:
    """Their logins stay as they were."""
    file = tmp_path / "password"
    file.write_text("word")
    settings = Settings(kafka_security_protocol="SASL_SSL", kafka_sasl_username="me", kafka_sasl_password_file=file)
    assert token_source(settings) is None
    assert "oauth_cb" not in client_config(settings)
    assert aiokafka_options(settings)["sasl_mechanism"] == "SCRAM-SHA-512"
