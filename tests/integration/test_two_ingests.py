"""Two ingests that vouch for one node at once, on a real broker: everybody who counts or answers says so."""

import json
import re
from pathlib import Path

import pytest
import urllib3
from click.testing import CliRunner

from app.__main__ import cli
from app.embedded.broker import EmbeddedBroker
from tests.support.calls import frame
from tests.support.watch_scene import SECOND, WatchScene, watch_scene

pytestmark = pytest.mark.integration

BUILD = "0123456789abcdef0123456789abcdef01234567"
LIB = "/usr/lib/libpng16.so.16"
HIT, SILENT = f"{BUILD}!png_read_chunk", f"{BUILD}!png_never"
NODE = "localhost.localdomain"
MINUTE = 60 * SECOND


def _asked(it: WatchScene, token: str) -> list[dict[str, object]]:
    said = re.search(r"hotSymbols=(\S+)", it.workers[0].log_tail())
    assert said is not None
    headers = {"Authorization": f"Bearer {token}"}
    answer = urllib3.request("GET", f"http://{said[1]}/hot-symbols", headers=headers, timeout=30)
    assert answer.status == 200, answer.data
    return list(answer.json()["rows"])


def test_counts_and_answers_say_that_two_ingests_vouched_for_one_node(
    embedded: EmbeddedBroker, topic_prefix: str, tmp_path: Path
) -> None:
    """Before there was a second one, nothing of it is said; another cluster's node of the name is no second one."""
    with watch_scene(embedded, topic_prefix, tmp_path) as it:
        it.serve_hot_symbols("t" * 40)
        it.know_file(LIB, BUILD, ["png_read_chunk"], ["png_never"])
        it.add_worker()
        for symbol in ("png_read_chunk", "png_never"):
            it.watch_as_a_service(symbol, ago_ns=30 * MINUTE, module=LIB, build_id=BUILD, every_call_probed=True)
        it.call(frame(LIB, "png_read_chunk", build_id=BUILD), ago_ns=12 * MINUTE)
        it.cover(40 * MINUTE, 70 * SECOND, node=NODE, session="first")
        it.cover(40 * MINUTE, 70 * SECOND, node=NODE, session="other", cluster="west")
        hit = it.await_answer(HIT, lambda answer: answer["answer"] == "Hit" and answer["nodes"] == 2)
        assert (hit["hits_may_be_doubled"], hit["gaps"]) == (False, [])
        before = it.hot_symbols("--json")
        assert json.loads(before.stdout.splitlines()[0])["hits_may_be_doubled"] is False
        assert "counted twice" not in before.stderr

        it.cover(13 * MINUTE, 70 * SECOND, node=NODE, session="second")
        hit = it.await_answer(HIT, lambda answer: answer["hits_may_be_doubled"])
        assert {(gap["node"], gap["cluster"], gap["cause"]) for gap in hit["gaps"]} == {(NODE, "", "VouchedTwice")}
        silent = it.await_answer(SILENT, lambda answer: bool(answer["gaps"]))
        assert silent["answer"] == "NotSeen"
        assert "hits may be counted twice" in it.hot_symbols("--watched").stdout
        after = it.hot_symbols("--json")
        assert json.loads(after.stdout.splitlines()[0])["hits_may_be_doubled"] is True
        assert f"two ingests vouched at once for {NODE};" in after.stderr
        assert [row["hits_may_be_doubled"] for row in _asked(it, "t" * 40)] == [True]
        assert f"two ingests vouch for the node {NODE} at once" in it.workers[0].log_tail()
        checked = CliRunner().invoke(cli, ["doctor", "coverage", "--strict"], env=it.environ)
        assert checked.exit_code == 1
        assert f"two ingests vouched at once for 1 nodes ({NODE} until" in checked.stdout
