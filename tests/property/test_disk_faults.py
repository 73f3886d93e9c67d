"""What was promised is there and what was refused is not, whatever the disk does to whoever writes to it.

`make prove` runs 500 cycles for each writer. `python -m bench.disks` does too, and records figures. What a failing run
prints has the seed of its cycle.
"""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.failing_disk import run_disk

pytestmark = [pytest.mark.proof, pytest.mark.slow(reason="some hundred processes")]

Note = Callable[[str, object], None]


def _run(folder: Path, kind: str, cycles: int, seed: int) -> dict[str, int]:
    """The figures of a run."""
    figures = run_disk(folder, kind, cycles, seed)
    if isinstance(figures, str):
        pytest.skip(figures)
    return figures


def _note(figures: dict[str, int], record_property: Note) -> None:
    for name, figure in figures.items():
        record_property(name, figure)


def test_a_disk_that_refuses_costs_nothing_that_was_promised(
    tmp_path: Path, seed: int, size: int, record_property: Note
) -> None:
    """Calls fail with a full disk, an error or a read-only file system, take a half, or end the process.

    What is promised is synced by then, so that a power cut changes nothing, unless the setting says that syncs wait.
    """
    figures = _run(tmp_path, "faults", 50 * size, seed)
    _note(figures, record_property)
    assert figures["promised"] > figures["refused"] > 100
    assert figures["killed"] > 10


def test_a_kill_inside_any_call_costs_nothing_that_was_promised(
    tmp_path: Path, seed: int, size: int, record_property: Note
) -> None:
    """Each writer dies at each of its calls in `make prove`, at each twelfth in `make test`."""
    figures = _run(tmp_path, "kills", max(1, 12 // size), seed)
    _note(figures, record_property)
    assert figures["killed"] == figures["cycles"]


def test_a_full_file_system_costs_nothing_that_was_promised(
    tmp_path: Path, seed: int, size: int, record_property: Note
) -> None:
    """A real one of a few megabytes, with nothing or little left, that has room later."""
    figures = _run(tmp_path, "full", 5 * size, seed)
    _note(figures, record_property)
    assert figures["refused"] > 10
