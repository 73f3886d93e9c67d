"""app/doctor/kafka_checks.py: what live workers advertise; the rest is in tests/integration/test_doctor.py."""

from unittest.mock import Mock

import pytest

from app.doctor import kafka_checks
from app.doctor.findings import CheckVerdict
from app.kafka.client import KafkaUnreachableError
from app.serving.address import HostPort
from app.settings import Settings
from app.stages.hot_symbols.advertising import Owner

LOOPBACK = Owner("callstream-hot-symbols-one-0", HostPort("127.0.0.1", 9467))
REACHABLE = Owner("callstream-hot-symbols-two-0", HostPort("10.0.0.2", 9467))
TWIN = Owner("callstream-hot-symbols-three-0", HostPort("10.0.0.2", 9467))
NEIGHBOUR = Owner("callstream-hot-symbols-one-1", HostPort("127.0.0.1", 9468))


@pytest.mark.parametrize(
    ("live", "owners", "verdict", "said"),
    [
        ([LOOPBACK, NEIGHBOUR], [LOOPBACK, NEIGHBOUR], CheckVerdict.OK, "2 hot-symbols workers can query each other"),
        (
            [LOOPBACK, REACHABLE],
            [LOOPBACK, REACHABLE],
            CheckVerdict.FAIL,
            "one-0: this worker advertises 127.0.0.1:9467",
        ),
        ([REACHABLE, TWIN], [REACHABLE, TWIN], CheckVerdict.FAIL, "CALLSTREAM_ADVERTISED_ADDRESS"),
        ([REACHABLE], [LOOPBACK, REACHABLE], CheckVerdict.OK, "1 hot-symbols workers"),
    ],
)
def test_workers_that_would_query_themselves_are_a_failure(
    monkeypatch: pytest.MonkeyPatch, live: list[Owner], owners: list[Owner], verdict: CheckVerdict, said: str
) -> None:
    """Of the workers that run; what ended workers have left on the topic does not count."""
    monkeypatch.setattr(kafka_checks, "member_names", lambda *_: frozenset(one.worker for one in live))
    monkeypatch.setattr(kafka_checks, "partition_count", lambda *_: 4)
    monkeypatch.setattr(kafka_checks, "published_owners", lambda *_: dict(enumerate(owners)))

    (finding,) = kafka_checks._check_workers(Settings(hot_symbols_port=9467))

    assert finding.verdict is verdict
    assert said in finding.what
    assert list(kafka_checks._check_workers(Settings())) == []


@pytest.mark.parametrize(
    ("kafka", "registry", "is_local"),
    [
        ("127.0.0.1:9", "http://127.0.0.1:9", True),
        ("localhost:9,[::1]:9", "http://user@localhost:9/apis/ccompat/v7", True),
        ("127.0.0.1:9,kafka.invalid:9092", "https://registry.invalid", False),
        ("kafka.invalid", "http://registry.invalid:8080/path", False),
    ],
)
def test_only_a_server_of_this_host_may_be_one_of_a_try_out(
    monkeypatch: pytest.MonkeyPatch, kafka: str, registry: str, is_local: bool
) -> None:
    """In production the remedy names settings, and starts no broker."""

    def away(*_: object) -> None:
        raise ConnectionRefusedError

    def no_broker(*_: object) -> None:
        raise KafkaUnreachableError(kafka)

    monkeypatch.setattr(kafka_checks, "AdminConnection", no_broker)
    monkeypatch.setattr(kafka_checks, "SchemaRegistry", Mock(from_settings=away))
    settings = Settings(kafka_bootstrap_servers=kafka, schema_registry_url=registry)

    (on_kafka,), (on_registry,) = kafka_checks.check_kafka(settings), kafka_checks.check_registry(settings)

    assert ("callstream broker" in on_kafka.remedy, "callstream broker" in on_registry.remedy) == (is_local, is_local)
    assert "CALLSTREAM_KAFKA_*" in on_kafka.remedy
    assert "CALLSTREAM_SCHEMA_REGISTRY_*" in on_registry.remedy
