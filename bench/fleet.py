"""A fleet of 10,000 nodes for 30 days: `python -m bench.fleet [--nodes N]`.

By the simulator of tests/support: nodes live for a week, ingest is upgraded weekly, nodes are rebooted and die
silently, and events are lost. Proved on the way: no call that nobody saw is in complete time, and the share that is
missing is right. Measured are one round of answers to 10,000 watches (500 beginnings, 200 files, 40 of them on each
node), in a process that has nothing else, and the records that a question about one node reads.
"""

import argparse
import os
import pickle
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Final

from agents.coverage.completeness import SILENCE_NS, FleetAccount, known_until
from agents.coverage.covering import node_key
from agents.coverage.fleet import FleetCoverage
from agents.coverage.interval import Interval
from agents.coverage.sightings import NO_SIGHTINGS, Sightings
from agents.hot_symbols.watch.file_places import FilePlaces
from agents.hot_symbols.watch.known_hooks import NO_KNOWN_HOOKS, KnownHooks
from agents.hot_symbols.watch.watch import Watch
from agents.hot_symbols.watch.watch_board import WatchBoard
from agents.hot_symbols.watch.watched_code import watched_codes
from agents.probes.hook_windows import HookFinder, HookWindows, WantedEntries
from agents.probes.probe_table import ProbeTable
from agents.probes.unhooked import OwedNodes, UnhookedNodes
from app.processes.garbage import collect_seldom
from bench.figures import Row, Table, record, resident_mbytes, text_of
from schemas.node import NodeId
from schemas.probes import PolicyState, ProbeWindow, SeenHooks, SeenHookState
from tests.support.fleet_hooks import FleetHooks, ListedEntries, calls_at_hooks, policy_of
from tests.support.fleet_simulation import DAY, PARTITIONS, Fleet, FleetPlan, missing_by_truth, ns, unseen_moments
from tests.support.named_files import ListedFiles, ListedNames

NODES: Final = 10_000
DAYS: Final = 30
WATCHES: Final = 10_000
BEGINNINGS: Final = 500
FILES: Final = 200
FILES_A_NODE: Final = 40
SEED: Final = 15
_PATH: Final = "/usr/lib/file"


