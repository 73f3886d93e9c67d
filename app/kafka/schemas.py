"""Schemas of our own Avro records by the registry's id, whichever of their versions wrote a record.

A schema never changes under its id, so it is read from the registry once. An id that does not lead to a schema of ours
is a refusal, a value with its reason: a reader of a shared topic must not end because of what other programs wrote.
"""

import json
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

import fastavro

from app.kafka.registry import Fault, RegistryError, SchemaRegistry
from app.settings import Settings
from schemas import avro_wire, records
from schemas.call_layout import CallLayout

MAX_SCHEMAS: Final = 1_024
"""Ids that are remembered; the oldest refusal goes first. Ours are a handful, but garbage in a topic may name
thousands, which must not fill the memory of a worker that runs for months."""

REFUSED_SECONDS: Final = 60.0
"""How long a refusal is remembered. A flood of garbage must not cause a request for each record, and a schema that is
registered late must be found."""

AskText = Callable[[int], str | None]
"""Gives a schema's text by id, None if it does not exist. Raises RegistryError if the registry does not answer."""

Clock = Callable[[], float]
"""Gives seconds."""

Made = TypeVar("Made")


@dataclass(frozen=True, slots=True)
class SchemaRefusal:
    """A schema id that does not lead to a schema of ours, and why."""

    schema_id: int
    reason: str


class SchemaCache(Generic[Made]):
    """What is made of each version of one packaged schema, by the registry's id."""

    def __init__(
        self,
        ask: AskText,
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
        known = self._known.get(schema_id)
        if known is not None:
            return known
        refused = self._refused.get(schema_id)
        if refused is not None and self._clock() < refused[1]:
            return refused[0]
        return self._meet(schema_id)

    def known(self) -> Mapping[int, Made]:
        """What was made of the schemas that were found, by id."""
        return self._known

    def _meet(self, schema_id: int) -> Made | SchemaRefusal:
        found = self._asked(schema_id)
        self._refused.pop(schema_id, None)
        if isinstance(found, SchemaRefusal):
            self._refused[schema_id] = found, self._clock() + REFUSED_SECONDS
        else:
            self._known[schema_id] = found
        if len(self._known) + len(self._refused) > MAX_SCHEMAS:
            fullest: dict[int, Any] = self._refused or self._known
            del fullest[next(iter(fullest))]
        return found

    def _asked(self, schema_id: int) -> Made | SchemaRefusal:
        text = self._ask(schema_id)
        if text is None:
            return SchemaRefusal(schema_id, f"there is no schema with id {schema_id}")
        ours = records.parsed_schema(self._record)["name"]
        try:
            document = json.loads(text)
            parsed: Any = fastavro.parse_schema(document)
            if (parsed["type"], parsed["name"]) != ("record", ours):
                return SchemaRefusal(schema_id, f"schema {schema_id} is of {parsed['name']}, not of {ours}")
            return self._make(schema_id, document)
        except Exception as error:  # noqa: BLE001 - a text that is something else makes fastavro raise anything
            return SchemaRefusal(schema_id, f"schema {schema_id} is not of {ours}: {type(error).__name__}")


class RecordDecoder:
    """Decodes records of one packaged schema."""

    def __init__(self, registry: SchemaRegistry, record: str, clock: Clock = time.monotonic) -> None:
        """`record` is a name of `records.NAMES`."""
        self._record = record
        self._writers = SchemaCache(texts_of(registry), record, _parsed, clock)

    def decode(self, value: bytes | None) -> dict[str, Any] | None:
        """A record as a dictionary of our fields; None if the bytes are something else.

        Raises RegistryError if the registry does not answer.
        """
        try:
            writer = self._writers.find(avro_wire.schema_id_of(value or b""))
            return None if isinstance(writer, SchemaRefusal) else records.decode(self._record, value or b"", writer)
        except RegistryError:
            raise
        except Exception:  # noqa: BLE001 - fastavro raises what Python raises on bytes that are something else
            return None


def call_layouts(
    settings: Settings, wanted: Iterable[str], clock: Clock = time.monotonic
) -> Callable[[int], CallLayout | None]:
    """A function from a schema id to the layout of calls written with it; None if they are not calls.

    The layouts lead to the repeating fields that `wanted` names. The function blocks for some milliseconds when it
    meets an id. It raises RegistryError if the registry does not answer.
    """
    fields = frozenset(wanted)

    def ask(schema_id: int) -> str | None:
        with SchemaRegistry.from_settings(settings) as registry:
            return texts_of(registry)(schema_id)

    def made(schema_id: int, schema: Mapping[str, Any]) -> CallLayout:
        return CallLayout(schema_id, schema, fields)

    layouts = SchemaCache(ask, records.CALL, made, clock)

    def layout_of(schema_id: int) -> CallLayout | None:
        found = layouts.find(schema_id)
        return None if isinstance(found, SchemaRefusal) else found

    return layout_of


def texts_of(registry: SchemaRegistry) -> AskText:
    """The texts of a registry's schemas, for a cache."""

    def ask(schema_id: int) -> str | None:
        try:
            return registry.schema(schema_id)
        except RegistryError as error:
            if error.fault is Fault.NOT_FOUND:
                return None
            raise

    return ask


def _parsed(_schema_id: int, schema: Mapping[str, Any]) -> Any:
    """The schema in fastavro's form."""
    return fastavro.parse_schema(dict(schema))
