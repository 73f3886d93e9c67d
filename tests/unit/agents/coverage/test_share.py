"""Node-time watched and missing, of a fleet and of the nodes that had a file, held to a count of single moments."""

from random import Random
from typing import Final

from agents.coverage.completeness import FleetAccount
from agents.coverage.interval import Interval, join
from agents.coverage.missing import MAX_GAPS, UNVOUCHED, GapRanking, MissingInterval, by_size
from agents.coverage.node_account import account_of
from agents.coverage.node_coverage import GapInterval, NodeCoverage
from agents.coverage.placements import Placements
from agents.coverage.sums import LengthSums, numbers
from agents.coverage.vouching import VouchedInterval
from schemas.node import NodeId
from tests.support.run_size import run_seed

MS: Final = 1_000_000
END: Final = 60
FLEETS: Final = 150


def _intervals(rng: Random, most: int) -> list[Interval]:
    begins = [rng.randrange(END) for _ in range(rng.randrange(most + 1))]
    return join([Interval(begin * MS, (begin + rng.randrange(1, 20)) * MS) for begin in begins])


def _node(rng: Random) -> NodeCoverage:
    vouched = sorted(
        (VouchedInterval(*one, rng.choice("st")) for one in _intervals(rng, 4)),
        key=lambda one: (one.to_ns, one.from_ns, one.session),
    )
    causes = ("Overflow", "Reconnect")
    gaps = [GapInterval(*one, rng.choice(causes), rng.choice((None, 3))) for one in _intervals(rng, 4)]
    return NodeCoverage(vouched, sorted(gaps, key=lambda gap: gap.to_ns))


def _moments(intervals: list[Interval]) -> set[int]:
    return {at for one in intervals for at in range(one.from_ns // MS, one.to_ns // MS)}


def test_share_of_a_file_is_that_of_the_moments_in_which_a_node_may_have_had_it() -> None:
    """Random fleets, each moment counted by itself: what was owed, what is missing, what is complete on all nodes."""
    rng = Random(run_seed())
    for _ in range(FLEETS):
        nodes = {NodeId("c", f"n{number}"): _node(rng) for number in range(rng.randrange(1, 5))}
        unknown = {node: tuple(_intervals(rng, 2)) for node in nodes if rng.random() < 0.8}
        by_file = {"file": {node: tuple(_intervals(rng, 2)) for node in nodes if rng.random() < 0.7}}
        of_all = [GapInterval(*one, "Unknown") for one in _intervals(rng, 1)]
        account = FleetAccount(nodes, END * MS, of_all=of_all, placements=Placements(by_file, unknown))
        for since in (0, rng.randrange(END)):
            found = account.since(since * MS, file="file")
            if not found.until_ns:
                continue
            window = set(range(since, found.until_ns // MS))
            everywhere = _moments([Interval(*one[:2]) for one in of_all])
            parts = {node: account_of(node, known, known.lives(), found.until_ns) for node, known in nodes.items()}
            first = min((part.owed[0].from_ns // MS for part in parts.values() if part.owed), default=END)
            before = set(range(first))
            owed = missing = there = 0
            complete = window - before - everywhere
            for node, part in parts.items():
                its_own = _moments(list(part.owed)) & window
                if node in unknown and unknown:
                    placed = [*unknown[node], *by_file["file"].get(node, ())]
                    its_own &= _moments(placed)
                lacks = its_own & (_moments(list(part.united)) | everywhere | before)
                owed, missing, there = owed + len(its_own), missing + len(lacks), there + bool(its_own)
                complete -= lacks
            share = found.placed
            assert (share.watched_ms + share.missing_ms, share.missing_ms, share.nodes, share.complete_ns) == (
                owed,
                missing,
                there,
                len(complete) * MS,
            )


def test_gaps_of_a_file_are_the_longest_of_its_nodes_alone_or_together_with_other_questions() -> None:
    """Random fleets whose nodes have the file all of the time or never, held to a sort of all that is missing."""
    rng = Random(run_seed())
    for _ in range(FLEETS):
        nodes = {NodeId("c", f"n{number}"): _node(rng) for number in range(rng.randrange(1, 20))}
        having = [node for node in nodes if rng.random() < 0.6]
        always = (Interval(-1, END * MS),)
        placements = Placements({"file": dict.fromkeys(having, always)}, dict.fromkeys(nodes, ()))
        account, alone = (FleetAccount(nodes, END * MS, placements=placements) for _ in range(2))
        beginnings = [rng.randrange(END) * MS for _ in range(3)]
        for since_ns in beginnings:
            account.expect("file", since_ns)
        for since_ns in beginnings:
            found = account.since(since_ns, file="file")
            assert found == alone.since(since_ns, file="file")
            if not found.until_ns:
                continue
            parts = {node: account_of(node, nodes[node], nodes[node].lives(), found.until_ns) for node in nodes}
            first_ns = min((part.owed[0].from_ns for part in parts.values() if part.owed), default=found.until_ns)
            gaps = [gap for node in having for gap in parts[node].missing if max(gap.to_ns, gap.from_ns + 1) > since_ns]
            if since_ns < first_ns:
                gaps.append(MissingInterval(since_ns, min(first_ns, found.until_ns), None, UNVOUCHED))
            cut = sorted((gap._replace(from_ns=max(gap.from_ns, since_ns)) for gap in gaps), key=by_size)
            assert found.placed.gaps == tuple(cut[:MAX_GAPS])
            assert found.placed.gaps_more == len(cut) - len(found.placed.gaps)


def test_longest_gaps_since_any_moment_are_those_of_a_sort() -> None:
    """Also of two gaps that only differ in whether somebody counted the loss."""
    rng = Random(run_seed())
    gaps = []
    for number in range(3_000):
        begin, node = rng.randrange(100_000), NodeId("c", f"n{number % 50}")
        gaps.append(MissingInterval(begin, begin + rng.randrange(300), node, "Overflow", rng.choice((None, 3))))
    gaps += [gap._replace(events_lost=None) for gap in gaps[:10]]
    ranking = GapRanking(gaps)
    for since in (0, *(rng.randrange(100_000) for _ in range(40)), 200_000):
        later = sorted((gap for gap in gaps if gap.from_ns >= since), key=by_size)
        going_on = [gap._replace(from_ns=since) for gap in gaps if gap.from_ns < since < gap.to_ns]
        found = ranking.since(since)

        assert [gaps[place] for place in found.longest] == later[: len(found.longest)]
        assert found.are_all == (len(found.longest) == len(later))
        parts = [gaps[place]._replace(from_ns=since) for place in found.going_on]
        assert parts == sorted(going_on, key=by_size)


def test_sums_are_exact_beyond_64_bits() -> None:
    """Ten thousand nodes that are silent for three centuries."""
    begin, end = numbers([-(1 << 63)] * 10_000), numbers([(1 << 63) - 1] * 10_000)

    assert LengthSums(begin, end).since(numbers([1 - (1 << 63)])) == [10_000 * ((1 << 64) - 2)]
