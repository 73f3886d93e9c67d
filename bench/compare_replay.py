"""Replays of one archive by two commits in turn.

OLD records raw events from a broker: what was recorded then must be replayed for years. Both then read that archive
and write runs of their own. What they made must be the same where nothing was to change:
the digest of canonical events, and that of calls unless the rules for private values are others. The table says which
digests are.
"""

import statistics
from collections.abc import Sequence
from typing import Final

from bench.builds import Build
from bench.deployment import deployment
from bench.figures import Row, Table
from bench.replay import DISTINCT_EVENTS, Ran, fill, raw_records, run

_STAGES: Final = ("canonical", "calls")


def compare_replays(old: Build, new: Build, rounds: int, *, events: int, processes: int) -> Table:
    """How long a replay takes and what it costs in both, as ratios of one round."""
    pairs: list[tuple[Ran, Ran]] = []
    with deployment() as running:
        parts, folder = raw_records(), running.folder / "archive"
        passes = -(-events // DISTINCT_EVENTS)
        for _ in range(passes):
            fill(running, parts)
        count = passes * DISTINCT_EVENTS
        running.run("record", "--out", str(folder), program=(old.python, old.environ()))
        for number in range(rounds):
            ran = {}
            for built in (old, new) if number % 2 else (new, old):
                out = running.folder / f"{number}-{built.commit[:12]}"
                arguments = ("replay", "--archive", folder, "--processes", processes, "--out", out)
                ran[built.commit] = run(built.environ(), *arguments, python=built.python)
            pairs.append((ran[old.commit], ran[new.commit]))
    settings: dict[str, str | int] = {"old": old.commit[:12], "new": new.commit[:12], "rounds": rounds}
    settings |= {"events": count, "processes": processes}
    for stage in _STAGES:
        same = all(before.document[stage] == after.document[stage] for before, after in pairs)
        settings[f"same digest of {stage}"] = "yes" if same else "no"
    rows = [
        _row("events a second", [(count / before.seconds, count / after.seconds) for before, after in pairs]),
        _row("CPU µs for an event", [(_cost_us(before, count), _cost_us(after, count)) for before, after in pairs]),
    ]
    return Table("Replay of an archive to files, two commits in turn", settings, rows)


def _cost_us(ran: Ran, events: int) -> float:
    return ran.cpu_seconds / events * 1e6


def _row(name: str, pairs: Sequence[tuple[float, float]]) -> Row:
    ratios = sorted(after / before for before, after in pairs)
    olds, news = zip(*pairs, strict=True)
    figures = {"old": statistics.median(olds), "new": statistics.median(news), "ratio": statistics.median(ratios)}
    return Row(name, figures | {"least": ratios[0], "most": ratios[-1]})
