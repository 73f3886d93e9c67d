"""Watches by the word of agents, from gRPC to answers: hooks loaded all the time, unloaded, rejected, and too old."""

import json
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from app.embedded.broker import EmbeddedBroker
from app.ingest.client import EventStream
from app.ingest.link import AgentLink
from app.ingest.policy_watch import policy_watch_of
from app.ingest.probe_writer import ProbeWriter
from app.settings import load
from app.simulator.agent_file import AgentFile
from app.simulator.recording import Recording
from app.simulator.server import SimulatorServer
from app.stages.worker import registered_id
from app.telemetry.meter import Meter
from app.telemetry.metric import Process
from app.telemetry.metrics import metrics_of
from schemas import topics
from schemas.node import NodeId
from schemas.probes import ProbeWindow
from schemas.tetragon.events_pb2 import GetEventsResponse
from tests.support.calls import frame
from tests.support.watch_scene import DAY, WatchScene, watch_scene

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


class AskedAgent:
    """What the agent says from now on, and the windows that were written of it."""

    def __init__(self, said: Path, writer: ProbeWriter) -> None:
        self._said, self._writer = said, writer
        self._names: set[str] = set()

    def say(self, *policies: dict[str, Any], **others: Any) -> None:
        """Answer with these policies."""
        partial = self._said.with_suffix(".new")
        partial.write_text(json.dumps({"info": {"version": "v1.8.0"}, "policies": policies} | others))
        partial.rename(self._said)

    def write(self, windows: Iterable[ProbeWindow]) -> None:
        """To the topic, and noted."""
        several = list(windows)
        self._writer.write(several)
        self._names |= {one.policy for one in several}

    def flush(self, timeout_seconds: float) -> None:
        """As the writer."""
        self._writer.flush(timeout_seconds)

    def await_policy(self, name: str) -> None:
        """Wait until the agent has told of it."""
        deadline = time.monotonic() + 30
        while name not in self._names:
            assert time.monotonic() < deadline, "the agent was not asked"
            time.sleep(0.05)


@contextmanager
def _asked_agent(it: WatchScene, folder: Path) -> Iterator[AskedAgent]:
    """An agent that is asked as ingest does it."""
    settings = load(it.environ | {"CALLSTREAM_POLICY_POLL_SECONDS": "1"})
    schema_id = registered_id(settings, topics.PROBES)
    config = {"bootstrap.servers": settings.kafka_bootstrap_servers}
    writer = ProbeWriter(config, settings.name(topics.PROBES), lambda: schema_id)
    asked = AskedAgent(folder / "agent.json", writer)
    asked.say()
    event = GetEventsResponse(node_name="n1").SerializeToString()
    with SimulatorServer(Recording.of([event]), agent=AgentFile(folder / "agent.json")) as server:
        link = AgentLink(server.address, None, "", 600)
        stream = EventStream(link, b"", lambda _: None, opened=lambda _: None, ended=lambda _: None)
        watch = policy_watch_of(
            settings,
            stream,
            asked,
            about=lambda: (NodeId("", "n1"), "session"),
            public_name=lambda name: name,
            meter=Meter(metrics_of(Process.INGEST)),
        )
        threads = [threading.Thread(target=work, daemon=True) for work in (stream.run, watch.run)]
        for thread in threads:
            thread.start()
        yield asked
        watch.stop()
        stream.stop()
        for thread in threads:
            thread.join(10)


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
        with _asked_agent(it, tmp_path) as agent:
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
