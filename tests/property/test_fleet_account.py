"""Sums over a fleet are what a look at each moment of each node gives, for any beginning and any file."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.coverage import completeness, vouching
from agents.coverage.completeness import Completeness, FleetAccount
from agents.coverage.node_coverage import GapInterval, NodeCoverage
from agents.coverage.share import NodeTime
from agents.coverage.sightings import Sightings
from schemas.coverage import CoverageGap, GapCause
from schemas.node import NodeId

MS = 1_000_000
END = 40
"""Moments are milliseconds from 1 to this."""

SILENCE = 10


@pytest.fixture(autouse=True)
def _short_times(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every overlap counts, and silence begins soon."""
    monkeypatch.setattr(vouching, "CLOCK_NOISE_NS", 0)
    monkeypatch.setattr(completeness, "SILENCE_NS", SILENCE * MS)


@dataclass
class _Scene:
    """What is known of one node, in milliseconds."""

    beats: list[tuple[int, int, str]]
    gaps: list[tuple[int, int]]
    boots: list[int]
    created: list[int]
    retired: list[int]
    undone: int | None
    seen: int | None = None
    """Since when the file was seen there."""

    def records(self) -> list[CoverageGap]:
        """As they stand on the topic; the boots are told by the first heartbeats, one each."""
        found = []
        for number, (begin, length, session) in enumerate(self.beats):
            beat = _record(begin, begin + length, GapCause.HEARTBEAT, session)
            if number < len(self.boots):
                beat = replace(beat, boot_id=f"boot {number}", boot_ns=self.boots[number] * MS)
            found.append(beat)
        found += [_record(begin, begin + length, GapCause.RECONNECT) for begin, length in self.gaps]
        found += [_record(at, 50, GapCause.CREATED) for at in self.created]
        found += [_record(at, 60 + number, GapCause.RETIRED) for number, at in enumerate(self.retired)]
        if self.undone is not None:
            found.append(_record(0, self.undone, GapCause.RETIREMENT_UNDONE))
        return found

    def told_boots(self) -> list[int]:
        """Boots that a heartbeat tells."""
        return [boot for boot, _ in zip(self.boots, self.beats, strict=False)]

    def standing(self) -> list[int]:
        """Retirements that were not undone."""
        return [at for n, at in enumerate(self.retired) if self.undone is None or 60 + n > self.undone]

    def is_vouched(self, now: int) -> bool:
        """By anybody."""
        return any(begin <= now < begin + length for begin, length, _ in self.beats)

    def is_heard(self, begin: int, end: int) -> bool:
        """Vouched for in any moment, or a gap ended in between."""
        ends = any(begin < at + length < end for at, length in self.gaps if length)
        instants = any(begin <= at < end for at, length in self.gaps if not length)
        return ends or instants or any(self.is_vouched(now) for now in range(begin, end))

    def is_twice(self, now: int) -> bool:
        """By two sessions."""
        return len({session for begin, length, session in self.beats if begin <= now < begin + length}) > 1

    def starts(self) -> list[int]:
        """Boots and creations that begin a life."""
        boots = [
            boot
            for boot in self.told_boots()
            if all(
                boot >= made or self.is_heard(boot, made) or any(boot <= at < made for at in self.standing())
                for made in self.created
            )
        ]
        return sorted([*boots, *self.created])

    def owes(self, now: int) -> bool:
        """By the definition, from all that is known of the node."""
        starts = self.starts()
        gaps = [at for at, length in self.gaps if not starts or at + length <= starts[0]]
        first = min([*starts, *gaps, *(t for t in range(2 * END) if self.is_vouched(t))], default=2 * END)
        if now < first:
            return False
        for at in self.standing():
            after = min([start for start in starts if start >= at], default=2 * END)
            if at >= first and at <= now < after and not self.is_heard(at, after):
                return False
        return True

    def misses(self, now: int) -> bool:
        """Whether events of this moment may be missing."""
        has_gap = any(at <= now < at + length for at, length in self.gaps)
        return self.owes(now) and (has_gap or self.is_twice(now) or not self.is_vouched(now))


def _record(begin: int, end: int, cause: GapCause, session: str = "s") -> CoverageGap:
    return CoverageGap(node="n", session=session, from_ns=begin * MS, to_ns=end * MS, cause=cause)


