"""The Python client and `callstream coverage` give one answer for any records."""

from collections.abc import Iterable, Sequence

import callstream_client.coverage
import pytest
from callstream_client import WindowJudge
from callstream_client.coverage import Interval as ClientsInterval
from callstream_client.records import CoverageGap as ClientsGap
from hypothesis import given
from hypothesis import strategies as st

from agents.coverage import vouching
from agents.coverage.interval import Interval, join
from agents.coverage.node_window import Trust, WindowRecords
from agents.coverage.unreadable import unreadable_gap
from app.kafka.records import Recorded
from schemas.coverage import CoverageGap, GapCause, SkippedOffsets
from schemas.node import NodeId

SECOND = 1_000_000_000
TIME = st.integers(0, 300).map(lambda seconds: seconds * SECOND)
NODES = st.sampled_from([("east", "n"), ("east", "n"), ("east", "n"), ("", "n"), ("east", "m")])
CAUSES = [GapCause.HEARTBEAT] * 6 + [cause for cause in GapCause if cause is not GapCause.RETIRED]


@st.composite
def _record(draw: st.DrawFn, causes: Sequence[GapCause]) -> CoverageGap:
    cluster, node = draw(NODES)
    begin_ns, end_ns = draw(TIME), draw(TIME)
    return CoverageGap(
        node=node,
        cluster=cluster,
        from_ns=begin_ns,
        to_ns=end_ns if draw(st.booleans()) else begin_ns + end_ns,
        cause=draw(st.sampled_from(causes)),
        session=draw(st.sampled_from(["a", "a", "a", "b", ""])),
        skipped=draw(st.sampled_from([None] * 9 + [SkippedOffsets("t", 0, 1, 2)])),
    )


def _both(records: Iterable[CoverageGap], one_ns: int, other_ns: int) -> tuple[WindowRecords, WindowJudge]:
    """The pipeline's judge and the client's of one window between two times, with the same records."""
    begin_ns, end_ns = min(one_ns, other_ns), max(one_ns, other_ns) + 1
    ours = WindowRecords(NodeId("east", "n"), Interval(begin_ns, end_ns))
    clients = WindowJudge("n", ClientsInterval(begin_ns, end_ns), cluster="east")
    for record in records:
        ours.add(record)
        clients.add(ClientsGap.of(record.as_record()))
    return ours, clients


RECEIVED = st.lists(st.integers(0, 400_000), max_size=1)


@given(st.lists(_record(CAUSES), max_size=25), RECEIVED, RECEIVED, TIME, TIME)
def test_both_judge_alike(
    records: list[CoverageGap], letters: list[int], unreadable: list[int], one_ns: int, other_ns: int
) -> None:
    """Trust, what nobody vouched for, what two vouched for, and the times of gaps."""
    ours, clients = _both(records, one_ns, other_ns)
    for received_ms in letters:
        ours.refuse(received_ms)
        clients.add_dead_letter(received_ms)
    for received_ms in unreadable:
        ours.add(unreadable_gap(ours.node, Recorded("t", 0, 0, received_ms, b"", b"")))
        clients.add_unreadable(received_ms)

    expected, found = ours.judge(), clients.verdict()

    assert found.trust.value == expected.trust.value
    assert [tuple(one) for one in found.unvouched] == [tuple(one) for one in expected.unvouched]
    assert [tuple(one) for one in found.twice] == [tuple(one) for one in expected.twice]
    assert found.vouched_until_ns == ours.vouched_until_ns
    gap_times = [Interval(one.from_ns, one.to_ns) for one in found.gaps]
    gap_times += [Interval(*one) for one in (*found.refused, *found.unreadable)]
    assert join(gap_times) == join(Interval(one.from_ns, one.to_ns) for one in expected.gaps)


@given(st.lists(_record([*CAUSES, *[GapCause.RETIRED] * 4]), max_size=25), TIME, TIME)
def test_the_client_trusts_no_more_where_a_node_was_retired(
    records: list[CoverageGap], one_ns: int, other_ns: int
) -> None:
    """It does not know that the node was gone, so it may say "unknown" of a window that the pipeline trusts."""
    ours, clients = _both(records, one_ns, other_ns)
    assert ours.judge().trust is Trust.TRUSTED or not clients.verdict().is_trusted


def test_both_know_the_same_noise_of_clocks() -> None:
    """And the same time before the receipt of what cannot be read."""
    assert callstream_client.coverage._CLOCK_NOISE_NS == vouching.CLOCK_NOISE_NS


def test_an_empty_window_is_no_question() -> None:
    """It would be complete, whatever happened."""
    with pytest.raises(ValueError, match="empty"):
        WindowJudge("n", ClientsInterval(5, 5))
