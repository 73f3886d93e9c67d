"""Watches by the word of agents, from gRPC to answers: hooks loaded all the time, unloaded, rejected, and too old."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from app.embedded.broker import EmbeddedBroker
from tests.support.asked_agent import asked_agent
from tests.support.calls import frame
from tests.support.watch_scene import DAY, watch_scene

pytestmark = pytest.mark.integration

ZLIB = "89abcdef0123456789abcdef0123456789abcdef"
LIB = "/usr/lib/libz.so.1"


def _policy(name: str, *symbols: str) -> dict[str, Any]:
    """A policy that hooks functions of the file."""
    hook = {"path": LIB, "symbols": list(symbols), "binaryDigests": [f"build-id:{ZLIB}"]}
    return {"kind": "TracingPolicy", "metadata": {"name": name}, "spec": {"uprobes": [hook]}}


def _told(name: str, number: int, state: str = "STATUS_LOADED") -> dict[str, Any]:
    """What the agent says of such a policy."""
    hook = {"section": "uprobes", "state": state, "hookDescription": LIB, "hookIdx": 0}
    return {"id": str(number), "name": name, "state": "TP_STATE_ENABLED", "hookStatuses": [hook]}


def _is(answer: str, reason: str, words: str = "") -> Callable[[dict[str, Any]], bool]:
    def is_it(found: dict[str, Any]) -> bool:
        return found["answer"] == answer and any(
            one["reason"] == reason and words in one["words"] for one in found["reasons"]
        )

    return is_it


def test_agents_say_whether_every_call_was_probed(embedded: EmbeddedBroker, topic_prefix: str, tmp_path: Path) -> None:
    """Never is said while hooks were loaded all the time; unloaded, rejected or unheard of they say nothing.

    The word of a watch's author counts besides, and each answer says whose word it is.
    """
    policies = tmp_path / "policies"
    policies.mkdir()
    for name, symbols in {"loaded": ["inflate", "inflate_fast"], "rejected": ["crc32"]}.items():
        (policies / f"{name}.json").write_text(json.dumps(_policy(name, *symbols)))
    with watch_scene(embedded, topic_prefix, tmp_path) as it:
        it.environ |= {
            "CALLSTREAM_TRACING_POLICIES_DIR": str(policies),
            "HOT_HORIZON_SECONDS": "1",
            "HOT_REFRESH_SECONDS": "1",
        }
        functions = (["inflate"], ["inflate_fast"], ["crc32"], ["adler32"], ["deflate"])
        it.know_file(LIB, ZLIB, *functions, scope="node:n1")
        it.cover(20 * DAY, -DAY, node="n1")
        it.call(frame(LIB, "deflate", build_id=ZLIB))
        with asked_agent(it, tmp_path) as agent:
            both = _told("loaded", 1), _told("rejected", 2, "STATUS_DIGEST_REJECTED")
            agent.say(*both)
            it.add_worker()
            agent.await_policy("loaded")
            ago_ns = it.now_ns - time.time_ns()
            for symbol in ("inflate", "inflate_fast", "crc32"):
                it.watch_as_a_service(symbol, ago_ns=ago_ns, build_id=ZLIB)
            it.watch_as_a_service("adler32", ago_ns=ago_ns, build_id=ZLIB, every_call_probed=True)
            for symbol in ("inflate", "inflate_fast"):
                never = it.await_answer(f"{ZLIB}!{symbol}", _is("NeverHit", "HooksLoaded"))
                assert never["complete_until_ns"] < time.time_ns()
            it.await_answer(f"{ZLIB}!crc32", _is("NotSeen", "Unhooked", "the agent of n1 (v1.8.0) did not tell"))
            it.await_answer(f"{ZLIB}!adler32", _is("NeverHit", "AuthorsWord"))

            agent.say(both[1])
            gone = it.await_answer(f"{ZLIB}!inflate", _is("NotSeen", "Unhooked"))
            assert [one["about"] for one in gone["reasons"]] == [["n1"]]
            agent.say(*both)
            it.await_answer(f"{ZLIB}!adler32", lambda answer: answer["complete_until_ns"] > gone["complete_until_ns"])
            assert it.answers()[f"{ZLIB}!inflate"]["answer"] == "NotSeen"

            agent.say(status="UNIMPLEMENTED")
            it.await_answer(f"{ZLIB}!inflate", _is("NotSeen", "Unhooked", "n1 (v1.8.0) is too old to tell"))
