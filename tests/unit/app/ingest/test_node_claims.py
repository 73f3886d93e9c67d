from typing import Any

from app.ingest.event_books import EventInterval, Findings
from app.ingest.keys import Throttle
from app.ingest.node_claims import AgentLoss, ClaimEvidence, NodeClaims
from app.telemetry.metric import DropReason
from schemas.coverage import CoverageGap, GapCause
from schemas.node import NodeId

S = 1_000_000_000
LATE = 60 * S
NODE = NodeId("", "n")


def _evidence(now_s: int, **known: Any) -> ClaimEvidence:
    seconds = {"alive_ns": now_s * S, "written_before_ns": now_s * S, "scraped_ns": now_s * S} | known
    return ClaimEvidence(now_ns=now_s * S, **seconds)


def _windows(gaps: list[CoverageGap]) -> list[tuple[str, int, int]]:
    return [(gap.cause.value, gap.from_ns // S, gap.to_ns // S) for gap in gaps]


def _open_since(second: int) -> NodeClaims:
    coverage = NodeClaims(NODE, None)
    assert coverage.opened(second * S) == []
    return coverage


def test_heartbeats_grow_and_stay_behind_by_the_lateness() -> None:
    """Each begins where the stream was opened, so the last one says all."""
    coverage = _open_since(1000)

    claims = [coverage.heartbeat(_evidence(now)) for now in (1059, 1060, 1061, 1071)]

    assert [_windows(claim) for claim in claims] == [
        [],
        [],
        [("Heartbeat", 1000, 1001)],
        [("Heartbeat", 1000, 1011)],
    ]


def test_claim_ends_at_what_is_known() -> None:
    """The oldest unwritten event, the last sign of life and the last look at the agent's counters all bound it."""
    unwritten = _open_since(1000).heartbeat(_evidence(2000, written_before_ns=1500 * S))
    silent = _open_since(1000).heartbeat(_evidence(2000, alive_ns=1400 * S))
    unscraped = _open_since(1000).heartbeat(_evidence(2000, scraped_ns=1300 * S))
    never_scraped = _open_since(1000).heartbeat(_evidence(2000, scraped_ns=0))

    assert _windows(unwritten) == [("Heartbeat", 1000, 1440)]
    assert _windows(silent) == [("Heartbeat", 1000, 1340)]
    assert _windows(unscraped) == [("Heartbeat", 1000, 1240)]
    assert never_scraped == []


def test_no_claim_without_a_stream() -> None:
    """Neither before the stream was ever open nor while it is not."""
    never = NodeClaims(NODE, None)
    lost = _open_since(1000)
    lost.ended(1500 * S, GapCause.RECONNECT)

    assert never.heartbeat(_evidence(2000)) == []
    assert lost.heartbeat(_evidence(2000)) == []


def test_blind_time_is_a_gap_from_the_last_claim_to_the_reopening() -> None:
    """Nothing after the last heartbeat was vouched for: late events of the old stream are lost with it."""
    coverage = _open_since(1000)
    coverage.heartbeat(_evidence(1100))
    coverage.ended(1105 * S, GapCause.RECONNECT)
    gaps = coverage.opened(1110 * S)

    assert _windows(gaps) == [("Reconnect", 1040, 1110)]
    assert gaps[0].events_lost is None
    assert _windows(coverage.heartbeat(_evidence(1200))) == [("Heartbeat", 1110, 1140)]


def test_agent_that_repeats_its_processes_was_restarted() -> None:
    """The events of a starting agent tell a restart from a broken connection; an oversized event stays what it is."""
    restarted, oversized = _open_since(1000), _open_since(1000)
    restarted.ended(1100 * S, GapCause.RECONNECT)
    oversized.ended(1100 * S, GapCause.OVERSIZED)

    assert _windows(restarted.opened(1110 * S, agent_restarted=True)) == [("AgentRestart", 1000, 1110)]
    assert _windows(oversized.opened(1110 * S, agent_restarted=True)) == [("Oversized", 1000, 1110)]


def test_time_between_two_processes_is_a_gap() -> None:
    """What the last process did not vouch for is unknown to this one; a first start on a node has nothing to say."""
    assert _windows(NodeClaims(NODE, 900 * S).opened(1000 * S)) == [("IngestRestart", 900, 1000)]
    assert NodeClaims(NODE, None).opened(1000 * S) == []


def test_process_that_never_saw_the_stream_leaves_the_gap_to_the_next() -> None:
    """Until the stream opens, the time of the earlier process stands."""
    coverage = NodeClaims(NODE, 900 * S)
    coverage.ended(950 * S, GapCause.RECONNECT)

    assert coverage.unvouched_since_ns == 900 * S
    assert _windows(coverage.opened(1000 * S)) == [("IngestRestart", 900, 1000)]


def test_opened_twice_is_opened_once() -> None:
    """A first event after an answered question changes nothing."""
    coverage = _open_since(1000)

    assert coverage.opened(1500 * S) == []
    assert coverage.unvouched_since_ns == 1000 * S


def test_dropped_events_are_gaps_by_their_own_times() -> None:
    """Each reason has its cause; the end is exclusive, so the last lost event lies inside."""
    findings = Findings(
        dropped={
            DropReason.OVERFLOW: EventInterval(5, 10 * S, 20 * S),
            DropReason.OVERSIZED: EventInterval(1, 30 * S, 30 * S),
            DropReason.REJECTED: EventInterval(1, 31 * S, 31 * S),
            DropReason.SPILL: EventInterval(2, 40 * S, 41 * S),
            DropReason.SHUTDOWN: EventInterval(3, 50 * S, 51 * S),
        },
        undecodable=EventInterval(2, 60 * S, 61 * S),
    )

    gaps = _open_since(1000).losses(findings, [])

    assert [(gap.cause.value, gap.events_lost, gap.from_ns, gap.to_ns) for gap in gaps] == [
        ("Overflow", 5, 10 * S, 20 * S + 1),
        ("Oversized", 1, 30 * S, 30 * S + 1),
        ("Unknown", 1, 31 * S, 31 * S + 1),
        ("SpillLoss", 2, 40 * S, 41 * S + 1),
        ("IngestRestart", 3, 50 * S, 51 * S + 1),
        ("Undecodable", 2, 60 * S, 61 * S + 1),
    ]


def test_every_drop_reason_has_a_cause() -> None:
    """A new reason without a cause would be a loss that nobody is told of."""
    findings = Findings(dropped={reason: EventInterval(1, 0, 0) for reason in DropReason})

    assert len(_open_since(1000).losses(findings, [])) == len(DropReason)


def test_agent_losses_name_the_counter() -> None:
    """The window reaches back by the lateness: what was dropped may have happened that much before."""
    (gap,) = _open_since(1000).losses(Findings(), [AgentLoss("tetragon_x_total", 7, 1500 * S, 1510 * S)])

    assert gap == CoverageGap(
        node="n",
        from_ns=1440 * S,
        to_ns=1510 * S,
        cause=GapCause.AGENT_LOSS,
        events_lost=7,
        detail="tetragon_x_total",
    )


def test_throttling_is_a_gap_from_its_start_to_its_stop() -> None:
    """Overlapping cgroups make one gap, and their names stay out of it."""
    coverage = _open_since(1000)
    start = Findings(throttles=[Throttle(True, "/a", 1010 * S), Throttle(True, "/b", 1012 * S)])
    stop = Findings(throttles=[Throttle(False, "/a", 1015 * S), Throttle(False, "/b", 1020 * S)])

    assert coverage.losses(start, []) == []
    (gap,) = coverage.losses(stop, [])

    assert (gap.cause, gap.from_ns, gap.to_ns, gap.detail) == (GapCause.THROTTLE, 1010 * S, 1020 * S + 1, None)


def test_flapping_throttle_is_one_gap() -> None:
    """Hundreds of starts and stops within a step make one record, and those of another hour make another."""
    flapping = [
        Throttle(started, "/a", (base + index) * S)
        for base in (1010, 9010)
        for index in range(50)
        for started in (True, False)
    ]

    gaps = _open_since(1000).losses(Findings(throttles=flapping), [])

    assert _windows(gaps) == [("Throttle", 1010, 1059), ("Throttle", 9010, 9059)]


def test_heartbeat_is_preceded_by_the_throttling_inside_it() -> None:
    """While a cgroup is throttled no window looks complete, and no moment of it is reported twice."""
    coverage = _open_since(1000)
    coverage.losses(Findings(throttles=[Throttle(True, "/a", 1010 * S)]), [])

    first = coverage.heartbeat(_evidence(1080))
    second = coverage.heartbeat(_evidence(1090))
    last = coverage.losses(Findings(throttles=[Throttle(False, "/a", 1050 * S)]), [])

    assert _windows(first) == [("Throttle", 1010, 1020), ("Heartbeat", 1000, 1020)]
    assert _windows(second) == [("Throttle", 1020, 1030), ("Heartbeat", 1000, 1030)]
    assert _windows(last) == [("Throttle", 1030, 1050)]


def test_throttling_that_began_before_we_looked_reaches_back() -> None:
    """A stop without a start was running when the stream was opened."""
    gaps = _open_since(1000).losses(Findings(throttles=[Throttle(False, "/a", 1005 * S)]), [])

    assert _windows(gaps) == [("Throttle", 1000, 1005)]


def test_end_of_the_stream_ends_the_throttling_known_from_it() -> None:
    """The blind time that follows is a gap anyway, and a stop that is never seen must not keep it open."""
    coverage = _open_since(1000)
    coverage.losses(Findings(throttles=[Throttle(True, "/a", 1010 * S)]), [])

    gaps = coverage.ended(1030 * S, GapCause.RECONNECT)
    coverage.opened(1040 * S)

    assert _windows(gaps) == [("Throttle", 1010, 1030)]
    assert _windows(coverage.heartbeat(_evidence(1200))) == [("Heartbeat", 1040, 1140)]


BETA = NodeId("east", "beta")


def _by_node(gaps: list[CoverageGap]) -> list[tuple[str, str, int, int]]:
    return [(str(gap.node_id), *window) for gap, window in zip(gaps, _windows(gaps), strict=True)]


def _named_since(second: int) -> NodeClaims:
    claims = NodeClaims(NODE, None, session="one")
    assert claims.named(NODE, second * S) == []
    assert claims.opened(second * S) == []
    return claims


def test_a_node_that_comes_back_under_another_name_leaves_its_losses_to_the_old_one() -> None:
    """The old name's last gap ends with its stream; the time until the new stream is the new name's."""
    claims = _named_since(1000)
    claims.heartbeat(_evidence(1100))
    claims.ended(1105 * S, GapCause.RECONNECT)
    gaps = claims.named(BETA, 1110 * S, agent_restarted=True) + claims.opened(1110 * S, agent_restarted=True)
    beats = claims.heartbeat(_evidence(1200))

    assert _by_node(gaps) == [("n", "AgentRestart", 1040, 1105), ("east/beta", "AgentRestart", 1105, 1110)]
    assert _by_node(beats) == [("east/beta", "Heartbeat", 1110, 1140)]
    assert {gap.session for gap in gaps + beats} == {"one"}


def test_a_loss_is_one_of_the_name_of_its_time() -> None:
    """However late it is told; where a loss spans the change, nobody knows which name lost how many."""
    claims = _named_since(1000)
    claims.ended(1105 * S, GapCause.RECONNECT)
    claims.named(BETA, 1110 * S)
    claims.opened(1110 * S)
    dropped = {
        DropReason.OVERFLOW: EventInterval(5, 1090 * S, 1099 * S),
        DropReason.SPILL: EventInterval(6, 1120 * S, 1130 * S),
        DropReason.SHUTDOWN: EventInterval(7, 1090 * S, 1130 * S),
    }
    gaps = claims.losses(Findings(dropped=dropped), [AgentLoss("tetragon_x_total", 7, 1150 * S, 1180 * S)])

    assert [(*one, gap.events_lost) for one, gap in zip(_by_node(gaps), gaps, strict=True)] == [
        ("n", "Overflow", 1090, 1099, 5),
        ("east/beta", "SpillLoss", 1120, 1130, 6),
        ("n", "IngestRestart", 1090, 1105, None),
        ("east/beta", "IngestRestart", 1105, 1130, None),
        ("n", "AgentLoss", 1090, 1105, None),
        ("east/beta", "AgentLoss", 1105, 1180, None),
    ]


def test_another_name_in_one_stream_ends_what_the_old_one_can_claim() -> None:
    """An agent that does this is odd, and neither name is vouched for what it may have missed."""
    claims = _named_since(1000)
    gaps = claims.named(BETA, 1200 * S)

    assert _by_node(gaps) == [("n", "Unknown", 1000, 1200)]
    assert _by_node(claims.heartbeat(_evidence(1270))) == [("east/beta", "Heartbeat", 1200, 1210)]


def test_a_name_that_was_another_one_before_this_process_leaves_both_in_doubt() -> None:
    """Nobody saw when the old one ended."""
    claims = NodeClaims(NODE, 900 * S)
    gaps = claims.named(BETA, 1000 * S) + claims.opened(1000 * S)

    assert _by_node(gaps) == [("n", "IngestRestart", 900, 1000), ("east/beta", "IngestRestart", 900, 1000)]


def test_a_stand_in_that_nothing_was_said_of_leaves_no_trace() -> None:
    """Until an event names the node it has the host's name; what was seen meanwhile is the real name's."""
    claims = NodeClaims(NodeId("", "host"), None)
    claims.opened(1000 * S)

    assert claims.named(BETA, 1030 * S) == []
    assert _by_node(claims.heartbeat(_evidence(1100))) == [("east/beta", "Heartbeat", 1000, 1040)]


def test_a_stand_in_that_was_vouched_for_is_a_name_of_the_node() -> None:
    """It is on the topic, so its end must be there too."""
    claims = NodeClaims(NodeId("", "host"), None)
    claims.opened(1000 * S)
    claims.heartbeat(_evidence(1100))

    assert _by_node(claims.named(BETA, 1130 * S)) == [("host", "Unknown", 1040, 1130)]


def test_a_process_does_not_end_without_a_word_about_its_node() -> None:
    """Who asks for all nodes must hear of one that was there for ten seconds; one that was heard of needs no more."""
    short, heard = _named_since(1000), _named_since(1000)
    heard.heartbeat(_evidence(1100))

    assert _by_node(short.last_words(1010 * S)) == [("n", "IngestRestart", 1000, 1010)]
    assert heard.last_words(1110 * S) == []
    assert NodeClaims(NodeId("", "host"), None).last_words(1010 * S) == []
