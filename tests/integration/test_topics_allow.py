"""deploy/kafka/acls.toml on a broker with SCRAM and an authorizer: enough for the pipeline, and nothing for others."""

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import pytest
from click.testing import CliRunner
from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import (
    AdminClient,
    NewTopic,
)

from app.__main__ import cli
from app.embedded.ports import pick_free
from app.kafka.client import KafkaUnusableError, client_config
from app.kafka.topic_reader import TopicReader
from app.provision.rights import Rule
from app.provision.rights_admin import AccessAdmin
from app.settings import from_env
from app.simulator.recording import Recording
from app.simulator.server import SimulatorServer
from app.simulator.workload.generator import Workload, WorkloadOptions
from schemas import topics
from schemas.topics import TOPICS, Stage
from tests.support.console_scene import console
from tests.support.guarded_pipeline import FILE, GuardedPipeline, guarded_pipeline
from tests.support.pipeline_run import INGEST
from tests.support.shell_lines import Ran, Shell, shell_lines

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module", name="guarded")
def guarded_fixture(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GuardedPipeline]:
    """One pipeline for all tests."""
    with guarded_pipeline(tmp_path_factory.mktemp("guarded")) as guarded:
        yield guarded


def test_the_files_rules_are_made_once(guarded: GuardedPipeline) -> None:
    """What is missing is listed, then made, and then present."""
    missing, made, kept = guarded.answers

    assert missing[0] == 1
    assert made == (0, missing[1] | {"changed": True})
    assert len(made[1]["missing"]) > 20
    assert kept == (0, {"missing": [], "not_in_file": [], "changed": False})


def test_every_process_can_do_its_work_with_the_files_rights(guarded: GuardedPipeline) -> None:
    """Nothing is missing in the file: everything arrives, and the books balance."""
    run = guarded.run
    assert sum(run.ends(topics.CALLS).values()) > 1_000
    assert not run.ended


def test_the_readmes_production_part_runs_as_written(guarded: GuardedPipeline, tmp_path: Path) -> None:
    """Topics and rules by a user who may make them, and each process by its own user, as on a host of its own."""
    lines = shell_lines((FILE.parents[2] / "README.md").read_text(encoding="utf-8"), "In production")
    (tmp_path / "host").mkdir()
    (tmp_path / "host" / "deploy").symlink_to(FILE.parents[1])
    ports = _free_ports(INGEST, *(stage.value for stage in Stage))
    with (
        SimulatorServer(Recording.of(list(Workload(WorkloadOptions(events=200)).events()))) as server,
        Shell(tmp_path / "host", _shared(guarded, ports, server.address), on_own_loopback=False) as shell,
    ):
        for line in lines:
            user = next((name for name in ports if re.match(rf"callstream (worker --stage )?{name} ", line)), None)
            if user is None:
                ran = _until_well(shell, line)
            else:
                own = guarded.settings(user) | {"CALLSTREAM_HTTP_PORT": str(ports[user])}
                ran = shell.run(" ".join([*map("=".join, own.items()), line]), seconds=60)
            assert ran.exit_code == 0, f"{line}\n{ran.output[-3000:]}"
            if line.startswith("callstream top "):
                document = next(one for one in ran.output.splitlines() if one.startswith("{") and '"processes"' in one)
                assert {one["process"] for one in json.loads(document)["processes"]} == ports.keys()


def _free_ports(*names: str) -> dict[str, int]:
    free: set[int] = set()
    while len(free) < len(names):
        free.add(pick_free(frozenset(free)))
    return dict(zip(names, sorted(free), strict=True))


def _shared(guarded: GuardedPipeline, ports: Mapping[str, int], agent: str) -> dict[str, str]:
    """The settings of all hosts, for topics of their own."""
    return {name: value for name, value in os.environ.items() if not name.startswith("CALLSTREAM_")} | {
        "PATH": f"{Path(sys.prefix) / 'bin'}:{os.environ['PATH']}",
        "CALLSTREAM_KAFKA_BOOTSTRAP_SERVERS": guarded.broker.bootstrap_servers,
        "CALLSTREAM_SCHEMA_REGISTRY_URL": guarded.broker.registry_url,
        "CALLSTREAM_TOPIC_PREFIX": "readme.",
        "CALLSTREAM_PARTITIONS": "2",
        "CALLSTREAM_HEARTBEAT_SECONDS": "1",
        "CALLSTREAM_PROCESS_ADDRESSES": ",".join(f"localhost:{port}" for port in ports.values()),
        "CALLSTREAM_TETRAGON_ADDRESS": agent,
    }


