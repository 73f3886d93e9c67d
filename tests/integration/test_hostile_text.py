"""Every command that prints records, over topics in which every text is hostile."""

import gzip
import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from confluent_kafka import Producer
from google.protobuf import json_format

from agents.canonicalize.events import Canonicalizer
from agents.canonicalize.outcomes import Canonical
from agents.hot_symbols.identity import SymbolIdentity, symbol_id
from app.__main__ import cli
from app.embedded.broker import EmbeddedBroker
from app.settings import from_env
from app.stages.worker import registered_id
from app.steps import load_policy_hooks
from schemas import pprof_pb2, records, topics
from schemas.tetragon.events_pb2 import GetEventsResponse
from tests.support.hostile_text import FORGED, HOSTILE, faults_in, hostile_value, make_hostile

pytestmark = pytest.mark.integration

_WATCH = {"symbol": "f", "module": HOSTILE, "build_id": None, "since_ns": 1, "vulnerability": HOSTILE}
_WATCH_ID = symbol_id(SymbolIdentity(None, HOSTILE, "f"))


def _avro(name: str, **fields: object) -> dict[str, object]:
    found: dict[str, object] = hostile_value(json.loads(records.schema_text(name)))
    return found | fields


def _raw_event() -> bytes:
    event = GetEventsResponse(node_name=HOSTILE)
    make_hostile(event.process_kprobe)
    event.time.FromSeconds(1_700_000_000)
    return event.SerializeToString()


@pytest.fixture(name="environ", scope="module")
def _environ(embedded: EmbeddedBroker) -> dict[str, str]:
    """A broker whose topics hold one hostile record each, also in the changelogs' topics what cannot be decoded."""
    environ = {
        "CALLSTREAM_KAFKA_BOOTSTRAP_SERVERS": embedded.bootstrap_servers,
        "CALLSTREAM_SCHEMA_REGISTRY_URL": embedded.registry_url,
        "CALLSTREAM_TOPIC_PREFIX": "hostile-text.",
        "CALLSTREAM_PARTITIONS": "1",
    }
    made = CliRunner().invoke(cli, ["topics", "apply"], env=environ)
    assert made.exit_code == 0, made.output
    settings = from_env(environ)
    producer = Producer({"bootstrap.servers": embedded.bootstrap_servers})
    raw = _raw_event()
    canonical = Canonicalizer(load_policy_hooks(None)).canonicalize(raw, 0, 0, 0)
    assert isinstance(canonical, Canonical)
    hostile: dict[str, object] = {
        records.CALL: _avro(records.CALL),
        records.HOT_SYMBOL: _avro(records.HOT_SYMBOL, hits=5, confirmed_hits=5),
        records.COVERAGE_GAP: _avro(records.COVERAGE_GAP, cause="Overflow", from_ns=0, to_ns=10**18),
        records.DEAD_LETTER: _avro(records.DEAD_LETTER),
        records.PROBE_WINDOW: _avro(records.PROBE_WINDOW),
        records.FILE_PLACEMENT: _avro(records.FILE_PLACEMENT),
        records.AUDIT_RECORD: _avro(records.AUDIT_RECORD),
        records.WATCH: _WATCH,
        records.WATCHED_SYMBOL: _avro(records.WATCHED_SYMBOL, watch_id=_WATCH_ID, answer="NotSeen", gaps_more=1),
    }
    for topic in topics.TOPICS:
        name = settings.name(topic.name)
        value = raw if topic.name == topics.RAW else canonical.value if topic.name == topics.CANONICAL else b"{}"
        if topic.name == topics.OWNERS:
            value = json.dumps({HOSTILE: HOSTILE}).encode()
        if topic.value_schema is not None:
            record = hostile[topic.value_schema]
            assert isinstance(record, dict)
            value = records.encode(topic.value_schema, registered_id(settings, topic.name), record)
        producer.produce(name, value, HOSTILE.encode())
        producer.produce(name, None, HOSTILE.encode() + b"gone")
        producer.produce(name, b"not to be decoded\x1b", HOSTILE.encode() + b"strange")
    assert producer.flush(30) == 0
    return environ


