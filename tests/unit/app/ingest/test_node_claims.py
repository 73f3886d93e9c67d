from typing import Any

from app.ingest.event_books import EventInterval, Findings
from app.ingest.keys import Throttle
from app.ingest.node_claims import AgentLoss, ClaimEvidence, NodeClaims
from app.telemetry.metric import DropReason
from schemas.coverage import CoverageGap, GapCause

S = 1_000_000_000
LATE = 60 * S


def _evidence(now_s: int, **known: Any) -> ClaimEvidence:
    seconds = {"alive_ns": now_s * S, "written_before_ns": now_s * S, "scraped_ns": now_s * S} | known
    return ClaimEvidence(node="n", now_ns=now_s * S, **seconds)


def _windows(gaps: list[CoverageGap]) -> list[tuple[str, int, int]]:
    return [(gap.cause.value, gap.from_ns // S, gap.to_ns // S) for gap in gaps]


def _open_since(second: int) -> NodeClaims:
    coverage = NodeClaims(None)
    assert coverage.opened("n", second * S) == []
    return coverage


def test_heartbeats_adjoin_and_stay_behind_by_the_lateness() -> None:
    """Each begins where the last ended, the first where the stream was opened."""
    coverage = _open_since(1000)

    claims = [coverage.heartbeat(_evidence(now)) for now in (1059, 1060, 1061, 1071)]

    assert [_windows(claim) for claim in claims] == [
        [],
        [],
        [("Heartbeat", 1000, 1001)],
        [("Heartbeat", 1001, 1011)],
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
    never = NodeClaims(None)
    lost = _open_since(1000)
    lost.ended("n", 1500 * S, GapCause.RECONNECT)

    assert never.heartbeat(_evidence(2000)) == []
    assert lost.heartbeat(_evidence(2000)) == []


def test_blind_time_is_a_gap_from_the_last_claim_to_the_reopening() -> None:
    """Nothing after the last heartbeat was vouched for: late events of the old stream are lost with it."""
    coverage = _open_since(1000)
    coverage.heartbeat(_evidence(1100))
    coverage.ended("n", 1105 * S, GapCause.RECONNECT)
    gaps = coverage.opened("n", 1110 * S)

    assert _windows(gaps) == [("Reconnect", 1040, 1110)]
    assert gaps[0].events_lost is None
    assert _windows(coverage.heartbeat(_evidence(1200))) == [("Heartbeat", 1110, 1140)]


def test_agent_that_repeats_its_processes_was_restarted() -> None:
    """The events of a starting agent tell a restart from a broken connection; an oversized event stays what it is."""
    restarted, oversized = _open_since(1000), _open_since(1000)
    restarted.ended("n", 1100 * S, GapCause.RECONNECT)
    oversized.ended("n", 1100 * S, GapCause.OVERSIZED)

    assert _windows(restarted.opened("n", 1110 * S, agent_restarted=True)) == [("AgentRestart", 1000, 1110)]
    assert _windows(oversized.opened("n", 1110 * S, agent_restarted=True)) == [("Oversized", 1000, 1110)]


def test_time_between_two_processes_is_a_gap() -> None:
    """What the last process did not vouch for is unknown to this one; a first start on a node has nothing to say."""
    assert _windows(NodeClaims(900 * S).opened("n", 1000 * S)) == [("IngestRestart", 900, 1000)]
    assert NodeClaims(None).opened("n", 1000 * S) == []


def test_process_that_never_saw_the_stream_leaves_the_gap_to_the_next() -> None:
    """Until the stream opens, the time of the earlier process stands."""
    coverage = NodeClaims(900 * S)
    coverage.ended("n", 950 * S, GapCause.RECONNECT)

    assert coverage.unvouched_since_ns == 900 * S
    assert _windows(coverage.opened("n", 1000 * S)) == [("IngestRestart", 900, 1000)]


def test_opened_twice_is_opened_once() -> None:
    """A first event after an answered question changes nothing."""
    coverage = _open_since(1000)

    assert coverage.opened("n", 1500 * S) == []
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

    gaps = _open_since(1000).losses("n", findings, [])

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

    assert len(_open_since(1000).losses("n", findings, [])) == len(DropReason)


def test_agent_losses_name_the_counter() -> None:
    """The window reaches back by the lateness: what was dropped may have happened that much before."""
    (gap,) = _open_since(1000).losses("n", Findings(), [AgentLoss("tetragon_x_total", 7, 1500 * S, 1510 * S)])

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

    assert coverage.losses("n", start, []) == []
    (gap,) = coverage.losses("n", stop, [])

    assert (gap.cause, gap.from_ns, gap.to_ns, gap.detail) == (GapCause.THROTTLE, 1010 * S, 1020 * S + 1, None)


def test_flapping_throttle_is_one_gap() -> None:
    """Hundreds of starts and stops within a step make one record, and those of another hour make another."""
    flapping = [
        Throttle(started, "/a", (base + index) * S)
        for base in (1010, 9010)
        for index in range(50)
        for started in (True, False)
    ]

    gaps = _open_since(1000).losses("n", Findings(throttles=flapping), [])

    assert _windows(gaps) == [("Throttle", 1010, 1059), ("Throttle", 9010, 9059)]


def test_heartbeat_is_preceded_by_the_throttling_inside_it() -> None:
    """While a cgroup is throttled no window looks complete, and no moment of it is reported twice."""
    coverage = _open_since(1000)
    coverage.losses("n", Findings(throttles=[Throttle(True, "/a", 1010 * S)]), [])

    first = coverage.heartbeat(_evidence(1080))
    second = coverage.heartbeat(_evidence(1090))
    last = coverage.losses("n", Findings(throttles=[Throttle(False, "/a", 1050 * S)]), [])

    assert _windows(first) == [("Throttle", 1010, 1020), ("Heartbeat", 1000, 1020)]
    assert _windows(second) == [("Throttle", 1020, 1030), ("Heartbeat", 1020, 1030)]
    assert _windows(last) == [("Throttle", 1030, 1050)]


def test_throttling_that_began_before_we_looked_reaches_back() -> None:
    """A stop without a start was running when the stream was opened."""
    gaps = _open_since(1000).losses("n", Findings(throttles=[Throttle(False, "/a", 1005 * S)]), [])

    assert _windows(gaps) == [("Throttle", 1000, 1005)]


def test_end_of_the_stream_ends_the_throttling_known_from_it() -> None:
    """The blind time that follows is a gap anyway, and a stop that is never seen must not keep it open."""
    coverage = _open_since(1000)
    coverage.losses("n", Findings(throttles=[Throttle(True, "/a", 1010 * S)]), [])

    gaps = coverage.ended("n", 1030 * S, GapCause.RECONNECT)
    coverage.opened("n", 1040 * S)

    assert _windows(gaps) == [("Throttle", 1010, 1030)]
    assert _windows(coverage.heartbeat(_evidence(1200))) == [("Heartbeat", 1040, 1140)]
