"""What live stages published, through kills and rebalances, is what a replay gives; and what is not is named."""

import json
import random
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from app.embedded.broker import EmbeddedBroker
from app.evidence.archive import RECORDING_FILE, Archive
from app.evidence.configuration import call_schema_fingerprint
from app.evidence.digests import Columns, CountedDigest, RecordDigest, TextDigest, span_of
from app.evidence.results import CALLS_DOMAIN, REFUSED_DOMAIN
from app.evidence.span_lines import StageDigests, output_digest, total_digest
from app.kafka.topic_reader import TopicReader
from app.replay import record
from app.replay.record import Plan
from schemas import avro_wire, records
from schemas.raw_event import event_time_ns
from schemas.topics import Stage
from tests.support.live_run import LiveRun, live_run, trouble

pytestmark = pytest.mark.integration

EVENTS = 5_000
RATE_PER_S = 500
"""Ten seconds of load, in which the trouble happens."""

ONE = ("--processes", 1)
"""Spawning more costs more than they win with so few events."""


@pytest.fixture(scope="module")
def live(embedded: EmbeddedBroker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveRun]:
    """The demo's events, published by workers that were killed, stopped and joined meanwhile, and recorded."""
    with live_run(embedded, f"replay-live-{random.getrandbits(32):08x}.", tmp_path_factory.mktemp("live")) as run:
        run.add_worker(Stage.CANONICALIZE)
        run.add_worker(Stage.PRIVACY)
        run.await_ready(60)
        run.send(EVENTS, rate_per_s=RATE_PER_S, meanwhile=trouble(run))
        run.await_finished(60)
        recorded = run.command("record", "--out", run.folder / "case", "--with-published", "--json")
        assert recorded.returncode == 0, recorded.stderr
        yield run


@pytest.fixture(scope="module")
def made(live: LiveRun) -> dict[str, Any]:
    """What a replay from the archive says, compared with what was published."""
    out = ("--out", live.folder / "run")
    return answer(live, 0, "replay", "--archive", live.folder / "case", "--published", *ONE, *out)


def answer(live: LiveRun, code: int, *arguments: object, **surroundings: Any) -> dict[str, Any]:
    """The document that a command prints; it must end with this exit code."""
    done = live.command(*arguments, "--json", **surroundings)
    assert done.returncode == code, done.stdout + done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_a_replay_gives_every_published_copy_and_every_audit_record(live: LiveRun, made: dict[str, Any]) -> None:
    """Nothing differs, nothing is missing, everything is audited, though kills made the stages publish some twice."""
    assert made["proved"], made["findings"]
    assert made["books"]["records"] == EVENTS
    copies = made["published"]["copies"]
    assert sum(one["calls"] for one in copies) == made["books"]["calls"]
    assert sum(one["copies"] for one in copies) > made["books"]["calls"], "no kill hit work in progress"
    assert sum(one["runs"] for one in made["published"]["audit"]) > 0
    for one in made["published"]["audit"]:
        assert one["proved"] == one["runs"]
        assert one["unaudited"] == 0
    assert len({worker.exit_code for worker in live.workers}) > 1, "one worker does not come back"


def test_the_digest_of_the_published_topic_is_that_of_the_replay(live: LiveRun, made: dict[str, Any]) -> None:
    """Digested by an ordinary consumer, each raw position once, runtime.calls has the digest in the manifest."""
    first: dict[int, dict[int, tuple[int, bytes, bytes]]] = {}
    for partition, timestamp_ms, key, value in live.published():
        position = records.decode(records.CALL, value)["source"]
        assert position["partition"] == partition
        first.setdefault(partition, {}).setdefault(position["offset"], (timestamp_ms, key, value))
    heads = []
    for one in Archive(live.folder / "case").ranges():
        calls = sorted(first[one.partition].items())
        tallies = [
            (number, _tally(calls, number))
            for number in sorted({span_of(offset) for offset in range(one.first, one.next)})
        ]
        heads.append((one.partition, output_digest(one.partition, "calls", tallies)))
    assert total_digest("calls", heads) == made["calls"]


def _tally(calls: list[tuple[int, tuple[int, bytes, bytes]]], span: int) -> StageDigests:
    """What was published of a span; nothing was refused by the privacy stage."""
    digest = RecordDigest(CALLS_DOMAIN + call_schema_fingerprint())
    for offset, (timestamp_ms, key, value) in calls:
        if span_of(offset) == span:
            digest.add(Columns([offset], [timestamp_ms], [key], [value[avro_wire.SCHEMA_HEADER_BYTES :]]))
    return StageDigests(
        CountedDigest(digest.count, digest.hexdigest()), CountedDigest(0, TextDigest(REFUSED_DOMAIN).hexdigest())
    )


WAYS = {
    "archive, one process, small batches": (("--processes", 1, "--batch-records", 7), {"PYTHONHASHSEED": "1"}),
    "archive, four processes": (("--processes", 4), {"TZ": "America/Caracas", "LC_ALL": "tr_TR.UTF-8"}),
    "topic, one process": (("--processes", 1), {"PYTHONHASHSEED": "77", "TZ": "Asia/Kathmandu", "LC_ALL": "C"}),
    "topic, two processes, large batches": (("--processes", 2, "--batch-records", 4_096), {}),
}


