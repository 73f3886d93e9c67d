"""What must be proved at great size: `python -m bench.prove`, or `make prove`.

Runs the tests marked `proof` at ten times the size that they have in `make test`, by a new seed, and records what each
of them took and proved in bench/results/prove.txt. CALLSTREAM_TEST_SEED and CALLSTREAM_TEST_SIZE choose others.
Arguments go to pytest: a run of some tests replaces what is recorded of these, and keeps what is of others. Exits with
pytest's code, and records failures too.
"""

import os
import sys
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from typing import Final

import pytest

from bench.figures import Row, Table, commit, record, recorded, text_of
from tests.support.run_size import SIZE_VARIABLE, run_seed, run_size

SIZE: Final = "10"


class Recorder:
    """A pytest plugin that keeps the outcome, the time and the noted figures of each test."""

    def __init__(self) -> None:
        self.rows: list[Row] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep what a test says when it has run; of its fixtures, only what went wrong."""
        if report.when == "call" or not report.passed:
            name = report.nodeid.removeprefix("tests/")
            figures = {key: value for key, value in report.user_properties if isinstance(value, int | float | str)}
            said = {"outcome": report.outcome, "seconds": report.duration, **figures}
            self.rows.append(Row(name, said | {"size": run_size(), "seed": str(run_seed()), "commit": commit()}))


def main() -> None:
    """Run, print and record."""
    os.environ.setdefault(SIZE_VARIABLE, SIZE)
    recorder = Recorder()
    code = pytest.main(["-m", "proof", *sys.argv[1:]], plugins=[recorder])
    if recorder.rows:
        tables = list(by_test(recorder.rows))
        record("prove", [*without(recorded("prove"), {row.name for row in recorder.rows}), *tables])
        for table in tables:
            print(text_of(table))
    sys.exit(code)


def by_test(rows: Sequence[Row]) -> Iterator[Table]:
    """A table for each test, whose rows are its parameters: other tests have other figures."""
    for test in dict.fromkeys(row.name.partition("[")[0] for row in rows):
        yield Table(test, {}, [row for row in rows if row.name.partition("[")[0] == test])


def without(tables: Sequence[Table], names: Collection[str]) -> list[Table]:
    """What was recorded, but for the rows of these names; a table without a row goes."""
    kept = [replace(table, rows=[row for row in table.rows if row.name not in names]) for table in tables]
    return [table for table in kept if table.rows]


if __name__ == "__main__":
    main()
