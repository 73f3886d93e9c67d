"""For how long, since a moment, the events of all nodes are complete, where they may not be, and how much that is.

A node owes an account as long as it lives (`lives.py`); a node that falls silent is a gap that grows until somebody who
may know says that it is gone. Every node counts for every file.
"""

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from agents.coverage.fleet_times import FleetTimes
from agents.coverage.interval import Interval, cut, join, touches
from agents.coverage.lives import FOREVER_NS, Life
from agents.coverage.missing import EXPIRED, REFUSED, UNREADABLE, UNVOUCHED, MissingInterval
from agents.coverage.node_account import account_of
from agents.coverage.node_coverage import GapInterval, NodeCoverage
from agents.coverage.share import NO_SHARE, Beginning, NodeTime, NodeTimeSums, Share, ShareSums
from agents.coverage.sightings import NO_SIGHTINGS, Sightings
from agents.coverage.vouching import VOUCHED_TWICE
from schemas.coverage import GapCause
from schemas.node import NodeId
from schemas.units import EARLIEST_NS, NS_PER_SECOND

SILENCE_NS: Final = 600 * NS_PER_SECOND
"""How far a node may be behind the others before it counts as silent; ingest vouches some 70 s behind the present."""


@dataclass(frozen=True, slots=True)
class Completeness:
    """What is known of all nodes since a moment: `share` decides.

    `until_ns` is up to when it is known; 0 where nobody vouches. `is_vouched_twice`: two ingests vouched for one node
    at once, so its events may be counted twice. `is_every_node_known`: an authority of each cluster knew all its nodes.
    `retired` counts, by whose word it was, the nodes that were gone before the end. `sighted` is of the nodes on which
    the file was seen, since it was; it decides nothing, because it says nothing of others. None: nobody looked.
    """

    until_ns: int = 0
    share: Share = NO_SHARE
    sighted: NodeTime | None = None
    is_vouched_twice: bool = False
    is_every_node_known: bool = False
    retired: tuple[tuple[str, int], ...] = ()

    @property
    def complete_ns(self) -> int:
        """How much of the time up to `until_ns` is complete."""
        return self.share.complete_ns

    @property
    def gaps(self) -> tuple[MissingInterval, ...]:
        """The longest gaps."""
        return self.share.gaps


