"""What must be proved at great size: `python -m bench.prove`, or `make prove`.

Runs the tests marked `proof` at ten times the size that they have in `make test`, by a new seed, and records what each
of them took and proved in bench/results/prove.txt. CALLSTREAM_TEST_SEED and CALLSTREAM_TEST_SIZE choose others.
Arguments go to pytest. Exits with pytest's code, and records failures too.
"""

import os
import sys
from typing import Final

import pytest

from bench.figures import Row, Table, record, text_of
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
            self.rows.append(Row(name, {"outcome": report.outcome, "seconds": report.duration, **figures}))


def main() -> None:
    """Run, print and record."""
    os.environ.setdefault(SIZE_VARIABLE, SIZE)
    recorder = Recorder()
    code = pytest.main(["-m", "proof", *sys.argv[1:]], plugins=[recorder])
    if recorder.rows:
        table = Table("Proofs at great size", {"size": run_size(), "seed": run_seed()}, recorder.rows)
        record("prove", [table])
        print(text_of(table))
    sys.exit(code)


if __name__ == "__main__":
    main()