_TIME = st.integers(1, END)
_SPAN = st.tuples(_TIME, st.integers(1, 12))
_SCENE = st.builds(
    _Scene,
    st.lists(st.tuples(_TIME, st.integers(1, 25), st.sampled_from("aaab")), max_size=4),
    st.lists(st.tuples(_TIME, st.integers(0, 5)), max_size=2),
    st.lists(_TIME, max_size=2),
    st.lists(_TIME, max_size=2),
    st.lists(_TIME, max_size=2),
    st.none() | st.integers(55, 62),
    st.none() | _TIME,
)


def _known(scene: _Scene) -> NodeCoverage:
    known = NodeCoverage()
    known.add(scene.records())
    return NodeCoverage.from_bytes(known.to_bytes())


def _sightings(scenes: Mapping[NodeId, _Scene]) -> Sightings:
    return {"file": {node: scene.seen * MS for node, scene in scenes.items() if scene.seen is not None}}


def _until(scenes: Mapping[NodeId, _Scene], now: int) -> int:
    ends = {n: min(now, max(b + length for b, length, _ in s.beats)) for n, s in scenes.items() if s.beats}
    open_ones = [end for node, end in ends.items() if scenes[node].owes(2 * END - 1)]
    if not open_ones:
        return max(ends.values(), default=0)
    return min(end for end in open_ones if end >= max(open_ones) - SILENCE)


@given(
    st.lists(_SCENE, min_size=1, max_size=3),
    _TIME,
    st.none() | _TIME,
    st.integers(20, 60),
    st.lists(_SPAN, max_size=2),
)
def test_sightings_count_from_when_a_file_was_seen_and_exclude_no_node(
    found: list[_Scene], since: int, forgotten: int | None, now: int, everywhere: list[tuple[int, int]]
) -> None:
    """The nodes on which it was seen have a sum of their own; what decides is what it is without them."""
    scenes = {NodeId("east", f"n{number}"): scene for number, scene in enumerate(found)}
    of_all = [GapInterval(a * MS, (a + length) * MS, "Skipped") for a, length in everywhere]
    nodes = {node: _known(scene) for node, scene in scenes.items()}
    forgotten_ns = None if forgotten is None else forgotten * MS

    def covered_by(sightings: Sightings) -> Completeness:
        account = FleetAccount(nodes, now * MS, of_all=of_all, sightings=sightings)
        return account.since(since * MS, file="file", forgotten_ns=forgotten_ns)

    covered = covered_by(_sightings(scenes))
    until = _until(scenes, now)

    assert replace(covered, sighted=None) == covered_by({})
    if until <= since:
        assert covered.sighted is None
        return
    lost = {t for t in range(until) if any(a <= t < a + length for a, length in everywhere) or t < (forgotten or 0)}
    owed = [(s, t) for s in found if s.seen is not None for t in range(max(since, s.seen), until) if s.owes(t)]
    missing = sum(s.misses(t) or t in lost for s, t in owed)
    assert covered.sighted == NodeTime(len({id(s) for s, _ in owed}), len(owed) - missing, missing)


@given(st.lists(_SCENE, min_size=1, max_size=3), _TIME, st.integers(20, 60), st.lists(_SPAN, max_size=2))
def test_shares_are_what_each_moment_says(
    found: list[_Scene], since: int, now: int, everywhere: list[tuple[int, int]]
) -> None:
    """Node-time watched and missing, complete time and nodes."""
    scenes = {NodeId("east", f"n{number}"): scene for number, scene in enumerate(found)}
    of_all = [GapInterval(a * MS, (a + length) * MS, "Skipped") for a, length in everywhere]
    nodes = {node: _known(scene) for node, scene in scenes.items()}
    covered = FleetAccount(nodes, now * MS, of_all=of_all).since(since * MS)
    until = _until(scenes, now)
    if until <= since:
        assert not covered.until_ns
        return
    assert covered.until_ns == until * MS
    window = range(since, until)
    lost = {t for t in window if any(a <= t < a + length for a, length in everywhere)}
    first = min((t for t in range(until) if any(s.owes(t) for s in scenes.values())), default=until)
    share = covered.share
    owed = [(s, t) for s in found for t in window if s.owes(t)]
    missing = [(s, t) for s, t in owed if s.misses(t) or t in lost]
    assert (share.watched_ms, share.missing_ms) == (len(owed) - len(missing), len(missing))
    spoiled = {t for _, t in missing} | lost
    assert share.complete_ns == MS * sum(t >= first and t not in spoiled for t in window)
    assert share.nodes == len({id(s) for s, _ in owed})
    has_instant = any(not length for s in found for _, length in s.gaps)
    if not has_instant:
        assert bool(share.gaps) == bool(spoiled or since < first)
