"""Trust in a window follows from heartbeats and gaps alone."""

from dataclasses import replace
from itertools import permutations

import pytest

from agents.coverage import node_window
from agents.coverage.interval import Interval
from agents.coverage.node_window import Trust, WindowRecords
from agents.coverage.vouching import CLOCK_NOISE_NS
from schemas.coverage import CoverageGap, GapCause, SkippedOffsets
from schemas.node import NodeId
from schemas.units import NS_PER_SECOND as S

NODE = NodeId("east", "worker-3")
CLOCK_NOISE_S = CLOCK_NOISE_NS // S


def _record(
    from_ns: int, to_ns: int, cause: GapCause = GapCause.HEARTBEAT, *, node: NodeId = NODE, session: str = "s"
) -> CoverageGap:
    return CoverageGap(node=node.name, cluster=node.cluster, from_ns=from_ns, to_ns=to_ns, cause=cause, session=session)


def _trust(*records: CoverageGap, begin: int = 100, end: int = 200) -> Trust:
    window = WindowRecords(NODE, Interval(begin, end))
    for record in records:
        window.add(record)
    return window.judge().trust


def test_a_window_under_heartbeats_without_a_gap_is_trusted_in_any_order_of_records() -> None:
    """Heartbeats that follow each other, overlap or come twice cover what they span together."""
    beats = [_record(50, 120), _record(120, 150), _record(140, 260), _record(120, 150)]
    assert {_trust(*order) for order in permutations(beats)} == {Trust.TRUSTED}


def test_a_gap_outweighs_every_heartbeat() -> None:
    """A heartbeat spans the gap that came before it."""
    assert _trust(_record(0, 300), _record(150, 151, GapCause.OVERFLOW)) is Trust.NOT_TRUSTED


def test_a_gap_of_all_nodes_is_one_of_each() -> None:
    """Nobody knows whose events the records held that no stage read; a gap of another node says nothing of this one."""
    of_all = replace(
        _record(150, 151, GapCause.SKIPPED, node=NodeId("", "")), skipped=SkippedOffsets("tetragon.raw", 0, 5, 9)
    )
    assert _trust(_record(0, 300), of_all) is Trust.NOT_TRUSTED
    assert _trust(_record(0, 300), replace(of_all, skipped=None)) is Trust.TRUSTED
    assert _trust(replace(_record(0, 300), skipped=of_all.skipped)) is Trust.UNKNOWN


@pytest.mark.parametrize(
    ("begin", "end", "touches"),
    [(50, 100, False), (50, 101, True), (199, 250, True), (200, 250, False), (100, 100, True), (200, 200, False)],
)
def test_windows_are_from_inclusive_to_exclusive(begin: int, end: int, touches: bool) -> None:
    """A gap that ends where the window begins does not touch it; one of no length touches where it is."""
    found = _trust(_record(0, 300), _record(begin, end, GapCause.RECONNECT))
    assert found is (Trust.NOT_TRUSTED if touches else Trust.TRUSTED)


def test_what_nobody_vouched_for_is_unknown_and_told() -> None:
    """Holes before, between and after heartbeats are listed, cut to the window."""
    window = WindowRecords(NODE, Interval(100, 200))
    for record in (_record(110, 120), _record(150, 190)):
        window.add(record)
    verdict = window.judge()
    assert verdict.trust is Trust.UNKNOWN
    assert verdict.unvouched == (Interval(100, 110), Interval(120, 150), Interval(190, 200))
    assert window.vouched_until_ns == 190


def test_what_a_filter_hid_is_not_trusted_and_what_nobody_read_is_unknown() -> None:
    """A heartbeat that must keep something back vouches, and says what it keeps back."""
    assert _trust(_record(0, 300, GapCause.FILTERED)) is Trust.NOT_TRUSTED
    assert _trust(_record(0, 300, GapCause.LOSSES_UNREAD)) is Trust.UNKNOWN
    assert _trust(_record(0, 300), _record(150, 160, GapCause.LOSSES_UNREAD)) is Trust.UNKNOWN
    assert _trust(_record(0, 300, GapCause.LOSSES_UNREAD), _record(150, 151, GapCause.OVERFLOW)) is Trust.NOT_TRUSTED


