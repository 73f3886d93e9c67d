"""The seed and the size of a test run.

The seed differs in every run, so that random histories are new ones each time. It is printed in the header of the run
and beside each failure. `CALLSTREAM_TEST_SEED=N` sets it, which runs the same histories again.

The size is 1 in `make test`. `CALLSTREAM_TEST_SIZE=N` makes the tests marked `proof` N times as large; `make prove`
runs them at 10 and records the figures.
"""

import os
import secrets

import pytest

SEED_VARIABLE = "CALLSTREAM_TEST_SEED"
SIZE_VARIABLE = "CALLSTREAM_TEST_SIZE"


def run_seed() -> int:
    """The seed of this run, chosen at the first call. Test processes that this one starts inherit it."""
    return int(os.environ.setdefault(SEED_VARIABLE, str(secrets.randbelow(1_000_000_000))))


def run_size() -> int:
    """How many times as large as in `make test` the tests marked `proof` are. Raises ValueError below 1."""
    size = int(os.environ.get(SIZE_VARIABLE, "1"))
    if size < 1:
        raise ValueError(f"{SIZE_VARIABLE} is {size}, expected 1 or more")
    return size


@pytest.fixture(name="seed")
def seed_fixture() -> int:
    """The seed of this run."""
    return run_seed()


@pytest.fixture(name="size")
def size_fixture() -> int:
    """The size of this run."""
    return run_size()
