"""Schemas of our own Avro records by the registry's id, whichever of their versions wrote a record.

A schema never changes under its id, so it is read from the registry once. An id that does not lead to a schema of ours
is a refusal, a value with its reason: a reader of a shared topic must not end because of what other programs wrote.
Records are decoded only with versions of their topic's subject, and only where the schema's structure is safe:
whoever may register a schema somewhere must not choose what a reader of our topics does.
"""

import json
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, Generic, TypeVar

from agents.contract import UNREADABLE_BATCH, UNREADABLE_BATCH_REASON
from app.kafka.registry import RegistryError, SchemaRegistry
from app.settings import Settings
from schemas import avro_wire, records, topics
from schemas.avro_structure import UnsafeSchemaError, safe_schema
from schemas.call_layout import CallLayout

MAX_SCHEMAS: Final = 2_048
"""Ids that are remembered; the oldest refusal goes first. Ours are a handful, but garbage in a topic may name
thousands, which must not fill the memory of a worker that runs for months. A batch of a thousand records fits, so what
`meet` has looked up for a batch is still known when the batch is read."""

REFUSED_SECONDS: Final = 60.0
"""How long a refusal is remembered. A flood of garbage must not cause a request for each record, and a schema that is
registered late must be found."""

AskTexts = Callable[[Collection[int]], Mapping[int, str]]
"""Gives the texts of those of the ids that exist. Raises RegistryError if the registry does not answer."""

Clock = Callable[[], float]
"""Gives seconds."""

Made = TypeVar("Made")


@dataclass(frozen=True, slots=True)
class SchemaRefusal:
    """A schema id that does not lead to a schema of ours, and why."""

    schema_id: int
    reason: str


class RecordFault(StrEnum):
    """Why a record of a topic is not used; the values are a metric's labels and dead-letter reasons."""

    EMPTY = "empty"
    TOO_LARGE = "too_large"
    NOT_FRAMED = "not_framed"
    UNKNOWN_SCHEMA = "unknown_schema"
    MALFORMED = "malformed"
    TEXT_TOO_LONG = "text_too_long"
    NOT_A_WATCH = "not_a_watch"
    NO_KEY = "no_key"
    TOO_MANY = "too_many"
    BATCH_TOO_LARGE = UNREADABLE_BATCH_REASON


class SchemaCache(Generic[Made]):
    """What is made of each version of one packaged schema, by the registry's id."""

    def __init__(
        self,
        ask: AskTexts,
        record: str,
        make: Callable[[int, Mapping[str, Any]], Made],
        clock: Clock = time.monotonic,
    ) -> None:
        """`record` is a name of `records.NAMES`; `make` gets the id and the schema as JSON has it."""
        self._ask = ask
        self._record = record
        self._make = make
        self._clock = clock
        self._known: dict[int, Made] = {}
        self._refused: dict[int, tuple[SchemaRefusal, float]] = {}
        """Each with the time at which it is forgotten."""

    def find(self, schema_id: int) -> Made | SchemaRefusal:
        """What was made of the schema, or why it is not one of ours.

        Raises RegistryError if the registry does not answer; that is not remembered.
        """
        remembered = self._remembered(schema_id)
        if remembered is not None:
            return remembered
        self.meet((schema_id,))
        found = self._remembered(schema_id)
        assert found is not None
        return found

    def unmet(self, schema_ids: Iterable[int]) -> set[int]:
        """Those of the ids for which `find` would query the registry."""
        return {schema_id for schema_id in schema_ids if self._remembered(schema_id) is None}

    def meet(self, schema_ids: Collection[int]) -> None:
        """Query the registry for all of these ids at once, and remember its answers. Raises RegistryError."""
        texts = self._ask(schema_ids)
        for schema_id in schema_ids:
            found = self._made(schema_id, texts.get(schema_id))
            self._refused.pop(schema_id, None)
            if isinstance(found, SchemaRefusal):
                self._refused[schema_id] = found, self._clock() + REFUSED_SECONDS
            else:
                self._known[schema_id] = found
            if len(self._known) + len(self._refused) > MAX_SCHEMAS:
                fullest: dict[int, Any] = self._refused or self._known
                del fullest[next(iter(fullest))]

    def known(self) -> Mapping[int, Made]:
        """What was made of the schemas that were found, by id."""
        return self._known

    def _remembered(self, schema_id: int) -> Made | SchemaRefusal | None:
        known = self._known.get(schema_id)
        if known is not None:
            return known
        refused = self._refused.get(schema_id)
        return refused[0] if refused is not None and self._clock() < refused[1] else None

    def _made(self, schema_id: int, text: str | None) -> Made | SchemaRefusal:
        if text is None:
            return SchemaRefusal(schema_id, f"there is no schema with id {schema_id}")
        ours = records.parsed_schema(self._record)["name"]
        try:
            document = json.loads(text)
            parsed: Any = safe_schema(document)
            if (parsed["type"], parsed["name"]) != ("record", ours):
                return SchemaRefusal(schema_id, f"schema {schema_id} is of {parsed['name']}, not of {ours}")
            return self._make(schema_id, document)
        except UnsafeSchemaError as error:
            return SchemaRefusal(schema_id, f"schema {schema_id} of {ours} is not safe to decode with: {error}")
        except Exception as error:  # noqa: BLE001 - a text that is something else makes fastavro raise anything
            return SchemaRefusal(schema_id, f"schema {schema_id} is not of {ours}: {type(error).__name__}")


