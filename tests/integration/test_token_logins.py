"""Logins by token at a real broker that gives each login a short life: clients of both libraries, a whole worker."""

import asyncio
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from aiokafka.conn import AIOKafkaConnection
from aiokafka.errors import KafkaConnectionError
from aiokafka.protocol.metadata import MetadataRequest
from callstream_client import Connection
from callstream_client.table import read_to_end
from confluent_kafka import Producer
from confluent_kafka.admin import (
    AdminClient,
    NewTopic,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialUpsertion,
)

from app.doctor.kafka_checks import check_kafka
from app.embedded.kafka_server import Listener
from app.kafka.client import KafkaUnreachableError, KafkaUnusableError, partition_count
from app.kafka.login import aiokafka_login, token_source
from app.kafka.renewed_login import RenewedConnection
from app.kafka.topic_reader import TopicReader
from app.settings import Settings, from_env
from schemas import topics
from tests.support.breakable_broker import BreakableBroker
from tests.support.delivery_run import assert_nothing_lost, delivery_run
from tests.support.identity_provider import SECRET, IdentityProvider, identity_provider

pytestmark = pytest.mark.integration

SESSION_MS = 15_000
SHORT_MS = 2_500
USER = "stage"
PASSWORD = "word-of-the-stage"
BY_PASSWORD = {
    "sasl.enabled.mechanisms": "OAUTHBEARER,SCRAM-SHA-512",
    "listener.name.scram.sasl.enabled.mechanisms": "SCRAM-SHA-512",
    "listener.name.scram.scram-sha-512.sasl.jaas.config": (
        "org.apache.kafka.common.security.scram.ScramLoginModule required;"
    ),
    "listener.name.scram.scram-sha-512.connections.max.reauth.ms": str(SHORT_MS),
}
SECONDS = 20
"""Of the load at size 1: longer than a session, so that each connection is renewed or cut."""
RATE = 1_000


@dataclass(frozen=True, slots=True)
class TokenBroker:
    """A broker that takes tokens, and who gives them."""

    broker: BreakableBroker
    provider: IdentityProvider
    folder: Path

    def environ(self) -> dict[str, str]:
        """Settings that get in."""
        address = self.broker.listener_address("TOKENS")
        return self.provider.environ(self.folder) | {"CALLSTREAM_KAFKA_BOOTSTRAP_SERVERS": address}

    def settings(self) -> Settings:
        """The same, read."""
        return from_env(self.environ())


@pytest.fixture(name="tokens", scope="module")
def _tokens(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TokenBroker]:
    folder = tmp_path_factory.mktemp("tokens")
    with (
        identity_provider(folder) as provider,
        BreakableBroker(
            folder / "broker",
            kafka_properties=provider.broker_options(TOKENS=SESSION_MS, SHORT=SHORT_MS) | BY_PASSWORD,
            listeners=[Listener(name, "SASL_PLAINTEXT") for name in ("TOKENS", "SHORT", "SCRAM")],
            java_options=provider.java_options(),
        ) as broker,
    ):
        admin = AdminClient({"bootstrap.servers": broker.bootstrap_servers})
        info = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, 4096)
        admin.alter_user_scram_credentials([UserScramCredentialUpsertion(USER, info, PASSWORD.encode())])[USER].result()
        yield TokenBroker(broker, provider, folder)


@pytest.mark.proof
def test_nothing_is_lost_while_tokens_and_sessions_end(
    tokens: TokenBroker,
    topic_prefix: str,
    tmp_path: Path,
    size: int,
    record_property: Callable[[str, object], None],
) -> None:
    """A worker reads with aiokafka and writes with librdkafka; a reader of a topic reads all of it once more."""
    seconds = SECONDS + 18 * (size - 1)
    with delivery_run(
        tokens.broker.bootstrap_servers,
        topic_prefix,
        tmp_path,
        total=RATE * seconds,
        rate=RATE,
        workers=1,
        environ=tokens.environ(),
    ) as run:
        run.read_until_complete(30)
        assert_nothing_lost(run)
        logs = (tmp_path / "worker-0.log").read_text()
    with TopicReader(tokens.settings()) as reader:
        read = sum(1 for _ in reader.records(topic_prefix + topics.CANONICAL))
    assert read >= RATE * seconds
    assert "could not be renewed" not in logs
    record_property("seconds", seconds)
    record_property("records", RATE * seconds)
    record_property("read", read)


async def _requests_until_cut(connection: AIOKafkaConnection, seconds: float) -> tuple[int, bool]:
    """Requests without a pause, several at a time; how many were answered, and whether the connection still stands."""
    answered = 0
    await connection.connect()
    until = time.monotonic() + seconds
    try:
        while time.monotonic() < until:
            waiting = [asyncio.ensure_future(connection.send(MetadataRequest([]))) for _ in range(8)]
            for done in await asyncio.gather(*waiting):
                answered += bool(done.brokers)
            await asyncio.sleep(0.02)
    except KafkaConnectionError:
        return answered, False
    finally:
        connection.close()
    return answered, True


