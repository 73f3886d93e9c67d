"""app/commands/tap.py on a real broker and registry."""

import contextlib
import json
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from os import environ

import pytest
from click.testing import CliRunner, Result
from confluent_kafka import Producer

from agents.canonicalize.events import Canonicalizer
from agents.canonicalize.outcomes import Canonical
from app.__main__ import cli
from app.embedded.broker import EmbeddedBroker
from app.operators.times import time_text
from app.settings import from_env
from app.stages.worker import registered_id
from schemas import records
from schemas.topics import CALLS, CANONICAL, COVERAGE, RAW
from tests.support.events import event, kprobe, process, user_frame

pytestmark = pytest.mark.integration


@dataclass(frozen=True, slots=True)
class _Cluster:
    """A broker with our topics, and how commands find it."""

    environ: dict[str, str]
    prefix: str
    producer: Producer
    schema_id: int
    """Of coverage records; another test's schemas may have any id."""

    def tap(self, *arguments: str) -> Result:
        return CliRunner().invoke(cli, ["tap", *arguments], env=self.environ)

    def gaps(self, first: int, last: int) -> None:
        """Write coverage records of partition 0 that lost `first` to `last` events."""
        for lost in range(first, last + 1):
            gap = {"node": "quay-7", "from_ns": 0, "to_ns": 1, "cause": "Overflow", "events_lost": lost}
            value = records.encode(records.COVERAGE_GAP, self.schema_id, gap | {"detail": None})
            self.producer.produce(self.prefix + COVERAGE, value, b"quay-7", partition=0)
        self.producer.flush(10)


@pytest.fixture(name="cluster")
def _cluster(embedded: EmbeddedBroker, topic_prefix: str) -> Iterator[_Cluster]:
    variables = {
        "CALLSTREAM_KAFKA_BOOTSTRAP_SERVERS": embedded.bootstrap_servers,
        "CALLSTREAM_SCHEMA_REGISTRY_URL": embedded.registry_url,
        "CALLSTREAM_TOPIC_PREFIX": topic_prefix,
        "CALLSTREAM_PARTITIONS": "2",
    }
    applied = CliRunner().invoke(cli, ["topics", "apply"], env=variables)
    assert applied.exit_code == 0, applied.output
    producer = Producer({"bootstrap.servers": embedded.bootstrap_servers, "log_level": 0})
    yield _Cluster(variables, topic_prefix, producer, registered_id(from_env(variables), COVERAGE))
    producer.flush(10)


def _lost(result: Result) -> list[int]:
    assert result.exit_code == 0, result.output
    return [json.loads(line)["value"]["events_lost"] for line in result.stdout.splitlines()]


def test_records_are_read_from_where_one_asks(cluster: _Cluster) -> None:
    """From the beginning, from an offset, so many before the end, at most so many, from one partition."""
    cluster.gaps(1, 5)

    assert _lost(cluster.tap(COVERAGE, "--json")) == [1, 2, 3, 4, 5]
    assert _lost(cluster.tap(cluster.prefix + COVERAGE, "--json", "--from", "offset:3")) == [4, 5]
    assert _lost(cluster.tap(COVERAGE, "--json", "--from", "last-2")) == [4, 5]
    assert _lost(cluster.tap(COVERAGE, "--json", "--from", "first", "--max", "2")) == [1, 2]
    assert _lost(cluster.tap(COVERAGE, "--json", "--from", "last")) == []
    assert _lost(cluster.tap(COVERAGE, "--json", "--partition", "1")) == []
    assert cluster.tap(COVERAGE).stdout.count("Overflow") == 5


def test_following_shows_what_is_written_next(cluster: _Cluster) -> None:
    """With --follow the end is where it starts, and SIGINT where it ends, with code 0."""
    cluster.gaps(1, 3)
    line = [sys.executable, "-m", "app", "tap", COVERAGE, "--follow", "--json"]
    with (
        _interrupts_arrive(),
        subprocess.Popen(line, stdout=subprocess.PIPE, text=True, env=environ | cluster.environ) as follower,
    ):
        try:
            assert follower.stdout is not None
            for lost in range(10, 1_000):
                cluster.gaps(lost, lost)  # until the follower has found the end and shows one
                if _has_output(follower):
                    break
            first = json.loads(follower.stdout.readline())["value"]["events_lost"]
            second = json.loads(_line_after(cluster, follower, lost + 1))["value"]["events_lost"]
            assert 10 <= first < second
            follower.send_signal(signal.SIGINT)
            assert follower.wait(20) == 0
        finally:
            with contextlib.suppress(ProcessLookupError):
                follower.kill()


