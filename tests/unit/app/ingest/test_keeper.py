"""app/ingest/keeper.py with everything around it faked: what is said, in which order, and when."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import grpc
import pytest

from app.ingest.agent_metrics import AgentMetrics
from app.ingest.buffer import Buffer, BufferLimits
from app.ingest.filter_effect import NO_FILTERS, FiltersInForce
from app.ingest.gap_writer import GapWriter
from app.ingest.journal import Journal, State
from app.ingest.keeper import RENAME_SECONDS, Keeper
from app.ingest.keys import KeyReader
from app.ingest.node_claims import AgentLoss, NodeClaims
from app.ingest.statuses import StreamEnd
from app.telemetry import metrics
from app.telemetry.meter import Meter
from schemas.coverage import CoverageGap
from schemas.node import NodeId
from schemas.tetragon.events_pb2 import GetEventsResponse

S = 1_000_000_000
UNAVAILABLE = StreamEnd(grpc.StatusCode.UNAVAILABLE, "")


def _event(second: int, node: str = "node-1", flags: str = "", cluster: str = "") -> bytes:
    event: Any = GetEventsResponse(node_name=node, cluster_name=cluster)
    event.process_exec.process.exec_id = "e"
    event.process_exec.process.flags = flags
    event.time.seconds = second
    return bytes(event.SerializeToString())


class Told(GapWriter):
    """Stands in for the writer of coverage records; it has no producer."""

    def __init__(self) -> None:
        # no super().__init__(): it makes a producer
        self.said: list[CoverageGap] = []
        self.unacknowledged: list[CoverageGap] = []
        self.acknowledges = True
        self.knows_schema = True

    @property
    def pending(self) -> int:
        """Gaps without an acknowledgement."""
        return len(self.unacknowledged)

    def find_schema(self) -> bool:
        """As the test wants it."""
        return self.knows_schema

    def report(self, gaps: Sequence[CoverageGap]) -> None:
        """Note gaps."""
        self.said += gaps
        self.unacknowledged += gaps

    def claim(self, heartbeat: CoverageGap) -> None:
        """Note a heartbeat."""
        self.said.append(heartbeat)

    def pump(self) -> None:
        """Acknowledge, if the test wants it."""
        if self.acknowledges:
            self.unacknowledged.clear()

    def flush(self, timeout_seconds: float) -> None:
        """As pump."""
        del timeout_seconds
        self.pump()

    def windows(self) -> list[tuple[str, int, int]]:
        """Cause, from and to in seconds of everything said so far; forgets it."""
        said, self.said = self.said, []
        return [(gap.cause.value, gap.from_ns // S, gap.to_ns // S) for gap in said]


class PreparedAgent(AgentMetrics):
    """An agent's metrics page whose losses the test prepares."""

    def __init__(self) -> None:
        super().__init__("http://127.0.0.1:0/metrics")
        self.losses: list[AgentLoss] = []

    def read(self, now_ns: int) -> list[AgentLoss]:
        """The losses that the test prepared."""
        if self.trouble is None:
            self.read_at_ns = now_ns
        found, self.losses = self.losses, []
        return found


class Scene:
    """A keeper whose clock, stream, writer and agent the test moves."""

    def __init__(self, folder: Path, *, agent: bool = True, filters: FiltersInForce = NO_FILTERS) -> None:
        self.now_s = 10_000
        self.told = Told()
        self.journal = Journal(folder)
        self.meter = Meter()
        limits = BufferLimits(max_events=1000, max_bytes=1 << 20, grace_seconds=0.0)
        known = self.journal.state
        node = NodeId(known.cluster, known.node) if known else NodeId("", "host")
        self.buffer = Buffer(limits, KeyReader(node), wall_ns=self._wall_ns)
        self.stream_answers = True
        self.settle_asked = 0
        self.agent = PreparedAgent()
        self.keeper = Keeper(
            coverage=NodeClaims(node, known.vouched_until_ns if known else None, session="here"),
            journal=self.journal,
            gaps=self.told,
            buffer=self.buffer,
            written_before_ms=lambda: self.now_s * 1000,  # all that arrived is written at once
            settle_soon=self._settle_soon,
            agent=self.agent if agent else None,
            heartbeat_seconds=0.0,
            meter=self.meter,
            wall_ns=self._wall_ns,
            public_name=lambda name: name.replace("node-1", "[redacted]"),
            filters=filters,
        )
        self.keeper.watch(self.answers)

    def _wall_ns(self) -> int:
        return self.now_s * S

    def _settle_soon(self) -> None:
        """Count the requests."""
        self.settle_asked += 1

    def answers(self, timeout_seconds: float) -> bool:
        """As the test wants it."""
        del timeout_seconds
        return self.stream_answers

    def open(self, event: bytes) -> None:
        """The stream's first event, as the client does it."""
        self.keeper.stream_opened(event)
        self.buffer.put(event)

    def step_at(self, now_s: int) -> list[tuple[str, int, int]]:
        """What is said by a step at this time."""
        self.now_s = now_s
        self.keeper.step()
        return self.told.windows()


