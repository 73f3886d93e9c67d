"""Every node as `callstream nodes list` shows it: since when and until when it was vouched for, and what is missing.

A node's share counts what it owed in a window. The end is the same for all nodes: up to when those that report are
known (`agents/coverage/completeness.py:known_until`).
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from agents.coverage.completeness import FleetAccount, known_until
from agents.coverage.missing import MissingInterval
from agents.coverage.node_coverage import NodeCoverage
from app.operators.times import time_text
from schemas.node import NodeId
from schemas.units import NS_PER_SECOND

_MAX_CAUSES: Final = 3


def node_rows(nodes: Mapping[NodeId, NodeCoverage], from_ns: int, now_ns: int) -> list[dict[str, Any]]:
    """A document for each node that owed an account since `from_ns`, the one that misses most first."""
    until_ns = known_until(nodes, now_ns) or now_ns
    rows = []
    for node, known in nodes.items():
        lives = known.lives()
        if not lives or lives[-1].to_ns <= from_ns:
            continue
        alone = FleetAccount({node: known}, now_ns, until_ns=until_ns).since(from_ns)
        share, last = alone.share, lives[-1]
        rows.append(
            {
                "node": node.name,
                "cluster": node.cluster,
                "owes_since_ns": last.from_ns,
                "gone_ns": None if last.ended_by is None else last.to_ns,
                "gone_by": last.ended_by,
                "vouched_since_ns": known.vouched[0].from_ns if known.vouched else None,
                "vouched_until_ns": known.vouched[-1].to_ns if known.vouched else None,
                "watched_ms": share.watched_ms,
                "missing_ms": share.missing_ms,
                "events_lost": share.events_lost,
                "gaps": [_gap(gap) for gap in share.gaps],
                "gaps_more": share.gaps_more,
                "ingest_version": known.told.version,
            }
        )
    return sorted(rows, key=lambda row: (-row["missing_ms"], row["cluster"], row["node"]))


def _gap(gap: MissingInterval) -> dict[str, Any]:
    return {"from_ns": gap.from_ns, "to_ns": gap.to_ns, "cause": gap.cause, "events_lost": gap.events_lost}


def node_lines(rows: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """The rows for people."""
    yield f"{'NODE':30}  {'VOUCHED SINCE':20}  {'UNTIL':20}  {'MISSING':>10}  {'INGEST':10}  WHY"
    for row in rows:
        whole = row["watched_ms"] + row["missing_ms"]
        share = f"{100 * row['missing_ms'] / whole:.4f} %" if whole else "-"
        until = row["vouched_until_ns"]
        yield (
            f"{NodeId(row['cluster'], row['node'])!s:30}  {_moment(row['vouched_since_ns']):20}  {_moment(until):20}  "
            f"{share:>10}  {row['ingest_version'] or '-':10}  {', '.join(_why(row)) or '-'}"
        )


def _why(row: Mapping[str, Any]) -> Iterator[str]:
    for gap in row["gaps"][:_MAX_CAUSES]:
        seconds = (gap["to_ns"] - gap["from_ns"]) / NS_PER_SECOND
        yield f"{gap['cause']} {seconds:,.0f} s from {time_text(gap['from_ns'])}"
    more = len(row["gaps"][_MAX_CAUSES:]) + row["gaps_more"]
    if more:
        yield f"{more:,} gaps more"
    if row["gone_by"] is not None:
        yield f"gone since {time_text(row['gone_ns'])} by the word of {row['gone_by'] or 'nobody in particular'}"


def _moment(time_ns: int | None) -> str:
    return "never" if time_ns is None else time_text(time_ns)