@contextlib.contextmanager
def _interrupts_arrive() -> Iterator[None]:
    """Processes started inside receive SIGINT, also if the tests run in the background of a shell, which ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _has_output(follower: "subprocess.Popen[str]") -> bool:
    assert follower.stdout is not None
    return bool(select.select([follower.stdout], [], [], 0.5)[0])


def _line_after(cluster: _Cluster, follower: "subprocess.Popen[str]", lost: int) -> str:
    cluster.gaps(lost, lost)
    assert follower.stdout is not None
    return follower.stdout.readline()


def test_restricted_topics_are_shown_only_when_asked_for(cluster: _Cluster) -> None:
    """Private data is not shown by mistake: the option says that it is wanted."""
    cluster.producer.produce(cluster.prefix + RAW, event("process_exec").SerializeToString(), b"key")
    cluster.producer.flush(10)

    refused = cluster.tap(RAW)
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert "add --restricted" in refused.stderr
    assert "tidewatch" in cluster.tap(RAW, "--restricted").stdout


def test_frames_have_readable_names_and_their_grades_are_summed_up(cluster: _Cluster) -> None:
    """C++ is shown demangled; the shares come on stderr, so lines stay lines; JSON is as stored."""
    raw = kprobe("tcp_connect", user=[user_frame("/usr/bin/shop", 16, "_ZN4shop3putEv")])
    outcome = Canonicalizer({}).canonicalize(raw.SerializeToString(), 0, 0, 0)
    assert isinstance(outcome, Canonical)
    cluster.producer.produce(cluster.prefix + CANONICAL, outcome.value, b"key")
    cluster.producer.flush(10)
    shown = cluster.tap(CANONICAL, "--restricted")

    assert "/usr/bin/shop+0x10  (shop::put()?)" in shown.stdout
    assert shown.stderr == "1 frames: 100.0% HintOnly\n"
    as_json = cluster.tap(CANONICAL, "--restricted", "--json")
    assert "_ZN4shop3putEv" in as_json.stdout
    assert as_json.stderr == ""


def test_strange_records_do_not_stop_the_reading(cluster: _Cluster) -> None:
    """A record that is not a call is shown in hex, and so is a tombstone."""
    for value in (b"\xff\x00", None):
        cluster.producer.produce(cluster.prefix + CALLS, value, b"key", partition=0)
    cluster.producer.flush(10)

    assert [line.split("  ")[2] for line in cluster.tap().stdout.splitlines()] == ["not decoded: ff00", "deleted"]


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["runtime.call"], "did you mean runtime.calls?"),
        (["weather"], "topics are tetragon.raw, runtime.canonical, runtime.calls"),
        ([COVERAGE, "--from", "yesterday"], "'yesterday' is not a position"),
        ([COVERAGE, "--partition", "7"], "there is no partition 7; the topic has 2"),
    ],
)
def test_mistakes_are_named_and_the_exit_code_is_2(cluster: _Cluster, arguments: list[str], problem: str) -> None:
    """A topic, start or partition that does not exist."""
    result = cluster.tap(*arguments)

    assert result.exit_code == 2
    assert problem in result.stderr


def test_missing_topics_and_brokers_are_named(cluster: _Cluster) -> None:
    """A topic that nobody created, and a cluster that is not there."""
    missing = CliRunner().invoke(cli, ["tap"], env=cluster.environ | {"CALLSTREAM_TOPIC_PREFIX": "no."})
    assert missing.exit_code == 2
    assert "has no topic no.runtime.calls; create it with: callstream topics apply" in missing.stderr

    away = {"CALLSTREAM_KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:9"}
    unreachable = CliRunner().invoke(cli, ["tap"], env=cluster.environ | away)
    assert unreachable.exit_code == 2
    assert "no Kafka broker answers at 127.0.0.1:9" in unreachable.stderr


def test_records_are_read_up_to_where_one_asks(cluster: _Cluster) -> None:
    """By a time of receipt as by an offset; the end is not included, and a live end is none."""
    cluster.gaps(1, 3)
    between = time.time_ns() // 1_000_000 + 1
    while time.time_ns() // 1_000_000 <= between:
        time.sleep(0.001)
    cluster.gaps(4, 6)
    moment = time_text(between * 1_000_000, 3)

    assert _lost(cluster.tap(COVERAGE, "--json", "--to", moment)) == [1, 2, 3]
    assert _lost(cluster.tap(COVERAGE, "--json", "--from", moment)) == [4, 5, 6]
    assert _lost(cluster.tap(COVERAGE, "--json", "--from", "offset:1", "--to", "0:5")) == [2, 3, 4, 5]
    assert _lost(cluster.tap(COVERAGE, "--json", "--from", "1h", "--to", moment, "--max", "2")) == [1, 2]
    assert cluster.tap(COVERAGE, "--follow", "--to", "now").exit_code == 2


def test_a_filter_says_how_many_records_match(cluster: _Cluster) -> None:
    """On standard error; exit code 1 says that none does, and a topic without the field is refused."""
    for binary in ("/usr/bin/curl", "/opt/shop/bin/pay", "/usr/bin/curl"):
        raw = kprobe("tcp_connect", who=process(binary=binary)).SerializeToString()
        cluster.producer.produce(cluster.prefix + RAW, raw, b"key")
    cluster.producer.flush(10)

    found = cluster.tap(RAW, "--restricted", "--binary", "curl", "--max", "1")
    assert (found.exit_code, found.stdout.count("/usr/bin/curl[")) == (0, 1)
    found = cluster.tap(RAW, "--restricted", "--binary", "curl", "--symbol", "tcp_*")
    assert found.stdout.count("/usr/bin/curl[") == 2
    assert found.stderr == "callstream tap: 2 of 3 records match\n"
    nothing = cluster.tap(RAW, "--restricted", "--namespace", "shop")
    assert (nothing.exit_code, nothing.stdout) == (1, "")
    refused = cluster.tap(COVERAGE, "--namespace", "shop")
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert "records of runtime.coverage have no namespace" in refused.stderr


def test_a_reader_that_has_seen_enough_ends_it_quietly(cluster: _Cluster) -> None:
    """As `callstream tap | head` does: without a message, and with exit code 0 under pipefail."""
    cluster.gaps(1, 3_000)  # more than a pipe holds
    line = f"set -o pipefail; '{sys.executable}' -m app tap {COVERAGE} | head -n 1"
    ran = subprocess.run(
        ["bash", "-c", line], env=environ | cluster.environ, capture_output=True, text=True, check=False, timeout=120
    )
    assert (ran.returncode, ran.stderr, ran.stdout.count("\n")) == (0, "", 1)
