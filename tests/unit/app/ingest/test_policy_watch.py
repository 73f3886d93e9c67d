"""What an agent says of its policies becomes windows on runtime.probes."""

import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Final

import grpc
import pytest

from agents.probes.policy_seen import PolicySeen
from agents.probes.window_records import window_key
from app.ingest.client import AgentReply
from app.ingest.handover import Handover, leave, take
from app.ingest.node_claims import OpenClaim
from app.ingest.policy_gauges import policy_gauges
from app.ingest.policy_questions import PolicyAnswer, PolicyQuestions
from app.ingest.policy_watch import PolicyWatch
from app.telemetry import state_metrics
from app.telemetry.meter import Meter
from app.telemetry.metric import Process
from app.telemetry.metrics import metrics_of
from schemas.node import NodeId
from schemas.probes import AgentAnswer, PolicyState, ProbeWindow, SeenHooks, SeenHookState, WindowEnd
from schemas.tetragon.policies_pb2 import (
    GetInfoResponse,
    ListTracingPoliciesResponse,
    TracingPolicyActionCounters,
    TracingPolicySelectorActionCounters,
    TracingPolicyState,
    TracingPolicyStats,
    TracingPolicyStatus,
)

NODE: Final = NodeId("c", "n")
SECOND: Final = 1_000_000_000


HANDOVER: Final = Handover("request", 9, (), 8, OpenClaim("n", "c", 5, (), 0), None)


class FakeAgent:
    """An agent whose policies, status and stream the test sets; each question takes a second of its clock."""

    def __init__(self, session: str) -> None:
        self.session = session
        self.clock = count(1)
        self.stream: int | None = 1
        self.status = grpc.StatusCode.OK
        self.policies: list[TracingPolicyStatus] = [policy()]
        self.node: NodeId | None = NODE

    @property
    def number(self) -> int | None:
        """The stream."""
        return self.stream

    def ask(self, method: str, request: bytes, timeout_seconds: float) -> AgentReply | None:
        """As `EventStream.ask`."""
        assert (request, timeout_seconds > 0) == (b"", True)
        if self.stream is None:
            return None
        if self.status is not grpc.StatusCode.OK:
            return AgentReply(self.stream, b"", self.status)
        if method == "GetInfo":
            return AgentReply(self.stream, GetInfoResponse(version=f"v{self.stream}").SerializeToString())
        return AgentReply(self.stream, ListTracingPoliciesResponse(policies=self.policies).SerializeToString())

    def wall_ns(self) -> int:
        """A second later than the last time."""
        return next(self.clock) * SECOND

    def about(self) -> tuple[NodeId, str] | None:
        """The node and the session."""
        return None if self.node is None else (self.node, self.session)


class Written:
    """Takes windows instead of Kafka."""

    def __init__(self) -> None:
        self.windows: list[ProbeWindow] = []

    def write(self, windows: Iterable[ProbeWindow]) -> None:
        """Keep them."""
        self.windows += windows

    def flush(self, timeout_seconds: float) -> None:
        """All are there."""

    def take(self) -> list[ProbeWindow]:
        """What was written since the last call."""
        taken, self.windows = self.windows, []
        return taken


def policy(post: int = 5, policy_id: int = 7) -> TracingPolicyStatus:
    """A policy that is enabled."""
    selector = TracingPolicySelectorActionCounters(
        hook="/home/anna/bin", action_counters=TracingPolicyActionCounters(post=post)
    )
    stats = TracingPolicyStats(
        action_counters=TracingPolicyActionCounters(post=post), selector_action_counters=[selector]
    )
    return TracingPolicyStatus(id=policy_id, name="tls", state=TracingPolicyState.TP_STATE_ENABLED, stats=stats)


OF_AGENT: Final = ProbeWindow(
    node="n", cluster="c", session="s", from_ns=2 * SECOND, to_ns=2 * SECOND, agent_version="v1"
)
OF_POLICY: Final = replace(
    OF_AGENT, policy="TLS", policy_id=7, state=PolicyState.ENABLED, counters={"post": 5}, spec_digest="d"
)


