"""How often Python looks for cycles of garbage in a process that works through batches: a stage, a replay.

A batch makes some ten thousand tuples and records, and none of them is part of a cycle: reference counts free them
all. With Python's defaults the collector still walks over what is alive for every 700 of them, a tenth of a stage's
CPU. Cycles (tasks, tracebacks) are still collected, a few times a second under load.
"""

import gc
from typing import Final

YOUNG_OBJECTS: Final = 50_000
"""Objects made and not freed before the youngest are looked at: a few batches in flight, some 10 MB."""


def collect_seldom() -> None:
    """Set what is alive now aside for good, and look for cycles among `YOUNG_OBJECTS` at a time from now on.

    Call it once, when a process has been set up.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS, 10, 10)
