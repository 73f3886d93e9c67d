"""`callstream nodes` on a real topic and a real worker: who retires a node, and what the answers say of it."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from app.__main__ import cli
from app.embedded.broker import EmbeddedBroker
from app.operators.times import time_text
from tests.support.ingest_process import wait_for
from tests.support.kubernetes_api import FakeApi, kubernetes_api, node_object
from tests.support.watch_scene import DAY, SECOND, WatchScene, watch_scene

pytestmark = pytest.mark.integration

_FINE = "/usr/lib/libz.so.1!inflate"


def _nodes(it: WatchScene, *arguments: str) -> Result:
    return CliRunner().invoke(cli, ["nodes", *arguments], env=it.environ)


def _listed(it: WatchScene) -> dict[str, dict[str, object]]:
    found = _nodes(it, "list", "--from", "60d", "--json")
    return {row["node"]: row for row in json.loads(found.stdout)["nodes"]} if found.exit_code == 0 else {}


def test_a_node_that_is_gone_is_a_gap_until_somebody_who_may_know_retires_it(
    embedded: EmbeddedBroker, topic_prefix: str, tmp_path: Path
) -> None:
    """An operator and the cluster's own API; the answer names them, and hearing from the node voids the word."""
    with watch_scene(embedded, topic_prefix, tmp_path) as it:
        it.know_file("/usr/lib/libz.so.1", "ab" * 10, ["inflate"], ["deflate"])
        it.add_worker()
        it.watch_as_a_service("inflate", ago_ns=14 * DAY, module="/lib/libz.so.1", every_call_probed=True)
        it.cover(20 * DAY, 10 * SECOND, cluster="east")
        silence_ns = 5 * DAY + it.now_ns % SECOND  # since a whole second, as people write it
        it.cover(20 * DAY, silence_ns, node="dead", cluster="east")
        silent = it.await_answer(_FINE, lambda answer: bool(answer["gaps"]))
        assert (silent["answer"], silent["missing_ms"]) == ("NotSeen", -(-(silence_ns - 10 * SECOND) // 10**6))
        assert _listed(it)["dead"]["missing_ms"] == silent["missing_ms"]

        unknown = _nodes(it, "retire", "dead", "--at", "5d")
        assert (unknown.exit_code, "there is east/dead" in unknown.stderr) == (1, True)
        early = _nodes(it, "retire", "dead", "--cluster", "east", "--at", "6d")
        assert (early.exit_code, "was heard of after --at" in early.stderr) == (1, True)
        at = time_text(it.now_ns - silence_ns)
        said = _nodes(it, "retire", "dead", "--cluster", "east", "--at", at)
        assert said.exit_code == 0, said.output
        gone = it.await_answer(_FINE, lambda answer: answer["answer"] == "NeverHit")
        assert gone["retired"] == [{"said_by": "operator", "nodes": 1}]
        assert (gone["missing_ms"], gone["every_node_known"]) == (0, False)
        assert "1 nodes are gone, by the word of operator" in [one["words"] for one in gone["reasons"]]
        assert "by the word of operator" in _nodes(it, "list", "--from", "60d").stdout

        _nodes(it, "retire", "dead", "--cluster", "east", "--undo")
        it.await_answer(_FINE, lambda answer: answer["answer"] == "NotSeen")

        created = time_text((it.now_ns - 20 * DAY) // 10**9 * 10**9)
        api = FakeApi([node_object("n1", created), node_object("unwatched", created)], [[]] * 2)
        with kubernetes_api(tmp_path, api) as (url, ca_file, token_file):
            options = ("--cluster", "east", "--api", url, "--ca-file", str(ca_file), "--token-file", str(token_file))
            following = subprocess.Popen(
                [sys.executable, "-m", "app", "nodes", "follow", *options], env=os.environ | it.environ
            )
            try:
                wait_for(api.quiet.is_set, "the cluster to be followed")
            finally:
                following.send_signal(signal.SIGTERM)
                assert following.wait(40) == 0
        named = it.await_answer(_FINE, lambda answer: answer["nodes"] == 3)
        assert {one["node"] for one in named["gaps"]} == {"dead", "unwatched"}
        assert _listed(it)["unwatched"]["vouched_until_ns"] is None
