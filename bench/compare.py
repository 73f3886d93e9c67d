"""What an event costs in two commits: `python -m bench.compare OLD NEW`.

Each commit is built as a wheel, with the packages of its own lock (bench/builds.py). First the pure steps: one process
of each commit runs bench/compare_steps.py of *this* tree over the same events, made by the generator of NEW. Then the
whole pipeline (bench/compare_pipeline.py). The two take turns, and each round changes who goes first, because the
machine does other work as well. A ratio belongs to one round: NEW's CPU time by OLD's, measured one after the other.
The table has the median of all rounds and the range that they lie in.

The pure steps of both must put out the same bytes. Where they differ, the table says so: a difference in cost may then
be one in work.

`--indexes FILE...` compares what the symbol indexes of files take to build instead. Where valgrind is installed, that
is counted in instructions, too, which do not depend on what else the machine does. `--ingest` compares ingest without
stages, at the rate and as fast as it goes, and `--replay EVENTS` replays of one archive. `--strings` compares what it
takes to redact the argument strings of bench/privacy.py.
"""

import argparse
import json
import os
import re
import shutil
import statistics
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from bench.builds import Build, build
from bench.compare_pipeline import Load, compare_pipelines
from bench.compare_replay import compare_replays
from bench.figures import Row, Table, record, text_of
from bench.privacy import string_sets

PROGRAM: Final = Path(__file__).resolve().with_name("compare_steps.py")
ROUNDS: Final = 9
PIPELINE_ROUNDS: Final = 3
EVENTS: Final = 20_000

_CACHEGRIND: Final = ("valgrind", "--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null")

_NOTE: Final = "ratio: new by old, of one round, median; least and most: its range over all rounds."


@dataclass(frozen=True, slots=True)
class Measured:
    """What one process said in one round: CPU and a digest of the outputs, by step or file."""

    figures: dict[str, float]
    digests: dict[str, str]


