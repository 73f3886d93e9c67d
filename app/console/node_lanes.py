"""The nodes over a stretch of time, one lane each: when ingest vouched, what is missing and why, when a node was gone.

Of the workers' table of coverage. Whether one window of one node is complete is `app/nodes/node_windows.py`.
"""

import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, NamedTuple

from agents.coverage.completeness import known_until
from agents.coverage.interval import Interval, Stretch, cut, touches
from agents.coverage.lives import FOREVER_NS, Life
from agents.coverage.node_account import account_of, misses_nothing
from agents.coverage.node_coverage import NodeCoverage
from app.nodes.node_table import node_rows
from schemas.node import NodeId
from schemas.units import EARLIEST_NS, NS_PER_MS, NS_PER_SECOND

MOST_LANES: Final = 200
"""In one answer."""

_FRESH_SECONDS: Final = 10.0
"""How long an account of all nodes is used while only what they say changes; a node that comes is seen at once."""

_ROUND_NS: Final = 60 * NS_PER_SECOND
"""Beginnings that differ by less are one question, so that people who look at one time share an account."""


class NodeLanes:
    """Answers from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: _FleetMissing | None = None
        self._lives: dict[NodeId, tuple[NodeCoverage, list[Life]]] = {}
        """Of each node as it was last looked at: they are most of the work, and few nodes change between two looks."""

    def look(
        self, nodes: Mapping[NodeId, NodeCoverage], window: Interval, find: str, first: int, count: int
    ) -> dict[str, Any]:
        """Lanes of the nodes whose name holds `find`, the one that misses most first, from the lane `first` on."""
        wanted = find.lower()
        account = self._account(nodes, window)
        found = [
            one
            for one in account.missing
            if one.node.name and (not wanted or wanted in f"{one.node.cluster}/{one.node.name}".lower())
        ]
        shown = {
            one.node: nodes[one.node] for one in found[first : first + min(count, MOST_LANES)] if one.node in nodes
        }
        rows = node_rows(shown, window.from_ns, window.to_ns)
        for row in rows:
            node = NodeId(row["cluster"], row["node"])
            row["lane"] = _lane(node, shown[node], window, min(account.until_ns, window.to_ns))
        return {
            "from_ms": window.from_ns // NS_PER_MS,
            "to_ms": window.to_ns // NS_PER_MS,
            "known_until_ns": account.until_ns,
            "nodes": len(found),
            "missing_nodes": sum(one.missing_ns > 0 for one in found),
            "lanes": rows,
        }

    def _account(self, nodes: Mapping[NodeId, NodeCoverage], window: Interval) -> "_FleetMissing":
        asked = window.from_ns // _ROUND_NS
        with self._lock:
            known = self._known
            if known is None or not known.is_fresh(asked, len(nodes)):
                lives = self._lives_of(nodes)
                until_ns = known_until(nodes, window.to_ns, lives) or window.to_ns
                missing = sorted(_missing(nodes, lives, window, until_ns), key=lambda one: (-one.missing_ns, one.node))
                known = self._known = _FleetMissing(asked, len(nodes), time.monotonic(), until_ns, missing)
            return known

    def _lives_of(self, nodes: Mapping[NodeId, NodeCoverage]) -> dict[NodeId, list[Life]]:
        before, self._lives = self._lives, {}
        for node, known in nodes.items():
            kept = before.get(node)
            self._lives[node] = kept if kept is not None and kept[0] is known else (known, known.lives())
        return {node: found for node, (_, found) in self._lives.items()}


class _NodeMissing(NamedTuple):
    """How much of a window is missing of one node."""

    node: NodeId
    missing_ns: int


class _FleetMissing(NamedTuple):
    """The nodes that owed in a window, the one that misses most first; `at` is when that was looked at."""

    asked: int
    nodes: int
    at: float
    until_ns: int
    missing: list[_NodeMissing]

    def is_fresh(self, asked: int, nodes: int) -> bool:
        """Whether it serves for a question about a window of so many nodes."""
        return self.asked == asked and self.nodes == nodes and time.monotonic() - self.at <= _FRESH_SECONDS


def _missing(
    nodes: Mapping[NodeId, NodeCoverage], lives_of: Mapping[NodeId, list[Life]], window: Interval, until_ns: int
) -> Iterator[_NodeMissing]:
    for node, known in nodes.items():
        lives = lives_of[node]
        if not lives or lives[-1].to_ns <= window.from_ns:
            continue
        if misses_nothing(known, lives, until_ns):
            yield _NodeMissing(node, 0)
        else:
            account = account_of(node, known, lives, until_ns)
            parts = (cut(one, window) for one in account.united if touches(one, window))
            yield _NodeMissing(node, sum(part.to_ns - part.from_ns for part in parts))


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
    before_ns = EARLIEST_NS
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
