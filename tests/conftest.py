"""Fixtures for every test, and the settings of a run."""

from collections.abc import Generator

import pytest
from hypothesis import HealthCheck, settings

from tests.support.broker import embedded, topic_prefix
from tests.support.leftovers import no_process_is_left
from tests.support.run_size import SEED_VARIABLE, SIZE_VARIABLE, run_seed, run_size, seed_fixture, size_fixture

__all__ = ["embedded", "no_process_is_left", "seed_fixture", "size_fixture", "topic_prefix"]

# No deadline, and no check of how long an example takes to make: both depend on the machine and on what runs beside,
# and bench/ measures performance.
# The same examples in every run, so that a run says something about the change and not about chance. Tests marked
# `proof` use the seed of the run instead. `pytest --hypothesis-profile=default --hypothesis-seed=N` searches further.
settings.register_profile(
    "callstream", deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=50, derandomize=True
)
settings.load_profile("callstream")


def pytest_configure() -> None:
    """Choose the seed before pytest-xdist starts its processes, which inherit it."""
    run_seed()


def pytest_report_header() -> str:
    """Say how to run the same again."""
    return f"callstream: {SEED_VARIABLE}={run_seed()} {SIZE_VARIABLE}={run_size()}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Put the seed beside the failure of a test that used it."""
    report = yield
    if report.failed and (item.get_closest_marker("proof") or "seed" in getattr(item, "fixturenames", ())):
        report.sections.append(("seed of this run", f"{SEED_VARIABLE}={run_seed()}"))
    return report
