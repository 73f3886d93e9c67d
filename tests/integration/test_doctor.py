"""app/commands/doctor.py: a deployment that is whole, and one that is broken everywhere."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from app.__main__ import cli
from app.embedded.broker import EmbeddedBroker
from app.simulator.event_files import delimited
from schemas.proto_wire import field
from schemas.topics import TOPICS
from tests.support.events import event
from tests.support.simulator_process import SimulatorProcess, simulator_process

pytestmark = pytest.mark.integration


@pytest.fixture(name="agent")
def _agent(tmp_path: Path) -> Iterator[SimulatorProcess]:
    """A simulator with two events, one of them of a newer agent."""
    events = tmp_path / "events.bin"
    newer = event("process_uprobe")
    newer.process_uprobe.MergeFromString(field(14, b"a stack"))
    events.write_bytes(b"".join(delimited(one.SerializeToString()) for one in (event("process_exec"), newer)))
    with simulator_process("--listen", "127.0.0.1:0", "--events", str(events)) as simulator:
        yield simulator


@pytest.fixture(name="environ")
def _environ(embedded: EmbeddedBroker, topic_prefix: str, tmp_path: Path) -> dict[str, str]:
    return {
        "CALLSTREAM_KAFKA_BOOTSTRAP_SERVERS": embedded.bootstrap_servers,
        "CALLSTREAM_SCHEMA_REGISTRY_URL": embedded.registry_url,
        "CALLSTREAM_TOPIC_PREFIX": topic_prefix,
        "CALLSTREAM_DATA_DIR": str(tmp_path / "state"),
    }


def _examined(environ: dict[str, str], *arguments: str) -> tuple[int, dict[str, Any]]:
    result = CliRunner().invoke(cli, ["doctor", *arguments, "--json"], env=environ)
    return result.exit_code, json.loads(result.stdout)


def _by(document: dict[str, Any], verdict: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for finding in document["findings"]:
        if finding["verdict"] == verdict:
            found.setdefault(finding["area"], []).append(finding["what"])
    return found


def test_a_whole_deployment_is_healthy(environ: dict[str, str], agent: SimulatorProcess) -> None:
    """Nothing fails; what is missing without harm is a warning, which --strict does not forgive."""
    applied = CliRunner().invoke(cli, ["topics", "apply"], env=environ)
    assert applied.exit_code == 0, applied.output
    environ |= {"CALLSTREAM_TETRAGON_ADDRESS": agent.address}

    code, document = _examined(environ)

    assert (code, document["healthy"], _by(document, "fail")) == (0, True, {})
    good = _by(document, "ok")
    assert "events arrive" in good["tetragon"]
    assert any("1 of 2 events have field 14 of ProcessUprobe" in one for one in _by(document, "warn")["tetragon"])
    assert good["topics"] == [f"{len(TOPICS)} of {len(TOPICS)} topics are as they should be"]
    schemas = sum(topic.value_schema is not None for topic in TOPICS)
    assert good["registry"] == [f"{schemas} of {schemas} schemas are registered, and compatible with their versions"]
    assert good["kafka"][0].startswith("1 brokers answer at ")
    assert good["kafka"][1].startswith("the brokers have no authorizer: whoever reaches them may write every topic")
    assert set(_by(document, "warn")) == {"tetragon", "symbols"}
    assert _examined(environ, "--strict")[0] == 1
    assert _examined(environ, "kafka", "topics", "registry", "privacy", "--strict")[0] == 0


def test_every_broken_part_is_a_finding_with_a_remedy(environ: dict[str, str]) -> None:
    """Nothing applied, nobody listening: each part says what is wrong and what to do."""
    environ |= {"CALLSTREAM_TETRAGON_ADDRESS": "127.0.0.1:9"}

    code, document = _examined(environ)

    wrong = _by(document, "fail")
    assert code == 1
    assert "nothing listens there" in wrong["tetragon"][0]
    assert wrong["topics"][0].startswith(f"{len(TOPICS)} of {len(TOPICS)} topics are missing: ")
    assert "subjects do not have our schema: " in wrong["registry"][0]
    assert all(finding["remedy"] for finding in document["findings"] if finding["verdict"] != "ok")


def test_servers_that_are_away_are_named_once(environ: dict[str, str]) -> None:
    """Topics are not looked for where Kafka does not answer."""
    environ |= {
        "CALLSTREAM_KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:9",
        "CALLSTREAM_SCHEMA_REGISTRY_URL": "http://127.0.0.1:9",
    }

    code, document = _examined(environ, "kafka", "topics", "registry")

    assert code == 1
    assert set(_by(document, "fail")) == {"kafka", "registry"}
    assert "no Kafka broker answers at 127.0.0.1:9" in _by(document, "fail")["kafka"][0]


def test_a_wrong_partition_count_says_which_setting_would_fit(environ: dict[str, str]) -> None:
    """A count cannot be changed in place, so the remedy is the setting."""
    applied = CliRunner().invoke(cli, ["topics", "apply", "--partitions", "2"], env=environ)
    assert applied.exit_code == 0, applied.output

    result = CliRunner().invoke(cli, ["doctor", "topics"], env=environ | {"CALLSTREAM_PARTITIONS": "4"})

    assert result.exit_code == 1
    assert "has partition count 2, wanted is 4" in result.stdout
    assert "→ set CALLSTREAM_PARTITIONS=2 if that is meant" in result.stdout


def test_settings_are_listed_with_values_and_defaults() -> None:
    """The table has every variable; what is set shows its value."""
    environ = {"CALLSTREAM_PARTITIONS": "12"}

    document = json.loads(CliRunner().invoke(cli, ["doctor", "--settings", "--json"], env=environ).stdout)
    rows = {row["name"]: row for row in document["settings"]}
    assert (rows["CALLSTREAM_PARTITIONS"]["value"], rows["CALLSTREAM_PARTITIONS"]["default"]) == ("12", None)
    text = CliRunner().invoke(cli, ["doctor", "--settings"], env=environ).stdout
    assert "CALLSTREAM_PARTITIONS=12" in text
    assert all(name in text for name in rows)