class RecordDecoder:
    """Decodes records of one topic, whichever version of the topic's subject wrote them."""

    def __init__(
        self,
        settings: Settings,
        registry: SchemaRegistry,
        topic: str,
        *,
        follows: bool = False,
        clock: Clock = time.monotonic,
    ) -> None:
        """`topic` is the live topic's name without prefix.

        Without `follows`, all records to decode are written when the first is decoded. So are their schemas
        registered, and the registry is queried once, however many unknown ids the records name.
        """
        record = topics.TOPICS_BY_NAME[topic].value_schema
        assert record is not None
        self._record = record
        self._max_bytes = topics.TOPICS_BY_NAME[topic].max_value_bytes
        texts = SubjectTexts(lambda: registry, settings.name(topics.subject(topic)), follows=follows)
        self._writers = SchemaCache(texts, record, _parsed, clock)

    def decode(self, value: bytes | None) -> dict[str, Any] | RecordFault:
        """A record as a dictionary of our fields, or why it is none.

        Raises RegistryError if the registry does not answer.
        """
        if not value:
            return RecordFault.EMPTY
        if len(value) > self._max_bytes:
            return RecordFault.TOO_LARGE
        try:
            writer = self._writers.find(avro_wire.schema_id_of(value))
            if isinstance(writer, SchemaRefusal):
                return RecordFault.UNKNOWN_SCHEMA
            return records.decode(self._record, value, writer)
        except RegistryError:
            raise
        except avro_wire.SchemaHeaderError:
            return RecordFault.BATCH_TOO_LARGE if value is UNREADABLE_BATCH else RecordFault.NOT_FRAMED
        except Exception:  # noqa: BLE001 - fastavro raises what Python raises on bytes that are something else
            return RecordFault.MALFORMED

    def unmet(self, values: Iterable[bytes | None]) -> set[int]:
        """Schema ids of these records for which `decode` would query the registry."""
        return self._writers.unmet(schema_ids_of(values))

    def meet(self, schema_ids: Collection[int]) -> None:
        """Query the registry for all of these ids at once; blocks. Raises RegistryError."""
        self._writers.meet(schema_ids)


class CallLayouts:
    """Layouts of calls by the registry's schema id, leading to the repeating fields that are wanted."""

    def __init__(
        self, settings: Settings, wanted: Iterable[str], *, follows: bool = False, clock: Clock = time.monotonic
    ) -> None:
        """`follows` as in `RecordDecoder`."""
        fields = frozenset(wanted)

        def made(schema_id: int, schema: Mapping[str, Any]) -> CallLayout:
            return CallLayout(schema_id, schema, fields)

        subject = settings.name(topics.subject(topics.CALLS))
        texts = SubjectTexts(lambda: SchemaRegistry.from_settings(settings), subject, follows=follows)
        self._layouts = SchemaCache(texts, records.CALL, made, clock)

    def __call__(self, schema_id: int) -> CallLayout | None:
        """The layout of calls written with a schema; None if they are not calls.

        Blocks for some milliseconds on an id that `unmet` names. Raises RegistryError if the registry does not answer.
        """
        found = self._layouts.find(schema_id)
        return None if isinstance(found, SchemaRefusal) else found

    def unmet(self, values: Iterable[bytes | None]) -> set[int]:
        """Schema ids of these records that are not known."""
        return self._layouts.unmet(schema_ids_of(values))

    def meet(self, schema_ids: Collection[int]) -> None:
        """Query the registry for all of these ids at once; blocks. Raises RegistryError."""
        self._layouts.meet(schema_ids)


class SubjectTexts:
    """Texts of one subject's versions, by schema id."""

    def __init__(self, connect: Callable[[], SchemaRegistry], subject: str, *, follows: bool) -> None:
        """Versions that are registered later are found only if it `follows`."""
        self._connect = connect
        self._subject = subject
        self._follows = follows
        self._was_read = False
        self._texts: dict[int, str] = {}
        self._numbers: set[int] = set()

    def __call__(self, schema_ids: Collection[int]) -> Mapping[int, str]:
        """Read which versions there are, and those that are new: an unknown id costs no request of its own."""
        if self._follows or not self._was_read:
            registry = self._connect()
            for number in registry.versions(self._subject):
                if number not in self._numbers:
                    schema_id, text = registry.version(self._subject, number)
                    self._texts[schema_id] = text
                    self._numbers.add(number)
            self._was_read = True
        return {schema_id: self._texts[schema_id] for schema_id in schema_ids if schema_id in self._texts}


def schema_ids_of(values: Iterable[bytes | None]) -> set[int]:
    """Schema ids in the headers of these records."""
    headers = {value[: avro_wire.SCHEMA_HEADER_BYTES] for value in values if value}
    found = set()
    for header in headers:
        with suppress(avro_wire.SchemaHeaderError):
            found.add(avro_wire.schema_id_of(header))
    return found


def _parsed(_schema_id: int, schema: Mapping[str, Any]) -> Any:
    """The schema in fastavro's form."""
    return safe_schema(dict(schema))
