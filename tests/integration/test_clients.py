"""Consumers on a real broker, with repetitions, outages and deleted records."""

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import pytest
from callstream_client import (
    CALLS,
    HOT_SYMBOLS,
    CallStream,
    ClientError,
    Connection,
    LostRecords,
    RecordStream,
    Trust,
    UnreachableError,
    newest,
    window_of,
)
from click.testing import CliRunner
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from app.__main__ import cli
from app.kafka.registry import SchemaRegistry
from schemas import records, topics
from schemas.coverage import CoverageGap, GapCause, encode
from schemas.node import NodeId
from tests.support.breakable_broker import BreakableBroker
from tests.support.pipeline_run import PipelineRun, pipeline_run
from tests.support.sent_load import process_events, send_load, uncommitted

pytestmark = pytest.mark.integration

ROOT: Final = Path(__file__).parents[2]
EVENTS: Final = 1_000
PATIENCE_SECONDS: Final = 120
"""For a reader that has fallen behind while its broker was away, on a busy machine."""
EXAMPLE_IDLE_SECONDS: Final = 15
"""For which nothing has come when an example ends."""
READER: Final = ROOT / "tests" / "support" / "client_reader.py"


@pytest.fixture(scope="module", name="python")
def _python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python whose environment has the client's wheel and what it needs, and nothing else."""
    folder = tmp_path_factory.mktemp("client")
    wheel = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "-w", str(folder)]
    copied = folder / "source"
    subprocess.run(["cp", "-r", str(ROOT / "clients" / "python"), str(copied)], check=True)
    subprocess.run([*wheel, str(copied)], check=True)
    subprocess.run([sys.executable, "-m", "venv", str(folder / "venv")], check=True)
    python = folder / "venv" / "bin" / "python"
    # the versions that the pipeline has: they are there already
    same = [f"{name}=={version(name)}" for name in ("confluent-kafka", "fastavro", "urllib3")]
    (built,) = folder.glob("*.whl")
    subprocess.run([str(python), "-m", "pip", "install", "--quiet", str(built), *same], check=True)
    return python


@pytest.fixture(scope="module", name="run")
def _run(embedded: BreakableBroker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PipelineRun]:
    """Calls and rows that the real stages made of a load."""
    folder = tmp_path_factory.mktemp("pipeline")
    with pipeline_run(embedded, f"client-{time.time_ns():x}.", folder) as run:
        run.start_stages()
        send_load(run, list(process_events(EVENTS)))
        run.wait(lambda: uncommitted(run) == 0, 120, "all calls")
        run.wait(lambda: run.books("--settled").exit_code == 0, 60, "all rows")
        yield run


def _connection(run: PipelineRun, **more: Any) -> Connection:
    return Connection.from_env(run.environ, **more)


def _again(run: PipelineRun, share: int) -> int:
    """Write every so-manieth call once more to the end of its partition, as a stage does after a crash."""
    producer = Producer({"bootstrap.servers": run.settings.kafka_bootstrap_servers})
    copies = [record for number, record in enumerate(run.records(topics.CALLS)) if number % share == 0]
    for record in copies:
        producer.produce(run.settings.name(topics.CALLS), record.value, record.key, record.partition)
    assert producer.flush(30) == 0
    return len(copies)


@dataclass(frozen=True, slots=True)
class Example:
    """A program of clients/ in another language."""

    language: str
    command: tuple[str, ...]

    def read(self, run: PipelineRun, group: str) -> list[tuple[str, int, int]]:
        """Event id and raw position of each line that it prints until nothing comes any more."""
        command = [*self.command, f"{group}-{self.language}", str(EXAMPLE_IDLE_SECONDS)]
        done = subprocess.run(command, env=run.environ, capture_output=True, text=True, timeout=150, check=False)
        assert done.returncode == 0, done.stderr
        rows = (line.split("\t") for line in done.stdout.splitlines())
        return [(event_id, int(partition), int(offset)) for event_id, partition, offset, *_ in rows]


class Reader:
    """The program of the empty environment."""

    def __init__(self, python: Path, environ: Mapping[str, str], group: str, no_more: Path) -> None:
        command = [str(python), "-I", str(READER), group, str(no_more)]
        self.process = subprocess.Popen(command, env=dict(environ), stdout=subprocess.PIPE, text=True)

    def lines(self) -> Iterator[dict[str, Any]]:
        """What it prints, to its end."""
        assert self.process.stdout is not None
        yield from map(json.loads, self.process.stdout)