def test_event_that_a_stage_refused_is_a_gap_of_every_node() -> None:
    """Nobody knows whose it was, nor to the minute when it happened."""
    window = WindowRecords(NODE, Interval(0, 600 * 10**9))
    window.add(_record(0, 600 * 10**9))
    window.refuse(300_000)

    verdict = window.judge()

    assert verdict.trust is Trust.NOT_TRUSTED
    assert [(gap.from_ns // 10**9, gap.to_ns // 10**9, gap.cause.value) for gap in verdict.gaps] == [
        (180, 360, "Refused")
    ]


def test_heartbeats_that_are_gaps_are_listed_as_one() -> None:
    """A day under a filter is one gap, not thousands; a change of the filter begins another one."""
    window = WindowRecords(NODE, Interval(100, 200))
    for begin in range(90, 210, 10):
        window.add(_record(begin, begin + 10, GapCause.FILTERED))
    window.add(replace(_record(150, 160, GapCause.FILTERED), detail="another filter"))

    assert [(gap.from_ns, gap.to_ns, gap.detail) for gap in window.judge().gaps] == [
        (100, 200, None),
        (150, 160, "another filter"),
    ]
    assert window.judge().unvouched == ()


def test_a_window_without_any_record_is_unknown() -> None:
    """Silence is no promise."""
    assert _trust() is Trust.UNKNOWN


def test_other_nodes_neither_vouch_nor_spoil() -> None:
    """Only the node that was asked about counts."""
    for other in (NodeId("east", "other"), NodeId("west", "worker-3"), NodeId("", "worker-3")):
        assert _trust(_record(0, 300, node=other)) is Trust.UNKNOWN
        assert _trust(_record(0, 300), _record(150, 160, GapCause.OVERFLOW, node=other)) is Trust.TRUSTED


@pytest.mark.parametrize(
    ("second", "trust"),
    [
        ((150, 300, "b"), Trust.NOT_TRUSTED),
        ((150, 300, "a"), Trust.TRUSTED),
        ((200 - CLOCK_NOISE_S, 300, "b"), Trust.TRUSTED),
        ((200 - CLOCK_NOISE_S - 1, 300, "b"), Trust.NOT_TRUSTED),
        ((0, 50, "b"), Trust.TRUSTED),
    ],
)
def test_two_ingests_at_once_are_not_trusted(second: tuple[int, int, str], trust: Trust) -> None:
    """A hand-over or a restart lets sessions follow each other; beyond the noise of clocks they overlap."""
    beats = [(0, 200, "a"), second]
    records = [_record(begin * S, end * S, session=session) for begin, end, session in beats]
    assert _trust(*records, begin=100 * S, end=200 * S) is trust


def test_the_time_that_two_ingests_vouched_for_is_told() -> None:
    """Cut to the window, and apart from the gaps."""
    window = WindowRecords(NODE, Interval(100 * S, 200 * S))
    for begin, end, session in ((0, 120, "a"), (50, 150, "b"), (140, 300, "c")):
        window.add(_record(begin * S, end * S, session=session))
    verdict = window.judge()
    assert verdict.twice == (Interval(100 * S, 120 * S), Interval(140 * S, 150 * S))
    assert (verdict.gaps, verdict.unvouched) == ((), ())


def test_gaps_beyond_the_limit_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """A node with endless gaps cannot fill the memory, and stays untrusted."""
    monkeypatch.setattr(node_window, "MAX_LISTED_GAPS", 2)
    window = WindowRecords(NODE, Interval(100, 200))
    for moment in (190, 110, 150, 110):
        window.add(_record(moment, moment + 1, GapCause.THROTTLE))
    verdict = window.judge()
    assert [gap.from_ns for gap in verdict.gaps] == [110, 190]
    assert window.gaps_left_out == 1
    assert verdict.trust is Trust.NOT_TRUSTED