class FleetAccount:
    """All nodes up to the latest moment for which they are known, ready to be asked for any beginning."""

    def __init__(
        self,
        nodes: Mapping[NodeId, NodeCoverage],
        now_ns: int,
        *,
        refused: Iterable[Interval] = (),
        of_all: Iterable[GapInterval] = (),
        sightings: Sightings = NO_SIGHTINGS,
        until_ns: int | None = None,
        lives: Mapping[NodeId, Sequence[Life]] | None = None,
    ) -> None:
        """What is vouched for beyond `now_ns` comes from a clock that runs ahead.

        The end is up to when the nodes that report are known, or `until_ns` where it is given. `lives` are those of
        all nodes, where they are known.

        Events of the intervals `refused` reached a stage that could not process them. In the gaps `of_all` any node may
        have lost events: a stage never read what was received then, or a coverage record cannot be read.
        """
        lives = lives_of(nodes) if lives is None else lives
        lives = {node: found for node, found in lives.items() if found or nodes[node].gaps}
        self.until_ns = until_ns = _until(nodes, lives, now_ns) if until_ns is None else until_ns
        accounts = {node: account_of(node, nodes[node], found, until_ns) for node, found in lives.items()}
        window = Interval(EARLIEST_NS, until_ns)
        everywhere = [
            *(MissingInterval(*cut(one, window), None, REFUSED) for one in refused if touches(one, window)),
            *(MissingInterval(*cut(one, window), None, _cause(one)) for one in of_all if touches(one, window)),
        ]
        self._shared = [one for one in join(Interval(*one[:2]) for one in everywhere) if one.to_ns > one.from_ns]
        self.owed: Mapping[NodeId, Sequence[Interval]] = {node: one.owed for node, one in accounts.items() if one.owed}
        """When each node owed an account, in order and without overlaps. Each of them may have had any file."""
        self._first_owed_ns = min((owed[0][0] for owed in self.owed.values()), default=until_ns)
        self._followed_from_ns = _followed_from(nodes, lives, until_ns)
        self._ended = _ended_by(lives.values(), until_ns)
        self._times = FleetTimes(accounts, self._shared)
        gaps = self._times.gaps
        self._twice_until_ns = max((one.to_ns for one in gaps if one.cause == VOUCHED_TWICE), default=0)
        fleet = NodeTimeSums(self._times, self._times.always(), self._shared)
        self._sums = ShareSums(fleet, gaps, everywhere, until_ns)
        self._sightings = sightings
        self._expected: dict[Beginning, None] = {}
        self._shares: dict[Beginning, Share] = {}
        self._since: dict[tuple[int, int | None], Completeness] = {}
        self._expected_sighted: dict[str, dict[Beginning, None]] = {}
        self._sighted: dict[tuple[str, Beginning], NodeTime] = {}
        """Few bytes for each question, where the sums of a file take a megabyte."""

    def expect(self, file: str | None, since_ns: int, *, forgotten_ns: int | None = None) -> None:
        """Say that `since` will be called like this: all that is expected of one file is answered at once.

        What nobody expected is answered too, by sums of its file that may have to be made for it alone.
        """
        if self.until_ns > since_ns:
            beginning = self._beginning(since_ns, forgotten_ns)
            self._expected[beginning] = None
            if file is not None and file in self._sightings:
                self._expected_sighted.setdefault(file, {})[beginning] = None

    def since(self, since_ns: int, *, forgotten_ns: int | None = None, file: str | None = None) -> Completeness:
        """The answer for the time since `since_ns`, on all nodes; `sighted` is of the file with this build id.

        Rows of symbols that were hit before `forgotten_ns` may have expired.
        """
        if not self.until_ns or self.until_ns <= since_ns:
            return Completeness()
        found = self._since.get((since_ns, forgotten_ns))
        if found is None:
            beginning = self._beginning(since_ns, forgotten_ns)
            found = self._since[since_ns, forgotten_ns] = self._of_fleet(since_ns, beginning)
        if file is None or file not in self._sightings:
            return found
        return replace(found, sighted=self._sighted_on(file, self._beginning(since_ns, forgotten_ns)))

    def _of_fleet(self, since_ns: int, beginning: Beginning) -> Completeness:
        """The answer for no file."""
        ended = {by: len(ends) - bisect_right(ends, since_ns) for by, ends in self._ended.items()}
        return Completeness(
            until_ns=self.until_ns,
            share=self._share(beginning),
            is_vouched_twice=self._twice_until_ns > since_ns,
            is_every_node_known=self._followed_from_ns <= since_ns,
            retired=tuple(sorted((by, nodes) for by, nodes in ended.items() if nodes)),
        )

    def _beginning(self, since_ns: int, forgotten_ns: int | None) -> Beginning:
        """From when on something is known, and why not before."""
        extra = []
        known_ns = since_ns
        if forgotten_ns is not None and forgotten_ns > since_ns:
            known_ns = min(forgotten_ns, self.until_ns)
            extra.append(MissingInterval(since_ns, known_ns, None, EXPIRED))
        if self._first_owed_ns > since_ns:  # before any node
            before_ns = min(self._first_owed_ns, self.until_ns)
            extra.append(MissingInterval(since_ns, before_ns, None, UNVOUCHED))
            known_ns = max(known_ns, before_ns)
        return Beginning(since_ns, known_ns, tuple(extra))

    def _share(self, beginning: Beginning) -> Share:
        """Made when it is first asked for, with all that are expected."""
        if beginning not in self._shares:
            beginnings = [*({beginning: None} | self._expected)]
            self._expected = {}
            self._shares |= zip(beginnings, self._sums.since(beginnings), strict=True)
        return self._shares[beginning]

    def _sighted_on(self, file: str, beginning: Beginning) -> NodeTime:
        """Of the nodes on which the file was seen, since it was: it is not known when it was gone."""
        found = self._sighted.get((file, beginning))
        if found is None:
            beginnings = [*({beginning: None} | self._expected_sighted.pop(file, {}))]
            sums = NodeTimeSums(self._times, self._times.moments(self._sightings[file]), self._shared)
            for one, time in zip(beginnings, sums.node_times(beginnings), strict=True):
                self._sighted[file, one] = time
            found = self._sighted[file, beginning]
        return found


