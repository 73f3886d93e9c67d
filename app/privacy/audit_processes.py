"""Looks at the parts of an audit in processes of their own, and says how far they are."""

import multiprocessing
import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, wait
from multiprocessing.context import SpawnContext
from typing import Any, Final

from app.privacy.audit import AuditPart, PartFindings, look_at
from app.settings import Settings

_POLL_SECONDS: Final = 0.2

_counts: Any = None
"""Records that each part has done; the one thing that a process inherits."""


def look_at_all(settings: Settings, parts: Sequence[AuditPart], report: Callable[[int], None]) -> list[PartFindings]:
    """What was found in each part; `report` receives how many records are done. Raises what `TopicReader` raises."""
    if len(parts) == 1:
        return [look_at(settings, parts[0], report)]
    # spawned, not forked: a fork would inherit the Kafka clients' locks without their threads
    context: SpawnContext = multiprocessing.get_context("spawn")
    counts = context.Array("q", len(parts), lock=False)
    with ProcessPoolExecutor(len(parts), mp_context=context, initializer=_begin, initargs=(counts,)) as executor:
        futures = [executor.submit(_look_at, settings, number, part) for number, part in enumerate(parts)]
        waiting: set[Future[PartFindings]] = set(futures)
        try:
            while waiting:
                done, waiting = wait(waiting, _POLL_SECONDS)
                for one in done:
                    one.result()  # an error ends the audit now, not when the others are done
                report(sum(counts))
        except BaseException:
            executor.shutdown(wait=True, cancel_futures=True)
            raise
        return [one.result() for one in futures]


def _begin(counts: Any) -> None:
    global _counts  # noqa: PLW0603 - the one thing that a process must inherit
    _counts = counts
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """End this process when its parent has ended: a pool's processes would wait for work without end."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _look_at(settings: Settings, number: int, part: AuditPart) -> PartFindings:
    def report(records: int) -> None:
        _counts[number] = records

    return look_at(settings, part, report)