def test_a_connection_logs_in_again_before_its_session_ends(tokens: TokenBroker) -> None:
    """The same requests on aiokafka's own connections and ours, by token and by password: only the former are cut."""
    by_word = {"sasl_plain_username": USER, "sasl_plain_password": PASSWORD}
    logins: dict[str, dict[str, Any]] = {
        "SHORT": {
            "sasl_mechanism": "OAUTHBEARER",
            "sasl_oauth_token_provider": aiokafka_login(tokens.settings()),
        },
        "SCRAM": {"sasl_mechanism": "SCRAM-SHA-512", **by_word},
    }
    answers: dict[tuple[str, type], tuple[int, bool]] = {}

    async def use(listener: str, kind: type[AIOKafkaConnection]) -> None:
        host, _, port = tokens.broker.listener_address(listener).rpartition(":")
        connection = kind(host, int(port), security_protocol="SASL_PLAINTEXT", **logins[listener])
        answers[listener, kind] = await _requests_until_cut(connection, 3 * SHORT_MS / 1000)

    async def use_all() -> None:
        await asyncio.gather(*(use(one, kind) for one in logins for kind in (AIOKafkaConnection, RenewedConnection)))

    asyncio.run(use_all())
    for listener in logins:
        before_the_cut, plain_stands = answers[listener, AIOKafkaConnection]
        answered, ours_stands = answers[listener, RenewedConnection]
        assert not plain_stands, f"{listener}: {before_the_cut} answers and no cut"
        assert ours_stands, listener
        assert answered > before_the_cut


def test_the_python_client_logs_in_by_token(tokens: TokenBroker, topic_prefix: str) -> None:
    """From the identity provider by itself, and with a token that somebody keeps in a file."""
    admin = AdminClient({"bootstrap.servers": tokens.broker.bootstrap_servers})
    for made in admin.create_topics([NewTopic(topic_prefix + topics.CALLS, 1, 1)]).values():
        made.result(30)
    producer = Producer({"bootstrap.servers": tokens.broker.bootstrap_servers})
    producer.produce(topic_prefix + topics.CALLS, b"value", b"key")
    assert producer.flush(30) == 0
    source = token_source(tokens.settings())
    assert source is not None
    (tokens.folder / "kept").write_text(source.token().value + "\n")
    by_provider = tokens.environ() | {"CALLSTREAM_TOPIC_PREFIX": topic_prefix}
    by_file = {name: value for name, value in by_provider.items() if "_OAUTH_" not in name}
    by_file["CALLSTREAM_KAFKA_SASL_OAUTH_TOKEN_FILE"] = str(tokens.folder / "kept")
    for environ in (by_provider, by_file):
        found = list(read_to_end(Connection.from_env(environ), topics.CALLS))
        assert [message.value() for message in found] == [b"value"]


def _refusal(settings: Settings) -> str:
    with pytest.raises(KafkaUnusableError) as caught:
        partition_count(settings, "nope", 10)
    assert SECRET not in str(caught.value)
    return str(caught.value)


def test_what_is_wrong_with_a_login_is_told_with_the_setting(tokens: TokenBroker, tmp_path: Path) -> None:
    """The token endpoint is away, does not know us, or does not give the scope; a file's token has ended."""
    settings = tokens.settings()
    assert "has no topic nope" in _refusal(settings)

    with pytest.raises(KafkaUnreachableError, match=r"^CALLSTREAM_KAFKA_SASL_OAUTH_TOKEN_URL: no token from https"):
        partition_count(replace(settings, kafka_sasl_oauth_token_url="https://127.0.0.1:1/token"), "nope", 10)
    strange = replace(settings, kafka_sasl_oauth_client_id="somebody")
    assert _refusal(strange).startswith("CALLSTREAM_KAFKA_SASL_OAUTH_CLIENT_ID, CALLSTREAM_KAFKA_SASL_OAUTH_CLIENT_SEC")
    assert _refusal(replace(settings, kafka_sasl_oauth_scope="all")).startswith("CALLSTREAM_KAFKA_SASL_OAUTH_SCOPE: ")
    file = tmp_path / "token"
    by_file = replace(
        settings, kafka_sasl_oauth_token_url="", kafka_sasl_oauth_client_id="", kafka_sasl_oauth_token_file=file
    )
    file.write_text(tokens.provider.token(-60))
    assert _refusal(by_file).startswith(f"CALLSTREAM_KAFKA_SASL_OAUTH_TOKEN_FILE names {file}, whose token ended at 2")
    good = tmp_path / "good-token"
    good.write_text(tokens.provider.token() + "\n")
    assert "has no topic nope" in _refusal(replace(by_file, kafka_sasl_oauth_token_file=good))
    header, claims, _ = tokens.provider.token().split(".")
    forged = tmp_path / "forged"
    forged.write_text(f"{header}.{claims}.{'A' * 342}")
    told = _refusal(replace(by_file, kafka_sasl_oauth_token_file=forged))
    assert "refuses us" in told
    assert "invalid_token" in told


def test_doctor_says_how_long_tokens_last(tokens: TokenBroker) -> None:
    """And what is wrong where there is none."""
    assert any("a login by token, good for" in one.what for one in check_kafka(tokens.settings()))
    (failed,) = check_kafka(replace(tokens.settings(), kafka_sasl_oauth_scope="all"))
    assert failed.what.startswith("CALLSTREAM_KAFKA_SASL_OAUTH_SCOPE: ")
