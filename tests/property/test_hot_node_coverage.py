"""A node's coverage is the set of its records, whatever became of them on the way."""

from hypothesis import given
from hypothesis import strategies as st

from agents.coverage.node_coverage import MAX_WINDOWS, NodeCoverage
from schemas.coverage import CoverageGap, GapCause

TIME = st.integers(0, 60)
RECORDS = st.lists(
    st.builds(
        lambda a, b, cause: CoverageGap(node="n", from_ns=a, to_ns=b, cause=cause),
        TIME,
        TIME,
        st.sampled_from([GapCause.HEARTBEAT, GapCause.HEARTBEAT, GapCause.OVERFLOW, GapCause.RECONNECT]),
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
        for n in range(MAX_WINDOWS + 3)
    ]
    known = folded(beats)

    assert len(known.vouched) == MAX_WINDOWS
    assert known.known_from_ns == 25
    assert folded(beats, beats).to_bytes() == known.to_bytes()
