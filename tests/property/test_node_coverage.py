"""A node's coverage is the set of its records, whatever became of them on the way."""

from unittest.mock import patch

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from agents.coverage import node_coverage, vouching
from agents.coverage.completeness import completeness
from agents.coverage.interval import Interval
from agents.coverage.node_coverage import MAX_INTERVALS, NodeCoverage
from agents.coverage.node_window import Trust, WindowRecords
from schemas.coverage import CoverageGap, GapCause
from schemas.node import NodeId

NODE = NodeId("east", "n")


@pytest.fixture(autouse=True)
def _exact_clocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Times here are a few nanoseconds, and every overlap counts."""
    monkeypatch.setattr(vouching, "CLOCK_NOISE_NS", 0)


def record(from_ns: int, to_ns: int, cause: GapCause = GapCause.OVERFLOW, session: str = "a") -> CoverageGap:
    """A record of the one node."""
    return CoverageGap(node=NODE.name, cluster=NODE.cluster, from_ns=from_ns, to_ns=to_ns, cause=cause, session=session)


TIME = st.integers(0, 60)
RECORDS = st.lists(
    st.builds(
        record,
        TIME,
        TIME,
        st.sampled_from([GapCause.HEARTBEAT, GapCause.HEARTBEAT, GapCause.OVERFLOW, GapCause.RECONNECT]),
        st.sampled_from(["a", "a", "a", "b", "c"]),
    ),
    max_size=30,
)


def folded(*parts: list[CoverageGap]) -> NodeCoverage:
    """Coverage from records in several flushes, each from the state of the one before."""
    state = NodeCoverage().to_bytes()
    for part in parts:
        known = NodeCoverage.from_bytes(state)
        known.add(part)
        state = known.to_bytes()
    return NodeCoverage.from_bytes(state)


@given(RECORDS, st.randoms(use_true_random=False), st.integers(0, 30))
def test_order_repetition_and_cuts_change_nothing(found: list[CoverageGap], chance: object, cut: int) -> None:
    """A replay, a crash and another batch size give the same bytes."""
    expected = folded(found).to_bytes()
    mixed = found * 2
    chance.shuffle(mixed)  # type: ignore[attr-defined]

    assert folded(found[:cut], found[cut:], found).to_bytes() == expected
    assert folded(mixed).to_bytes() == expected


@given(RECORDS)
def test_windows_say_what_the_records_say(found: list[CoverageGap]) -> None:
    """Instant by instant: vouched for or not, and which causes."""
    known = folded(found)
    for now in range(60):
        vouched = any(r.from_ns <= now < r.to_ns for r in found if r.cause is GapCause.HEARTBEAT)
        causes = {r.cause.value for r in found if r.cause is not GapCause.HEARTBEAT and r.from_ns <= now < r.to_ns}
        assert any(one.from_ns <= now < one.to_ns for one in known.vouched) == vouched
        assert {gap.cause for gap in known.gaps if gap.from_ns <= now < gap.to_ns} == causes


def test_too_many_breaks_cost_the_oldest_and_that_is_said() -> None:
    """Memory is bounded, nothing is claimed about what was forgotten, and its repetition changes nothing."""
    beats = [
        CoverageGap(node="n", from_ns=10 * n, to_ns=10 * n + 5, cause=GapCause.HEARTBEAT)
        for n in range(MAX_INTERVALS + 3)
    ]
    known = folded(beats)

    assert len(known.vouched) == MAX_INTERVALS
    assert known.known_from_ns == 25
    assert folded(beats, beats).to_bytes() == known.to_bytes()


def trusted_by_watches(found: list[CoverageGap], window: Interval) -> bool:
    """What a watch since the window's beginning says at its end."""
    covered = completeness({NODE: folded(found)}, window.from_ns, window.to_ns)
    return covered.until_ns >= window.to_ns and not covered.gaps


def trust_of_command(found: list[CoverageGap], window: Interval) -> Trust:
    """What `callstream coverage` says."""
    records = WindowRecords(NODE, window)
    for record in found:
        records.add(record)
    return records.judge().trust


def trust_by_moments(found: list[CoverageGap], window: Interval) -> Trust:
    """The definition, moment by moment.

    One gap spoils the window, and so does one moment that two sessions vouch for. One moment without a heartbeat leaves
    it unknown.
    """
    gaps = [r for r in found if r.cause is not GapCause.HEARTBEAT]
    beats = [r for r in found if r.cause is GapCause.HEARTBEAT]
    moments = range(window.from_ns, window.to_ns)
    if any(r.from_ns <= now < r.to_ns or r.from_ns == r.to_ns == now for now in moments for r in gaps):
        return Trust.NOT_TRUSTED
    if any(len({r.session for r in beats if r.from_ns <= now < r.to_ns}) > 1 for now in moments):
        return Trust.NOT_TRUSTED
    return Trust.TRUSTED if all(any(r.from_ns <= n < r.to_ns for r in beats) for n in moments) else Trust.UNKNOWN


WINDOW = st.builds(lambda begin, length: Interval(begin, begin + length), st.integers(0, 30), st.integers(1, 12))


@example([record(20, 24), record(24, 24), record(20, 30, GapCause.HEARTBEAT)], Interval(24, 28))
@given(RECORDS, WINDOW)
def test_coverage_and_watches_agree_with_the_definition(found: list[CoverageGap], window: Interval) -> None:
    """The command, a watch and a brute force over moments give one answer on any history."""
    expected = trust_by_moments(found, window)

    assert trust_of_command(found, window) is expected
    assert folded(found).judge(window).trust is expected
    assert trusted_by_watches(found, window) is (expected is Trust.TRUSTED)


@given(RECORDS, WINDOW, st.integers(1, 4))
def test_a_node_that_forgot_never_claims_more_than_its_records(
    found: list[CoverageGap], window: Interval, kept: int
) -> None:
    """With so few intervals kept that some are dropped, a window is trusted only where all records say so."""
    with patch.object(node_coverage, "MAX_INTERVALS", kept):
        is_trusted = folded(found).judge(window).trust is Trust.TRUSTED
        is_watch_sure = trusted_by_watches(found, window)

    assert is_watch_sure is is_trusted
    assert not is_trusted or trust_by_moments(found, window) is Trust.TRUSTED
