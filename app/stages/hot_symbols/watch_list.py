"""The watch list: the records of `runtime.watch`, read, added and removed.

Whoever writes the topic may choose its keys and partitions, so a record is replaced and removed where it lies; watches
with the same meaning are one watch, which has the earliest beginning. What a watch names is brought into the form that
frames have, or it would never be hit: no version on a symbol, a module's path as it is inside its container. Other
records are refused, and counted.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, Final, NamedTuple, assert_never

from confluent_kafka import KafkaError, Message, Producer

from agents.hot_symbols.watch.watch import Watch, WatchFault, from_record
from agents.hot_symbols.watch.watch_board import MAX_WATCHES
from agents.symbols.kernel_symbols import canonical_symbol
from agents.symbols.module_paths import normalize_module
from app.kafka.client import KafkaUnreachableError, client_config
from app.kafka.decoded_records import decoded_records
from app.kafka.records import Recorded
from app.kafka.refused import RefusedRecords
from app.kafka.schemas import RecordFault
from app.settings import Settings
from schemas import records, topics
from schemas.units import NS_PER_MS

ANSWER_SECONDS: Final = 15.0
"""For the brokers to acknowledge a record."""

MAX_PLACES: Final = 2 * MAX_WATCHES
"""Records that a worker keeps, at some 1 kB each, however many others write: as many watches as it answers, and as many
again for watches that several records mean."""

PARTITION_UA: Final = -1
"""librdkafka's word for "the key decides"."""


def in_canonical_form(watch: Watch) -> Watch:
    """The watch, with symbol, module and build id as frames carry them."""
    module = watch.module
    if module is not None and "/" in module:
        module = normalize_module(module).path
    build_id = None if watch.build_id is None else watch.build_id.lower()
    return replace(watch, symbol=canonical_symbol(watch.symbol), module=module, build_id=build_id)


def watch_of(record: Mapping[str, Any], timestamp_ms: int) -> Watch | RecordFault:
    """The watch in a decoded record, or why it is none."""
    watch = from_record(record)
    match watch:
        case WatchFault.NO_SYMBOL:
            return RecordFault.NOT_A_WATCH
        case WatchFault.TEXT_TOO_LONG:
            return RecordFault.TEXT_TOO_LONG
        case Watch():
            pass
        case _:
            assert_never(watch)
    added_ns = timestamp_ms * NS_PER_MS
    since_ns = watch.since_ns if watch.since_ns > 0 else added_ns
    return in_canonical_form(replace(watch, since_ns=since_ns, added_ns=added_ns))


class RecordPlace(NamedTuple):
    """Partition and key: where the records lie of which the newest counts."""

    partition: int
    key: bytes


class WatchList:
    """Watches by place, from records in the order of their partitions."""

    def __init__(self, refused: RefusedRecords, max_places: int | None = None) -> None:
        """Records that are not watches go to `refused`, and so do new ones when there are `max_places`."""
        self._by_place: dict[RecordPlace, Watch] = {}
        self._max_places = max_places
        self.refused = refused

    def take(self, record: Recorded, document: Mapping[str, Any] | RecordFault) -> bool:
        """Take a record and what it holds; returns whether that changes the list.

        A tombstone, or what is not a watch, replaces the watch before it, too.
        """
        if record.key is None:
            self.refused.refuse_keyless(record)
            return False
        place = RecordPlace(record.partition, record.key)
        before = self._by_place.pop(place, None)
        watch = None if record.value is None else self._usable(record, document)
        if watch is not None:
            self._by_place[place] = watch
        return watch != before

    def _usable(self, record: Recorded, document: Mapping[str, Any] | RecordFault) -> Watch | None:
        """The watch, if there is one and room for it; else the record is refused."""
        watch = document if isinstance(document, RecordFault) else watch_of(document, record.timestamp)
        if isinstance(watch, Watch) and self._max_places is not None and len(self._by_place) >= self._max_places:
            watch = RecordFault.TOO_MANY
        if isinstance(watch, Watch):
            return watch
        self.refused.refuse(record, watch)
        return None

    def watches(self) -> dict[str, Watch]:
        """The watches by id; several records of one are joined (`Watch.joined`)."""
        found: dict[str, Watch] = {}
        for watch in self._by_place.values():
            known = found.get(watch.watch_id)
            found[watch.watch_id] = watch if known is None else known.joined(watch)
        return found

    def places_of(self, watch_id: str) -> list[RecordPlace]:
        """Where the records lie that mean a watch."""
        return [place for place, watch in self._by_place.items() if watch.watch_id == watch_id]


def read_watch_list(settings: Settings, refused: RefusedRecords | None = None) -> WatchList:
    """The list as it stands now; records that are not watches go to `refused`.

    Raises KafkaUnreachableError, KafkaUnusableError, RegistryError.
    """
    found = WatchList(RefusedRecords() if refused is None else refused)
    for record, document in decoded_records(settings, topics.WATCH, RefusedRecords()):
        found.take(record, document)
    return found


def add_watch(settings: Settings, schema_id: int, watch: Watch) -> None:
    """Write a watch; `schema_id` is the registry's for Watch. Raises KafkaUnreachableError."""
    add_watches(settings, schema_id, [watch])


def add_watches(settings: Settings, schema_id: int, watches: Iterable[Watch]) -> None:
    """Write watches; as for one."""
    _write(
        settings,
        (
            (
                RecordPlace(PARTITION_UA, watch.watch_id.encode()),
                records.encode(records.WATCH, schema_id, watch.as_record()),
            )
            for watch in watches
        ),
    )


def remove_watches(settings: Settings, places: Iterable[RecordPlace]) -> None:
    """Write tombstones. Raises KafkaUnreachableError."""
    _write(settings, [(place, None) for place in places])


def _write(settings: Settings, changes: Iterable[tuple[RecordPlace, bytes | None]]) -> None:
    problems: list[KafkaError] = []

    def on_delivery(error: KafkaError | None, _message: Message) -> None:
        if error is not None:
            problems.append(error)

    options = {"acks": "all", "enable.idempotence": True, "partitioner": "murmur2_random", "log_level": 0}
    producer = Producer(client_config(settings) | options | {"message.timeout.ms": int(ANSWER_SECONDS * 1000)})
    for place, value in changes:
        producer.produce(settings.name(topics.WATCH), value, place.key, place.partition, on_delivery=on_delivery)
    left = producer.flush(ANSWER_SECONDS + 1.0)
    if problems or left:
        reason = problems[0].str() if problems else "no answer"
        raise KafkaUnreachableError(f"Kafka at {settings.kafka_bootstrap_servers} did not take the record: {reason}")
