"""Node-time watched and missing, of a fleet and where a file was seen, held to a count of single moments."""

from random import Random
from typing import Final

from agents.coverage.completeness import FleetAccount
from agents.coverage.interval import Interval, join
from agents.coverage.missing import MAX_GAPS, UNVOUCHED, GapColumns, GapRanking, MissingInterval, by_size
from agents.coverage.node_account import account_of
from agents.coverage.node_coverage import GapInterval, NodeCoverage
from agents.coverage.share import NodeTime
from agents.coverage.sums import LengthSums, numbers
from agents.coverage.vouching import VouchedInterval
from schemas.node import NodeId
from tests.support.run_size import run_seed

MS: Final = 1_000_000
END: Final = 60
FLEETS: Final = 150
HOUR: Final = 3_600 * 10**9


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


def test_shares_are_those_of_moments_and_where_a_file_was_seen_those_from_then_on() -> None:
    """Random fleets, each moment counted by itself: what was owed, what is missing, what is complete on all nodes."""
    rng = Random(run_seed())
    for _ in range(FLEETS):
        nodes = {NodeId("c", f"n{number}"): _node(rng) for number in range(rng.randrange(1, 5))}
        seen = {node: rng.randrange(END) for node in nodes if rng.random() < 0.7}
        of_all = [GapInterval(*one, "Unknown") for one in _intervals(rng, 1)]
        sightings = {"file": {node: at * MS for node, at in seen.items()} | {NodeId("c", "unheard"): 0}}
        account = FleetAccount(nodes, END * MS, of_all=of_all, sightings=sightings)
        for since in (0, rng.randrange(END)):
            found = account.since(since * MS, file="file")
            if not found.until_ns:
                continue
            window = set(range(since, found.until_ns // MS))
            everywhere = _moments([Interval(*one[:2]) for one in of_all])
            parts = {node: account_of(node, known, known.lives(), found.until_ns) for node, known in nodes.items()}
            first = min((part.owed[0].from_ns // MS for part in parts.values() if part.owed), default=END)
            before = set(range(first))
            owed, missing = dict[NodeId, set[int]](), dict[NodeId, set[int]]()
            complete = window - before - everywhere
            for node, part in parts.items():
                owed[node] = _moments(list(part.owed)) & window
                missing[node] = owed[node] & (_moments(list(part.united)) | everywhere | before)
                complete -= missing[node]
            share = found.share
            assert (share.nodes, share.watched_ms, share.missing_ms) == _sums(owed, missing, dict.fromkeys(nodes, 0))
            assert share.complete_ns == len(complete) * MS
            assert found.sighted == NodeTime(*_sums(owed, missing, seen))


def _sums(owed: dict[NodeId, set[int]], missing: dict[NodeId, set[int]], since: dict[NodeId, int]) -> tuple[int, ...]:
    """Nodes, moments that were watched, and moments that are missing, of each node from a moment on."""
    both = [({t for t in owed[node] if t >= at}, {t for t in missing[node] if t >= at}) for node, at in since.items()]
    lacking = sum(len(lacks) for _, lacks in both)
    return sum(bool(has) for has, _ in both), sum(len(has) for has, _ in both) - lacking, lacking


def test_gaps_are_the_longest_of_all_nodes_alone_or_together_with_other_questions() -> None:
    """Random fleets, held to a sort of all that is missing."""
    rng = Random(run_seed())
    for _ in range(FLEETS):
        nodes = {NodeId("c", f"n{number}"): _node(rng) for number in range(rng.randrange(1, 20))}
        of_all = [GapInterval(*one, "Skipped") for one in _intervals(rng, 2)]
        account, alone = (FleetAccount(nodes, END * MS, of_all=of_all) for _ in range(2))
        beginnings = [rng.randrange(END) * MS for _ in range(3)]
        for since_ns in beginnings:
            account.expect(None, since_ns)
        for since_ns in beginnings:
            found = account.since(since_ns)
            assert found == alone.since(since_ns)
            if not found.until_ns:
                continue
            parts = {node: account_of(node, nodes[node], nodes[node].lives(), found.until_ns) for node in nodes}
            first_ns = min((part.owed[0].from_ns for part in parts.values() if part.owed), default=found.until_ns)
            every = [gap for part in parts.values() for gap in part.missing]
            every += [
                MissingInterval(from_ns, min(to_ns, found.until_ns), None, cause)
                for from_ns, to_ns, cause, *_ in of_all
                if from_ns < found.until_ns
            ]
            gaps = [gap for gap in every if max(gap.to_ns, gap.from_ns + 1) > since_ns]
            if since_ns < first_ns:
                gaps.append(MissingInterval(since_ns, min(first_ns, found.until_ns), None, UNVOUCHED))
            cut = sorted((gap._replace(from_ns=max(gap.from_ns, since_ns)) for gap in gaps), key=by_size)
            assert found.gaps == tuple(cut[:MAX_GAPS])
            assert found.share.gaps_more == len(cut) - len(found.gaps)


def test_longest_gaps_since_any_moment_are_those_of_a_sort() -> None:
    """Also of two gaps that only differ in whether somebody counted the loss."""
    rng = Random(run_seed())
    gaps = []
    for number in range(3_000):
        begin, node = rng.randrange(100_000), NodeId("c", f"n{number % 50}")
        gaps.append(MissingInterval(begin, begin + rng.randrange(300), node, "Overflow", rng.choice((None, 3))))
    gaps += [gap._replace(events_lost=None) for gap in gaps[:10]]
    gaps += [
        MissingInterval(20_000, 95_000, None, "Skipped"),
        MissingInterval(5, 6 * HOUR, NodeId("c", "n0"), "Restart"),
    ]
    ranking = GapRanking(GapColumns(gaps))
    for since in (0, *(rng.randrange(100_000) for _ in range(40)), 200_000, 7 * HOUR):
        behind = [gap for gap in gaps if gap.from_ns >= since or gap.to_ns > since]
        cut = sorted((gap._replace(from_ns=max(gap.from_ns, since)) for gap in behind), key=by_size)

        assert ranking.since(since) == cut[:MAX_GAPS]


def test_sums_are_exact_beyond_64_bits() -> None:
    """Ten thousand nodes that are silent for three centuries."""
    begin, end = numbers([-(1 << 63)] * 10_000), numbers([(1 << 63) - 1] * 10_000)

    assert LengthSums(begin, end).since(numbers([1 - (1 << 63)])) == [10_000 * ((1 << 64) - 2)]