def _run(environ: dict[str, str], *arguments: str) -> Result:
    return CliRunner().invoke(cli, list(arguments), env=environ)


@pytest.mark.parametrize("as_json", [False, True])
def test_tap_of_every_topic_escapes(environ: dict[str, str], as_json: bool) -> None:
    """For people and as JSON; each topic shows all three of its records."""
    for topic in topics.TOPICS:
        result = _run(environ, "tap", topic.name, "--restricted", *(["--json"] if as_json else []))

        assert result.exit_code == 0, (topic.name, result.output)
        assert not faults_in(result.output), topic.name
        if as_json:
            keys = [json.loads(line)["key"] for line in result.stdout.splitlines()]
            assert [key[: len(HOSTILE)] for key in keys] == [HOSTILE] * 3


@pytest.mark.parametrize(
    ("arguments", "codes"),
    [
        (["watch", "list"], {0}),
        (["watch", "list", "--json"], {0}),
        (["hot-symbols"], {0}),
        (["hot-symbols", "--json"], {0}),
        (["hot-symbols", "--watched"], {0}),
        (["hot-symbols", "--watched", "--json"], {0}),
        (["hot-symbols", "--symbol", "f"], {1}),
        (["coverage", "--node", HOSTILE, "--from", "1970-01-01T00:00:00Z", "--to", "now"], {1}),
        (["coverage", "--node", HOSTILE, "--from", "1970-01-01T00:00:00Z", "--to", "now", "--json"], {1}),
        (["dead-letters", "list", "--positions"], {0}),
        (["dead-letters", "list", "--positions", "--json"], {0}),
        (["dead-letters", "retry", "--dry-run"], {0, 1}),
        (["privacy", "audit", "runtime.coverage"], {0, 1}),
        (["privacy", "audit", "runtime.calls"], {0, 1}),
        (["books", "--metrics", HOSTILE], {2}),
        (["topics", "list"], {0}),
        (["export", "--format", "folded"], {3}),
        (["export", "--format", "speedscope"], {3}),
        (["export", "--format", "html"], {3}),
        (["export", "--format", "runtime-facts"], {3}),
        (["doctor", "kafka", "topics", "registry"], {0, 1}),
    ],
)
def test_every_command_that_prints_records_escapes(
    environ: dict[str, str], arguments: list[str], codes: set[int]
) -> None:
    """No line is forged, and no character reaches the terminal that it would obey."""
    result = _run(environ, *arguments)

    assert result.exit_code in codes, result.output
    assert not faults_in(result.output)
    if arguments[:2] in (["watch", "list"], ["hot-symbols", "--watched"]):
        assert FORGED in result.output


def test_files_that_a_command_writes_or_reads_are_escaped(environ: dict[str, str], tmp_path: Path) -> None:
    """A profile, a VEX document about a hostile vulnerability, and an event that `privacy explain` reads."""
    profile, vex, event = tmp_path / "calls.pb.gz", tmp_path / "vex.toml", tmp_path / "event.json"
    name = json.dumps(HOSTILE)
    vex.write_text(
        f'author = {name}\n[[statement]]\nvulnerability = {name}\nproducts = ["pkg:a/b"]\nevery_call_probed = true\n'
    )
    event.write_text(json_format.MessageToJson(GetEventsResponse.FromString(_raw_event()), indent=None))

    assert _run(environ, "export", "--format", "pprof", "-o", str(profile)).exit_code == 3
    texts = pprof_pb2.Profile.FromString(gzip.decompress(profile.read_bytes())).string_table
    assert any(FORGED in text for text in texts)
    assert not [text for text in texts if faults_in(text)]

    statements = _run(environ, "export", "--format", "openvex", "--vex", str(vex))
    assert (statements.exit_code, faults_in(statements.output)) == (3, [])
    assert json.loads(statements.stdout)["author"] == HOSTILE

    for options in (["--all"], ["--json"]):
        explained = _run(environ, "privacy", "explain", str(event), *options)
        assert (explained.exit_code, faults_in(explained.output)) == (0, []), explained.output
