"""app/ingest/keeper.py with everything around it faked: what is said, in which order, and when."""

from pathlib import Path

import pytest

from agents.probes.policy_seen import PolicySeen
from app.ingest.filter_effect import FiltersInForce
from app.ingest.journal import State
from app.ingest.node_claims import LATENESS_NS, AgentLoss
from app.ingest.policy_questions import PolicyAnswer
from app.telemetry import metrics, state_metrics
from schemas.probes import AgentAnswer
from schemas.tetragon.events_pb2 import GetEventsResponse, ProcessUprobe
from tests.support.keeper_scene import UNAVAILABLE, KeeperScene, S, event_at


@pytest.fixture(name="scene")
def _scene(tmp_path: Path) -> KeeperScene:
    return KeeperScene(tmp_path)


def test_quiet_node_is_vouched_for_because_the_link_answers(scene: KeeperScene) -> None:
    """Complete and quiet: no event for minutes, and heartbeats all the same."""
    scene.open(event_at(10_000))

    assert scene.step_at(10_000) == []
    assert scene.step_at(10_100) == [("Heartbeat", 10_000, 10_040)]
    assert scene.step_at(10_200) == [("Heartbeat", 10_000, 10_140)]


def test_dead_link_stops_the_claims(scene: KeeperScene) -> None:
    """Blind: the connection does not answer, so the claim stays where life was last seen."""
    scene.open(event_at(10_000))
    scene.step_at(10_100)
    scene.stream_answers = False

    assert scene.step_at(10_200) == []
    assert scene.step_at(10_300) == []


def test_events_are_a_sign_of_life_without_a_question(scene: KeeperScene) -> None:
    """A busy stream is not asked."""
    scene.open(event_at(10_000))
    scene.stream_answers = False
    scene.now_s = 10_100
    scene.buffer.put(event_at(10_100))
    scene.buffer.take()

    assert scene.step_at(10_100) == [("Heartbeat", 10_000, 10_040)]


def test_silent_stream_is_seen_as_soon_as_the_link_answers(scene: KeeperScene) -> None:
    """A node without a single event since the start is vouched for too."""
    assert scene.step_at(10_000) == []

    assert scene.step_at(10_100) == [("Heartbeat", 10_000, 10_040)]
    assert scene.meter.read(metrics.STREAM_UP) == 1


def test_reconnect_is_a_gap_before_the_next_heartbeat(scene: KeeperScene) -> None:
    """The gap is said when seeing begins again, under the filtered name of the new stream's first event."""
    scene.open(event_at(10_000))
    scene.step_at(10_100)
    scene.now_s = 10_110
    scene.keeper.stream_ended(UNAVAILABLE)
    scene.stream_answers = False
    assert scene.step_at(10_120) == []
    scene.now_s = 10_130
    scene.open(event_at(10_130))
    (gap,) = scene.told.said

    assert gap.node == "[redacted]"  # "node-1" before the scene's filter of names
    assert scene.told.windows() == [("Reconnect", 10_040, 10_130)]
    scene.stream_answers = True
    assert scene.step_at(10_230) == [("Heartbeat", 10_130, 10_170)]
    assert scene.meter.read(metrics.STREAM_ENDS, "UNAVAILABLE") == 1


def test_restarted_agent_is_recognised_by_its_first_event(scene: KeeperScene) -> None:
    """It repeats the living processes, flagged procFS."""
    scene.open(event_at(10_000))
    scene.keeper.stream_ended(UNAVAILABLE)
    scene.now_s = 10_010
    scene.open(event_at(10_010, flags="procFS"))

    assert scene.told.windows() == [("AgentRestart", 10_000, 10_010)]


def test_dropped_events_are_said_within_a_step(scene: KeeperScene) -> None:
    """The gap has the dropped events' own times."""
    scene.open(event_at(5000))
    for _ in range(1500):
        scene.buffer.put(event_at(5000))

    (gap,) = [one for one in scene.step_at(10_001) if one[0] != "Heartbeat"]

    assert gap == ("Overflow", 5000, 5000)


def test_no_claim_while_a_gap_is_unacknowledged(scene: KeeperScene) -> None:
    """A reader must not meet a heartbeat over a window whose gap is still on its way."""
    scene.open(event_at(10_000))
    scene.buffer.put(b"\xff")
    scene.told.acknowledges = False

    assert scene.step_at(10_100) == [("Undecodable", 10_100, 10_100)]
    assert scene.step_at(10_200) == []
    assert scene.meter.read(metrics.GAPS_PENDING) == 1
    scene.told.acknowledges = True
    assert scene.step_at(10_300) == [("Heartbeat", 10_000, 10_240)]


def test_no_claim_without_a_schema(scene: KeeperScene) -> None:
    """A registry that is away delays claims; it costs no gap."""
    scene.open(event_at(10_000))
    scene.told.knows_schema = False
    scene.buffer.put(b"\xff")

    assert scene.step_at(10_100) == [("Undecodable", 10_100, 10_100)]
    scene.told.knows_schema = True
    assert scene.step_at(10_200) == [("Heartbeat", 10_000, 10_140)]