@pytest.fixture(name="scene")
def _scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


def test_quiet_node_is_vouched_for_because_the_link_answers(scene: Scene) -> None:
    """Complete and quiet: no event for minutes, and heartbeats all the same."""
    scene.open(_event(10_000))

    assert scene.step_at(10_000) == []
    assert scene.step_at(10_100) == [("Heartbeat", 10_000, 10_040)]
    assert scene.step_at(10_200) == [("Heartbeat", 10_040, 10_140)]


def test_dead_link_stops_the_claims(scene: Scene) -> None:
    """Blind: the connection does not answer, so the claim stays where life was last seen."""
    scene.open(_event(10_000))
    scene.step_at(10_100)
    scene.stream_answers = False

    assert scene.step_at(10_200) == []
    assert scene.step_at(10_300) == []


def test_events_are_a_sign_of_life_without_a_question(scene: Scene) -> None:
    """A busy stream is not asked."""
    scene.open(_event(10_000))
    scene.stream_answers = False
    scene.now_s = 10_100
    scene.buffer.put(_event(10_100))
    scene.buffer.take()

    assert scene.step_at(10_100) == [("Heartbeat", 10_000, 10_040)]


def test_silent_stream_is_seen_as_soon_as_the_link_answers(scene: Scene) -> None:
    """A node without a single event since the start is vouched for too."""
    assert scene.step_at(10_000) == []

    assert scene.step_at(10_100) == [("Heartbeat", 10_000, 10_040)]
    assert scene.meter.read(metrics.STREAM_UP) == 1


def test_reconnect_is_a_gap_before_the_next_heartbeat(scene: Scene) -> None:
    """The gap is said when seeing begins again, under the filtered name of the new stream's first event."""
    scene.open(_event(10_000))
    scene.step_at(10_100)
    scene.now_s = 10_110
    scene.keeper.stream_ended(UNAVAILABLE)
    scene.stream_answers = False
    assert scene.step_at(10_120) == []
    scene.now_s = 10_130
    scene.open(_event(10_130))
    (gap,) = scene.told.said

    assert gap.node == "[redacted]"  # "node-1" before the scene's filter of names
    assert scene.told.windows() == [("Reconnect", 10_040, 10_130)]
    scene.stream_answers = True
    assert scene.step_at(10_230) == [("Heartbeat", 10_130, 10_170)]
    assert scene.meter.read(metrics.STREAM_ENDS, "UNAVAILABLE") == 1


def test_restarted_agent_is_recognised_by_its_first_event(scene: Scene) -> None:
    """It repeats the living processes, flagged procFS."""
    scene.open(_event(10_000))
    scene.keeper.stream_ended(UNAVAILABLE)
    scene.now_s = 10_010
    scene.open(_event(10_010, flags="procFS"))

    assert scene.told.windows() == [("AgentRestart", 10_000, 10_010)]


def test_dropped_events_are_said_within_a_step(scene: Scene) -> None:
    """The gap has the dropped events' own times."""
    scene.open(_event(5000))
    for _ in range(1500):
        scene.buffer.put(_event(5000))

    (gap,) = [one for one in scene.step_at(10_001) if one[0] != "Heartbeat"]

    assert gap == ("Overflow", 5000, 5000)


