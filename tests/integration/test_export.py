"""`callstream export` on a real broker, with the table that the real stage keeps."""

import json
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest
from click.testing import CliRunner, Result
from confluent_kafka import Producer
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from app.__main__ import cli
from app.embedded.broker import EmbeddedBroker
from app.kafka.refused import RefusedRecords
from app.settings import from_env
from app.stages.hot_symbols.table_reading import published_rows
from app.stages.worker import registered_id
from schemas import topics
from tests.support import tools
from tests.support.browser import PROGRAM, browser, page_in
from tests.support.calls import encode_call, frame
from tests.support.delivery_run import PARTITIONS
from tests.support.export_readers import (
    network_references,
    page_data,
    read_folded,
    read_openvex,
    read_pprof,
    read_runtime_facts,
    read_speedscope,
)
from tests.support.hot_load import HotLoad
from tests.support.signed_runs import KEY
from tests.support.watch_scene import DAY, SECOND, WatchScene, watch_scene

pytestmark = pytest.mark.integration

CALLS = 4_000


@dataclass
class Published:
    """Calls of known counts on `runtime.calls`, and rows of them on `runtime.hot-symbols`."""

    environ: dict[str, str]
    load: HotLoad
    folder: Path
    end: str
    """Position behind the last call: what a test writes later is not in the others' windows."""

    def export(self, *arguments: str) -> Result:
        """Run the command."""
        return CliRunner().invoke(cli, ["export", *arguments], env=self.environ)

    def file(self, form: str, *arguments: str) -> bytes:
        """What the command writes to a file of these calls, where nothing else is said."""
        path = self.folder / f"calls.{form}"
        window = arguments or ("--to", self.end)
        result = self.export("--format", form, "--output", str(path), *window)
        assert result.exit_code == 0, result.output
        return path.read_bytes()


@pytest.fixture(name="published", scope="module")
def _published(embedded: EmbeddedBroker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Published]:
    folder = tmp_path_factory.mktemp("export")
    with watch_scene(embedded, f"export-{time.time_ns():x}.", folder) as it:
        it.know_file("/usr/lib/libz.so.1", "0123456789abcdef", ["inflate"], ["deflate"])
        zlib: dict[str, Any] = {"module": "/usr/lib/libz.so.1", "every_call_probed": True}
        it.watch_as_a_service("inflate", ago_ns=20 * DAY, vulnerability="CVE-NEVER", **zlib)
        it.watch_as_a_service("function_1", ago_ns=20 * DAY, vulnerability="CVE-RAN")
        it.watch_as_a_service("deflate", ago_ns=2 * DAY, vulnerability="CVE-YOUNG", **zlib)
        it.cover(21 * DAY, 10 * SECOND)
        settings = from_env(it.environ)
        load = HotLoad(schema_id=registered_id(settings, topics.CALLS), partitions=PARTITIONS, symbols=500, stacks=80)
        ends = _send(load, it)
        worker = it.add_worker()
        wanted = {symbol: counted.hits for symbol, counted in load.truth.items()}
        deadline = time.monotonic() + 60
        while {row["symbol_id"]: row["hits"] for row in published_rows(settings, RefusedRecords())} != wanted:
            assert time.monotonic() < deadline, worker.log_tail()
            time.sleep(0.5)
        it.await_answer("/usr/lib/libz.so.1!inflate", lambda answer: answer["answer"] == "NeverHit")
        hits = sum(hits for symbol, hits in wanted.items() if symbol.endswith("!function_1"))
        it.await_answer("!function_1", lambda answer: answer["hits"] == hits)
        assert worker.end(signal.SIGTERM, within_seconds=10) == 0, worker.log_tail()
        yield Published(it.environ, load, folder, ends)


