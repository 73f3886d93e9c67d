"""The nodes over a stretch of time, one lane each: when ingest vouched, what is missing and why, when a node was gone.

Of the workers' table of coverage. Whether one window of one node is complete is `app/nodes/node_windows.py`.
"""

import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from agents.coverage.completeness import known_until
from agents.coverage.interval import Interval, Stretch, cut, touches
from agents.coverage.lives import FOREVER_NS, Life
from agents.coverage.node_account import account_of
from agents.coverage.node_coverage import NodeCoverage
from app.nodes.node_table import node_rows
from schemas.node import NodeId
from schemas.units import NS_PER_MS, NS_PER_SECOND

MOST_LANES: Final = 200
"""In one answer."""

_FRESH_SECONDS: Final = 10.0
"""How long an account of all nodes is used: 10,000 nodes take a second."""

_ROUND_NS: Final = 60 * NS_PER_SECOND
"""Beginnings that differ by less are one question, so that people who look at one time share an account."""


class NodeLanes:
    """Answers from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rows: tuple[int, float, list[dict[str, Any]]] | None = None

    def look(
        self, nodes: Mapping[NodeId, NodeCoverage], window: Interval, find: str, first: int, count: int
    ) -> dict[str, Any]:
        """Lanes of the nodes whose name holds `find`, the one that misses most first, from the lane `first` on."""
        wanted = find.lower()
        rows = [
            row
            for row in self._ranked(nodes, window)
            if row["node"] and (wanted in row["node"].lower() or wanted in row["cluster"].lower())
        ]
        shown = rows[first : first + min(count, MOST_LANES)]
        until_ns = known_until(nodes, window.to_ns) or window.to_ns
        lanes = []
        for row in shown:
            node = NodeId(row["cluster"], row["node"])
            known = nodes.get(node)
            if known is not None:
                lanes.append(row | {"lane": _lane(node, known, window, min(until_ns, window.to_ns))})
        return {
            "from_ms": window.from_ns // NS_PER_MS,
            "to_ms": window.to_ns // NS_PER_MS,
            "known_until_ns": until_ns,
            "nodes": len(rows),
            "missing_nodes": sum(row["missing_ms"] > 0 for row in rows),
            "lanes": lanes,
        }

    def _ranked(self, nodes: Mapping[NodeId, NodeCoverage], window: Interval) -> list[dict[str, Any]]:
        asked = window.from_ns // _ROUND_NS
        with self._lock:
            if self._rows is None or self._rows[0] != asked or time.monotonic() - self._rows[1] > _FRESH_SECONDS:
                self._rows = asked, time.monotonic(), node_rows(nodes, window.from_ns, window.to_ns)
            return self._rows[2]


def _lane(node: NodeId, known: NodeCoverage, window: Interval, until_ns: int) -> dict[str, Any]:
    lives = known.lives()
    account = account_of(node, known, lives, until_ns)
    return {
        "vouched": list(_parts(known.vouched, window)),
        "missing": [
            [*_ms(cut(gap, window)), gap.cause]
            for gap in account.missing
            if touches(Interval(gap.from_ns, gap.to_ns), window)
        ],
        "gone": list(_parts(_between(lives), window)),
    }


def _between(lives: list[Life]) -> Iterator[Interval]:
    """When the node did not owe: before its first life, between two, and after the last."""
    before_ns = -(1 << 63)
    for life in lives:
        if life.from_ns > before_ns:
            yield Interval(before_ns, life.from_ns)
        before_ns = life.to_ns
    if before_ns < FOREVER_NS:
        yield Interval(before_ns, FOREVER_NS)


def _parts(stretches: Iterable[Stretch], window: Interval) -> Iterator[tuple[int, int]]:
    for one in stretches:
        if touches(one, window):
            yield _ms(cut(one, window))


def _ms(part: Interval) -> tuple[int, int]:
    return part.from_ns // NS_PER_MS, -(-part.to_ns // NS_PER_MS)