def lives_of(nodes: Mapping[NodeId, NodeCoverage]) -> dict[NodeId, list[Life]]:
    """The lives of each node."""
    return {node: known.lives() for node, known in nodes.items()}


def completeness(
    nodes: Mapping[NodeId, NodeCoverage],
    since_ns: int,
    now_ns: int,
    *,
    forgotten_ns: int | None = None,
    refused: Iterable[Interval] = (),
    of_all: Iterable[GapInterval] = (),
) -> Completeness:
    """The answer of all nodes for one beginning; see `FleetAccount`."""
    return FleetAccount(nodes, now_ns, refused=refused, of_all=of_all).since(since_ns, forgotten_ns=forgotten_ns)


def known_until(
    nodes: Mapping[NodeId, NodeCoverage], now_ns: int, lives: Mapping[NodeId, Sequence[Life]] | None = None
) -> int:
    """Up to when the nodes that report are known; 0 where nobody ever vouched. `lives` of all nodes, if known."""
    if lives is None:
        lives = lives_of(nodes)
    return _until(nodes, {node: found for node, found in lives.items() if found}, now_ns)


def silent_nodes(nodes: Mapping[NodeId, NodeCoverage], now_ns: int) -> list[NodeId]:
    """Nodes that owe on and that nobody has vouched for lately: each is a gap that grows."""
    open_ones = {
        node: min(known.vouched[-1].to_ns, now_ns) if known.vouched else 0
        for node, known in nodes.items()
        if (found := known.lives()) and found[-1].to_ns == FOREVER_NS
    }
    newest = max(open_ones.values(), default=0)
    return sorted(node for node, end in open_ones.items() if end < newest - SILENCE_NS)


def _until(nodes: Mapping[NodeId, NodeCoverage], lives: Mapping[NodeId, Sequence[Life]], now_ns: int) -> int:
    """Up to when the nodes that report are known: the earliest end of theirs. 0 where nobody ever vouched."""
    vouched = {node: min(nodes[node].vouched[-1].to_ns, now_ns) for node in lives if nodes[node].vouched}
    reporting = [end for node, end in vouched.items() if lives[node] and lives[node][-1].to_ns == FOREVER_NS]
    if not reporting:
        return max(vouched.values(), default=0)
    newest = max(reporting)
    return min(end for end in reporting if end >= newest - SILENCE_NS)


def _followed_from(nodes: Mapping[NodeId, NodeCoverage], lives: Mapping[NodeId, Sequence[Life]], until_ns: int) -> int:
    """Since when an authority of each cluster that has nodes has known all of them, without a break."""
    begins = [0]
    for cluster in {node.cluster for node in lives}:
        row = nodes.get(NodeId(cluster, ""))
        followed = join(Interval(*one[:2]) for one in row.told.followed) if row is not None else []
        begins.append(next((one.from_ns for one in followed if one.from_ns < until_ns <= one.to_ns), FOREVER_NS))
    return max(begins)


def _ended_by(lives: Iterable[Sequence[Life]], until_ns: int) -> dict[str, list[int]]:
    """When lives ended before the end, by whose word."""
    found: dict[str, list[int]] = {}
    for life in (life for several in lives for life in several if life.to_ns < until_ns):
        found.setdefault(life.ended_by or "", []).append(life.to_ns)
    return {by: sorted(ends) for by, ends in found.items()}


def _cause(gap: GapInterval) -> str:
    return UNREADABLE if gap.cause == GapCause.UNKNOWN.value else gap.cause