def _until_well(shell: Shell, line: str) -> Ran:
    """What the line says at last: a process that was just started is not there at once."""
    deadline = time.monotonic() + 90
    while (ran := shell.run(line, seconds=60)).exit_code and time.monotonic() < deadline:
        time.sleep(0.5)
    return ran


def test_a_reader_reads_what_is_for_everyone_and_nothing_else(guarded: GuardedPipeline) -> None:
    """The two restricted topics, and the groups of the stages, are refused by Kafka itself."""
    group = "reader.scoring"
    refused = {KafkaError.TOPIC_AUTHORIZATION_FAILED, KafkaError.UNKNOWN_TOPIC_OR_PART}

    assert isinstance(guarded.read("reader", topics.CALLS, group), bytes)
    assert guarded.read("reader", topics.RAW, group) in refused
    assert guarded.read("reader", topics.CANONICAL, group) in refused
    stage_group = guarded.run.settings.name(Stage.PRIVACY.group)
    assert guarded.read("reader", topics.CALLS, stage_group) == KafkaError.GROUP_AUTHORIZATION_FAILED
    assert guarded.write("reader", topics.CALLS) == KafkaError.TOPIC_AUTHORIZATION_FAILED


def test_the_console_works_with_the_files_rights_and_can_write_nothing(
    guarded: GuardedPipeline, tmp_path: Path
) -> None:
    """Every question to Kafka is answered, and Kafka refuses it the restricted topics and any record of its own."""
    with console({**guarded.run.environ, **guarded.settings("console")}, tmp_path) as shown:
        shown.await_read()
        row = shown.ask("api/symbols")["rows"][0]
        assert shown.ask(f"api/symbol?id={quote(row['symbol_id'], '')}")["row"]["hits"] == row["hits"]
        node = shown.ask("api/nodes?from=30d")["lanes"][0]
        assert shown.ask(f"api/window?from=1h&node={node['node']}&cluster={node['cluster']}")["trust"]
        assert shown.ask("api/workloads")["read"]["records"] > 1_000
        for view in ("watches", "vulnerabilities", "letters", "about"):
            assert shown.ask(f"api/{view}") is not None
        assert shown.ask("api/about")["trouble"] is None
    refused = {KafkaError.TOPIC_AUTHORIZATION_FAILED, KafkaError.UNKNOWN_TOPIC_OR_PART}
    for topic in TOPICS:
        assert guarded.write("console", topic.name) in refused, topic.name
    assert guarded.read("console", topics.RAW, "any") == KafkaError.GROUP_AUTHORIZATION_FAILED
    with pytest.raises(KafkaUnusableError), TopicReader(from_env(_own(guarded, "console"))) as reader:
        list(reader.records(guarded.run.settings.name(topics.RAW)))


def _own(guarded: GuardedPipeline, user: str) -> dict[str, str]:
    """The settings of a user, for a reader in this process."""
    environ = {**guarded.run.environ, **guarded.settings(user)}
    return {name: value for name, value in environ.items() if name.startswith("CALLSTREAM_")}


@pytest.mark.parametrize("user", [INGEST, Stage.HOT_SYMBOLS.value, "stranger"])
def test_whom_the_file_does_not_let_read_raw_events_is_refused(guarded: GuardedPipeline, user: str) -> None:
    """Not even ingest, which writes them."""
    refused = {
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.GROUP_AUTHORIZATION_FAILED,
        KafkaError.UNKNOWN_TOPIC_OR_PART,
    }
    assert guarded.read(user, topics.RAW, "any") in refused


