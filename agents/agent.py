"""Attaching a step to a Faust app: one agent that hands every fetched batch to the step's runner."""

from collections.abc import Awaitable, Callable
from typing import Any

import faust

Run = Callable[[Any], Awaitable[None]]
"""Takes one fetched batch, and returns when it is sent. Acknowledging it later is the runner's task."""


def attach(app: faust.App, source: str, name: str, run: Run) -> None:
    """Attach an agent called `name` to `app`, reading topic `source`.

    Each message's value is one fetched batch. The stream acknowledges nothing, because the runner does.
    """
    topic = app.topic(source, key_type=bytes, value_type=bytes, key_serializer="raw", value_serializer="raw")

    @app.agent(topic, name=name, concurrency=1)
    async def take_batches(batches: Any) -> None:
        async for event in batches.noack().events():
            await run(event.value)
