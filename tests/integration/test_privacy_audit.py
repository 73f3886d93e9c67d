"""`callstream privacy audit` on a real broker: silent about what the filter let out, loud about what it did not."""

import json
import time
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest
from click.testing import CliRunner, Result
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

from agents.canonicalize.events import Canonicalizer
from agents.canonicalize.stage import CanonicalizeStep
from agents.privacy.calls import PrivacyFilter
from agents.privacy.policy_file import built_in_policy
from agents.privacy.redaction.engine import RedactionEngine
from agents.privacy.stage import PrivacyStep
from agents.privacy.verifier import PrivacyFinding, Verifier
from app.__main__ import cli
from app.commands.ending import CANNOT
from app.commands.privacy import FAILED
from app.kafka import topic_reader
from app.privacy.audit import AuditChoice, look_at, parts_of
from app.settings import from_env
from app.simulator.workload.canaries import canaries, canary_events
from app.simulator.workload.secrets import traces
from schemas import topics
from tests.support.breakable_broker import BreakableBroker
from tests.support.open_policy import OpenPolicy, OpenRedactor
from tests.support.privacy import ConsumedRecord

pytestmark = pytest.mark.integration

Audit = Callable[..., Result]
PARTITIONS = 2


def _calls(privacy_filter: PrivacyFilter) -> Iterator[bytes]:
    """Calls of all canary events through a filter."""
    canonicalize, privacy = CanonicalizeStep(Canonicalizer({})), PrivacyStep(privacy_filter, schema_id=1)
    for offset, event in enumerate(canary_events()):
        canonical = canonicalize([ConsumedRecord(topics.RAW, 0, offset, event.SerializeToString())])
        for out in privacy(
            [ConsumedRecord(topics.CANONICAL, 0, offset, one.value) for one in canonical.outputs]
        ).outputs:
            assert out.value is not None
            yield out.value


@pytest.fixture
def write(embedded: BreakableBroker, topic_prefix: str) -> Callable[[Iterator[bytes]], int]:
    """Writes records to the calls topic of this test; says how many."""
    name = topic_prefix + topics.CALLS
    servers: dict[str, Any] = {"bootstrap.servers": embedded.bootstrap_servers}
    admin = AdminClient(servers)
    admin.create_topics([NewTopic(name, PARTITIONS, 1)])[name].result(30)
    while name not in admin.list_topics(timeout=10).topics:  # the answer may come before all can see it
        time.sleep(0.01)
    producer = Producer(servers)

    def produce(values: Iterator[bytes]) -> int:
        count = 0
        for count, value in enumerate(values, 1):
            producer.produce(name, value, b"key", count % PARTITIONS)
        producer.flush(30)
        return count

    return produce


@pytest.fixture
def audit(embedded: BreakableBroker, topic_prefix: str) -> Audit:
    """The command against this test's broker and prefix."""
    environment: dict[str, str | None] = {
        "CALLSTREAM_KAFKA_BOOTSTRAP_SERVERS": embedded.bootstrap_servers,
        "CALLSTREAM_TOPIC_PREFIX": topic_prefix,
    }
    return lambda *arguments: CliRunner().invoke(
        cli, ["privacy", "audit", "--processes", "1", *arguments], env=environment
    )


def test_audit_finds_nothing_in_what_the_filter_let_out(
    write: Callable[[Iterator[bytes]], int], audit: Audit, tmp_path: Path
) -> None:
    """A canary was planted in every field of every kind of event; what all have in common is looked for."""
    policy = built_in_policy("default")
    count = write(_calls(PrivacyFilter(policy, RedactionEngine(policy.choices))))
    needles = tmp_path / "needles"
    needles.write_text(min(canaries())[:8], encoding="utf-8")
    found = audit("--needles", str(needles), "--json")
    assert json.loads(found.output.splitlines()[-1]) == {
        "topic": topics.CALLS,
        "records": count,
        "findings": 0,
        "by_rule": {},
    }
    assert found.exit_code == 0


def test_audit_finds_what_left_without_a_filter(write: Callable[[Iterator[bytes]], int], audit: Audit) -> None:
    """Position, field and rule of each, exit code 1, and no value."""
    count = write(_calls(PrivacyFilter(OpenPolicy(), OpenRedactor())))
    found = audit()
    assert found.exit_code == FAILED
    assert f"{count} records" in found.output
    for rule in (
        "named-secret",
        "option-secret",
        "url-password",
        "authorization",
        "home",
        "credential-file",
        "vendor-token",
    ):
        assert f": {rule}\n" in found.output
    assert traces(found.output.encode()) == []


