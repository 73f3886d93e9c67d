"""Looking up the schemas of a batch in a thread, before the batch is read on the event loop.

Whoever may write a topic may name another schema id in every record. A look-up on the event loop would hold up health
checks, timers and all other partitions for as long as the registry takes. A registry that is away is waited for: an id
that nobody knows may be the next version of a schema.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Collection, Iterable
from typing import Final, Protocol

from app.kafka.registry import Fault, RegistryError
from app.streaming.batch import RecordBatch
from app.streaming.paced_runner import Prepare

log = logging.getLogger(__name__)

PATIENCE_SECONDS: Final = 45.0
"""How long a registry that is away is waited for: less than the minute after which a stage that commits nothing ends.
Then the process ends with the code for a server that cannot be used, and the next one waits at its start."""

_PAUSE_SECONDS: Final = 1.0


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
            await asyncio.to_thread(meet_patiently, schemas, unmet)

    return prepare


def meet_patiently(
    schemas: MeetsSchemas,
    schema_ids: Collection[int],
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Meet schemas, and wait for a registry that is away. Raises RegistryError for one that stays away, or refuses."""
    deadline = clock() + PATIENCE_SECONDS
    while True:
        try:
            schemas.meet(schema_ids)
        except RegistryError as error:
            if error.fault is not Fault.UNREACHABLE or clock() > deadline:
                raise
            log.warning("waiting: %s", error)
        else:
            return
        sleep(_PAUSE_SECONDS)
