"""What a cluster's own list of its nodes, and the changes of it, say about them: words for `runtime.coverage`.

Decides only. A node is known by its name and by when it was created. What happened at an unknown time counts late, so
that a node owes rather too long: a node that is missing in a new list was there until the list; a deletion is when it
was told. Only nodes that this authority named before are retired by it.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

from schemas.coverage import CoverageGap, GapCause
from schemas.node import NodeId

KUBERNETES: Final = "kubernetes"
"""Who says it."""


class ClusterNode(NamedTuple):
    """A node as the cluster has it. `boot_id` is empty where it does not say."""

    name: str
    created_ns: int
    boot_id: str = ""


@dataclass(slots=True)
class _NamedNode:
    created_ns: int
    boot_id: str
    seen_ns: int


class ClusterNodes:
    """The nodes of one cluster as its authority knows them."""

    def __init__(self, cluster: str, session: str, public_name: Callable[[str], str], known: Mapping[str, int]) -> None:
        """`known` are public names of nodes that were named before and not retired, with their creation.

        `public_name` turns a name into what may stand on a public topic.
        """
        self._cluster = cluster
        self._session = session
        self._public_name = public_name
        self._known = {name: _NamedNode(created_ns, "", 0) for name, created_ns in known.items()}
        self._since_ns = 0

    def listed(self, nodes: Iterable[ClusterNode], now_ns: int) -> list[CoverageGap]:
        """The words that follow from a whole list, which the cluster gave before `now_ns`."""
        self._since_ns = now_ns
        words = []
        missing = set(self._known)
        for node in nodes:
            missing.discard(self._public_name(node.name))
            words += self.there(node, now_ns)
        for name in sorted(missing):
            words += self._gone(name, now_ns, now_ns)
        return words

    def there(self, node: ClusterNode, now_ns: int) -> list[CoverageGap]:
        """The words that follow from a node that is there, new or changed."""
        name = self._public_name(node.name)
        known = self._known.get(name)
        words = []
        if known is not None and known.created_ns < node.created_ns:
            words += self._gone(name, node.created_ns, now_ns)
            known = None
        if known is None:
            words.append(self._word(name, GapCause.CREATED, node.created_ns, node.created_ns))
        elif known.boot_id and node.boot_id and known.boot_id != node.boot_id:
            words.append(self._word(name, GapCause.BOOTED, known.seen_ns, now_ns))
        created_ns = node.created_ns if known is None else known.created_ns
        self._known[name] = _NamedNode(created_ns, node.boot_id or (known.boot_id if known else ""), now_ns)
        return words

    def deleted(self, node: ClusterNode, now_ns: int) -> list[CoverageGap]:
        """The words that follow from a node that is deleted."""
        name = self._public_name(node.name)
        return self._gone(name, now_ns, now_ns) if name in self._known else []

    def followed(self, until_ns: int) -> list[CoverageGap]:
        """That all nodes were known since the last list, up to a moment."""
        if not self._since_ns or until_ns <= self._since_ns:
            return []
        return [self._word("", GapCause.FOLLOWED, self._since_ns, until_ns)]

    def _gone(self, name: str, at_ns: int, now_ns: int) -> list[CoverageGap]:
        del self._known[name]
        return [self._word(name, GapCause.RETIRED, at_ns, now_ns)]

    def _word(self, name: str, cause: GapCause, from_ns: int, to_ns: int) -> CoverageGap:
        node = NodeId(self._cluster, name).within_limits()
        return CoverageGap(
            node=node.name,
            cluster=node.cluster,
            session=self._session if cause is GapCause.FOLLOWED else "",
            from_ns=from_ns,
            to_ns=to_ns,
            cause=cause,
            said_by=KUBERNETES,
        )
