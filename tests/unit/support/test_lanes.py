"""tests/support/lanes.py."""

import io
from collections import Counter
from pathlib import Path

import pytest

from tests.support import lanes

TESTS = Path(__file__).resolve().parents[2]
GREEN = "def test_one():\n    pass\n\ndef test_two():\n    pass\n"
RED = """
import pytest

def test_bad():
    assert 'seen' == 'wanted'

@pytest.mark.skip(reason='later')
def test_skipped():
    pass
"""


def looked_at(lane: str) -> set[str]:
    """The folders that a lane reads."""
    [paths] = [one.removeprefix("testpaths=") for one in lanes.LANES[lane] if one.startswith("testpaths=")]
    return {*paths.split()}


def test_every_test_is_where_its_lane_looks() -> None:
    """The lane "broker" reads one folder, and "pure" the others; a test elsewhere would run in no lane."""
    mark = "mark." + "integration"  # in two pieces, or this file would be found
    folders = {path: f"tests/{path.relative_to(TESTS).parts[0]}" for path in TESTS.rglob("test_*.py")}
    marked = {folder for path, folder in folders.items() if mark in path.read_text()}

    assert marked == looked_at("broker") == {"tests/integration"}
    assert looked_at("pure") == {*folders.values()} - marked


@pytest.mark.parametrize(
    ("line", "counts"),
    [
        ("===== 3 passed in 0.10s =====", {"passed": 3}),
        (
            "= 1 failed, 2 passed, 4 deselected, 1 error in 61.00s (0:01:01) =",
            {"failed": 1, "passed": 2, "deselected": 4, "errors": 1},
        ),
        ("===== no tests ran in 0.01s =====", {}),
        ("INTERNALERROR> KeyError: 3 in 4 places", {}),
    ],
)
def test_counts_are_read_from_the_last_line(line: str, counts: dict[str, int]) -> None:
    """Also where a word is in the singular, and where there is no such line."""
    assert lanes.counts_of(line) == Counter(counts)


def test_the_closing_line_is_read_back() -> None:
    """Whoever reads pytest's last line reads ours."""
    counts = {"passed": 4_000, "failed": 1, "skipped": 2}
    line = lanes.closing_line(counts, 812.345)
    assert lanes.counts_of(line) == Counter(counts)
    assert "1 failed, 4000 passed, 2 skipped in 812.35s (0:13:32)" in line


def test_skips_are_read_with_their_reasons() -> None:
    """One line a place, as pytest's summary has them, and nothing else of it."""
    closing = [
        "=== short test summary info ===",
        "SKIPPED [2] tests/a.py:9: this machine has no gdb",
        "FAILED tests/b.py::test_c - SKIPPED [1] is in a message",
        "= 1 failed, 2 skipped in 1.00s =",
    ]
    assert lanes.skips_of(closing) == ["skipped 2: tests/a.py:9: this machine has no gdb"]


@pytest.mark.parametrize(
    ("exit_codes", "verdict"), [((0, 0), 0), ((0, 5), 0), ((5, 5), 1), ((0, 1), 1), ((2, 0), 1), ((0, -9), 1)]
)
def test_all_lanes_must_pass_and_one_must_run_a_test(exit_codes: tuple[int, ...], verdict: int) -> None:
    """A lane killed by a signal has failed."""
    assert lanes.verdict_of(exit_codes) == verdict


@pytest.mark.slow(reason="starts two pytest processes")
@pytest.mark.parametrize("more", [["-ra"], ["-ra", "-q"]])
def test_both_lanes_are_shown_apart_and_added_up(more: list[str], tmp_path: Path) -> None:
    """Each lane's failures stand together, the last line counts all tests, and one failure fails the run."""
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    (tmp_path / "test_green.py").write_text(GREEN)
    (tmp_path / "test_red.py").write_text(RED)
    out = io.StringIO()
    arguments = {"green": [str(tmp_path / "test_green.py")], "red": [str(tmp_path / "test_red.py")]}

    code = lanes.run(arguments, ["-p", "no:cacheprovider", *more], out)

    lines = out.getvalue().splitlines()
    assert code == 1
    assert lanes.counts_of(lines[-1]) == Counter(failed=1, passed=2, skipped=1)
    assert lines[-3:-1] == ["lane green: passed", "lane red: failed, exit code 1"]
    assert lines[-4].startswith("skipped 1: ")
    assert lines[-4].endswith("later")
    green, red = lines.index("lane green"), lines.index("lane red")
    shown = "\n".join(lines[red:green] if red < green else lines[red:])
    assert "assert 'seen' == 'wanted'" in shown
    assert "SKIPPED" in shown
