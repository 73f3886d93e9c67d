"""Whether a node's events of a window of time are complete, by what runtime.coverage says: read, judged, in words.

Only the partition of the node is read, and that of gaps of all nodes. The dead letters since then count too.
"""

from collections.abc import Callable, Iterator
from typing import Any, Final

from agents.coverage.interval import Interval
from agents.coverage.keys import NO_NODE, node_in, node_partition
from agents.coverage.node_window import NodeWindow, Trust, WindowRecords
from agents.coverage.unreadable import unreadable_gap
from app.kafka.decoded_records import decoded_records
from app.kafka.refused import RefusedRecords
from app.kafka.schemas import RecordFault
from app.kafka.topic_reader import TopicReader
from app.operators.times import time_text
from app.settings import Settings
from schemas import topics
from schemas.coverage import CoverageGap, GapCause, from_record
from schemas.node import NodeId
from schemas.units import NS_PER_MS

_SAID: Final = {
    GapCause.FILTERED: "filters of ingest leave events out",
    GapCause.REFUSED: "events that no stage could process; see callstream dead-letters list",
    GapCause.LOSSES_UNREAD: "the agent's own losses were not read; set CALLSTREAM_TETRAGON_METRICS_URL",
}
"""What is said of a gap in place of the number of lost events."""

CLOCK_MARGIN_MS: Final = 3_600_000
"""A record about a moment is written after it, by the clock of the host that ingest runs on; hosts' clocks differ."""


def read_node_window(settings: Settings, node: NodeId, window: Interval, refused: RefusedRecords) -> WindowRecords:
    """What was written about a window of a node; what cannot be read counts as a gap and is noted in `refused`.

    Raises KafkaUnreachableError, KafkaUnusableError, RegistryError.
    """
    found = WindowRecords(node, window)
    since_ms = max(0, window.from_ns // NS_PER_MS - CLOCK_MARGIN_MS)

    def may_be_of_node(key: bytes | None) -> bool:
        return node_in(key) in {None, node}

    for record, gap in decoded_records(
        settings, topics.COVERAGE, refused, is_wanted=may_be_of_node, partitions=_partitions_of(node)
    ):
        found.add(unreadable_gap(node, record) if isinstance(gap, RecordFault) else from_record(gap))
    with TopicReader(settings) as reader:
        letters = settings.name(topics.DEAD_LETTERS)
        for letter in reader.records(letters, reader.offsets_at(letters, since_ms) if since_ms else None):
            found.refuse(letter.timestamp)
    return found


def _partitions_of(node: NodeId) -> Callable[[int], set[int]]:
    """Where records of the node are, and gaps of all nodes, among a number of partitions."""
    return lambda count: {node_partition(node, count), node_partition(NO_NODE, count)}


def window_document(window: WindowRecords, verdict: NodeWindow[CoverageGap]) -> dict[str, Any]:
    """The verdict for machines."""
    return {
        "node": window.node.name,
        "cluster": window.node.cluster,
        **window.window._asdict(),
        "trust": verdict.trust.value,
        "vouched_until_ns": window.vouched_until_ns,
        "gaps": [gap.as_record() for gap in verdict.gaps],
        "gaps_left_out": window.gaps_left_out,
        "unvouched": [interval._asdict() for interval in verdict.unvouched],
        "gone": [{**one.when._asdict(), "said_by": one.said_by} for one in verdict.gone],
        "vouched_twice": [interval._asdict() for interval in verdict.twice],
    }


def window_lines(window: WindowRecords, verdict: NodeWindow[CoverageGap]) -> Iterator[str]:
    """The verdict for people, and what it rests on."""
    said = {
        Trust.TRUSTED: "trusted, events are complete",
        Trust.NOT_TRUSTED: "not trusted, " + ("two ingests at once" if verdict.twice else "events are missing"),
        Trust.UNKNOWN: "unknown, ingest could not vouch for all of it",
    }
    yield f"{window.node} {_times(window.window)}: {said[verdict.trust]}"
    for gap in verdict.gaps:
        lost = "an unknown number of" if gap.events_lost is None else str(gap.events_lost)
        detail = f" ({gap.detail})" if gap.detail else ""
        if (of := gap.skipped) is not None:
            detail += f", {of.topic}[{of.partition}] {of.first} to {of.next - 1}, of all nodes"
        missing = _SAID.get(gap.cause, f"{lost} events")
        yield f"  gap      {_times(gap)}: {gap.cause.value}, {missing}{detail}"
    if window.gaps_left_out:
        yield f"  and {window.gaps_left_out} gaps more"
    for interval in verdict.twice:
        yield f"  twice    {_times(interval)}: two ingests vouched for it, so events may be there twice, or one agent's"
        yield "           silence is hidden by another agent of the same name"
    for one in verdict.gone:
        yield f"  gone     {_times(one.when)}: by the word of {one.said_by or 'nobody in particular'}"
    for interval in verdict.unvouched:
        yield f"  unknown  {_times(interval)}"
    if verdict.trust is Trust.UNKNOWN:
        until = window.vouched_until_ns
        vouched = f"{window.node} was last vouched for up to {time_text(until, 3)}" if until else ""
        yield f"  {vouched or f'no record vouches for {window.node}'}"


def _times(of: Interval | CoverageGap) -> str:
    return f"{time_text(of.from_ns, 3)} to {time_text(of.to_ns, 3)}"
