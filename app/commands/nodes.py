"""`callstream nodes`: the nodes of the fleet, and the word of those who may know that one is gone."""

import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from secrets import token_hex
from typing import Final

import click

from agents.coverage.lives import FOREVER_NS
from agents.coverage.node_coverage import NodeCoverage
from agents.privacy.redaction.answers import Cleared
from app.commands.groups import CommandGroup
from app.commands.options import TIME, TIME_HELP
from app.nodes.cluster_nodes import KUBERNETES, ClusterNodes
from app.nodes.follow import Follower
from app.nodes.known_nodes import known_nodes
from app.nodes.kubernetes import ACCOUNT, NodesApi
from app.nodes.node_table import node_lines, node_rows
from app.nodes.word_writer import WordWriter
from app.operators.printing import echo, print_answer
from app.operators.times import time_text
from app.privacy.load import load_privacy
from app.settings import load
from schemas.coverage import CoverageGap, GapCause
from schemas.node import NodeId

NOT_THERE: Final = 1

OPERATOR: Final = "operator"
"""Who says what `nodes retire` says."""

_SESSION_BYTES: Final = 8
_MAX_NAMED: Final = 5


@click.group(name="nodes", cls=CommandGroup)
def command() -> None:
    """See which nodes there are, and say that one is gone.

    A node owes an account of its events from its boot or creation on, until somebody who may know says that it is gone.
    A node that falls silent is a gap that grows, and no watch is answered "never hit" while it does.

    \b
    Exit codes:
      0  done
      1  there is no such node, or its word would be void
      2  wrong options or settings, or Kafka, the registry or the Kubernetes API cannot be used
    Example:
      callstream nodes list
      callstream nodes retire worker-3 --cluster east --at 2026-01-31T12:00:00Z
    """


