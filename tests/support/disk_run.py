"""Every writer on a disk that refuses, again and again: `python -m tests.support.disk_run FOLDER KIND CYCLES SEED`.

Kinds: `faults` has calls refused, halved or the process killed, at random; `kills` kills at each CYCLES-th call of each
writer; `full` works on a small file system that is full and has room later. The first two need the preloaded library,
the last one a file system at FOLDER that may be filled.

Each cycle is a process, forked from this one, so that imports are paid once. Prints one line of JSON with figures, and
ends with 1 at the first cycle whose promises do not hold.
"""

import json
import os
import shutil
import sys
import traceback
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from random import Random

from app.operators.errors import OperatorError
from tests.support.disk_writers import (
    ArchiveWriter,
    DiskWriter,
    ExportWriter,
    JournalWriter,
    RunWriter,
    SpillWriter,
    SymbolWriter,
    TableWriter,
    Told,
)
from tests.support.failing_disk import KILL, NO_FAULT, Fault, arm, calls, fill

_BROKEN = "broken"
_KILLED = 9


@dataclass(frozen=True, slots=True)
class Cycle:
    """One writer, one fault, one seed."""

    writer: str
    seed: int
    fault: Fault | None
    """None on a disk that is full."""


class DiskRun:
    """The run: its writers, its folder, and what came of it."""

    def __init__(self, root: Path, scratch: Path) -> None:
        """`root` is on the disk that refuses, `scratch` is not."""
        self._root = root
        self._writers: Mapping[str, DiskWriter] = {
            "spill": SpillWriter(),
            "journal": JournalWriter(),
            "symbols": SymbolWriter(),
            "archive": ArchiveWriter(),
            "run": RunWriter.over(scratch / "archive"),
            "table": TableWriter(),
            "export": ExportWriter(),
        }
        self.ends: Counter[str] = Counter()
        self.cycles: Counter[str] = Counter()

    def faults(self, cycles: int, chance: Random) -> None:
        """Each writer meets that many faults."""
        size = {name: self._calls(name, chance.randrange(1 << 30)) for name in self._writers}
        for _ in range(cycles):
            for name in self._writers:
                self._cycle(Cycle(name, chance.randrange(1 << 30), Fault.any(chance, size[name])))

    def kills(self, stride: int, chance: Random) -> None:
        """Each writer is killed at each `stride`-th of its calls."""
        for name in self._writers:
            seed = chance.randrange(1 << 30)
            for number in range(chance.randrange(stride), self._calls(name, seed), stride):
                self._cycle(Cycle(name, seed, Fault(number, 1, KILL, chance.random() < 0.5)))

    def full(self, cycles: int, chance: Random) -> None:
        """Each writer meets a full disk that many times."""
        for _ in range(cycles):
            for name in self._writers:
                self._cycle(Cycle(name, chance.randrange(1 << 30), None))

    def _calls(self, name: str, seed: int) -> int:
        """Calls of a writer that meets no fault."""
        folder = self._root / "counted"
        folder.mkdir()

        def work(tell: Callable[[str, int], None]) -> None:
            arm(folder, NO_FAULT)
            self._writers[name].work(folder, Random(seed), tell, lambda: None)
            tell("calls", calls())

        lines, _ = _forked(work)
        shutil.rmtree(folder)
        return next(number for what, number in lines if what == "calls")

    def _cycle(self, cycle: Cycle) -> None:
        folder = self._root / f"{cycle.writer}-{self.cycles.total()}"
        writer = self._writers[cycle.writer]
        filler = self._root / "filler"
        folder.mkdir()

        def work(tell: Callable[[str, int], None]) -> None:
            chance = Random(cycle.seed)
            if cycle.fault is None:
                fill(filler, leaving=chance.choice((0, 4_096, 30_000, 300_000)))
                writer.work(folder, chance, tell, lambda: filler.unlink(missing_ok=True))
            else:
                arm(folder, cycle.fault)
                writer.work(folder, chance, tell, lambda: None)

        lines, status = _forked(work)
        filler.unlink(missing_ok=True)
        told = Told({number: what for what, number in lines if what != _BROKEN})
        killed = os.WIFSIGNALED(status)
        if any(what == _BROKEN for what, _ in lines) or (killed and os.WTERMSIG(status) != _KILLED):
            raise AssertionError(f"{cycle}: ended by something else than an error of the disk; {told}")
        checked, status = _forked(lambda _tell: writer.check(folder, told))
        if checked or status:
            raise AssertionError(f"{cycle}: {told}, kept in {folder}")
        shutil.rmtree(folder)
        self.cycles[cycle.writer] += 1
        self.ends.update(told.ends.values())
        self.ends["killed"] += killed


def _forked(work: Callable[[Callable[[str, int], None]], None]) -> tuple[list[tuple[str, int]], int]:
    """What a child told, line by line, and its status. The child says `broken` when it ends by an exception."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)

        def tell(what: str, number: int) -> None:
            os.write(writing, f"{what} {number}\n".encode())

        try:
            work(tell)
        except (OSError, OperatorError):  # the writer could not even be opened
            tell("refused", -1)
        except BaseException:  # noqa: BLE001 - all of it goes to the parent
            traceback.print_exc()
            tell(_BROKEN, 0)
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, encoding="ascii") as lines:
        told = [(what, int(number)) for what, number in map(str.split, lines)]
    return told, os.waitpid(child, 0)[1]


def main() -> None:
    """Run, and print figures."""
    folder, kind, cycles, seed = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    (folder / "disk").mkdir()
    (folder / "beside").mkdir()
    run = DiskRun(folder / "disk", folder / "beside")
    {"faults": run.faults, "kills": run.kills, "full": run.full}[kind](cycles, Random(seed))
    sys.stdout.write(json.dumps({"cycles": run.cycles.total(), "writers": len(run.cycles), **run.ends}))


if __name__ == "__main__":
    main()
