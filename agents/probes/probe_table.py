"""What the records of runtime.probes say: on which nodes policies were seen loaded, from when to when.

A window only grows, so all records of one are one stretch of time, in whatever order they come and however often.
Whoever may write the topic may name any number of windows, so only the first ones are kept; beyond that hooks are
missing, which is not a claim that something never ran.
"""

from array import array
from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple, TypeAlias

from agents.coverage.interval import Interval, join
from schemas.node import NodeId
from schemas.probes import AgentAnswer, PolicyState, ProbeWindow, SeenHooks

MAX_WINDOWS: Final = 1_000_000
"""At some 70 bytes each: forty policies on 10,000 nodes, loaded again once in their time."""

MAX_NODES: Final = 200_000
"""Whose agents tell when they were asked last: twice the nodes of which coverage is kept."""

MAX_SEEN: Final = 20_000
"""Different things that agents say of policies: a thousand policies, each with hooks that are loaded here and not
there."""

_LOADED: Final = frozenset({PolicyState.ENABLED, PolicyState.PARTIALLY_ENABLED})


PackedWindows: TypeAlias = "array[int]"
"""Begins and ends by turns, in order and without overlaps: an array has a fifth of the bytes that objects have."""

NO_WINDOWS: Final[PackedWindows] = array("q")


def packed(windows: Iterable[Interval]) -> PackedWindows:
    """Windows that are in order and do not overlap."""
    return array("q", [moment for one in windows for moment in one])


def unpacked(windows: PackedWindows) -> list[Interval]:
    """The same as intervals."""
    return [Interval(windows[at], windows[at + 1]) for at in range(0, len(windows), 2)]


class SeenAs(NamedTuple):
    """What an agent says of a loaded policy: the digest of the spec supplied under its name, and its hooks."""

    spec_digest: str
    hooks: tuple[SeenHooks, ...]


class AgentTold(NamedTuple):
    """When an agent was asked last, as far as an answer came; what it answered then, and its version.

    `tells_hooks`: it told of some hook once, which agents before 1.8 do not.
    """

    at_ns: int
    answer: AgentAnswer | None
    version: str = ""
    tells_hooks: bool = False


UNTOLD: Final = AgentTold(0, None)


class ProbeTable:
    """Windows by what is said in them, and node. Nothing is ever taken back."""

    def __init__(self, max_windows: int = MAX_WINDOWS, max_nodes: int = MAX_NODES) -> None:
        self._max_windows, self._max_nodes = max_windows, max_nodes
        self._numbers: dict[SeenAs, int] = {}
        self._windows: list[dict[int, PackedWindows]] = []
        self._count = 0
        self._told: dict[NodeId, AgentTold] = {}
        self._nodes: dict[NodeId, int] = {}
        self.left_out = False
        """Whether there was something that is not kept."""

    @property
    def seen(self) -> list[SeenAs]:
        """What was said of policies; the place in this list is its number."""
        return list(self._numbers)

    @property
    def nodes(self) -> Mapping[NodeId, int]:
        """The number of each node."""
        return self._nodes

    @property
    def windows(self) -> list[dict[int, PackedWindows]]:
        """When it was said, by its number and that of the node."""
        return self._windows

    @property
    def told(self) -> Mapping[NodeId, AgentTold]:
        """What each node's agent told of itself."""
        return self._told

    def take(self, window: ProbeWindow) -> None:
        """Take a record."""
        node = window.node_id
        number = self._nodes.get(node)
        if number is None:
            if len(self._nodes) >= self._max_nodes:
                self.left_out = True
                return
            number = self._nodes[node] = len(self._nodes)
        self._told[node] = _told(self._told.get(node, UNTOLD), window)
        if not window.policy or window.spec_digest is None or window.state not in _LOADED:
            return
        if window.namespace:  # such a policy is one of some workloads
            return
        if window.from_ns < window.to_ns:
            self._add(number, SeenAs(window.spec_digest, window.hooks), Interval(window.from_ns, window.to_ns))

    def _add(self, node: int, seen: SeenAs, window: Interval) -> None:
        number = self._numbers.get(seen)
        if number is None:
            if len(self._numbers) >= MAX_SEEN:
                self.left_out = True
                return
            number = self._numbers[seen] = len(self._windows)
            self._windows.append({})
        known = self._windows[number].get(node, NO_WINDOWS)
        if known and known[-2] == window.from_ns:  # nearly always: it has grown
            known[-1] = max(known[-1], window.to_ns)
            return
        joined = packed(join([*unpacked(known), window]))
        more = (len(joined) - len(known)) // 2
        if more > 0 and self._count + more > self._max_windows:
            self.left_out = True
            return
        self._count += more
        self._windows[number][node] = joined


def _told(before: AgentTold, window: ProbeWindow) -> AgentTold:
    tells_hooks = before.tells_hooks or bool(window.hooks)
    if window.to_ns < before.at_ns:
        return before._replace(tells_hooks=tells_hooks)
    answer = before.answer if window.policy else window.answer
    return AgentTold(window.to_ns, answer, window.agent_version or before.version, tells_hooks)
