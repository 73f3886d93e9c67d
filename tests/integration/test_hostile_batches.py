"""Commands that read topics, over batches that would be a gigabyte when inflated: they count them and stay small."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import NamedTemporaryFile, TemporaryFile
from typing import Final

import pytest
from click.testing import CliRunner
from confluent_kafka import Producer

from app.__main__ import cli
from app.embedded.broker import EmbeddedBroker
from app.settings import from_env
from app.stages.worker import registered_id
from schemas import records, topics
from schemas.coverage import CoverageGap, GapCause, encode
from tests.support.calls import encode_call, frame
from tests.support.hostile_batches import bomb, send_batches

pytestmark = pytest.mark.integration

SIZES: Final = {"gzip": 600 << 20, "lz4": 220 << 20, "zstd": 1 << 30, "snappy": 19 << 20}
"""Each is within a megabyte when it is compressed; more than 17 MiB is refused."""

MOST_BYTES: Final = 512 << 20
NODE: Final = "n1"


@dataclass(frozen=True, slots=True)
class Ran:
    """What a command did, and the most memory that it had."""

    code: int
    out: str
    err: str
    peak_bytes: int


@pytest.fixture(name="environ", scope="module")
def _environ(embedded: EmbeddedBroker) -> dict[str, str]:
    """Topics in whose only partition there is a good record, a bomb of each codec, and a good record."""
    environ = os.environ | {
        "CALLSTREAM_KAFKA_BOOTSTRAP_SERVERS": embedded.bootstrap_servers,
        "CALLSTREAM_SCHEMA_REGISTRY_URL": embedded.registry_url,
        "CALLSTREAM_TOPIC_PREFIX": "hostile-batches.",
        "CALLSTREAM_PARTITIONS": "1",
    }
    made = CliRunner().invoke(cli, ["topics", "apply"], env=environ)
    assert made.exit_code == 0, made.output
    settings = from_env({name: value for name, value in environ.items() if name.startswith("CALLSTREAM_")})
    ids = {topic: registered_id(settings, topic) for topic in (topics.CALLS, topics.COVERAGE, topics.WATCH)}
    producer = Producer({"bootstrap.servers": embedded.bootstrap_servers, "log_level": 0})
    bombs = [bomb(codec, size) for codec, size in SIZES.items()]
    for number in range(2):
        call = {
            "timestamp_ns": 10**18 + number,
            "stack_frames": [frame("/usr/lib/libfine.so", "fine")],
            "source": {"partition": 0, "offset": number},
        }
        watch = {"symbol": f"fine{number}", "since_ns": 1}
        heartbeat = CoverageGap(node=NODE, from_ns=number, to_ns=number + 1, cause=GapCause.HEARTBEAT)
        good = {
            topics.RAW: b"no event",
            topics.CALLS: encode_call(call, schema_id=ids[topics.CALLS]),
            topics.WATCH: records.encode(records.WATCH, ids[topics.WATCH], watch),
            topics.COVERAGE: encode(heartbeat, ids[topics.COVERAGE]),
            topics.DEAD_LETTERS: b"no dead letter",
            topics.HOT_SYMBOLS: None,
            topics.WATCHED: None,
        }
        for topic, value in good.items():
            producer.produce(settings.name(topic), value, f"{NODE}{number}".encode(), 0)
        assert producer.flush(30) == 0
        for topic in good if number == 0 else ():
            answers = send_batches(embedded.bootstrap_servers, settings.name(topic), 0, bombs)
            assert answers == [0] * len(bombs), topic
    return environ


LAUNCHER: Final = """
import os, subprocess, sys
process = subprocess.Popen(sys.argv[2:])
_, status, used = os.wait4(process.pid, 0)
open(sys.argv[1], "w").write(f"{used.ru_maxrss << 10}")
sys.exit(os.waitstatus_to_exitcode(status))
"""
"""Runs a command and writes its peak of memory to a file.