def test_no_claim_while_a_gap_is_unacknowledged(scene: Scene) -> None:
    """A reader must not meet a heartbeat over a window whose gap is still on its way."""
    scene.open(_event(10_000))
    scene.buffer.put(b"\xff")
    scene.told.acknowledges = False

    assert scene.step_at(10_100) == [("Undecodable", 10_100, 10_100)]
    assert scene.step_at(10_200) == []
    assert scene.meter.read(metrics.GAPS_PENDING) == 1
    scene.told.acknowledges = True
    assert scene.step_at(10_300) == [("Heartbeat", 10_000, 10_240)]


def test_no_claim_without_a_schema(scene: Scene) -> None:
    """A registry that is away delays claims; it costs no gap."""
    scene.open(_event(10_000))
    scene.told.knows_schema = False
    scene.buffer.put(b"\xff")

    assert scene.step_at(10_100) == [("Undecodable", 10_100, 10_100)]
    scene.told.knows_schema = True
    assert scene.step_at(10_200) == [("Heartbeat", 10_000, 10_140)]


def test_writer_is_asked_to_settle_before_a_claim(scene: Scene) -> None:
    """Under load "everything before then is written" has to be brought about."""
    scene.step_at(10_000)

    assert scene.settle_asked == 1


def test_agent_losses_come_before_the_claim_that_spans_them(tmp_path: Path) -> None:
    """Tetragon drops without a word in the stream; its counters are the only witness."""
    scene = Scene(tmp_path)
    scene.open(_event(10_000))
    scene.agent.losses = [AgentLoss(metrics.AGENT_LOST.labels[0].values[0], 9, 10_090 * S, 10_100 * S)]

    assert scene.step_at(10_100) == [("AgentLoss", 10_030, 10_100), ("Heartbeat", 10_000, 10_040)]
    assert scene.meter.total(metrics.AGENT_LOST) == 9


def test_heartbeat_says_what_was_not_looked_at(tmp_path: Path) -> None:
    """A filter that hides events, and losses that nobody reads, stand where completeness would stand."""
    scene = Scene(tmp_path, agent=False, filters=FiltersInForce("a filter", hide_evidence=True))
    scene.open(_event(10_000))

    scene.now_s = 10_100
    scene.keeper.step()

    assert {gap.detail for gap in scene.told.said} == {"a filter"}
    assert scene.told.windows() == [("Filtered", 10_000, 10_040), ("LossesUnread", 10_000, 10_040)]


def test_filter_that_hides_nothing_stands_in_a_plain_heartbeat(tmp_path: Path) -> None:
    """Kinds that are no evidence may be chosen; what was chosen can be read all the same."""
    scene = Scene(tmp_path, filters=FiltersInForce("a filter"))
    scene.open(_event(10_000))

    scene.now_s = 10_100
    scene.keeper.step()

    (beat,) = scene.told.said
    assert (beat.cause.value, beat.detail) == ("Heartbeat", "a filter")


def test_unreadable_agent_metrics_stop_the_claims(tmp_path: Path) -> None:
    """Where the operator asked for the counters, not knowing them is not the same as no loss."""
    scene = Scene(tmp_path)
    scene.open(_event(10_000))
    scene.agent.trouble = "HTTP 500"

    assert scene.step_at(10_100) == []
    assert scene.meter.read(metrics.AGENT_SCRAPE_ERRORS) == 1
    scene.agent.trouble = None
    assert scene.step_at(10_200) == [("Heartbeat", 10_000, 10_140)]


def test_next_process_reports_the_time_between(tmp_path: Path) -> None:
    """After a kill -9 the new process knows up to when the old one vouched."""
    first = Scene(tmp_path)
    first.open(_event(10_000))
    first.step_at(10_100)
    first.journal.close()

    second = Scene(tmp_path)
    second.now_s = 10_150
    second.open(_event(10_150))

    assert second.told.windows() == [("IngestRestart", 10_040, 10_150)]
    assert second.journal.state == State("[redacted]", 10_150 * S)


