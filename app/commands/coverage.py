"""`callstream coverage`: whether a node's events of a window of time are complete."""

import sys
from typing import Final

import click

from agents.coverage.interval import Interval
from agents.coverage.keys import node_in
from agents.coverage.node_window import Trust
from app.commands.options import TIME, TIME_HELP
from app.commands.unreadable import say_unreadable
from app.kafka.refused import RefusedRecords
from app.kafka.topic_reader import TopicReader
from app.nodes.node_windows import read_node_window, window_document, window_lines
from app.operators.printing import echo, print_answer
from app.settings import Settings, load
from schemas import topics
from schemas.node import NodeId

EXIT_CODES: Final = {Trust.TRUSTED: 0, Trust.NOT_TRUSTED: 1, Trust.UNKNOWN: 3}

_MAX_NAMED: Final = 5
"""Nodes of the same name that a hint names."""


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
    window = read_node_window(settings, asked, Interval(from_ns, to_ns), refused)
    verdict = window.judge()
    document = window_document(window, verdict) | refused.document()
    print_answer(document, window_lines(window, verdict), as_json=as_json)
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
