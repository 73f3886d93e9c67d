"""Questions to an agent, over real connections to the simulator."""

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from agents.probes.policy_seen import PolicySeen
from app.ingest.client import EventStream
from app.ingest.link import AgentLink
from app.ingest.policy_questions import PolicyAnswer, PolicyQuestions
from app.simulator.agent_file import AgentFile
from app.simulator.recording import Recording
from app.simulator.server import SimulatorServer
from schemas.probes import AgentAnswer, PolicyState, SeenHooks, SeenHookState
from schemas.tetragon.events_pb2 import GetEventsResponse

TLS = {
    "id": "7",
    "name": "tls",
    "state": "TP_STATE_ENABLED",
    "stats": {"actionCounters": {"post": "5"}},
    "hookStatuses": [{"section": "uprobes", "state": "STATUS_LOADED", "hookDescription": "/a", "hookIdx": 0}],
}
SEEN = PolicySeen(
    name="tls",
    policy_id=7,
    state=PolicyState.ENABLED,
    hooks=(SeenHooks("uprobes", 0, 1, SeenHookState.LOADED),),
    counters={"post": 5},
    spec_digest="d",
)


class Scene:
    """A simulated agent with a file of what it says, an open stream, and questions on it."""

    def __init__(self, folder: Path, address: str) -> None:
        self.said = folder / "agent.json"
        link = AgentLink(address, None, "", 600)
        self.stream = EventStream(link, b"", lambda _: None, opened=lambda _: None, ended=lambda _: None)
        self.questions = PolicyQuestions(self.stream, lambda: {("", "tls"): "d"})

    def say(self, said: object) -> None:
        """From now on the agent answers with this."""
        self.said.write_text(json.dumps(said), encoding="utf-8")

    def ask(self) -> PolicyAnswer | None:
        """Ask as soon as there is a stream."""
        deadline = time.monotonic() + 30
        while not self.stream.answers(5):
            assert time.monotonic() < deadline, "waited in vain"
            time.sleep(0.005)
        return self.questions.ask()


@pytest.fixture(name="scene")
def _scene(tmp_path: Path) -> Iterator[Scene]:
    event = GetEventsResponse(node_name="n").SerializeToString()
    with SimulatorServer(Recording.of([event]), agent=AgentFile(tmp_path / "agent.json")) as server:
        scene = Scene(tmp_path, server.address)
        thread = threading.Thread(target=scene.stream.run, daemon=True)
        thread.start()
        yield scene
        scene.stream.stop()
        thread.join(10)


def test_policies_are_told_with_the_version_and_the_times_of_the_question(scene: Scene) -> None:
    """What changes in the agent is in the next answer."""
    scene.say({"info": {"version": "v1.8.0"}, "policies": [TLS]})
    before_ns = time.time_ns()
    found = scene.ask()
    assert found is not None
    assert before_ns <= found.asked_ns <= found.answered_ns <= time.time_ns()
    assert (found.answer, found.policies, found.agent_version) == (AgentAnswer.ANSWERED, (SEEN,), "v1.8.0")
    assert scene.questions.trouble is None

    scene.say({"policies": []})
    later = scene.ask()
    assert later is not None
    assert (later.stream, later.answer, later.policies) == (found.stream, AgentAnswer.ANSWERED, ())
    assert later.agent_version == "v1.8.0"


def test_an_answer_that_is_larger_than_a_window_of_http2_is_whole(scene: Scene) -> None:
    """Policies may have thousands of hooks."""
    scene.say({"policies": [TLS | {"name": str(number), "info": "x" * 2_000} for number in range(900)]})
    found = scene.ask()

    assert found is not None
    assert [policy.name for policy in found.policies] == [str(number) for number in range(900)]


@pytest.mark.parametrize(
    ("status", "answer"),
    [
        ("UNIMPLEMENTED", AgentAnswer.UNIMPLEMENTED),
        ("PERMISSION_DENIED", AgentAnswer.REFUSED),
        ("UNAUTHENTICATED", AgentAnswer.REFUSED),
    ],
)
def test_an_agent_that_does_not_know_is_told_from_one_that_refuses(
    scene: Scene, status: str, answer: AgentAnswer
) -> None:
    """Both are answers of the agent, and say nothing of policies."""
    scene.say({"status": status})
    found = scene.ask()

    assert found is not None
    assert (found.answer, found.policies, found.agent_version) == (answer, (), "")
    assert scene.questions.trouble == f"the agent does not tell of its policies: {status}"


@pytest.mark.parametrize("status", ["UNAVAILABLE", "INTERNAL", "RESOURCE_EXHAUSTED"])
def test_another_failure_is_no_answer(scene: Scene, status: str) -> None:
    """The next question may bring one."""
    scene.say({"status": status})
    assert scene.ask() is None
    assert scene.questions.trouble == f"the agent does not tell of its policies: {status}"

    scene.say({"policies": [TLS]})
    found = scene.ask()
    assert found is not None
    assert found.policies == (SEEN,)
    assert scene.questions.trouble is None


def test_without_a_stream_nobody_is_asked(scene: Scene) -> None:
    """The stream's own trouble says why."""
    scene.say({"policies": [TLS]})
    assert scene.ask() is not None
    scene.stream.stop()
    deadline = time.monotonic() + 30
    while scene.questions.ask() is not None:
        assert time.monotonic() < deadline, "waited in vain"
    assert scene.questions.trouble is None