@command.command(name="list", short_help="List the nodes, the one that misses most first", epilog=TIME_HELP)
@click.option("--from", "from_ns", metavar="TIME", type=TIME, default="7d", help="What is missing since then. [7d]")
@click.option("--cluster", help="Only nodes of this cluster.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def list_nodes(*, from_ns: int, cluster: str | None, as_json: bool) -> None:
    """List every node that owed an account since a time, the one that misses most first.

    A line has since when and until when the node was vouched for, the share of its time that is missing and why, and
    the version of ingest. It is read from the workers' table of coverage, so it is as new as that.

    \b
    Exit codes:
      0  listed
      1  no node is known
      2  wrong options or settings, or Kafka cannot be used
    Example:
      callstream nodes list --from 30d --json
    """
    nodes = known_nodes(load())
    if cluster is not None:
        nodes = {node: known for node, known in nodes.items() if node.cluster == cluster}
    rows = node_rows(nodes, from_ns, time.time_ns())
    print_answer({"nodes": rows}, node_lines(rows), as_json=as_json)
    if not rows:
        echo("callstream nodes: no node is known", err=True)
        sys.exit(NOT_THERE)


@command.command(short_help="Say that nodes are gone for good", epilog=TIME_HELP)
@click.argument("names", metavar="NODE...", nargs=-1, required=True)
@click.option("--cluster", default="", help="Cluster of the nodes, if their agents name one.")
@click.option("--at", "at_ns", metavar="TIME", type=TIME, help="Since when they are gone.")
@click.option("--undo", is_flag=True, help="Take back what was said with `nodes retire` before.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def retire(names: tuple[str, ...], *, cluster: str, at_ns: int | None, undo: bool, as_json: bool) -> None:
    """Say that nodes are gone for good since a time.

    They owe no account from then on, and answers say whose word it is.

    Say it of a node that was halted, too, if you know when: after its next boot it owes again. Hearing from a node
    after --at voids the word. Whoever says it wrongly makes "never hit" wrong.

    \b
    Exit codes:
      0  said
      1  no such node is known, or one was heard of after --at; nothing is said then
      2  wrong options or settings, or Kafka or the registry cannot be used
    Example:
      callstream nodes retire worker-3 worker-4 --cluster east --at 2026-01-31T12:00:00Z
      callstream nodes retire worker-3 --cluster east --undo
    """
    now_ns = time.time_ns()
    if undo is (at_ns is not None):
        raise click.UsageError("say since when with --at, or take it back with --undo")
    if at_ns is not None and at_ns > now_ns:
        raise click.BadParameter("the time is still to come", param_hint="--at")
    settings = load()
    known = known_nodes(settings)
    asked = [NodeId(cluster, name).within_limits() for name in dict.fromkeys(names)]
    cause = GapCause.RETIREMENT_UNDONE if at_ns is None else GapCause.RETIRED
    words = [
        CoverageGap(
            node=node.name,
            cluster=node.cluster,
            from_ns=now_ns if at_ns is None else at_ns,
            to_ns=now_ns,
            cause=cause,
            said_by=OPERATOR,
        )
        for node in asked
    ]
    for trouble in _troubles(words, known):
        echo(f"callstream nodes: {trouble}", err=True)
        sys.exit(NOT_THERE)
    WordWriter(settings).say(words)
    state = "taken back" if at_ns is None else f"gone since {time_text(at_ns)}"
    document = {"nodes": [word.as_record() for word in words], "state": "undone" if undo else "retired"}
    print_answer(document, (f"{node}: {state}" for node in asked), as_json=as_json)


def _troubles(words: list[CoverageGap], known: dict[NodeId, NodeCoverage]) -> Iterator[str]:
    """Why one of the words cannot be said."""
    for word in words:
        node = word.node_id
        row = known.get(node)
        if row is None:
            others = sorted(str(one) for one in known if one.name == node.name)
            hint = f"; there is {', '.join(others[:_MAX_NAMED])}" if others else "; see callstream nodes list"
            yield f"no node {node} is known{hint}"
        elif word.cause is GapCause.RETIRED:
            row.add([word])
            if not any((life.to_ns, life.ended_by) == (word.from_ns, OPERATOR) for life in row.lives()):
                until = time_text(row.vouched[-1].to_ns, 3) if row.vouched else "then"
                yield f"{node} was heard of after --at (vouched for up to {until}), or was not there before"


@command.command(short_help="Follow a cluster's own word of its nodes")
@click.option("--cluster", default="", help="Name of the cluster, as its agents name it.")
@click.option(
    "--api", "url", metavar="URL", default="https://kubernetes.default.svc", show_default=True, help="The API."
)
@click.option(
    "--ca-file",
    type=click.Path(path_type=Path, dir_okay=False),
    default=ACCOUNT / "ca.crt",
    show_default=True,
    help="CA of the API's certificate.",
)
@click.option(
    "--token-file",
    type=click.Path(path_type=Path, dir_okay=False),
    default=ACCOUNT / "token",
    show_default=True,
    help="Token of the service account; it may `list` and `watch` `nodes`.",
)
def follow(*, cluster: str, url: str, ca_file: Path, token_file: Path) -> None:
    """Tell creation, deletion and boot of a cluster's nodes, as its Kubernetes API says them, until it is stopped.

    One of it is enough for a cluster. While it runs, answers about the cluster are about all of its nodes; a node that
    nobody vouches for is a gap. What happened while it did not run counts from its next list.

    \b
    Exit codes:
      0  stopped by a signal
      2  wrong options or settings, or Kafka, the registry or the API refuse us
    Example:
      callstream nodes follow --cluster east
    """
    settings = load()
    engine = load_privacy(settings).engine

    def public_name(name: str) -> str:
        answer = engine.name(name)
        return answer.text if isinstance(answer, Cleared) else ""

    public_cluster = public_name(cluster) if cluster else ""
    nodes = ClusterNodes(
        public_cluster, token_hex(_SESSION_BYTES), public_name, _named(known_nodes(settings), public_cluster)
    )
    stopped = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    Follower(NodesApi(url, ca_file, token_file), nodes, WordWriter(settings).say, stopped).run()


def _named(known: dict[NodeId, NodeCoverage], cluster: str) -> dict[str, int]:
    """Nodes of a cluster that its API named before and did not retire, and when they were created."""
    named = {}
    for node, row in known.items():
        created = [one.at_ns for one in row.told.words if (one.cause, one.by) == (GapCause.CREATED.value, KUBERNETES)]
        lives = row.lives()
        if node.cluster == cluster and created and lives and lives[-1].to_ns == FOREVER_NS:
            named[node.name] = max(created)
    return named
