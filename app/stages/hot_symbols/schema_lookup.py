"""Looking up the schemas of a batch in a thread, before the batch is read on the event loop.

Whoever may write a topic may name another schema id in every record. A look-up on the event loop would hold up health
checks, timers and all other partitions for as long as the registry takes.
"""

import asyncio
from collections.abc import Collection, Iterable
from typing import Protocol

from app.streaming.batch import RecordBatch
from app.streaming.paced_runner import Prepare


class MeetsSchemas(Protocol):
    """Knows schemas by the registry's id, and meets those that it does not know."""

    def unmet(self, values: Iterable[bytes | None]) -> set[int]:
        """Schema ids of these records that are not known."""

    def meet(self, schema_ids: Collection[int]) -> None:
        """Query the registry for all of these ids at once; blocks."""


def meet_schemas(schemas: MeetsSchemas) -> Prepare:
    """A function that meets the schemas of a batch, at the cost of one question to the registry at most."""

    async def prepare(batch: RecordBatch) -> None:
        if unmet := schemas.unmet(record.value for record in batch.records):
            await asyncio.to_thread(schemas.meet, unmet)

    return prepare