@dataclass(frozen=True, slots=True)
class _Done:
    """How a command ended, and all that it said."""

    exit_code: int
    output: str


def _done(guarded: GuardedPipeline, user: str, *arguments: str) -> _Done:
    """A command of ours, run as a user; in a process of its own where it starts others, which then end with it."""
    environ = {**guarded.run.environ, **guarded.settings(user)}
    if arguments[0] in {"replay", "privacy", "reprocess"}:
        root = Path(__file__).parents[2]
        command = [sys.executable, "-m", "app", *arguments]
        ended = subprocess.run(command, env=environ, cwd=root, capture_output=True, text=True, check=False, timeout=120)
        return _Done(ended.returncode, ended.stdout + ended.stderr)
    found = CliRunner().invoke(cli, arguments, env=environ)
    return _Done(found.exit_code, found.output)


@pytest.mark.parametrize(
    ("user", "arguments", "codes"),
    [
        ("operator", "doctor kafka topics registry", {0}),
        ("operator", "topics check --partitions 4", {0}),
        ("operator", "topics list", {0}),
        ("operator", "tap --max 1", {0}),
        ("operator", "tap runtime.dead-letters --max 1", {0}),
        ("operator", "coverage --node node-1 --from 1h --to now", {0, 1, 3}),
        ("operator", "nodes list", {0, 1}),
        ("operator", "hot-symbols --top 3", {0}),
        ("operator", "watch list", {0, 1}),
        ("operator", "dead-letters list", {0, 1}),
        ("operator", "export --format folded --from 1h", {0}),
        ("auditor", "record --out {folder}/archive --with-published", {0}),
        ("auditor", "replay --archive {folder}/archive --published --out {folder}/run", {0}),
        ("auditor", "replay --from first --to last --out {folder}/live", {0}),
        ("auditor", "privacy audit runtime.calls", {0, 1}),
        ("auditor", "export --format folded --from 1h", {0}),
        ("auditor", "tap tetragon.raw --restricted --max 1", {0}),
        ("admin", "topics apply", {0}),
        ("admin", "topics allow {file}", {0}),
    ],
)
def test_people_can_do_their_work_with_the_files_rights(
    guarded: GuardedPipeline, user: str, arguments: str, codes: set[int]
) -> None:
    """Each command answers as it would for a super user; a refusal by Kafka has the code 2."""
    folder = guarded.run.folder / user
    done = _done(guarded, user, *arguments.format(folder=folder, file=FILE).split())
    assert done.exit_code in codes, done.output
    assert "uthoriz" not in done.output.replace("authorizer", ""), done.output


def test_the_operator_sees_the_books_balance(guarded: GuardedPipeline) -> None:
    """From the groups' commits and the topics' ends, which name no event."""
    addresses = [guarded.run.processes[name].http_address() for name in sorted(guarded.run.wanted)]
    told = [word for address in addresses for word in ("--metrics", address)]
    done = _done(guarded, "operator", "books", "--settled", *told)
    assert done.exit_code == 0, done.output


def test_an_admin_makes_topics_for_which_the_super_user_has_given_the_rights(guarded: GuardedPipeline) -> None:
    """All of them, with their options, and sees no record of those that are not public."""
    prefix = {"CALLSTREAM_TOPIC_PREFIX": "fresh."}
    given = CliRunner().invoke(cli, ["topics", "allow", str(FILE)], env={**guarded.run.environ, **prefix})
    assert given.exit_code == 0, given.output
    environ = {**guarded.run.environ, **guarded.settings("admin"), **prefix}
    made = CliRunner().invoke(cli, ["topics", "apply", "--json"], env=environ)
    assert made.exit_code == 0, made.output
    assert {row["state"] for row in json.loads(made.stdout)["topics"]} == {"created"}


