"""Fetches the records of partitions within a limit of memory, from a thread of its own; joins no consumer group.

librdkafka inflates whatever a batch holds, and a megabyte that somebody wrote may hold a gigabyte. aiokafka lets us
inflate batches within a limit (`inflating`), as the stages do. A larger or damaged batch costs its own records: for
each of its offsets there is a record with the value `UNREADABLE_BATCH`.
"""

import asyncio
import threading
from collections.abc import Coroutine, Iterable, Mapping
from contextlib import suppress
from typing import Any, Final, TypeVar

from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError
from aiokafka.structs import TopicPartition

from app.kafka import fetched
from app.kafka.client import ISOLATION_LEVEL, aiokafka_options
from app.kafka.records import OffsetRange, Partition, Recorded
from app.settings import Settings

FETCH_BYTES: Final = 8 << 20
"""Compressed, of all partitions; a batch that is larger still arrives, alone."""

PARTITION_FETCH_BYTES: Final = 4 << 20

READING_WAIT_MS: Final = 10
"""How long a broker keeps a request at a log's end, for who reads up to the end: what comes after it on the connection
waits."""

FOLLOWING_WAIT_MS: Final = 500
"""For who goes on as logs grow. A record ends the wait, so it comes no later; and where nothing comes, the broker and
we have two requests a second and not a hundred."""

_REQUEST_MS: Final = 15_000

_CLOSE_SECONDS: Final = 5.0

Result = TypeVar("Result")


class LogFetcher:
    """Hands out what is fetched. One thread at a time may use it. Close it."""

    def __init__(
        self, settings: Settings, *, skips_expired: bool = False, fetch_max_wait_ms: int = READING_WAIT_MS
    ) -> None:
        """Connects when it is first used. With `skips_expired`, records that are gone are not an error.

        Raises what `client_config` raises.
        """
        self._config = _options(settings) | {
            "auto_offset_reset": "earliest" if skips_expired else "none",
            "fetch_max_wait_ms": fetch_max_wait_ms,
        }
        self._loop = asyncio.new_event_loop()
        self._thread: threading.Thread | None = None
        self._consumer: AIOKafkaConsumer | None = None
        self._assigned: list[TopicPartition] = []

    def ends(self, places: Iterable[Partition]) -> dict[Partition, OffsetRange]:
        """Where the logs of partitions begin and end now. Raises KafkaError of aiokafka."""
        return self._done(self._ends([TopicPartition(*place) for place in places]))

    def assign(self, positions: Mapping[Partition, int]) -> None:
        """Read these partitions from these offsets on, and no others. Raises KafkaError of aiokafka."""
        self._done(self._assign(positions))

    def seek(self, place: Partition, offset: int) -> None:
        """Go on from an offset of a partition that is assigned."""
        self._done(self._seek(TopicPartition(*place), offset))

    def leave(self, place: Partition) -> None:
        """Read no more of a partition."""
        self._done(self._leave(TopicPartition(*place)))

    def take(self, most: int, seconds: float) -> list[Recorded]:
        """At most so many records, as soon as there are any; none if none come within the time.

        Those of one partition are in offset order. Raises KafkaError of aiokafka for what does not pass.
        """
        return self._done(self._take(most, seconds))

    def positions(self) -> dict[Partition, int]:
        """By partition, the offset after everything that was handed out or is not there: markers, expired records."""
        return self._done(self._positions())

    def release(self) -> None:
        """Fetch nothing more. Does not wait, so a garbage collector may call it from any thread, also after `close`."""
        with suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(self._release)

    def close(self) -> None:
        """Close the connections and end the thread; gives up on connections that do not close within a few seconds."""
        if self._loop.is_closed():
            return
        if self._thread is None:
            self._loop.close()
            return
        with suppress(KafkaError):
            self._done(self._stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _done(self, work: Coroutine[Any, Any, Result]) -> Result:
        if self._thread is None:
            self._thread = threading.Thread(target=self._loop.run_forever, name="log-fetcher", daemon=True)
            self._thread.start()
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    async def _connected(self) -> AIOKafkaConsumer:
        if self._consumer is None:
            fetched.install()
            consumer = AIOKafkaConsumer(**self._config)
            try:
                await consumer.start()
            except BaseException:
                await consumer.stop()
                raise
            self._consumer = consumer
        return self._consumer

    async def _ends(self, places: list[TopicPartition]) -> dict[Partition, OffsetRange]:
        consumer = await self._connected()
        consumer._client.set_topics([place.topic for place in places])  # noqa: SLF001 - without it no leaders are found
        firsts, nexts = await asyncio.gather(consumer.beginning_offsets(places), consumer.end_offsets(places))
        return {
            (place.topic, place.partition): OffsetRange(place.partition, firsts[place], nexts[place])
            for place in places
        }

    def _release(self) -> None:
        if self._consumer is not None and self._assigned:
            # not `unsubscribe`: a `stop` that follows at once would wait for a task that lost its cancellation
            self._consumer.pause(*self._assigned)
        self._assigned = []

    async def _assign(self, positions: Mapping[Partition, int]) -> None:
        consumer = await self._connected()
        self._assigned = [TopicPartition(*place) for place in positions]
        consumer.assign(self._assigned)
        for place, offset in positions.items():
            consumer.seek(TopicPartition(*place), offset)

    async def _take(self, most: int, seconds: float) -> list[Recorded]:
        consumer = await self._connected()
        found = await consumer.getmany(timeout_ms=int(seconds * 1000), max_records=most)
        return [record for records in found.values() for record in records]

    async def _positions(self) -> dict[Partition, int]:
        consumer = await self._connected()
        found = {(one.topic, one.partition): fetched.position_of(consumer, one) for one in self._assigned}
        return {place: position for place, position in found.items() if position is not None}

    async def _seek(self, place: TopicPartition, offset: int) -> None:
        (await self._connected()).seek(place, offset)

    async def _leave(self, place: TopicPartition) -> None:
        (await self._connected()).pause(place)

    async def _stop(self) -> None:
        # aiokafka's fetcher swallows its cancellation while an assignment ends, and then `stop` waits for ever
        if self._consumer is not None:
            await asyncio.wait({asyncio.ensure_future(self._consumer.stop())}, timeout=_CLOSE_SECONDS)


def _options(settings: Settings) -> dict[str, Any]:
    return aiokafka_options(settings) | {
        "enable_auto_commit": False,
        "check_crcs": True,
        "isolation_level": ISOLATION_LEVEL,
        "fetch_max_bytes": FETCH_BYTES,
        "max_partition_fetch_bytes": PARTITION_FETCH_BYTES,
        "request_timeout_ms": _REQUEST_MS,
    }
