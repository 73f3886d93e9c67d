"""For how long, since a moment, the events of all nodes are complete, where they may not be, and how much that is.

A node owes an account as long as it lives (`lives.py`); a node that falls silent is a gap that grows until somebody who
may know says that it is gone. Where a file was placed is known, only the time of the nodes that had it decides.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from agents.coverage.fleet_times import FleetTimes
from agents.coverage.interval import Interval, cut, join, overlap, touches, uncovered
from agents.coverage.lives import FOREVER_NS, Life
from agents.coverage.missing import EXPIRED, REFUSED, UNREADABLE, UNVOUCHED, GapRanking, MissingInterval
from agents.coverage.node_account import account_of
from agents.coverage.node_coverage import GapInterval, NodeCoverage
from agents.coverage.placements import NO_PLACEMENTS, Placements
from agents.coverage.share import NO_SHARE, Beginning, NodeTime, PickSums, Share, ShareSums
from agents.coverage.vouching import VOUCHED_TWICE
from schemas.coverage import GapCause
from schemas.node import NodeId
from schemas.units import NS_PER_SECOND

SILENCE_NS: Final = 600 * NS_PER_SECOND
"""How far a node may be behind the others before it counts as silent; ingest vouches some 70 s behind the present."""

_ALL: Final = ""
"""Stands for no file: all nodes."""


@dataclass(frozen=True, slots=True)
class Completeness:
    """`placed` decides: of the nodes on which the file was placed, or may have been. `all_nodes` is of the whole fleet.

    `until_ns` is up to when it is known; 0 where nobody vouches. `is_vouched_twice`: two ingests vouched for one node
    at once, so its events may be counted twice. `is_every_node_known`: an authority of each cluster knew all its nodes.
    `retired` counts, by whose word it was, the nodes that were gone before the end. `sighted` is of the nodes on which
    the file was seen, since it was; it decides nothing, because it says nothing of others. None: nobody looked.
    """

    until_ns: int = 0
    placed: Share = NO_SHARE
    all_nodes: Share = NO_SHARE
    sighted: NodeTime | None = None
    is_vouched_twice: bool = False
    is_every_node_known: bool = False
    retired: tuple[tuple[str, int], ...] = ()

    @property
    def complete_ns(self) -> int:
        """How much of the time up to `until_ns` is complete."""
        return self.placed.complete_ns

    @property
    def gaps(self) -> tuple[MissingInterval, ...]:
        """The longest gaps."""
        return self.placed.gaps


class FleetAccount:
    """All nodes up to the latest moment for which they are known, ready to be asked for any beginning."""

    def __init__(
        self,
        nodes: Mapping[NodeId, NodeCoverage],
        now_ns: int,
        *,
        refused: Iterable[Interval] = (),
        of_all: Iterable[GapInterval] = (),
        placements: Placements = NO_PLACEMENTS,
        until_ns: int | None = None,
    ) -> None:
        """What is vouched for beyond `now_ns` comes from a clock that runs ahead.

        The end is up to when the nodes that report are known, or `until_ns` where it is given.

        Events of the intervals `refused` reached a stage that could not process them. In the gaps `of_all` any node may
        have lost events: a stage never read what was received then, or a coverage record cannot be read.
        """
        lives = {node: known.lives() for node, known in nodes.items()}
        lives = {node: found for node, found in lives.items() if found or nodes[node].gaps}
        self.until_ns = until_ns = _until(nodes, lives, now_ns) if until_ns is None else until_ns
        self._accounts = {node: account_of(node, nodes[node], found, until_ns) for node, found in lives.items()}
        window = Interval(-(1 << 63), until_ns)
        everywhere = [
            *(MissingInterval(*cut(one, window), None, REFUSED) for one in refused if touches(one, window)),
            *(MissingInterval(*cut(one, window), None, _cause(one)) for one in of_all if touches(one, window)),
        ]
        self._of_all = everywhere
        self._shared = [one for one in join(Interval(*one[:2]) for one in everywhere) if one.to_ns > one.from_ns]
        self._placements = placements
        accounts = self._accounts.values()
        self._first_owed_ns = min((one.owed[0].from_ns for one in accounts if one.owed), default=until_ns)
        gaps = [gap for account in accounts for gap in account.missing]
        self._twice_until_ns = max((one.to_ns for one in gaps if one.cause == VOUCHED_TWICE), default=0)
        self._followed_from_ns = _followed_from(nodes, lives, until_ns)
        self._ended = _ended_by(lives.values(), until_ns)
        self._times = FleetTimes(self._accounts, self._shared)
        self._ranking = GapRanking(self._times.gaps)
        self._owed: dict[NodeId, Sequence[Interval]] = {
            node: one.owed for node, one in self._accounts.items() if one.owed
        }
        self._owed_with_any: Mapping[NodeId, Sequence[Interval]] | None = None
        unknown = placements.unknown
        self._are_files_known = bool(unknown) and not any(unknown.values()) and self._owed.keys() <= unknown.keys()
        self._base = self._unknown()
        self._fleet = self._sums(self._pick((node, None) for node in self._owed))
        self._last = _ALL, self._fleet
        self._expected: dict[str, set[Beginning]] = {}
        self._shares: dict[tuple[str, Beginning], Share] = {}
        """Few bytes for each question, where the sums of a file take a megabyte."""
        self._expected_sighted: dict[str, set[Beginning]] = {}
        self._sighted: dict[tuple[str, Beginning], NodeTime] = {}

    def expect(self, file: str | None, since_ns: int, *, forgotten_ns: int | None = None) -> None:
        """Say that `since` will be called like this: all that is expected of one file is answered at once.

        What nobody expected is answered too, by sums of its file that may have to be made for it alone.
        """
        if self.until_ns > since_ns:
            beginning = self._beginning(since_ns, forgotten_ns)
            self._expected.setdefault(self._summed(file), set()).add(beginning)
            self._expected.setdefault(_ALL, set()).add(beginning)
            if file is not None and file in self._placements.seen:
                self._expected_sighted.setdefault(file, set()).add(beginning)

    def since(self, since_ns: int, *, forgotten_ns: int | None = None, file: str | None = None) -> Completeness:
        """The answer for the time since `since_ns`, on the nodes that had the file of this build id; None: on all.

        Rows of symbols that were hit before `forgotten_ns` may have expired.
        """
        if not self.until_ns or self.until_ns <= since_ns:
            return Completeness()
        beginning = self._beginning(since_ns, forgotten_ns)
        ended = {by: len(ends) - bisect_right(ends, since_ns) for by, ends in self._ended.items()}
        return Completeness(
            until_ns=self.until_ns,
            placed=self._share(self._summed(file), beginning),
            all_nodes=self._share(_ALL, beginning),
            sighted=self._sighted_on(file, beginning),
            is_vouched_twice=self._twice_until_ns > since_ns,
            is_every_node_known=self._followed_from_ns <= since_ns,
            retired=tuple(sorted((by, nodes) for by, nodes in ended.items() if nodes)),
        )

    def owed_with(self, file: str | None) -> Mapping[NodeId, Sequence[Interval]]:
        """When each node owed an account and had the file of this build id, or may have had it; None: any file."""
        unknown = self._placements.unknown
        if file is None or not unknown:
            return self._owed
        if self._owed_with_any is None:
            cut_owed = {node: overlap(owed, unknown.get(node, owed)) for node, owed in self._owed.items()}
            self._owed_with_any = {node: owed for node, owed in cut_owed.items() if owed}
        found, owed_by = dict(self._owed_with_any), self._owed
        for node, windows in self._placements.by_file.get(file, {}).items():
            owed = owed_by.get(node)
            not_known = () if self._are_files_known else unknown.get(node)
            if not_known is None or owed is None or not windows:
                continue
            where = windows if not not_known else join([*not_known, *windows])
            from_ns, to_ns = where[0]
            if from_ns <= owed[0][0] and to_ns >= owed[-1][1]:  # nearly always
                found[node] = owed
            elif part := overlap(owed, where):
                found[node] = part
        return found

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

    def _share(self, file: str, beginning: Beginning) -> Share:
        """Made when it is first asked for, with all that are expected for the file."""
        found = self._shares.get((file, beginning))
        if found is None:
            beginnings = list({beginning: None} | dict.fromkeys(self._expected.pop(file, ())))
            for one, share in zip(beginnings, self._sums_of(file).since(beginnings), strict=True):
                self._shares[file, one] = share
            found = self._shares[file, beginning]
        return found

    def _summed(self, file: str | None) -> str:
        """The file whose sums say it. Where no node tells of its files, that is the whole fleet."""
        return _ALL if file is None or self._base is None else file

    def _sums_of(self, file: str) -> ShareSums:
        """The sums for a file. Those of the last one are kept."""
        if file == _ALL or self._base is None:
            return self._fleet
        if self._last[0] != file:
            self._last = file, self._sums(self._base, self._pick(self._placed(file)))
        return self._last[1]

    def _sighted_on(self, file: str | None, beginning: Beginning) -> NodeTime | None:
        """Of the nodes on which the file was seen, since it was: it is not known when it was gone."""
        nodes = None if file is None else self._placements.seen.get(file)
        if file is None or nodes is None:
            return None
        found = self._sighted.get((file, beginning))
        if found is None:
            beginnings = list({beginning: None} | dict.fromkeys(self._expected_sighted.pop(file, ())))
            picked = self._pick((node, [Interval(at_ns, FOREVER_NS)]) for node, at_ns in nodes.items())
            for one, time in zip(beginnings, picked.node_times(beginnings), strict=True):
                self._sighted[file, one] = time
            found = self._sighted[file, beginning]
        return found

    def _sums(self, *sums: PickSums) -> ShareSums:
        return ShareSums(sums, self._ranking, self._of_all, self.until_ns)

    def _pick(self, nodes: Iterable[tuple[NodeId, Sequence[Interval] | None]]) -> PickSums:
        return PickSums(self._times.pick(nodes), self._times, self._shared)

    def _unknown(self) -> PickSums | None:
        """What counts for every file, because nobody knows which files the nodes had; None: nobody tells."""
        unknown = self._placements.unknown
        return self._pick((node, unknown.get(node)) for node in self._owed) if unknown else None

    def _placed(self, file: str) -> Iterator[tuple[NodeId, Sequence[Interval]]]:
        """What counts for one file, besides."""
        unknown, placed = self._placements.unknown, self._placements.by_file.get(file, {})
        if self._are_files_known:
            yield from placed.items()
            return
        for node, windows in placed.items():
            not_known = unknown.get(node)
            if not_known:
                yield node, [one for window in windows for one in uncovered(window, not_known)]
            elif not_known is not None:
                yield node, windows


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
        lives = {node: known.lives() for node, known in nodes.items()}
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