def test_an_empty_environment_reads_each_call_once(
    python: Path, run: PipelineRun, embedded: BreakableBroker, tmp_path: Path
) -> None:
    """With repetitions, a reader that is killed, and a broker that is killed and comes back."""
    there = [(call.record.source.partition, call.record.source.offset) for call in _calls(run, "first")]
    assert len(there) == len(set(there)) > EVENTS // 2
    _again(run, 3)
    environ, no_more = run.environ | {"HOME": str(tmp_path)}, tmp_path / "no-more"

    seen: list[tuple[int, int]] = []
    killed = Reader(python, environ, "apart", no_more)
    for line in killed.lines():
        seen += [(partition, offset) for partition, offset in line["events"]]
        if len(seen) >= 200:
            killed.process.kill()
            break
    killed.process.wait()
    assert 200 <= len(seen) < len(there)

    other = Reader(python, environ, "apart", no_more)
    lines = other.lines()
    rest = [next(lines)]
    embedded.kill_kafka()
    embedded.restart_kafka()
    later = _again(run, 5)
    run.wait(lambda: _is_read(run, "apart"), PATIENCE_SECONDS, "the reader to have read all")
    no_more.touch()
    rest += lines
    assert other.process.wait() == 0
    printed = [(partition, offset) for line in rest for partition, offset in line["events"]]
    again = set(printed)
    counts = {name: sum(line[name] for line in rest) for name in ("repeated", "refused", "lost")}

    assert set(seen) | again == set(there)
    assert len(printed) == len(again)
    # what was printed and not committed when the reader was killed comes again: at most one batch
    assert len(set(seen) & again) <= 200
    assert counts["refused"] == counts["lost"] == 0
    # where the broker's death kept positions from being stored, their records come again, and are dropped as well
    assert counts["repeated"] >= later


