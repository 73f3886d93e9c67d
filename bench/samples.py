"""Where a running process spends its CPU: seconds by thread from the kernel, and stacks from py-spy.

py-spy stops the process for each sample and reads Python and C frames together, so it is never on while CPU is counted:
samples only divide what was counted. It sees the threads that Python has made, asleep or not. A sleeping thread's
innermost frame is a wait of the C library. Some of those have no name, so they are learned from threads that are known
to wait.
"""

import os
import re
import subprocess
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Container, Iterable, Mapping
from pathlib import Path
from typing import Final, NamedTuple

SAMPLES_PER_S: Final = 99
"""Not in step with anything that happens at round intervals; each sample stops the process for a millisecond or so."""

_TICKS_PER_SECOND: Final = os.sysconf("SC_CLK_TCK")
_THREAD: Final = re.compile(r"thread \((\d+)\)")
_WAITS: Final = re.compile(r"(Condition\.wait|\.select|_worker) \(")
_NAMED_WAIT: Final = re.compile(r"\w*(wait|sleep|poll)\w* \(libc")
_UNNAMED: Final = re.compile(r"0x[0-9a-f]+ \(libc")

Stack = tuple[str, ...]
"""Frames, outermost first."""


class ThreadCpu(NamedTuple):
    """A thread's name, as the kernel has it, and what it has run."""

    name: str
    cpu: float


def thread_seconds(pid: int) -> dict[int, ThreadCpu]:
    """Seconds that each thread has run. Python's own threads have the program's name."""
    found = {}
    for task in Path(f"/proc/{pid}/task").iterdir():
        try:
            before, _, after = (task / "stat").read_text(encoding="utf-8").rpartition(")")
        except OSError:
            continue  # it has ended
        fields = after.split()
        ticks = int(fields[11]) + int(fields[12])
        found[int(task.name)] = ThreadCpu(before.partition("(")[2], ticks / _TICKS_PER_SECOND)
    return found


def sampled_stacks(pid: int, seconds: int) -> dict[int, Counter[Stack]]:
    """How often each stack was seen awake, by thread. Raises CalledProcessError where py-spy cannot look."""
    with tempfile.TemporaryDirectory(prefix="callstream-bench-") as folder:
        out = Path(folder) / "stacks"
        how = ("--native", "--threads", "--format", "raw", "--rate", str(SAMPLES_PER_S), "--duration", str(seconds))
        program = Path(sys.executable).with_name("py-spy")
        command = [str(program), "record", *how, "--output", str(out), "--pid", str(pid)]
        subprocess.run(command, check=True, capture_output=True)
        return awake(out.read_text(encoding="utf-8").splitlines())


def awake(lines: Iterable[str]) -> dict[int, Counter[Stack]]:
    """Lines of py-spy, `thread;frame;frame count`, without those of threads that sleep."""
    found: defaultdict[int, Counter[Stack]] = defaultdict(Counter)
    for line in lines:
        text, _, count = line.rpartition(" ")
        thread, *stack = text.split(";")
        if (match := _THREAD.match(thread)) is not None and stack:
            found[int(match[1])][tuple(stack)] += int(count)
    unnamed = {stack[-1] for stacks in found.values() for stack in stacks if _is_unnamed_wait(stack)}
    return {
        thread: Counter({stack: count for stack, count in stacks.items() if not _is_wait(stack[-1], unnamed)})
        for thread, stacks in found.items()
    }


def _is_unnamed_wait(stack: Stack) -> bool:
    """Whether Python called the C library to wait, and the library's frame has no name."""
    python = next((frame for frame in reversed(stack) if ".py:" in frame), "")
    return _WAITS.search(python) is not None and _UNNAMED.match(stack[-1]) is not None


def _is_wait(frame: str, unnamed: Container[str]) -> bool:
    return frame in unnamed or _NAMED_WAIT.match(frame) is not None


def keep_stacks(file: Path, stacks: Mapping[int, Counter[Stack]]) -> None:
    """Write stacks in the form that flame graph tools read."""
    file.parent.mkdir(parents=True, exist_ok=True)
    lines = [f"{';'.join(stack)} {count}\n" for one in stacks.values() for stack, count in sorted(one.items())]
    file.write_text("".join(lines), encoding="utf-8")
