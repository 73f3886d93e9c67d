"""An agent that says what a test tells it to, asked as ingest asks, with its answers on the topic."""

import json
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from app.ingest.client import EventStream
from app.ingest.link import AgentLink
from app.ingest.policy_watch import policy_watch_of
from app.ingest.record_writer import RecordWriter, probe_writer
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
from tests.support.watch_scene import WatchScene


class AskedAgent:
    """What the agent says from now on, and the windows that were written of it."""

    def __init__(self, said: Path, writer: RecordWriter[ProbeWindow]) -> None:
        self._said, self._writer = said, writer
        self._names: set[str] = set()

    def say(self, *policies: dict[str, Any], **others: Any) -> None:
        """Answer with these policies."""
        partial = self._said.with_suffix(".new")
        partial.write_text(json.dumps({"info": {"version": "v1.8.0"}, "policies": policies} | others))
        partial.rename(self._said)

    def write(self, several: Iterable[ProbeWindow]) -> None:
        """To the topic, and noted."""
        windows = list(several)
        self._writer.write(windows)
        self._names |= {one.policy for one in windows}

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
def asked_agent(it: WatchScene, folder: Path) -> Iterator[AskedAgent]:
    """An agent that is asked as ingest does it."""
    settings = load(it.environ | {"CALLSTREAM_POLICY_POLL_SECONDS": "1"})
    schema_id = registered_id(settings, topics.PROBES)
    config = {"bootstrap.servers": settings.kafka_bootstrap_servers}
    writer = probe_writer(settings, config, lambda _topic, _schema: schema_id)
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