def test_process_killed_before_its_first_claim_is_covered(tmp_path: Path) -> None:
    """The opening of the stream is remembered at once."""
    first = Scene(tmp_path)
    first.open(_event(10_000))
    first.journal.close()

    second = Scene(tmp_path)
    second.now_s = 10_020
    second.open(_event(10_020))

    assert second.told.windows() == [("IngestRestart", 10_000, 10_020)]


def test_records_name_cluster_and_session(scene: Scene) -> None:
    """Both are part of what a reader must know to tell nodes and ingests apart."""
    scene.open(_event(10_000, "node-2", cluster="east"))
    scene.keeper.step()
    scene.now_s = 10_100
    scene.keeper.step()

    assert [(str(one.node_id), one.session) for one in scene.told.said] == [("east/node-2", "here")]
    assert scene.journal.state == State("node-2", 10_040 * S, "east")


def test_another_name_is_logged_and_remembered(scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
    """Alpha ends and comes back as beta, between two steps: each has its own records, and the log says it."""
    scene.open(_event(10_000, "alpha"))
    scene.buffer.put(_event(10_001, "alpha"))
    scene.now_s = 10_010
    scene.keeper.stream_ended(UNAVAILABLE)
    scene.now_s = 10_014
    scene.open(_event(10_014, "beta"))

    said = [(one.node, one.cause.value, one.from_ns // S, one.to_ns // S) for one in scene.told.said]
    assert said == [("alpha", "Reconnect", 10_000, 10_010), ("beta", "Reconnect", 10_010, 10_014)]
    assert "the node is called beta from now on, and was called alpha" in caplog.text
    assert scene.journal.state == State("beta", 10_014 * S)
    scene.told.windows()
    assert scene.step_at(10_015) == []


def test_another_name_in_the_same_stream_is_noticed(scene: Scene) -> None:
    """By the events, within a step."""
    scene.open(_event(10_000, "alpha"))
    scene.step_at(10_001)
    scene.buffer.put(_event(10_002, "beta", cluster="east"))

    assert scene.step_at(10_003) == [("Unknown", 10_000, 10_003)]
    assert scene.journal.state == State("beta", 10_003 * S, "east")


def test_an_agent_that_changes_its_name_with_each_event_costs_a_record_now_and_then(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not one for each name, and what it is called in the end is noticed all the same."""
    scene.open(_event(10_000, "n0"))
    for number in range(1, 50):
        scene.buffer.put(_event(10_000 + number, f"n{number}"))
        scene.step_at(10_000 + number)
    assert scene.journal.state == State("n1", 10_001 * S)
    monkeypatch.setattr("app.ingest.keeper.time.monotonic", lambda: time.monotonic_ns() / 1e9 + RENAME_SECONDS)
    assert ("Unknown", 10_001, 10_100) in scene.step_at(10_100)
    assert scene.journal.state is not None
    assert scene.journal.state.node == "n49"


def test_names_are_cut_behind_the_filter(scene: Scene) -> None:
    """Key and value of a record agree, whatever an agent calls itself, and long names stay apart."""
    scene.open(_event(10_000, "n" * 100_000, cluster="c" * 100_000))
    scene.step_at(10_000)
    scene.now_s = 10_100
    scene.keeper.step()

    (beat,) = scene.told.said
    assert beat.node_id == NodeId("c" * 100_000, "n" * 100_000).within_limits()


def test_last_words_name_a_node_that_nothing_was_said_of(scene: Scene) -> None:
    """A process that ends after ten seconds leaves a record of its node."""
    scene.open(_event(10_000, "alpha"))
    scene.now_s = 10_010
    scene.keeper.finish(1.0)

    assert scene.told.windows() == [("IngestRestart", 10_000, 10_010)]


def test_last_words_turn_what_is_left_into_gaps(scene: Scene) -> None:
    """What was found since the last step is not lost with the process."""
    scene.open(_event(10_000))
    scene.buffer.put(b"\xff")

    scene.keeper.finish(1.0)

    assert scene.told.windows() == [("Undecodable", 10_000, 10_000)]
