"""The hot-symbol stage's Faust agents: each hands every fetched batch to its runner, and does nothing else."""

from collections.abc import Awaitable, Callable
from typing import Any

import faust

Run = Callable[[Any], Awaitable[None]]
"""Takes one fetched batch; acknowledging it is the runner's business."""


def attach(app: faust.App, *, calls: str, count: Run, partials: str, merge: Run, coverage: str, fold: Run) -> None:
    """Attach all steps to `app`: `count` reads the topic `calls`, `merge` the topic `partials`, `fold` `coverage`.

    A symbol's partials go to the partition of its row, whoever counted them, so the steps need not be in one process;
    they are in one app so that a worker that owns a partition owns it of every topic and table.
    """

    def raw_topic(name: str) -> faust.TopicT:
        return app.topic(name, key_type=bytes, value_type=bytes, key_serializer="raw", value_serializer="raw")

    @app.agent(raw_topic(calls), name="count", concurrency=1)
    async def count_calls(batches: Any) -> None:
        async for event in batches.noack().events():
            await count(event.value)

    @app.agent(raw_topic(partials), name="merge", concurrency=1)
    async def merge_partials(batches: Any) -> None:
        async for event in batches.noack().events():
            await merge(event.value)

    @app.agent(raw_topic(coverage), name="fold", concurrency=1)
    async def fold_coverage(batches: Any) -> None:
        async for event in batches.noack().events():
            await fold(event.value)