def test_writer_is_asked_to_settle_before_a_claim(scene: KeeperScene) -> None:
    """Under load "everything before then is written" has to be brought about."""
    scene.step_at(10_000)

    assert scene.settle_asked == 1


def test_what_policies_posted_and_nobody_explains_is_a_gap_of_the_time_in_which_it_was_lost(tmp_path: Path) -> None:
    """Two events came of five; what comes within a minute is not a loss, and each loss is told once."""
    scene = KeeperScene(tmp_path)
    scene.open(event_at(10_000))
    scene.step_at(10_010)

    def posted(count: int) -> None:
        scene.books.asking()
        policy = PolicySeen(name="p", policy_id=1, counters={"post": count})
        at_ns = scene.now_s * S
        scene.books.answered(
            PolicyAnswer(stream=1, asked_ns=at_ns, answered_ns=at_ns, answer=AgentAnswer.ANSWERED, policies=(policy,))
        )

    posted(100)
    for _ in range(2):
        scene.buffer.put(GetEventsResponse(process_uprobe=ProcessUprobe(symbol="f"), node_name="n").SerializeToString())
    scene.step_at(10_020)
    posted(105)
    assert scene.meter.read(state_metrics.POSTS_BALANCE) == 0
    said = [one for at in range(10_030, 10_130, 10) for one in scene.step_at(at) if one[0] == "Unexplained"]

    assert said == [("Unexplained", 10_010 - LATENESS_NS // S, 10_020)]
    assert scene.meter.read(state_metrics.POSTS_BALANCE) == 3


def test_agent_losses_come_before_the_claim_that_spans_them(tmp_path: Path) -> None:
    """Tetragon drops without a word in the stream; its counters are the only witness."""
    scene = KeeperScene(tmp_path)
    scene.open(event_at(10_000))
    scene.agent.losses = [AgentLoss(metrics.AGENT_LOST.labels[0].values[0], 9, 10_090 * S, 10_100 * S)]

    assert scene.step_at(10_100) == [("AgentLoss", 10_030, 10_100), ("Heartbeat", 10_000, 10_040)]
    assert scene.meter.total(metrics.AGENT_LOST) == 9


def test_heartbeat_says_what_was_not_looked_at(tmp_path: Path) -> None:
    """A filter that hides events, and losses that nobody reads, stand where completeness would stand."""
    scene = KeeperScene(tmp_path, agent=False, filters=FiltersInForce("a filter", hide_evidence=True))
    scene.open(event_at(10_000))

    scene.now_s = 10_100
    scene.keeper.step()

    assert {gap.detail for gap in scene.told.said} == {"a filter"}
    assert scene.told.windows() == [("Filtered", 10_000, 10_040), ("LossesUnread", 10_000, 10_040)]


def test_filter_that_hides_nothing_stands_in_a_plain_heartbeat(tmp_path: Path) -> None:
    """Kinds that are not evidence may be chosen; what was chosen can be read all the same."""
    scene = KeeperScene(tmp_path, filters=FiltersInForce("a filter"))
    scene.open(event_at(10_000))

    scene.now_s = 10_100
    scene.keeper.step()

    (beat,) = scene.told.said
    assert (beat.cause.value, beat.detail) == ("Heartbeat", "a filter")


def test_unreadable_agent_metrics_stop_the_claims(tmp_path: Path) -> None:
    """Where the operator asked for the counters, not knowing them is not the same as no loss."""
    scene = KeeperScene(tmp_path)
    scene.open(event_at(10_000))
    scene.agent.trouble = "HTTP 500"

    assert scene.step_at(10_100) == []
    assert scene.meter.read(metrics.AGENT_SCRAPE_ERRORS) == 1
    scene.agent.trouble = None
    assert scene.step_at(10_200) == [("Heartbeat", 10_000, 10_140)]


def test_next_process_reports_the_time_between(tmp_path: Path) -> None:
    """After a kill -9 the new process knows up to when the old one vouched."""
    first = KeeperScene(tmp_path)
    first.open(event_at(10_000))
    first.step_at(10_100)
    first.journal.close()

    second = KeeperScene(tmp_path)
    second.now_s = 10_150
    second.open(event_at(10_150))

    assert second.told.windows() == [("IngestRestart", 10_040, 10_150)]
    assert second.journal.state == State("[redacted]", 10_150 * S)


def test_process_killed_before_its_first_claim_is_covered(tmp_path: Path) -> None:
    """The opening of the stream is remembered at once."""
    first = KeeperScene(tmp_path)
    first.open(event_at(10_000))
    first.journal.close()

    second = KeeperScene(tmp_path)
    second.now_s = 10_020
    second.open(event_at(10_020))

    assert second.told.windows() == [("IngestRestart", 10_000, 10_020)]


def test_last_words_turn_what_is_left_into_gaps(scene: KeeperScene) -> None:
    """What was found since the last step is not lost with the process."""
    scene.open(event_at(10_000))
    scene.buffer.put(b"\xff")

    scene.keeper.finish(1.0)

    assert scene.told.windows() == [("Undecodable", 10_000, 10_000)]
