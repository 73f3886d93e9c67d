"""Every writer on a disk that refuses, at size: `python -m bench.disks`.

500 cycles for each writer in which calls fail, take a half or end the process, by a new seed; a kill at each call of
each writer; and 50 cycles for each on a file system that is really full. A cycle fails where something promised is
missing, not synced, or damaged, or something refused is there. Records bench/results/disks.txt.
"""

import tempfile
import time
from pathlib import Path
from typing import Final

from bench.figures import Row, Table, record, text_of
from tests.support.failing_disk import run_disk
from tests.support.run_size import run_seed

RUNS: Final = (("faults", 500), ("kills", 1), ("full", 50))


def main() -> None:
    """Run, print and record."""
    rows = []
    for kind, cycles in RUNS:
        began = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="callstream-disks-") as folder:
            figures = run_disk(Path(folder), kind, cycles, run_seed())
        seconds = time.monotonic() - began
        rows.append(Row(kind, {"skipped": figures} if isinstance(figures, str) else {"seconds": seconds, **figures}))
    note = "begun: killed inside; gone: acknowledged, may come again; unsure: the error says that it is not known"
    table = Table("Disks that refuse", {"seed": run_seed()}, rows, note)
    record("disks", [table])
    print(text_of(table))


if __name__ == "__main__":
    main()