class Contestant:
    """One commit's process, which measures once for each call."""

    def __init__(self, built: Build, *arguments: str) -> None:
        self._process = subprocess.Popen(
            _command(built, *arguments),
            env=built.environ(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def measure(self) -> Measured:
        """One round. Raises RuntimeError if the process has ended; why, it has written to standard error."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write("measure\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            raise RuntimeError("a measured program has ended")
        return Measured(**json.loads(answer))

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.communicate()


def compare_steps(old: Build, new: Build, *, events: int, rounds: int) -> Table:
    """What an event costs in the pure steps of both."""
    with tempfile.TemporaryDirectory(prefix="callstream-compare-") as folder:
        events_file = str(Path(folder) / "events")
        subprocess.run([*_command(new, events_file), str(events)], env=new.environ(), check=True)
        pairs = measured(old, new, rounds, events_file)
    note = f"{_NOTE} CPU for one event."
    return table_of(
        pairs, _settings(old, new, rounds) | {"events": events}, "Pure steps, two commits in turn", "µs", note
    )


def compare_indexes(old: Build, new: Build, files: Sequence[Path], *, rounds: int) -> Table:
    """What the symbol index of each file costs in both."""
    pairs = measured(old, new, rounds, "--indexes", *map(str, files))
    note = f"{_NOTE} Without debug information, in memory. Indexes of other formats have other bytes."
    return table_of(pairs, _settings(old, new, rounds), "Symbol indexes, two commits in turn", "ms", note)


def compare_strings(old: Build, new: Build, *, rounds: int) -> Table:
    """What the redaction of one argument string costs in both."""
    with tempfile.TemporaryDirectory(prefix="callstream-compare-") as folder:
        strings_file = Path(folder) / "strings.json"
        strings_file.write_text(json.dumps(string_sets()), encoding="utf-8")
        pairs = measured(old, new, rounds, "--strings", str(strings_file))
    note = f"{_NOTE} CPU for one string. A commit that knows more secrets puts out other bytes."
    title = "Redaction of argument strings, two commits in turn"
    return table_of(pairs, _settings(old, new, rounds), title, "µs", note)


def compare_instructions(old: Build, new: Build, files: Sequence[Path]) -> Table:
    """How many instructions the symbol index of each file takes in both: those of the second one that is built."""
    rows = []
    for file in files:
        before, after = (_instructions(one, file, 2) - _instructions(one, file, 1) for one in (old, new))
        rows.append(
            Row(file.name, {"old millions": before / 1e6, "new millions": after / 1e6, "ratio": after / before})
        )
    settings = {"old": old.commit[:12], "new": new.commit[:12]}
    return Table("Symbol indexes, instructions", settings, rows, "As cachegrind counts them. Cache misses cost extra.")


def _instructions(built: Build, file: Path, rounds: int) -> int:
    """Of the whole process, which builds an index so many times."""
    counted = subprocess.run(
        [*_CACHEGRIND, *_command(built, "--indexes", str(file))],
        env=built.environ(),
        input="measure\n" * rounds,
        capture_output=True,
        text=True,
        check=True,
    ).stderr
    found = re.search(r"I\s+refs:\s+([\d,]+)", counted)
    if found is None:
        raise RuntimeError("cachegrind has counted nothing")
    return int(found[1].replace(",", ""))


def measured(old: Build, new: Build, rounds: int, *arguments: str) -> list[tuple[Measured, Measured]]:
    """What both said in turn, after one round each that only warms up the machine."""
    contestants = Contestant(old, *arguments), Contestant(new, *arguments)
    pairs: list[tuple[Measured, Measured]] = []
    try:
        for number in range(rounds + 1):
            order = contestants if number % 2 else contestants[::-1]
            first, second = (one.measure() for one in order)
            pairs.append((first, second) if number % 2 else (second, first))
    finally:
        for one in contestants:
            one.close()
    return pairs[1:]


def table_of(
    pairs: Sequence[tuple[Measured, Measured]],
    settings: Mapping[str, str | int],
    title: str,
    unit: str,
    note: str,
) -> Table:
    """Ratios of all rounds: of each pair, OLD's answer is the first and NEW's the second."""
    rows = []
    for name in pairs[0][0].figures:
        ratios = sorted(newer.figures[name] / older.figures[name] for older, newer in pairs)
        same = all(older.digests[name] == newer.digests[name] for older, newer in pairs)
        rows.append(
            Row(
                name,
                {
                    f"old CPU {unit}": statistics.median(older.figures[name] for older, _ in pairs),
                    f"new CPU {unit}": statistics.median(newer.figures[name] for _, newer in pairs),
                    "ratio": statistics.median(ratios),
                    "least": ratios[0],
                    "most": ratios[-1],
                    "same bytes": "yes" if same else "no",
                },
            )
        )
    return Table(title, settings, rows, note)


def _settings(old: Build, new: Build, rounds: int) -> dict[str, str | int]:
    return {"old": old.commit[:12], "new": new.commit[:12], "rounds": rounds}


def _command(built: Build, *arguments: str) -> list[str]:
    return [str(built.python), str(PROGRAM), str(built.installed), *arguments]


def main() -> None:
    """Build, measure, print and record."""
    parser = argparse.ArgumentParser(prog="python -m bench.compare", description="Compares the cost of two commits.")
    parser.add_argument("old", help="a commit, in any form that git takes")
    parser.add_argument("new", help="another one")
    parser.add_argument("--events", type=int, default=EVENTS)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--pipeline-rounds", type=int, default=PIPELINE_ROUNDS)
    parser.add_argument("--rate", type=int, default=20_000, help="events a second, through the whole pipeline")
    parser.add_argument("--seconds", type=float, default=60.0, help="how long each pipeline is measured")
    parser.add_argument("--indexes", type=Path, nargs="+", metavar="FILE", help="files to index, instead of the steps")
    parser.add_argument("--ingest", action="store_true", help="ingest without stages, instead of the steps")
    parser.add_argument("--replay", type=int, metavar="EVENTS", help="replays of so many events, instead of the steps")
    parser.add_argument("--strings", action="store_true", help="redact argument strings, instead of the steps")
    options = parser.parse_args()
    old, new = build(options.old), build(options.new)
    load = Load(options.rate, options.seconds)
    if options.indexes:
        name, files = "compare_indexes", [file.resolve() for file in options.indexes]
        tables = [compare_indexes(old, new, files, rounds=options.rounds)]
        if shutil.which(_CACHEGRIND[0]):
            tables.append(compare_instructions(old, new, files))
    elif options.strings:
        name, tables = "compare_strings", [compare_strings(old, new, rounds=options.rounds)]
    elif options.ingest:
        name = "compare_ingest"
        tables = compare_pipelines(old, new, options.pipeline_rounds, replace(load, stages=()))
        tables += compare_pipelines(old, new, options.pipeline_rounds, replace(load, stages=(), rate_per_s=0))
    elif options.replay:
        name, cores = "compare_replay", len(os.sched_getaffinity(0))
        tables = [compare_replays(old, new, options.pipeline_rounds, events=options.replay, processes=cores)]
    else:
        name = "compare"
        tables = [compare_steps(old, new, events=options.events, rounds=options.rounds)]
        tables += compare_pipelines(old, new, options.pipeline_rounds, load)
    record(name, tables)
    print("\n".join(text_of(table) for table in tables))


if __name__ == "__main__":
    main()