def _send(load: HotLoad, it: WatchScene) -> str:
    """Send all calls, with repetitions; answers with the position behind them."""
    producer = Producer({"bootstrap.servers": it.environ["CALLSTREAM_KAFKA_BOOTSTRAP_SERVERS"], "log_level": 0})
    ends = [0] * PARTITIONS
    for number in range(8):
        partition = number % PARTITIONS
        values = [*load.calls(partition, CALLS // 8), *load.repeated(partition)]
        ends[partition] += len(values)
        for value in values:
            producer.produce(it.prefix + topics.CALLS, value, b"process", partition)
        assert producer.flush(30) == 0
    return ",".join(f"{number}:{end}" for number, end in enumerate(ends))


def test_every_format_of_stacks_counts_every_call_once(published: Published) -> None:
    """Independent readers of all four formats find as many events as were sent, repetitions not among them."""
    folded = read_folded(published.file("folded").decode())
    scope = read_speedscope(json.loads(published.file("speedscope")))
    profile = read_pprof(published.file("pprof"))
    page = published.file("html").decode()

    assert sum(folded.values()) == sum(scope.values()) == sum(profile.stacks.values()) == published.load.sent
    frames: Counter[str] = Counter()
    for stack, events in profile.stacks.items():
        frames.update({name: events * number for name, number in Counter(stack).items()})
    wanted: Counter[str] = Counter()
    for symbol_id, counted in published.load.truth.items():
        symbol = symbol_id.partition("!")[2]
        wanted[f"{symbol}?" if symbol.startswith("hinted") else symbol] += counted.hits
    assert frames == wanted
    assert list(network_references(page)) == []


def test_runtime_facts_of_table_and_window_are_the_truth(published: Published) -> None:
    """The table's rows and a window over everything say the same hits and times."""
    wanted = {symbol: (counted.hits, counted.last_ns) for symbol, counted in published.load.truth.items()}

    table = published.export("--format", "runtime-facts").stdout
    window = published.file("runtime-facts").decode()
    for text in (table, window):
        facts = read_runtime_facts(text)
        assert {name: fact["hitCount"] for name, fact in facts.items()} == {
            name: one[0] for name, one in wanted.items()
        }
        assert all(fact["observedAt"].endswith(f"{wanted[name][1] % 10**9:09d}Z") for name, fact in facts.items())


def test_a_flame_graph_has_every_call_of_the_window_that_it_is_compared_with(published: Published) -> None:
    """Both windows are read whole, and the page and the report say what was compared."""
    base = ("--base-from", "1:10", "--base-to", "1:30")
    text = published.file("html", "--from", "0:100", "--to", "0:140", *base).decode()
    data = json.loads(page_data(text))

    assert sum(data["own"]) + sum(data["small"]) == 40
    assert sum(data["base"]["own"]) + sum(data["base"]["small"]) == 20
    assert any(line.startswith("compared with 20 calls of ") for line, _ in data["facts"])


@pytest.mark.parametrize("form", ["folded", "speedscope", "pprof", "html", "runtime-facts"])
def test_the_same_window_gives_the_same_bytes(published: Published, form: str) -> None:
    """Given by offsets, a window is the same today and tomorrow."""
    window = ("--from", "0:100,1:200", "--to", "0:400,1:300")

    assert published.file(form, *window) == published.file(form, *window)


def test_windows_are_by_offset_and_by_time_and_the_summary_says_what_was_read(published: Published) -> None:
    """Offsets of some partitions, a time of receipt in the future, and the JSON form."""
    path = published.folder / "some.folded"
    some = published.export("--format", "folded", "--from", "1:10", "--to", "1:30", "-o", str(path), "--json")
    said: dict[str, Any] = json.loads(some.stdout)
    assert said["window"]["ranges"] == [{"partition": 1, "from": 10, "to": 30}]
    assert said["window"]["calls"] == 20 == sum(read_folded(path.read_text()).values())

    place = ("--namespace", "shop", "--image", "shop/app-1:*")
    shop = published.export("--format", "folded", "--to", published.end, *place)
    assert 0 < sum(read_folded(shop.stdout).values()) < published.load.sent
    nothing = published.export("--format", "folded", "--from", "2199-01-01T00:00:00Z")
    assert (nothing.exit_code, nothing.stdout) == (1, "")
    assert "nothing was written" in nothing.stderr


def test_a_window_with_strange_records_is_written_and_said_to_be_incomplete(published: Published) -> None:
    """Exit code 3; what is not a call is counted by reason, and the file is there."""
    prefix = published.environ["CALLSTREAM_TOPIC_PREFIX"]
    producer = Producer({"bootstrap.servers": published.environ["CALLSTREAM_KAFKA_BOOTSTRAP_SERVERS"]})
    places: list[int] = []
    producer.produce(
        prefix + topics.CALLS, b"?", b"", 2, on_delivery=lambda _, message: places.append(message.offset() or 0)
    )
    producer.flush()

    result = published.export("--format", "folded", "--from", "2:0", "--to", f"2:{places[0] + 1}")
    assert result.exit_code == 3
    assert "1 records are not calls (not_framed)" in result.stderr
    assert read_folded(result.stdout)


def test_each_image_and_each_file_has_facts_of_its_own(published: Published) -> None:
    """One reading of a window writes a file for each image, and the same facts as one reading for each of them."""
    settings = from_env(published.environ)
    schema_id = registered_id(settings, topics.CALLS)
    producer = Producer({"bootstrap.servers": published.environ["CALLSTREAM_KAFKA_BOOTSTRAP_SERVERS"]})
    digests, places = [f"sha256:{one * 64}" for one in "ab"], []
    for number in range(6):
        fields = {
            "timestamp_ns": number,
            "stack_frames": [frame("/usr/lib/libz.so.1", "inflate", build_id="0123456789abcdef")],
            "source": {"partition": 3, "offset": 1_000_000 + number},
            "image_id": f"shop/web@{digests[number % 3]}" if number % 3 < 2 else None,
        }
        value = encode_call(fields, schema_id=schema_id)
        name = published.environ["CALLSTREAM_TOPIC_PREFIX"] + topics.CALLS
        producer.produce(name, value, b"", 3, on_delivery=lambda _, message: places.append(message.offset() or 0))
    producer.flush()
    window = ("--from", f"3:{places[0]}", "--to", f"3:{places[-1] + 1}")
    folder = published.folder / "by-image"

    result = published.export("--format", "runtime-facts", *window, "--by-image", str(folder), "--json")
    said: dict[str, Any] = json.loads(result.stdout)
    assert result.exit_code == 0, result.output
    assert [one["subject"] for one in said["subjects"]] == digests
    assert (said["window"]["calls"], said["window"]["not_asked_for"]) == (4, 2)
    for one in said["subjects"]:
        text = Path(one["file"]).read_text()
        assert [fact["hitCount"] for fact in read_runtime_facts(text).values()] == [2]
        assert one["file"] in one["call"]
        alone = published.export("--format", "runtime-facts", *window, "--subject", one["subject"])
        assert alone.stdout == text
    again = published.export("--format", "runtime-facts", *window, "--by-image", str(folder))
    assert (again.exit_code, "is not empty" in again.output) == (2, True)


VEX: Final = """
author = "Shop security <security@shop.example>"
[[statement]]
vulnerability = "CVE-NEVER"
products = ["pkg:oci/web@sha256:4f1b"]
every_call_probed = true
[[statement]]
vulnerability = "CVE-RAN"
products = ["pkg:docker/shop/app-1@1"]
every_call_probed = true
action = "Update."
"""


def test_openvex_says_what_the_answers_to_watches_are(published: Published) -> None:
    """Watches, coverage and calls go in on their topics, and a document comes out that its specification allows."""
    file, path = published.folder / "shop.toml", published.folder / "shop.openvex.json"
    file.write_text(VEX)
    wanted = ("--format", "openvex", "--vex", str(file))
    result = published.export(*wanted, "-o", str(path), "--json")
    assert result.exit_code == 0, result.output
    statements = read_openvex(json.loads(path.read_text()))

    assert statements["CVE-NEVER"]["status"] == "not_affected"
    assert "/usr/lib/libz.so.1!inflate was never executed" in statements["CVE-NEVER"]["status_notes"]
    assert statements["CVE-RAN"]["status"] == "affected"
    assert json.loads(result.stdout) == {
        "written": 2,
        "of": "statements",
        "statuses": {"affected": 1, "not_affected": 1},
        "unnamed": ["CVE-YOUNG"],
    }
    assert published.export(*wanted).stdout == path.read_text()


def test_an_openvex_export_is_signed_and_others_read_it(published: Published) -> None:
    """A library of others finds the very document in the envelope; there is a query for a time-stamp."""
    program = tools.dsse_check()
    if program is None:
        pytest.skip("the DSSE library of others is not here: `make tools` builds it with Go")
    folder = published.folder
    file, key, public, path = (folder / name for name in ("s.toml", "key.pem", "public.pem", "signed.json"))
    file.write_text(VEX)
    key.write_bytes(KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    public.write_bytes(KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    result = published.export("--format", "openvex", "--vex", str(file), "-o", str(path), "--sign", str(key))
    assert result.exit_code == 0, result.output

    command = (program, folder / "signed.dsse.json", public)
    statement = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    assert statement["predicate"] == json.loads(path.read_text())
    assert (folder / "signed.tsq").exists()


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--format", "html", "--from", "yesterday"], "'yesterday' is not a position"),
        (["--format", "html", "--from", "9:0"], "has no partition 9"),
        (["--format", "html", "--base-from", "2h"], "--base-from and --base-to need each other"),
        (["--format", "folded", "--base-from", "2h", "--base-to", "1h"], "need each other and --format html"),
        (["--format", "folded", "--json"], "--json needs --output"),
        (["--format", "folded", "--output", "/nowhere/at/all"], "cannot write /nowhere/at/all: No such file"),
        (["--format", "gif"], "'gif' is not one of"),
        (["--format", "openvex"], "--format openvex and --vex need each other"),
        (["--format", "runtime-facts", "--subject", "sha256:1f"], "is not a digest"),
        (
            ["--format", "runtime-facts", "--subject", f"sha256:{'1' * 64}"],
            "--subject and --by-image are for runtime-facts with --from",
        ),
        (
            ["--format", "html", "--symbol-map", __file__],
            "--symbol-map and --container-runtime are for --format runtime-facts",
        ),
        (["--format", "html", "--sign", __file__], "--sign is for --format openvex with --output"),
        (["--format", "openvex", "--vex", "/nowhere.toml", "--from", "first"], "openvex is of watches"),
        (["--format", "openvex", "--vex", "/nowhere.toml"], "/nowhere.toml: No such file"),
    ],
)
def test_mistakes_are_named_and_the_exit_code_is_2(published: Published, arguments: list[str], problem: str) -> None:
    """Positions, options and places that do not exist."""
    result = published.export(*arguments)

    assert result.exit_code == 2
    assert problem in result.stderr


def test_no_half_file_is_left(published: Published) -> None:
    """Files are moved to their place when they are complete."""
    published.file("html")

    assert not list(published.folder.glob(".*.partial"))


@pytest.mark.skipif(PROGRAM is None, reason="no browser is here")
@pytest.mark.parametrize("dark", [False, True])
def test_a_browser_shows_the_flame_graph_without_asking_for_anything(published: Published, dark: bool) -> None:
    """One file, opened from disk: drawn, searched, zoomed and read out by keyboard, with no request besides itself."""
    published.file("html")
    file = published.folder / "calls.html"
    with browser() as started, page_in(started, dark=dark) as (page, seen):
        page.goto(file.resolve().as_uri())
        page.wait_for_selector("#graph[data-ready=yes]")
        drawn = (
            "new Set(document.getElementById('flame-graph').getContext('2d').getImageData(0, 0, 900, 200).data).size"
        )
        assert page.evaluate(drawn) > 10
        page.locator("#flame-graph").focus()
        for key in ("ArrowDown", "ArrowDown"):
            page.keyboard.press(key)
        assert "events" in (page.locator("#flame-spoken").text_content() or "")
        page.keyboard.press("Enter")
        assert page.locator("#flame-reset").is_enabled()
        page.keyboard.press("Home")
        page.keyboard.press("/")
        page.keyboard.type("hinted_")
        found = page.locator("#flame-found").text_content() or ""
        names = page.locator("#flame-rows td:nth-child(1)").all_text_contents()
        sure = page.locator("#flame-rows td:nth-child(4)").all_text_contents()

        assert found.split()[1] == "frames,"
        assert names
        assert all(name.startswith("hinted_") for name in names)
        assert not any(word.startswith("sure") for word in sure), sure
        assert seen.requests == [file.resolve().as_uri()]
        assert seen.problems == []