def test_workloads_with_secrets_are_counted(
    write: Callable[[Iterator[bytes]], int], embedded: BreakableBroker, topic_prefix: str
) -> None:
    """Counts of programs, and neither an argument nor a canary: the topic is read to its end."""
    policy = built_in_policy("default")
    count = write(_calls(PrivacyFilter(policy, RedactionEngine(policy.choices))))
    environment = {
        "CALLSTREAM_KAFKA_BOOTSTRAP_SERVERS": embedded.bootstrap_servers,
        "CALLSTREAM_TOPIC_PREFIX": topic_prefix,
    }
    found = CliRunner().invoke(cli, ["privacy", "workloads", "--json"], env=environment)
    answer = json.loads(found.output.splitlines()[-1])
    assert answer["records"] == count
    assert answer["workloads"]
    assert all(1 <= one["with_secrets"] <= one["calls"] for one in answer["workloads"])
    assert all(
        one.keys() == {"namespace", "workload", "binary", "calls", "with_secrets"} for one in answer["workloads"]
    )
    assert traces(found.output.encode()) == []


def test_processes_find_together_what_one_finds(write: Callable[[Iterator[bytes]], int], audit: Audit) -> None:
    """Windows and samples look at a part of it, and only at that."""
    policy = built_in_policy("open")
    count = write(islice(_calls(PrivacyFilter(policy, OpenRedactor())), 120))
    alone, together = audit("--json"), audit("--processes", "3", "--json")
    assert json.loads(together.output.splitlines()[-1]) == json.loads(alone.output.splitlines()[-1])
    assert together.exit_code == FAILED
    sample = json.loads(audit("--sample", "20", "--json").output.splitlines()[-1])
    assert 15 <= sample["records"] <= 20 < count
    window = json.loads(audit("--from", "0:2", "--to", "0:6", "--json").output.splitlines()[-1])
    assert window["records"] == 4


def test_audit_of_an_empty_topic_finds_nothing(write: Callable[[Iterator[bytes]], int], audit: Audit) -> None:
    """It ends at once."""
    assert write(iter(())) == 0
    assert audit().output == "0 records, 0 findings\n"


@pytest.mark.parametrize("topic", [topics.RAW, topics.CANONICAL, f"{topics.CANONICAL}.v2", "no-such-topic"])
def test_audit_refuses_what_it_cannot_audit(audit: Audit, topic: str) -> None:
    """Restricted topics hold private data by design; others are not there."""
    refused = audit(topic)
    assert refused.exit_code == CANNOT
    assert topic in refused.output


def test_audit_of_a_version_reads_the_version(audit: Audit, topic_prefix: str) -> None:
    """A version of a topic of the pipeline is named as the topic is: with or without the prefix."""
    for name in (f"{topics.CALLS}.v2", f"{topic_prefix}{topics.CALLS}.v2"):
        assert f"{topic_prefix}{topics.CALLS}.v2" in audit(name).output
        assert f"{topic_prefix}{topic_prefix}" not in audit(name).output
    assert "is restricted" in audit(f"{topic_prefix}{topics.CANONICAL}.v2").output


def test_audit_survives_a_broker_that_is_killed_and_comes_back(
    embedded: BreakableBroker,
    topic_prefix: str,
    write: Callable[[Iterator[bytes]], int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It waits, as every reader of a topic does, and looks at each record once."""
    monkeypatch.setattr(topic_reader, "SILENCE_SECONDS", 240.0)  # a loaded machine starts a broker slowly
    count = write(b"%05d " % number + b"x" * 2_000 for number in range(24_000))  # more than a client reads ahead
    name, back = topic_prefix + topics.CALLS, Event()
    settings = from_env({"CALLSTREAM_KAFKA_BOOTSTRAP_SERVERS": embedded.bootstrap_servers})
    seen: Counter[str] = Counter()

    class Looking(Verifier):
        """Notes what it is shown, and lets the broker die at the first record."""

        def findings(
            self, record: Any, field: str = "", _partition: int = 0, _offset: int = 0
        ) -> Iterator[PrivacyFinding]:
            if field == "value":
                if not seen:
                    embedded.kill_kafka()
                    restart.start()
                seen[record[:5].decode()] += 1
            return iter(())

    def come_back() -> None:
        embedded.restart_kafka()
        back.set()

    restart, reported = Thread(target=come_back), list[int]()
    (part,) = parts_of(settings, AuditChoice(name))
    try:
        found = look_at(settings, part, reported.append, Looking)
        assert found.findings == []
        assert back.is_set(), "no kill hit the reading: the test has proved nothing"
    finally:
        restart.join()
    assert found.records == len(seen) == count == part.offsets == reported[-1]
    assert set(seen.values()) == {1}
