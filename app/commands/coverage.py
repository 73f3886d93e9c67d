"""`callstream coverage`: whether a node's events of a window of time are complete."""

import sys
from collections.abc import Callable, Iterator
from typing import Any, Final

import click

from agents.coverage.interval import Interval
from agents.coverage.keys import NO_NODE, node_in, node_partition
from agents.coverage.node_window import NodeWindow, Trust, WindowRecords
from agents.coverage.unreadable import unreadable_gap
from app.commands.options import TIME, TIME_HELP
from app.commands.unreadable import say_unreadable
from app.kafka.decoded_records import decoded_records
from app.kafka.refused import RefusedRecords
from app.kafka.schemas import RecordFault
from app.kafka.topic_reader import TopicReader
from app.operators.printing import echo, print_answer
from app.operators.times import time_text
from app.settings import Settings, load
from schemas import topics
from schemas.coverage import CoverageGap, GapCause, from_record
from schemas.node import NodeId
from schemas.units import NS_PER_MS

EXIT_CODES: Final = {Trust.TRUSTED: 0, Trust.NOT_TRUSTED: 1, Trust.UNKNOWN: 3}

_SAID: Final = {
    GapCause.FILTERED: "filters of ingest leave events out",
    GapCause.REFUSED: "events that no stage could process; see callstream dead-letters list",
    GapCause.LOSSES_UNREAD: "the agent's own losses were not read; set CALLSTREAM_TETRAGON_METRICS_URL",
}
"""What is said of a gap in place of the number of lost events."""

_MAX_NAMED: Final = 5
"""Nodes of the same name that a hint names."""

CLOCK_MARGIN_MS: Final = 3_600_000
"""A record about a moment is written after it, by the clock of the host that ingest runs on; hosts' clocks differ."""


@click.command(name="coverage", epilog=TIME_HELP)
@click.option("--node", required=True, help="Name of the node, as it stands in events.")
@click.option("--cluster", default="", help="Cluster of the node, if its agent names one.")
@click.option("--from", "from_ns", metavar="TIME", type=TIME, required=True, help="Where the window begins.")
@click.option("--to", "to_ns", metavar="TIME", type=TIME, required=True, help="Where the window ends, not included.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def command(*, node: str, cluster: str, from_ns: int, to_ns: int, as_json: bool) -> None:
    """Say whether a node's events of a window of time are complete.

    The answer comes from runtime.coverage: the times for which ingest vouched, and the gaps that it reported. Ingest
    vouches for a time about 70 seconds later, because events may still arrive late. A record that cannot be read may
    have been a gap, so it is one; standard error says how many there are. An event that a stage refused is a gap of
    every node, because a dead letter does not say whose it was. A time in which the node was gone, by the word of an
    operator or of the cluster (see callstream nodes), needs no heartbeat.

    Only the partition of the node is read, and that of gaps of all nodes.

    \b
    Exit codes:
      0  trusted: the events are complete
      1  not trusted: a gap touches the window, or two ingests vouched for the node at once
      2  wrong options or settings, or Kafka or the registry cannot be used
      3  unknown: ingest did not vouch for all of the window, or nobody read what the agent itself lost
    Example:
      callstream coverage --node worker-3 --from 2h --to 1h
      callstream coverage --node worker-3 --cluster east --from 2026-01-31T12:00:00Z --to now
    """
    if to_ns <= from_ns:
        raise click.BadParameter("the window is empty: --to must be after --from")
    settings, refused = load(), RefusedRecords()
    asked = NodeId(cluster, node).within_limits()
    window = WindowRecords(asked, Interval(from_ns, to_ns))
    since_ms = max(0, from_ns // NS_PER_MS - CLOCK_MARGIN_MS)

    def may_be_of_node(key: bytes | None) -> bool:
        return node_in(key) in {None, asked}

    for record, found in decoded_records(
        settings, topics.COVERAGE, refused, is_wanted=may_be_of_node, partitions=_partitions_of(asked)
    ):
        window.add(unreadable_gap(asked, record) if isinstance(found, RecordFault) else from_record(found))
    with TopicReader(settings) as reader:
        letters = settings.name(topics.DEAD_LETTERS)
        for letter in reader.records(letters, reader.offsets_at(letters, since_ms) if since_ms else None):
            window.refuse(letter.timestamp)
    verdict = window.judge()
    document = _document(window, verdict) | refused.document()
    print_answer(document, _lines(window, verdict), as_json=as_json)
    say_unreadable("coverage", refused)
    if window.vouched_until_ns is None and (others := _of_other_clusters(settings, asked)):
        named = ", ".join(sorted(map(str, others)))
        echo(f"callstream coverage: there are records of {named}; name the --cluster", err=True)
    sys.exit(EXIT_CODES[verdict.trust])


def _of_other_clusters(settings: Settings, asked: NodeId) -> set[NodeId]:
    """Nodes of the same name in other clusters, some of them; their records are in any partition."""
    found: set[NodeId] = set()
    with TopicReader(settings) as reader:
        for record in reader.records(settings.name(topics.COVERAGE)):
            named = node_in(record.key)
            if named is not None and named != asked and named.name == asked.name:
                found.add(named)
            if len(found) == _MAX_NAMED:
                break
    return found


def _partitions_of(node: NodeId) -> Callable[[int], set[int]]:
    """Where records of the node are, and gaps of all nodes, among a number of partitions."""
    return lambda count: {node_partition(node, count), node_partition(NO_NODE, count)}


def _document(window: WindowRecords, verdict: NodeWindow[CoverageGap]) -> dict[str, Any]:
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


def _lines(window: WindowRecords, verdict: NodeWindow[CoverageGap]) -> Iterator[str]:
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
