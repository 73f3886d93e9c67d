"""Runs the tests in two lanes beside each other and prints one result.

`python -m tests.support.lanes [PYTEST ARGUMENT...]`. Each lane is a pytest of its own. The lane "broker" runs the
integration tests, which wait for clocks, signals and servers more than they compute; so it runs three files at a time,
each of its three processes with a broker of its own. The lane "pure" runs all other tests, two files at a time, and
takes the time that the broker's lane leaves: a test there waits for its processor, and one with a broker may wait in
vain. While they run, lines of progress carry the name of their lane. What a lane says about failures, skips and slow
tests is printed in one piece when the lane has ended. Then comes every test that was skipped, with its reason, and how
each lane ended. The last line adds both lanes up, in pytest's own form.

Exits 0 when every lane passed, and 1 otherwise. A lane that selects no test passes, unless both select none.
"""

import re
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import IO, Final

from tests.support.run_size import run_seed

LANES: Final[Mapping[str, Sequence[str]]] = {
    # in the order of their names: the file with the longest test has only that one, and would come last otherwise
    "broker": (
        *("-m", "integration", "-n", "3", "--dist", "loadfile", "--no-loadscope-reorder"),
        *("-o", "cache_dir=.pytest_cache/broker"),
        # each process of a lane reads all files that it may choose from: for "broker" those of other folders are 18 s
        *("-o", "testpaths=tests/integration"),
    ),
    "pure": (
        # in the order of their names, too: folders with long tests come first
        *("-m", "not integration", "-n", "2", "--dist", "loadfile", "--no-loadscope-reorder"),
        *("-o", "cache_dir=.pytest_cache/pure"),
        *("-o", "testpaths=tests/contract tests/golden tests/property tests/unit"),
    ),
}
"""Pytest arguments of each lane, by its name. Each remembers in a folder of its own which tests failed."""

YIELDING: Final = {"pure"}
"""Lanes that give way to the others where there are too few processors for all."""

PASSED: Final = 0
NO_TESTS: Final = 5
"""Pytest's exit code when it selected no test."""

_CLOSING_BEGINS = re.compile(r"=+ (?!test session starts)[^=]+ =+$")
_SKIPPED = re.compile(r"SKIPPED \[(\d+)\] (.+)")
_COUNT = re.compile(r"(\d+) ([a-z]+)")
_PLURALS = {"error": "errors", "warning": "warnings"}


@dataclass(slots=True)
class LaneRun:
    """One lane: what it has printed so far and how it ended."""

    name: str
    closing: list[str] = field(default_factory=list)
    """Everything from the first section after the progress on."""
    last_line: str = ""
    exit_code: int | None = None

    @property
    def counts(self) -> Counter[str]:
        """Tests by outcome, as pytest's last line has them; empty if the lane ended before that line."""
        return counts_of(self.last_line)


def counts_of(last_line: str) -> Counter[str]:
    """Counts by word in a closing line of pytest, such as "=== 3 passed, 1 skipped in 2.10s ==="."""
    before_time = last_line.rpartition(" in ")[0]
    return Counter({_PLURALS.get(word, word): int(number) for number, word in _COUNT.findall(before_time)})


def skips_of(closing: Sequence[str]) -> list[str]:
    """Where tests were skipped, how many and why, by pytest's summary. Longer reasons are cut there, not here."""
    found = [match for line in closing if (match := _SKIPPED.match(line)) is not None]
    return [f"skipped {match[1]}: {match[2]}" for match in found]


def closing_line(counts: Mapping[str, int], seconds: float) -> str:
    """Both lanes' counts in the form of pytest's last line; what failed comes first."""
    order = ("failed", "errors", "passed", "skipped", "deselected", "xfailed", "warnings")
    words = [word for word in order if counts.get(word)] + sorted(word for word in counts if word not in order)
    text = ", ".join(f"{counts[word]} {word}" for word in words) or "no tests ran"
    minutes, rest = divmod(round(seconds), 60)
    return f" {text} in {seconds:.2f}s ({minutes // 60}:{minutes % 60:02}:{rest:02}) ".center(100, "=")


def verdict_of(exit_codes: Sequence[int]) -> int:
    """0 if all lanes passed and at least one of them ran a test, else 1."""
    passed = all(code in {PASSED, NO_TESTS} for code in exit_codes)
    return 0 if passed and PASSED in exit_codes else 1


def run(lanes: Mapping[str, Sequence[str]], arguments: Sequence[str], out: IO[str]) -> int:
    """Run all lanes at the same time and print what they say to `out`; returns the exit code."""
    began = time.monotonic()
    printing = threading.Lock()
    runs = [LaneRun(name) for name in lanes]
    threads = [
        threading.Thread(target=_follow, args=(one, [*lanes[one.name], *arguments], out, printing)) for one in runs
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    total = sum((one.counts for one in runs), Counter[str]())
    total.pop("deselected", None)  # what one lane leaves out is what the other runs
    skips = sorted(line for one in runs for line in skips_of(one.closing))
    print(*skips or ["no test was skipped"], sep="\n", file=out)
    for one in runs:
        print(f"lane {one.name}: {_ending(one)}", file=out)
    print(closing_line(total, time.monotonic() - began), file=out, flush=True)
    return verdict_of([1 if one.exit_code is None else one.exit_code for one in runs])


def _follow(lane: LaneRun, arguments: Sequence[str], out: IO[str], printing: threading.Lock) -> None:
    """Run one lane to its end. Its progress is printed as it comes, its closing sections at the end."""
    command = [*(["nice"] if lane.name in YIELDING else []), sys.executable, "-m", "pytest", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            text = lane.last_line = line.rstrip("\n")
            if lane.closing or _CLOSING_BEGINS.match(text):
                lane.closing.append(text)
            else:
                with printing:
                    print(f"{lane.name:>6} | {text}", file=out, flush=True)
    lane.exit_code = process.returncode
    with printing:
        print(f"\nlane {lane.name}", *lane.closing, "", sep="\n", file=out, flush=True)


def _ending(lane: LaneRun) -> str:
    match lane.exit_code:
        case 0:
            return "passed"
        case 5:
            return "selected no test"
        case code:
            return f"failed, exit code {code}"


if __name__ == "__main__":
    run_seed()  # both lanes inherit it
    sys.exit(run(LANES, sys.argv[1:], sys.stdout))