def main() -> None:
    """Measure, print and record; or answer for another such process."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nodes", type=int, default=NODES)
    parser.add_argument("--rows", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.rows is not None:
        _answer(options.rows)
        return
    began = time.process_time()
    fleet = Fleet(FleetPlan(options.nodes, DAYS), SEED)
    coverage = fleet.covered()
    history_seconds = time.process_time() - began
    proof = _prove(fleet, coverage)
    staying = Fleet(FleetPlan(options.nodes, DAYS, mean_life_days=1e6), SEED)
    tables = [
        Table(
            "the history",
            {"nodes at once": options.nodes, "days": DAYS, "seed": SEED},
            [
                Row("nodes that ever were", {"": len(fleet.truth)}),
                Row("coverage records after compaction", {"": fleet.records}),
                Row("heartbeats of 10 s that they stand for", {"": options.nodes * DAYS * 8_640}),
                Row("CPU to make and fold it", {"s": history_seconds}),
                *proof,
                *_prove_hooks(fleet, coverage),
            ],
        ),
        Table(
            "records that `callstream coverage` reads for one node and a week",
            {"partitions": PARTITIONS},
            [
                Row("all records", {"": fleet.records}),
                Row("those of the largest two partitions", {"": sum(sorted(fleet.partition_sizes)[-2:])}),
            ],
        ),
    ]
    tables.append(_measured(coverage, fleet.end_s, "nodes that live for a week"))
    tables.append(_measured(staying.covered(), fleet.end_s, "nodes that stay"))
    for table in tables:
        print(text_of(table))
    if options.nodes == NODES:
        record("fleet", tables)


def _measured(coverage: FleetCoverage, end_s: int, what: str) -> Table:
    """Answers in a process of their own."""
    rows = {node_key(node): known.to_bytes() for node, known in coverage.nodes().items()}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "rows"
        file.write_bytes(pickle.dumps((rows, end_s, what)))
        command = [sys.executable, "-m", "bench.fleet", "--rows", str(file)]
        found = subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout
    table = pickle.loads(found)  # noqa: S301 - what this program wrote itself
    assert isinstance(table, Table)
    return table


def _prove(fleet: Fleet, coverage: FleetCoverage) -> Iterator[Row]:
    """Nothing unseen in complete time, and the share as it is in truth."""
    rng = Random(SEED)
    account = FleetAccount(coverage.nodes(), ns(fleet.end_s), of_all=coverage.of_all())
    planted = wrong = 0
    for truth in fleet.truth.values():
        for at in unseen_moments(truth, rng, 10):
            if at < account.until_ns:
                planted += 1
                wrong += not account.since(at).gaps
    yield Row("unseen calls that were planted", {"": planted})
    yield Row("of them in complete time", {"": wrong})
    window = Interval(ns(0), account.until_ns)
    sums = [missing_by_truth(truth, window) for truth in fleet.truth.values()]
    share = account.since(window.from_ns).share
    yield Row("share missing, by truth", {"%": 100 * sum(m for _, m in sums) / sum(o for o, _ in sums)})
    yield Row("share missing, as answered", {"%": 100 * share.missing_ms / (share.missing_ms + share.watched_ms)})


def _prove_hooks(fleet: Fleet, coverage: FleetCoverage) -> Iterator[Row]:
    """Policies loaded late, reloaded and away: no call without a hook is in a time that was hooked."""
    rng = Random(SEED)
    names = ["inflate", "inflate_fast"]
    build = f"{SEED:040x}"
    policies = [policy_of(name, build, _PATH, [name]) for name in names]
    began = time.process_time()
    hooks = FleetHooks(fleet, policies, SEED, is_perfect=False)
    assert not hooks.table.left_out
    windows = hooks.windows({build: ListedEntries(names)})
    nodes = coverage.nodes()
    until_ns = min(known_until(nodes, ns(fleet.end_s)), windows.told_until(SILENCE_NS, nodes))
    owed = FleetAccount(nodes, ns(fleet.end_s), of_all=coverage.of_all(), until_ns=until_ns).owed
    needed = windows.needed(WantedEntries(build, frozenset({0, 1}), frozenset({_PATH})))
    planted = wrong = firm = 0
    for node, stretches in owed.items():
        found = UnhookedNodes(OwedNodes({node: stretches}, windows), needed)
        for at, is_hooked in calls_at_hooks(fleet.truth[node], hooks.truth[node], rng, 2):
            if any(one.from_ns <= at < one.to_ns for one in stretches):
                is_firm = not found.since(at).nodes
                firm += is_firm
                planted += not is_hooked
                wrong += is_firm and not is_hooked
    yield Row("records of windows of two policies", {"": hooks.records})
    yield Row("calls without a hook that were planted", {"": planted})
    yield Row("of them in a time that was hooked", {"": wrong})
    yield Row("moments from which a node was hooked to the end", {"": firm})
    yield Row("CPU for all of that", {"s": time.process_time() - began})


def _answer(file: Path) -> None:
    """One round of answers to all watches; writes its table to standard output."""
    rows, end_s, what = pickle.loads(file.read_bytes())  # noqa: S301 - as above
    rng = Random(SEED)
    names = [f"function_{number}" for number in range(WATCHES // FILES)]
    builds = [f"{number:040x}" for number in range(FILES)]
    since = [ns(rng.randrange(DAYS * DAY)) for _ in range(BEGINNINGS)]
    watches = [
        Watch(symbol=name, build_id=build, since_ns=rng.choice(since), every_call_probed=True)
        for build in builds
        for name in names
    ]
    files = ListedFiles({build: ListedNames([[name] for name in names]) for build in builds})
    board = WatchBoard(lambda _: None, lambda _: None, None)
    board.set_watches({one.watch_id: one for one in watches}, watched_codes(watches, files, {}))
    before_mbytes = resident_mbytes(os.getpid())
    coverage = FleetCoverage()
    for key, row in rows.items():
        coverage.take(0, key, row)
    nodes = coverage.nodes()
    collect_seldom()  # as the worker does
    cases = [("where files were seen is not known", NO_SIGHTINGS, NO_KNOWN_HOOKS)]
    if len(nodes) <= 2 * NODES:
        sightings = _sightings(list(nodes), builds, rng)
        cases.append(("40 files seen on each node", sightings, NO_KNOWN_HOOKS))
        cases.append(("and a policy for each file", sightings, _hooks(sightings, names)))
    table_mbytes = resident_mbytes(os.getpid())
    measured = []
    for case, sightings, hooks in cases:
        board.cover(nodes, coverage.of_all(), sightings, hooks)
        began = time.process_time()
        answers = [board.answer(watch_id, ns(end_s))["answer"] for watch_id in board.watches]
        seconds = time.process_time() - began
        assert len(answers) == WATCHES
        measured.append(Row(f"one round of answers, {case}", {"CPU s": seconds, "MB": resident_mbytes(os.getpid())}))
    table = Table(
        f"answers to {WATCHES:,} watches, {BEGINNINGS} beginnings, {FILES} files: {what}",
        {"nodes that ever were": len(nodes), "aim": "2 s, 500 MB"},
        [
            Row("before", {"MB": before_mbytes}),
            Row("rows and sightings of all nodes", {"MB": table_mbytes}),
            *measured,
        ],
    )
    sys.stdout.buffer.write(pickle.dumps(table))


def _sightings(nodes: list[NodeId], builds: list[str], rng: Random) -> Sightings:
    """Some of the files were seen on each node, from some moment on."""
    seen: dict[str, dict[NodeId, int]] = {build: {} for build in builds}
    for node in nodes:
        for build in rng.sample(builds, FILES_A_NODE):
            seen[build][node] = ns(rng.randrange(DAYS * DAY))
    return seen


def _hooks(sightings: Sightings, names: list[str]) -> KnownHooks:
    """On each node a policy for each of its files, with hooks on all functions, all of the time but a reload."""
    table = ProbeTable()
    policies, files = {}, {}
    for build, nodes in sightings.items():
        policy = policy_of(build, build, _PATH, names)
        policies[policy.digest], files[build] = policy, ListedEntries(names)
        states = (SeenHooks("uprobes", 0, 1, SeenHookState.LOADED),)
        for node in nodes:
            for begin, end in ((0, DAYS * DAY // 2), (DAYS * DAY // 2 + 30, 2 * DAYS * DAY)):
                table.take(
                    ProbeWindow(
                        node=node.name,
                        cluster=node.cluster,
                        from_ns=ns(begin),
                        to_ns=ns(end),
                        policy=build,
                        state=PolicyState.ENABLED,
                        hooks=states,
                        spec_digest=policy.digest,
                    )
                )
    assert not table.left_out
    places = dict.fromkeys(files, FilePlaces(frozenset({_PATH})))
    return KnownHooks(HookWindows(table, HookFinder(policies, files)), places)


if __name__ == "__main__":
    main()
