"""Watches on a real broker: a row from the first moment, never hit, not seen and why, hit, and no longer watched."""

import json
import signal
import time
from pathlib import Path

import pytest

from app.embedded.broker import EmbeddedBroker
from app.symbols.store import SymbolStore
from schemas.coverage import GapCause
from tests.support.calls import frame
from tests.support.made_indexes import CODE_START
from tests.support.stage_rows import EventSteps, user_probes
from tests.support.watch_scene import DAY, SECOND, watch_scene

pytestmark = pytest.mark.integration

BUILD = "0123456789abcdef0123456789abcdef01234567"
ZLIB = "89abcdef0123456789abcdef0123456789abcdef"
LIB = "/usr/lib/libpng16.so.16"
WATCHED = f"{BUILD}!png_read_chunk"
OTHER = frame(LIB, "png_write_row", build_id=BUILD)


def test_a_watched_symbol_is_never_hit_then_not_seen_then_hit(
    embedded: EmbeddedBroker, topic_prefix: str, tmp_path: Path
) -> None:
    """The answer changes with what is known, survives a SIGKILL and a lost state folder, and goes with the watch."""
    with watch_scene(embedded, topic_prefix, tmp_path) as it:
        it.know_file("/usr/lib/libz.so.1", ZLIB, ["inflate", "inflate_old"], ["deflate"])
        worker = it.add_worker()
        added = it.watch("add", "png_read_chunk", "--build-id", BUILD, "--module", LIB, "--vulnerability", "CVE-1")
        assert added.exit_code == 0, added.output
        first = it.await_answer(WATCHED, lambda answer: answer["answer"] != "Unknown")
        assert (first["answer"], first["hits"], first["complete_until_ns"]) == ("NotSeen", 0, 0)

        it.watch_as_a_service("inflate", ago_ns=14 * DAY, module="/lib/libz.so.1", every_call_probed=True)
        it.cover(20 * DAY, 10 * SECOND)
        it.call(OTHER, frame("kernel", "vfs_read"))
        never = it.await_answer("/usr/lib/libz.so.1!inflate", lambda answer: answer["answer"] == "NeverHit")
        assert (never["hits"], never["complete_ns"], never["gaps"]) == (0, 14 * DAY - 10 * SECOND, [])
        shown = it.hot_symbols("--watched", "--symbol", "inflate").stdout
        assert "never hit" in shown
        assert "13 d 23 h" in shown

        it.cover(3 * DAY, 2 * DAY, GapCause.OVERFLOW, node="n2")
        it.cover(20 * DAY, 10 * SECOND, node="n2")
        gap = it.await_answer("/usr/lib/libz.so.1!inflate", lambda answer: bool(answer["gaps"]))
        assert (gap["answer"], gap["nodes"], gap["complete_ns"]) == ("NotSeen", 2, 13 * DAY - 10 * SECOND)
        assert [(one["node"], one["cause"]) for one in gap["gaps"]] == [("n2", "Overflow")]
        assert "Overflow on n2" in it.hot_symbols("--watched").stdout
        it.cover(5 * DAY, 4 * DAY, GapCause.FILTERED, node="n2")
        hidden = it.await_answer("/usr/lib/libz.so.1!inflate", lambda answer: len(answer["gaps"]) == 2)
        assert [one["cause"] for one in hidden["gaps"]] == ["Overflow", "Filtered"]
        assert hidden["complete_ns"] == 12 * DAY - 10 * SECOND

        it.call(frame(LIB, "png_read_chunk", build_id=BUILD), OTHER, partition=1, ago_ns=SECOND)
        hit = it.await_answer(WATCHED, lambda answer: answer["answer"] == "Hit")
        assert (hit["hits"], hit["last_seen_ns"], hit["vulnerability"]) == (1, it.now_ns - SECOND, "CVE-1")
        worker.end(signal.SIGKILL, within_seconds=5)
        worker.start()
        it.call(frame(LIB, "png_read_chunk", build_id=BUILD), partition=2)
        it.await_answer(WATCHED, lambda answer: answer["hits"] == 2)

        assert it.watch("remove", "png_read_chunk", "--build-id", BUILD).exit_code == 0
        assert it.answers().keys() == {"/usr/lib/libz.so.1!inflate"}
        nobody_asks = it.hot_symbols("--symbol", "png_read_info")
        assert nobody_asks.exit_code == 1
        assert "png_read_info is not watched" in nobody_asks.stderr
        asked = it.hot_symbols("--symbol", "inflate")
        assert asked.exit_code == 1
        assert "/usr/lib/libz.so.1!inflate is watched" in asked.stderr

        it.call_nonsense()
        refused = it.await_answer("/usr/lib/libz.so.1!inflate", lambda answer: len(answer["gaps"]) == 3)
        assert refused["gaps"][2]["cause"] == "Refused"

        # An event that waits in front of a stage may be a hit: what is said of coverage after it does not count yet.
        before = it.answers()
        it.send_raw(b"an event that nobody has canonicalized")
        it.cover(DAY, DAY // 2, GapCause.RECONNECT)
        time.sleep(12)
        assert it.answers() == before


def test_any_name_of_a_function_is_watched_and_found_and_the_answer_shows_its_events(
    embedded: EmbeddedBroker, topic_prefix: str, tmp_path: Path
) -> None:
    """The row carries another name; a file that is indexed later changes the answer without a restart."""
    with watch_scene(embedded, topic_prefix, tmp_path) as it:
        it.know_file("/usr/lib/libz.so.1", ZLIB, ["inflate", "inflate_old"], ["deflate"])
        it.environ |= {"HOT_REFRESH_SECONDS": "2"}
        it.add_worker()
        it.watch_as_a_service("inflate_old", ago_ns=DAY, build_id=ZLIB, every_call_probed=True)
        it.watch_as_a_service("crc32_old", ago_ns=DAY, module=LIB, every_call_probed=True)
        it.cover(20 * DAY, 10 * SECOND)
        it.await_answer(f"{ZLIB}!inflate_old", lambda answer: answer["answer"] == "NeverHit")
        it.await_answer(
            f"{LIB}!crc32_old", lambda answer: [one["reason"] for one in answer["reasons"]] == ["NotPlaced"]
        )

        it.call(
            frame("/usr/lib/libz.so.1", "inflate", build_id=ZLIB),
            partition=1,
            event_id="ab" * 16,
            image_id="sha256:" + "4f" * 32,
            image_name="shop/web:1",
        )
        hit = it.await_answer(f"{ZLIB}!inflate_old", lambda answer: answer["answer"] == "Hit")
        assert [(one["event_id"], one["partition"], one["offset"]) for one in hit["events"]] == [("ab" * 16, 1, 0)]
        assert [one["image_name"] for one in hit["images"]] == ["shop/web:1"]
        assert [(one["reason"], one["about"]) for one in hit["reasons"]] == [("SharedCode", ["inflate"])]
        found = json.loads(it.hot_symbols("--symbol", "inflate_old", "--json").stdout)
        assert (found["symbol"], found["events"][0]["event_id"]) == ("inflate", "ab" * 16)

        it.know_file(LIB, BUILD, ["crc32", "crc32_old"])
        never = it.await_answer(f"{LIB}!crc32_old", lambda answer: answer["answer"] == "NeverHit")
        assert never["snapshot"] != hit["snapshot"]


def test_names_of_two_snapshots_are_told_apart(embedded: EmbeddedBroker, topic_prefix: str, tmp_path: Path) -> None:
    """An index of before gave code another name: the function may have run, until it has run for sure."""
    lib = "/usr/lib/libz.so.1"

    def probed(steps: EventSteps, partition: int, *offsets: int) -> list[bytes | None]:
        _, calls = steps(partition, user_probes(lib, ZLIB, offsets), it.now_ns // 1_000_000)
        return [call.value for call in calls.outputs]

    with watch_scene(embedded, topic_prefix, tmp_path) as it:
        it.know_file(lib, ZLIB, ["deflate"], ["crc32"])
        old = EventSteps(SymbolStore.open(tmp_path / "symbols"))
        it.know_file(lib, ZLIB, ["deflate"], ["inflate"])
        new = EventSteps(SymbolStore.open(tmp_path / "symbols"))
        it.add_worker()
        for symbol in ("inflate", "deflate", "crc32"):
            it.watch_as_a_service(symbol, ago_ns=14 * DAY, build_id=ZLIB, module=lib, every_call_probed=True)
        it.cover(20 * DAY, 10 * SECOND)
        it.send_calls(probed(old, 0, CODE_START + 64), 0)
        older = it.await_answer(f"{ZLIB}!inflate", lambda answer: answer["answer"] == "Hit")
        assert [one["symbol_id"] for one in older["symbols"]] == [f"{ZLIB}!crc32"]
        assert older["named_by"] == [old.snapshot] != [older["snapshot"]]
        never = it.await_answer(f"{ZLIB}!deflate", lambda answer: answer["answer"] == "NeverHit")
        assert never["named_by"] == []

        it.send_calls(probed(new, 1, CODE_START + 64, CODE_START), 1)
        both = it.await_answer(f"{ZLIB}!inflate", lambda answer: answer["hits"] == 2)
        assert both["named_by"] == sorted([old.snapshot, new.snapshot])
        it.await_answer(f"{ZLIB}!deflate", lambda answer: answer["answer"] == "Hit")
        rows = map(json.loads, it.hot_symbols("--module", ZLIB, "--json").stdout.splitlines())
        named = {row["symbol"]: [one["snapshot"] for one in row["snapshots"]] for row in rows}
        assert named == {"crc32": [old.snapshot], "inflate": [new.snapshot], "deflate": [new.snapshot]}
        asked = map(json.loads, it.hot_symbols("--symbol", "inflate", "--json").stdout.splitlines())
        assert sorted(row["symbol"] for row in asked) == ["crc32", "inflate"]