class PolicyScene:
    """A watch over a fake agent."""

    def __init__(self, session: str = "s") -> None:
        self.agent = FakeAgent(session)
        self.written = Written()
        questions = PolicyQuestions(self.agent, lambda: {("", "tls"): "d"}, self.agent.wall_ns)
        self.watch = PolicyWatch(questions, self.written, 30, about=self.agent.about, public_name=str.upper)

    def step(self) -> list[ProbeWindow]:
        """Ask once; gives what was written."""
        self.watch.step()
        return self.written.take()


@pytest.fixture(name="scene")
def _scene() -> PolicyScene:
    return PolicyScene()


def test_windows_grow_with_each_answer(scene: PolicyScene) -> None:
    """That of the agent and that of the policy, by its public name; no path of a hook is told."""
    assert scene.step() == [OF_AGENT, OF_POLICY]

    scene.agent.policies = [policy(post=9)]
    assert scene.step() == [
        replace(OF_AGENT, to_ns=3 * SECOND),
        replace(OF_POLICY, to_ns=3 * SECOND, counters={"post": 9}),
    ]


def test_an_answer_that_says_nothing_new_is_written_now_and_then(scene: PolicyScene) -> None:
    """After 1, 2, 4 and 8 questions, and then after each ten; what is new is written at once, and so is the end."""
    scene.step()
    written = [turn for turn in range(1, 38) if scene.step()]
    assert written == [1, 3, 7, 15, 25, 35]

    scene.agent.policies = [policy(policy_id=8)]
    _, over, new = scene.step()
    assert over == replace(OF_POLICY, to_ns=over.to_ns, end=WindowEnd.RELOADED)
    assert new.from_ns - over.to_ns == 3 * SECOND
    assert scene.step()
    scene.watch.finish(handed_over=False)
    assert {one.end for one in scene.written.take()} == {WindowEnd.STREAM_ENDED}


def test_a_policy_that_was_loaded_anew_has_a_new_window(scene: PolicyScene) -> None:
    """The one before says why it is over."""
    scene.step()
    scene.agent.policies = [policy(post=0, policy_id=7)]
    _, over, new = scene.step()

    assert over == replace(OF_POLICY, end=WindowEnd.RELOADED)
    assert (new.from_ns, new.to_ns, new.end) == (4 * SECOND, 4 * SECOND, WindowEnd.OPEN)


def test_all_windows_end_with_the_stream(scene: PolicyScene) -> None:
    """The next answer may be of another agent."""
    scene.step()
    scene.agent.stream = None
    assert scene.step() == []
    scene.agent.stream = 2

    over_policy, over_agent, agent, _ = scene.step()
    assert over_policy == replace(OF_POLICY, end=WindowEnd.STREAM_ENDED)
    assert over_agent == replace(OF_AGENT, end=WindowEnd.STREAM_ENDED)
    assert (agent.agent_version, agent.from_ns) == ("v2", 6 * SECOND)


def test_all_windows_end_where_the_node_gets_another_name(scene: PolicyScene) -> None:
    """Nothing is said before it has one."""
    scene.agent.node = None
    assert scene.step() == []
    scene.agent.node = NODE
    scene.step()
    scene.agent.node = NodeId("c", "other")

    assert [(one.node, one.policy, one.end) for one in scene.step()] == [
        ("n", "TLS", WindowEnd.STREAM_ENDED),
        ("n", "", WindowEnd.STREAM_ENDED),
        ("other", "", WindowEnd.OPEN),
        ("other", "TLS", WindowEnd.OPEN),
    ]


def test_an_agent_that_stops_telling_ends_the_windows_of_its_policies(scene: PolicyScene) -> None:
    """Its own window says why."""
    scene.step()
    scene.agent.status = grpc.StatusCode.PERMISSION_DENIED
    over, agent, over_policy = scene.step()

    assert over == replace(OF_AGENT, end=WindowEnd.CHANGED)
    assert (agent.answer, agent.policy) == (AgentAnswer.REFUSED, "")
    assert over_policy == replace(OF_POLICY, end=WindowEnd.UNASKED)


