"""The privacy stage's Faust agent: hands every fetched batch to the runner, and does nothing else."""

from collections.abc import Awaitable, Callable
from typing import Any

import faust


def attach(stream: faust.App, source: str, run: Callable[[Any], Awaitable[None]]) -> None:
    """Attach the agent to `stream`, reading topic `source`.

    Each message's value is one fetched batch. `run` returns when the batch is sent; acknowledging it later is the
    runner's business, so the stream acknowledges nothing.
    """
    topic = stream.topic(source, key_type=bytes, value_type=bytes, key_serializer="raw", value_serializer="raw")

    @stream.agent(topic, name="privacy", concurrency=1)
    async def privacy(batches: Any) -> None:
        async for event in batches.noack().events():
            await run(event.value)