@pytest.fixture(scope="module", name="example", params=["java", "go"])
def _example(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Example:
    """The command of an example, built in a copy. Skips where its tools are not there."""
    missing = [tool for tool in {"java": ("java", "mvn"), "go": ("go",)}[request.param] if shutil.which(tool) is None]
    if missing:
        pytest.skip(f"there is no {missing[0]} on this machine, which builds clients/{request.param}")
    folder = tmp_path_factory.mktemp("example") / request.param
    shutil.copytree(ROOT / "clients" / request.param, folder, ignore=shutil.ignore_patterns("target"))
    if request.param == "java":
        subprocess.run(["mvn", "-q", "-B", "package"], cwd=folder, check=True)
        program = str(folder / "src" / "main" / "java" / "callstream" / "ReadCalls.java")
        return Example("java", ("java", "-XX:TieredStopAtLevel=1", "-cp", f"{folder}/target/jars/*", program))
    subprocess.run(["go", "build", "-mod=readonly", "-o", "read-calls", "."], cwd=folder, check=True)
    return Example("go", (str(folder / "read-calls"),))


def test_an_example_reads_each_call_once(example: Example, run: PipelineRun) -> None:
    """In Java and in Go: with repetitions and garbage between them, and again after a restart."""
    there = {
        (call.record.source.partition, call.record.source.offset) for call in _calls(run, f"all-{example.language}")
    }
    _again(run, 4)
    _produce(run, topics.CALLS, b"key", b"garbage", partition=1)
    _produce(run, topics.CALLS, b"key", b"\x00\x7f\x00\x00\x00garbage of a schema that nobody has", partition=2)
    printed = example.read(run, "examples")
    assert len(printed) == len(there)
    assert {(partition, offset) for _, partition, offset in printed} == there
    assert all(len(event_id) == 32 for event_id, _, _ in printed)
    _again(run, 4)
    assert example.read(run, "examples") == []


def test_rows_of_hot_symbols_are_a_table(run: PipelineRun) -> None:
    """Each row under its key, with its own type; all hits of the demo's functions are counted."""
    table = newest(_connection(run), HOT_SYMBOLS)
    assert table.refused == ()
    assert len(table.rows) > 50
    assert all(row.symbol_id == key and row.hits >= row.confirmed_hits for key, row in table.rows.items())
    with pytest.raises(ClientError, match="max_rows"):
        newest(_connection(run), HOT_SYMBOLS, max_rows=10)


def _unsafe(found: Any, place: str = "") -> Iterator[str]:
    """Numbers that JavaScript rounds, beside which there is no text."""
    if isinstance(found, list):
        for item in found:
            yield from _unsafe(item, f"{place}[]")
    elif isinstance(found, dict):
        for name, value in found.items():
            beside = found.get(name.removesuffix("_ns")) if name.endswith("_ns") else None
            if isinstance(value, int) and abs(value) > 1 << 53 and not isinstance(beside, str):
                yield f"{place}.{name}"
            yield from _unsafe(value, f"{place}.{name}")


@pytest.mark.parametrize(
    "command",
    [
        "tap runtime.calls --max 50 --json",
        "tap runtime.hot-symbols --max 50 --json",
        "tap runtime.canonical --restricted --max 50 --json",
        "hot-symbols --top 50 --json",
        "watch add SSL_read --json",
        "watch list --json",
        "hot-symbols --watched --json",
        "coverage --node node-1 --from 2h --to 1h --json",
        "dead-letters list --json",
        "books --json",
        "topics list --json",
    ],
)
def test_javascript_reads_every_number_that_a_command_prints(run: PipelineRun, command: str) -> None:
    """Each line of JSON, with times of real events; a longer number has its text beside it."""
    done = CliRunner().invoke(cli, command.split(), env=run.environ)
    documents = [json.loads(line) for line in done.stdout.splitlines()]
    assert documents, done.output
    assert list(_unsafe(documents)) == []


def test_a_window_is_trusted_only_where_it_is_complete(run: PipelineRun) -> None:
    """As `callstream coverage` says, with an unreadable record too."""
    subject = run.settings.name(topics.subject(topics.COVERAGE))
    with SchemaRegistry.from_settings(run.settings) as registry:
        schema_id = registry.id_of(subject, records.schema_text(records.COVERAGE_GAP))
    assert schema_id is not None
    # before the garbage of other tests became dead letters, and within the hour that an unreadable record spoils
    begin_ns = time.time_ns() - 2_400_000_000_000
    minute_ns = 60_000_000_000
    node = NodeId("east", "gate-1")

    def write(cause: GapCause, first: int, last: int) -> None:
        gap = CoverageGap(
            node=node.name, cluster=node.cluster, from_ns=begin_ns + first * minute_ns,
            to_ns=begin_ns + last * minute_ns, cause=cause, session="s",
        )  # fmt: skip
        _produce(run, topics.COVERAGE, node.as_key(), encode(gap, schema_id))

    def trust(first: int, last: int) -> Trust:
        times = begin_ns + first * minute_ns, begin_ns + last * minute_ns
        return window_of(_connection(run), node.name, *times, cluster=node.cluster).trust

    write(GapCause.HEARTBEAT, 0, 4)
    write(GapCause.HEARTBEAT, 4, 8)
    assert trust(1, 7) is Trust.TRUSTED
    assert trust(1, 9) is Trust.UNKNOWN
    write(GapCause.OVERFLOW, 3, 4)
    assert trust(1, 7) is Trust.NOT_TRUSTED
    assert trust(5, 7) is Trust.TRUSTED
    _produce(run, topics.COVERAGE, node.as_key(), b"garbage")
    assert trust(5, 7) is Trust.NOT_TRUSTED


def test_garbage_and_deleted_records_are_told(run: PipelineRun) -> None:
    """Neither ends the reader, and neither is passed over in silence."""
    _produce(run, topics.CALLS, b"key", b"garbage", partition=0)
    first = {one.partition: one for batch in _batches(run, "lost") for one in batch.refused}
    assert first[0].reason == "it has no schema header"

    admin = AdminClient({"bootstrap.servers": run.settings.kafka_bootstrap_servers})
    name = run.settings.name(topics.CALLS)
    end = run.ends(topics.CALLS)[0]
    with RecordStream(_connection(run), CALLS, group="behind", max_records=10) as calls:
        batch = next(batch for batch in calls.batches() if 0 in batch.nexts)
        calls.commit(batch)
        stored = batch.nexts[0]
    assert stored < end
    for done in admin.delete_records([TopicPartition(name, 0, end)]).values():
        done.result(30)
    lost = [one for batch in _batches(run, "behind") for one in batch.lost if one.partition == 0]
    assert lost == [LostRecords(0, stored, end)]


def test_what_is_away_or_missing_is_named(run: PipelineRun) -> None:
    """No broker, and no such topic: an error at once, which says what to look at."""
    with pytest.raises(UnreachableError, match=r"127\.0\.0\.1:1"):
        CallStream(Connection(bootstrap_servers="127.0.0.1:1", patience_s=2), group="g")
    wrong = Connection.from_env(run.environ | {"CALLSTREAM_TOPIC_PREFIX": "no-such."})
    with pytest.raises(ClientError, match=r"no-such\.runtime\.calls.*topic_prefix"):
        CallStream(wrong, group="g")


def _batches(run: PipelineRun, group: str) -> Iterator[Any]:
    """All that the topic has now behind the group's position, and that has to be something."""
    left = {number: end for number, end in run.ends(topics.CALLS).items() if end}
    with CallStream(_connection(run), group=group) as calls:
        for batch in calls.batches(idle_s=PATIENCE_SECONDS):
            calls.commit(batch)
            yield batch
            nexts = {**{one.partition: one.next for one in batch.lost}, **batch.nexts}
            left = {number: end for number, end in left.items() if nexts.get(number, 0) < end}
            if not left:
                return


def _is_read(run: PipelineRun, group: str) -> bool:
    """Whether a group of another program, whose name has no prefix, has read the calls to their end."""
    places = [TopicPartition(run.settings.name(topics.CALLS), number) for number in run.ends(topics.CALLS)]
    asking = Consumer({"bootstrap.servers": run.settings.kafka_bootstrap_servers, "group.id": group})
    try:
        ends = run.ends(topics.CALLS)
        return all(max(one.offset, 0) >= ends[one.partition] for one in asking.committed(places, timeout=30))
    finally:
        asking.close()


def _calls(run: PipelineRun, group: str) -> list[Any]:
    return [one for batch in _batches(run, group) for one in batch.records]


def _produce(run: PipelineRun, topic: str, key: bytes, value: bytes, partition: int = -1) -> None:
    producer = Producer({"bootstrap.servers": run.settings.kafka_bootstrap_servers})
    producer.produce(run.settings.name(topic), value, key, partition)
    assert producer.flush(30) == 0