@pytest.mark.parametrize(
    ("user", "reads", "writes"),
    [
        (
            "operator",
            [topics.RAW, topics.CANONICAL, topics.HOT_PARTIALS],
            [topics.CALLS, topics.COVERAGE, topics.WATCH],
        ),
        ("auditor", [topics.CANONICAL, topics.HOT_PARTIALS], [topics.RAW, topics.COVERAGE, topics.AUDIT]),
        ("admin", [topics.RAW, topics.CANONICAL, topics.OWNERS], [topics.CALLS, topics.COVERAGE, topics.AUDIT]),
    ],
)
def test_people_cannot_do_what_is_not_theirs(
    guarded: GuardedPipeline, user: str, reads: list[str], writes: list[str]
) -> None:
    """See what has not passed the filter, write what the stages write, or move a stage's group."""
    refused = {
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.GROUP_AUTHORIZATION_FAILED,
        KafkaError.UNKNOWN_TOPIC_OR_PART,
    }
    for topic in reads:
        assert guarded.read(user, topic, f"{user}.looks") in refused, topic
    for topic in writes:
        assert guarded.write(user, topic) == KafkaError.TOPIC_AUTHORIZATION_FAILED, topic
    group = guarded.run.settings.name(Stage.PRIVACY.group)
    assert guarded.read(user, topics.CALLS, group) == KafkaError.GROUP_AUTHORIZATION_FAILED
    if user != "admin":
        done = _done(guarded, user, "topics", "allow", str(FILE), "--revoke")
        made = AdminClient({**guarded.client(user)}).create_topics([NewTopic("strange", 1, 1)])["strange"]
        with pytest.raises(KafkaException):
            made.result(10)
        assert done.exit_code == (0 if user == "operator" else 2)


def test_a_permission_for_all_topics_is_found_and_taken_away(guarded: GuardedPipeline) -> None:
    """Granted beside the file, it reaches the restricted topics without naming them."""
    everything = Rule("stranger", "TOPIC", "*", "READ")
    AccessAdmin(client_config(guarded.run.settings)).add([everything])

    found, left, revoked, clean = (guarded.allow(*how) for how in (("--check",), (), ("--revoke",), ("--check",)))

    assert found == (1, {"missing": [], "not_in_file": [list(everything)], "changed": False})
    assert left[0] == 1
    assert revoked == (0, {"missing": [], "not_in_file": [list(everything)], "changed": True})
    assert clean[0] == 0


def test_doctor_names_whoever_may_write_the_stages_own_topics(guarded: GuardedPipeline) -> None:
    """With the file's rights nobody but the stage may; a right to write everything is found on each of them."""

    def examined() -> list[dict[str, str]]:
        asked = CliRunner().invoke(cli, ["doctor", "kafka", "--json"], env=guarded.run.environ)
        found: list[dict[str, str]] = json.loads(asked.stdout)["findings"]
        return [one for one in found if "may be written by" in one["what"]]

    (alone,) = examined()
    AccessAdmin(client_config(guarded.run.settings)).add([Rule("stranger", "TOPIC", "*", "WRITE")])
    named = examined()
    guarded.allow("--revoke")  # later tests want the file's rights alone

    assert alone["verdict"] == "ok"
    assert "by canonicalize, hot-symbols only" in alone["what"]
    assert {one["verdict"] for one in named} == {"warn"}
    partials = guarded.run.settings.name(topics.HOT_PARTIALS)
    assert f"{partials} may be written by hot-symbols, stranger" in {one["what"].partition(":")[0] for one in named}
    assert len(named) == 5


def test_events_are_processed_again_with_the_rights_that_the_file_has_ready(guarded: GuardedPipeline) -> None:
    """The table that is commented out is enough for one version, and Kafka's super user need not run it."""
    text = FILE.read_text(encoding="utf-8")
    before, heading, block = text.partition("# [reprocessor]\n")
    file = guarded.run.folder / "acls.toml"
    file.write_text(before + (heading + block).replace("# ", ""), encoding="utf-8")
    given = CliRunner().invoke(cli, ["topics", "allow", str(file)], env=guarded.run.environ)
    assert given.exit_code == 0, given.output

    done = _done(guarded, "reprocessor", "reprocess", "--stage", "canonicalize", "--once")

    assert done.exit_code == 0, done.output
    live, again = (sum(guarded.run.ends(name).values()) for name in (topics.CALLS, f"{topics.CALLS}.v2"))
    assert again > 0
    assert again == live