A process that is started counts its parent's memory as a peak of its own (Linux takes it over at exec), and a parent
that runs tests has more than the command may have.
"""


def _run(environ: dict[str, str], *arguments: str) -> Ran:
    with TemporaryFile("w+") as out, TemporaryFile("w+") as err, NamedTemporaryFile("r") as peak:
        command = [sys.executable, "-m", "app", *arguments]
        ended = subprocess.run(
            [sys.executable, "-c", LAUNCHER, peak.name, *command], env=environ, stdout=out, stderr=err, check=False
        )
        out.seek(0)
        err.seek(0)
        return Ran(ended.returncode, out.read(), err.read(), int(peak.read()))


def _unreadable(ran: Ran) -> Iterator[tuple[str, int, int]]:
    """Reason, records and first offset of what a command could not read."""
    documents = [json.loads(line) for line in (ran.out + ran.err).splitlines() if line.startswith("{")]
    (found,) = [document["unreadable"] for document in documents if "unreadable" in document]
    for one in found:
        yield one["reason"], one["records"], one["first_offset"]


BOMBS: Final = ("batch_too_large", len(SIZES), 1)


@pytest.mark.parametrize(
    ("arguments", "code", "unreadable"),
    [
        (["watch", "list", "--json"], 0, {BOMBS}),
        (["hot-symbols", "--json"], 1, {BOMBS}),
        (["hot-symbols", "--watched", "--json"], 0, {BOMBS}),
        (["coverage", "--node", NODE, "--from", "1970-01-01T00:00:00Z", "--to", "now", "--json"], 1, {BOMBS}),
        (["dead-letters", "list", "--json"], 0, {BOMBS, ("not_framed", 2, 0)}),
        (["privacy", "audit", "runtime.coverage", "--json"], 1, {BOMBS}),
        (["privacy", "audit", "runtime.calls", "--json"], 1, {BOMBS}),
    ],
)
def test_a_command_counts_what_it_cannot_read(
    environ: dict[str, str], arguments: list[str], code: int, unreadable: set[tuple[str, int, int]]
) -> None:
    """With the place of the first; what is behind it is read."""
    ran = _run(environ, *arguments)

    assert ran.code == code, ran
    assert set(_unreadable(ran)) == unreadable, ran
    assert ran.peak_bytes < MOST_BYTES, ran.peak_bytes
    for_people = _run(environ, *[one for one in arguments if one != "--json"]).err
    assert "could not be used (batch_too_large), the first is 0@1" in for_people
    if arguments[0] == "watch":
        assert [json.loads(line)["symbol"] for line in ran.out.splitlines()] == ["fine0", "fine1"]


def test_tap_shows_which_records_it_cannot_read(environ: dict[str, str]) -> None:
    """And the two others."""
    ran = _run(environ, "tap", topics.COVERAGE, "--json")

    assert ran.code == 0, ran
    values = [json.loads(line)["value"] for line in ran.out.splitlines()]
    assert [value.get("unreadable") for value in values] == [None, *["batch_too_large"] * len(SIZES), None]
    assert ran.peak_bytes < MOST_BYTES, ran.peak_bytes


def test_an_export_says_what_is_missing_in_it(environ: dict[str, str], tmp_path: Path) -> None:
    """With the exit code of a window that is not whole."""
    ran = _run(environ, "export", "--format", "folded", "-o", str(tmp_path / "calls"), "--json")

    assert ran.code == 3, ran
    books = json.loads(ran.out)["window"]
    assert (books["calls"], books["unreadable"]) == (2, {"batch_too_large": len(SIZES)})
    assert books["first_unreadable"] == {"batch_too_large": "0@1"}
    assert ran.peak_bytes < MOST_BYTES, ran.peak_bytes


@pytest.mark.parametrize(("command", "code"), [("record", 1), ("replay", 1)])
def test_what_needs_every_record_ends_with_the_place(
    environ: dict[str, str], tmp_path: Path, command: str, code: int
) -> None:
    """An archive with a record left out would prove nothing."""
    ran = _run(environ, command, "--out", str(tmp_path / "out"))

    assert ran.code == code, ran
    assert "tetragon.raw, partition 0, offset 1: its batch is damaged or too large when it is inflated" in ran.err
    assert "Traceback" not in ran.err
    assert ran.peak_bytes < MOST_BYTES, ran.peak_bytes
