"""How a stage's Faust app is set up: identity, credentials, and what is switched off."""

import asyncio
import ssl
from pathlib import Path
from unittest.mock import Mock

import faust
import pytest
from confluent_kafka.admin import AdminClient
from faust.types import TP

from app.settings import Settings
from app.streaming.consumer import BatchConsumer
from app.streaming.membership import data_dir
from app.streaming.stage_app import GroupTimes, credentials, make_app
from app.streaming.transport import BatchSchema
from app.streaming.watchdog import Watchdog


def _settings(tmp_path: Path, **values: object) -> Settings:
    return Settings(data_dir=tmp_path, **values)  # type: ignore[arg-type]


def test_a_worker_keeps_its_identity_from_run_to_run(tmp_path: Path) -> None:
    """A restart within the session timeout then moves no partition: group, member and assignment data are the same."""
    settings = _settings(tmp_path, topic_prefix="p.")
    first, again, other = (
        make_app(settings, "callstream-privacy", index=index, partitions=4).conf for index in (1, 1, 2)
    )
    assert first.id == "p.callstream-privacy"
    assert first.consumer_group_instance_id == again.consumer_group_instance_id
    assert first.canonical_url == again.canonical_url
    assert first.consumer_group_instance_id != other.consumer_group_instance_id
    assert first.datadir == data_dir(settings, "callstream-privacy", 1)
    assert other.datadir != first.datadir
    assert data_dir(_settings(tmp_path), "callstream-privacy", 1) != first.datadir, "another prefix, another state"
    assert first.datadir.is_dir()


def test_the_app_declares_nothing_serves_nothing_and_reads_through_our_transport(tmp_path: Path) -> None:
    """Topics are made by `callstream topics apply`; pages are those of telemetry."""
    app = make_app(_settings(tmp_path), "callstream-privacy", index=0, partitions=4)
    conf = app.conf
    assert not conf.topic_allow_declare
    assert conf.topic_disable_leader
    assert not conf.web_enabled
    assert not conf.web_tables_enabled
    assert not conf.web_router_enabled
    assert conf.table_standby_replicas == 0
    assert isinstance(app.batch_consumer, BatchConsumer)
    assert isinstance(app.topic("any").schema, BatchSchema)


def test_a_health_check_that_comes_before_the_start_does_not_take_services_to_its_own_thread(tmp_path: Path) -> None:
    """They stay on the loop that the stage runs on; on another one the recovery of tables would never run."""

    async def scenario() -> None:
        app = make_app(_settings(tmp_path), "callstream-privacy", index=0, partitions=4)
        app.bind()
        watchdog = Watchdog(app, AdminClient({}), Mock(), topics=Mock())
        assert await asyncio.to_thread(watchdog.recovered) is not None
        assert app.recovery.loop is asyncio.get_running_loop()
        assert app.tables.loop is asyncio.get_running_loop()

    asyncio.run(scenario())


def test_every_bootstrap_server_is_used(tmp_path: Path) -> None:
    """Separated by commas, with or without spaces."""
    app = make_app(_settings(tmp_path, kafka_bootstrap_servers="a:1, b:2"), "g", index=0, partitions=1)
    assert [(url.host, url.port) for url in app.conf.broker_consumer] == [("a", 1), ("b", 2)]


def test_times_of_the_group_satisfy_fausts_own_check(tmp_path: Path) -> None:
    """Faust refuses a session timeout above the request timeout, at the first rebalance."""
    conf = make_app(_settings(tmp_path), "g", index=0, partitions=1, times=GroupTimes(session=60.0)).conf
    assert conf.broker_request_timeout > conf.broker_session_timeout


def test_plaintext_needs_no_credentials(tmp_path: Path) -> None:
    """Loopback and test brokers."""
    assert credentials(_settings(tmp_path)) is None


@pytest.mark.parametrize(("protocol", "tls"), [("SASL_PLAINTEXT", False), ("SASL_SSL", True)])
def test_sasl_takes_user_mechanism_and_the_passwords_first_line(tmp_path: Path, protocol: str, tls: bool) -> None:
    """With TLS where the protocol says so."""
    password = tmp_path / "password"
    password.write_text("s e c r e t\n")
    found = credentials(
        _settings(
            tmp_path,
            kafka_security_protocol=protocol,
            kafka_sasl_username="reader",
            kafka_sasl_mechanism="SCRAM-SHA-256",
            kafka_sasl_password_file=password,
        )
    )
    assert isinstance(found, faust.SASLCredentials)
    assert (found.username, found.password) == ("reader", "s e c r e t")
    assert found.mechanism.value == "SCRAM-SHA-256"
    assert found.protocol.value == protocol
    assert isinstance(found.ssl_context, ssl.SSLContext) == tls
    assert "s e c r e t" not in repr(found)


def test_tls_alone_verifies_the_brokers_certificate(tmp_path: Path) -> None:
    """Its name too."""
    found = credentials(_settings(tmp_path, kafka_security_protocol="SSL"))
    assert isinstance(found, faust.SSLCredentials)
    assert found.context.verify_mode is ssl.CERT_REQUIRED
    assert found.context.check_hostname


def test_a_certificate_that_is_none_is_refused_at_the_start(tmp_path: Path) -> None:
    """Not at the first connection, in another thread."""
    wrong = tmp_path / "ca.pem"
    wrong.write_text("no certificate")
    with pytest.raises(ssl.SSLError):
        credentials(_settings(tmp_path, kafka_security_protocol="SSL", kafka_ssl_ca_file=wrong))


def test_a_rebalance_within_a_shutdown_waits_for_its_drain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Partitions are given up when the shutdown has written what it had of them, over a connection that stays open."""
    happened = list[str]()

    async def drain(_app: faust.App) -> None:
        await asyncio.sleep(0)
        happened.append("drained")

    async def scenario() -> None:
        app = make_app(_settings(tmp_path), "callstream-privacy", index=0, partitions=4)
        monkeypatch.setattr(faust.App, "_stop_consumer", drain)
        monkeypatch.setattr(faust.App, "_on_rebalance_when_stopped", lambda _app: happened.append("closed"))
        app._stopped.set()
        revoking = asyncio.create_task(app._on_partitions_revoked({TP("t", 0)}))
        revoking.add_done_callback(lambda _task: happened.append("given up"))
        for _ in range(3):
            await asyncio.sleep(0)
        await app._stop_consumer()
        await revoking
        await asyncio.sleep(0)

    asyncio.run(scenario())
    assert happened == ["drained", "given up"]