@pytest.mark.parametrize("way", WAYS)
def test_the_digest_does_not_depend_on_the_way(live: LiveRun, made: dict[str, Any], tmp_path: Path, way: str) -> None:
    """From topic and archive, with any number of processes, size of batches, hash seed, zone, locale and folder."""
    options, environ = WAYS[way]
    where = ("--archive", live.folder / "case") if way.startswith("archive") else ()
    found = answer(live, 0, "replay", "--out", tmp_path / "run", *where, *options, environ=environ, cwd=tmp_path)
    assert (found["calls"], found["canonical"], found["books"]) == (made["calls"], made["canonical"], made["books"])


def test_a_run_is_proved_from_the_archive_and_a_topic_run_from_both(
    live: LiveRun, made: dict[str, Any], tmp_path: Path
) -> None:
    """A run over an archive is proved; one over the topic is proved from the topic, and from an archive of it."""
    assert made["proved"]
    proved = answer(live, 0, "replay", "--verify", live.folder / "run", *ONE)
    assert proved["books"] == made["books"]
    said = live.command("replay", "--published", "--out", tmp_path / "run", *ONE)
    assert said.returncode == 0, said.stdout + said.stderr
    assert "0 calls were not published" in said.stdout
    assert " 0 contradicted" in said.stdout
    answer(live, 0, "replay", "--verify", tmp_path / "run", *ONE)
    answer(live, 0, "replay", "--verify", tmp_path / "run", "--archive", live.folder / "case", *ONE)


def test_an_interrupted_recording_is_continued_to_the_same_archive(live: LiveRun, tmp_path: Path) -> None:
    """A recording that was cut off in the middle ends, by the same command, with the digest of one that was not."""
    whole = Archive(live.folder / "case").contents
    plan = Plan(
        cluster=whole.cluster,
        topic=whole.topic,
        codec=whole.codec,
        ranges=tuple(part.range for part in whole.raw),
        loaders_from=tuple(part.state_from for part in whole.raw),
        published=True,
    )
    with TopicReader(live.settings) as reader, pytest.raises(KeyboardInterrupt):
        record.record(reader, live.settings, tmp_path / "case", plan, Interruption(after=EVENTS // 2).heard)
    assert (tmp_path / "case" / RECORDING_FILE).exists()
    recorded = answer(live, 0, "record", "--out", tmp_path / "case", "--with-published")
    assert recorded["digest"] == Archive(live.folder / "case").digest


class Interruption:
    """Ctrl-C after so many records."""

    def __init__(self, *, after: int) -> None:
        self._left = after

    def heard(self, more: int) -> None:
        """Some more were read."""
        self._left -= more
        if self._left < 0:
            raise KeyboardInterrupt


def test_a_range_by_offsets_and_one_by_event_time_hold_what_was_asked_for(live: LiveRun, tmp_path: Path) -> None:
    """Offsets are taken as they are, for each partition; by event time it is the shortest range that has all events."""
    whole = Archive(live.folder / "case")
    first, other = whole.ranges()[:2]
    where = (
        "--from",
        f"{first.partition}:10,{other.partition}:20",
        "--to",
        f"{first.partition}:50,{other.partition}:21",
    )
    chosen = answer(live, 0, "record", "--out", tmp_path / "by-offsets", *where)
    assert [(one["partition"], one["first"], one["next"]) for one in chosen["partitions"]] == [
        (first.partition, 10, 50),
        (other.partition, 20, 21),
    ]
    times = {
        record.offset: event_time_ns(record.value or b"")
        for taken in whole.batches(first.partition, first.first, first.next - 1, 1_000)
        for record in taken
    }
    middle = sorted(time for time in times.values() if time is not None)[len(times) // 2] // 10**9
    start, end = datetime.fromtimestamp(middle, UTC), datetime.fromtimestamp(middle + 1, UTC)
    wanted = [n for n, time in times.items() if time is not None and middle * 10**9 <= time < (middle + 1) * 10**9]
    window = ("--from", start.isoformat(), "--to", end.isoformat(), "--event-time", "--partition", first.partition)
    (part,) = answer(live, 0, "record", "--out", tmp_path / "by-event-time", *window)["partitions"]
    assert (part["first"], part["next"]) == (min(wanted), max(wanted) + 1)


def test_a_run_into_a_topic_is_proved_record_by_record(live: LiveRun, made: dict[str, Any]) -> None:
    """Calls go to the partition of their raw record; what the topic holds is compared with a replay."""
    topic = live.settings.name("what-if")
    out = live.folder / "run-to-topic"
    written = answer(live, 0, "replay", "--archive", live.folder / "case", "--to-topic", topic, "--out", out)
    assert written["calls"] == made["calls"]
    answer(live, 0, "replay", "--verify", out, *ONE)


def test_a_published_copy_with_a_flipped_bit_is_named(live: LiveRun, made: dict[str, Any]) -> None:
    """A copy in runtime.calls that is not what its raw record gives is named by topic, partition, offset and field.

    The last test of this module: what is published cannot be taken back.
    """
    assert made["proved"]
    partition, timestamp_ms, key, value = random.Random(1).choice(live.published())
    end = live.end("runtime.calls", partition)
    node = records.decode(records.CALL, value)["event_id"].encode()
    at = value.index(node)
    live.publish(partition, timestamp_ms, key, value[:at] + bytes([value[at] ^ 1]) + value[at + 1 :])
    found = answer(live, 1, "replay", "--published", "--out", live.folder / "run-forged")
    place = f"{live.settings.name('runtime.calls')}, partition {partition}, offset {end}"
    assert place in {one["place"] for one in found["findings"]}
    assert [one["path"] for one in found["first_event"]["fields"]] == ["event_id"]
