"""The names that a node had while ingest looked at it, so that each record is about the name of its time.

An agent keeps its name for as long as it runs, but another one may come back behind the same address: a machine that
was renamed, or replaced. What was lost under the old name is not a loss of the new one.
"""

from typing import Final, NamedTuple

from schemas.node import NodeId

MAX_FORMER_NAMES: Final = 8
"""Names that are remembered. Losses are published within seconds, so more than two matter only for a hostile agent."""


class _FormerName(NamedTuple):
    node: NodeId
    until_ns: int


class NamedPart(NamedTuple):
    """The part of a stretch of time in which a node had one name; times are Unix epoch, the end is not included."""

    node: NodeId
    from_ns: int
    to_ns: int


class NodeNames:
    """A node's present name, and those before it."""

    def __init__(self, node: NodeId) -> None:
        self.node = node
        self._former: list[_FormerName] = []

    def change(self, node: NodeId, at_ns: int) -> None:
        """From this time on the node has another name."""
        self._former = [*self._former, _FormerName(self.node, at_ns)][-MAX_FORMER_NAMES:]
        self.node = node

    def parts(self, from_ns: int, to_ns: int) -> list[NamedPart]:
        """A stretch of time, cut where the name changed, in order; never empty."""
        parts: list[NamedPart] = []
        for former in self._former:
            if from_ns >= former.until_ns:
                continue
            if to_ns <= former.until_ns:
                return [*parts, NamedPart(former.node, from_ns, to_ns)]
            parts.append(NamedPart(former.node, from_ns, former.until_ns))
            from_ns = former.until_ns
        return [*parts, NamedPart(self.node, from_ns, to_ns)]