def test_an_ingest_that_goes_on_makes_the_windows_of_the_one_before_longer(scene: PolicyScene, tmp_path: Path) -> None:
    """Under their keys, so that an upgrade leaves no hole; a reload that nobody saw ends them as ever."""
    scene.step()
    scene.watch.finish(handed_over=True)
    left = scene.watch.open_windows()
    assert left is not None
    assert (scene.written.take(), "anna" in repr(left)) == ([], False)
    leave(tmp_path, replace(HANDOVER, policies=left))
    taken = take(tmp_path)
    assert (taken is not None, taken and taken.policies) == (True, left)

    following = PolicyScene("another session")
    following.agent.clock = scene.agent.clock
    following.watch.go_on_from(left)
    following.agent.policies = [policy(post=9)]
    now = [replace(OF_AGENT, to_ns=3 * SECOND), replace(OF_POLICY, to_ns=3 * SECOND, counters={"post": 9})]
    assert following.step() == now
    assert window_key(now[1]) == window_key(OF_POLICY)

    following.agent.policies = [policy(post=0)]
    _, over, _ = following.step()
    assert over == replace(now[1], end=WindowEnd.RELOADED)


def test_a_stream_that_broke_since_ends_the_windows_of_the_ingest_before(scene: PolicyScene) -> None:
    """Another agent may have come meanwhile."""
    scene.step()
    left = scene.watch.open_windows()
    assert left is not None
    following = PolicyScene("another session")
    following.agent.clock = scene.agent.clock
    following.watch.go_on_from(left)
    following.agent.stream = 2

    assert [(one.session, one.end) for one in following.step()] == [
        ("s", WindowEnd.STREAM_ENDED),
        ("s", WindowEnd.STREAM_ENDED),
        ("another session", WindowEnd.OPEN),
        ("another session", WindowEnd.OPEN),
    ]


def test_a_stop_ends_all_windows(scene: PolicyScene) -> None:
    """Where no other ingest waits."""
    scene.step()
    scene.watch.stop()
    scene.watch.run()
    scene.watch.finish(handed_over=False)

    assert scene.written.take() == [
        replace(OF_POLICY, end=WindowEnd.STREAM_ENDED),
        replace(OF_AGENT, end=WindowEnd.STREAM_ENDED),
    ]


def test_another_stream_is_asked_at_once(scene: PolicyScene) -> None:
    """Not only when the next question is due, which is half a minute later."""
    thread = threading.Thread(target=scene.watch.run, daemon=True)
    thread.start()
    _wait_for(lambda: any(one.agent_version == "v1" for one in scene.written.windows))
    scene.agent.stream = 2
    _wait_for(lambda: any(one.agent_version == "v2" for one in scene.written.windows))
    scene.watch.stop()
    thread.join(10)
    scene.watch.finish(handed_over=False)

    assert [one.end for one in scene.written.take()[-2:]] == [WindowEnd.STREAM_ENDED] * 2


def _wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


def test_gauges_say_what_the_agent_told_last() -> None:
    """Policies and hooks by state, how it answered and when; what it told before is gone."""
    meter = Meter(metrics_of(Process.INGEST))
    tell = policy_gauges(meter)
    hooks = (SeenHooks("uprobes", 0, 3, SeenHookState.LOADED), SeenHooks("kprobes", 0, 1, SeenHookState.CALL_NOT_FOUND))
    policies = (PolicySeen(name="a", state=PolicyState.ENABLED, hooks=hooks), PolicySeen(name="b"))
    answer = PolicyAnswer(
        stream=1, asked_ns=SECOND, answered_ns=2 * SECOND, answer=AgentAnswer.ANSWERED, policies=policies
    )
    tell(answer)
    assert meter.read(state_metrics.POLICIES_TOLD) == 2
    assert meter.read(state_metrics.TRACING_POLICIES, "Enabled") == meter.read(
        state_metrics.TRACING_POLICIES, "Unknown"
    )
    assert meter.read(state_metrics.POLICY_HOOKS, "Loaded") == 3
    assert meter.read(state_metrics.POLICY_HOOKS, "CallNotFound") == 1

    tell(replace(answer, policies=(), answer=AgentAnswer.REFUSED))
    assert meter.total(state_metrics.POLICY_HOOKS) == 0
    assert meter.read(state_metrics.POLICIES_ANSWER, "Refused") == meter.total(state_metrics.POLICIES_ANSWER) == 1
