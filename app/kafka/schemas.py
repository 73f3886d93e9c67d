"""Records of our own Avro schemas, whichever of their versions wrote them.

Rules: a schema id is asked of the registry once; a record that is no such record is a value, None, for a reader of a
shared topic must not end on what others put there. This module refuses to know topics.
"""

import json
from typing import Any

import fastavro

from app.kafka.registry import Fault, RegistryError, SchemaRegistry
from schemas import avro_wire, records


class WriterSchemas:
    """Decodes records of one packaged schema."""

    def __init__(self, registry: SchemaRegistry, schema: str) -> None:
        """`schema` is a name of `records.NAMES`."""
        self._registry = registry
        self._schema = schema
        self._writers: dict[int, Any] = {}

    def decode(self, value: bytes | None) -> dict[str, Any] | None:
        """A record as a dictionary of our fields; None where the bytes are no such record.

        Raises RegistryError where the registry cannot be asked.
        """
        try:
            writer = self._writer(avro_wire.schema_id_of(value or b""))
            return None if writer is None else records.decode(self._schema, value or b"", writer)
        except RegistryError:
            raise
        except Exception:  # noqa: BLE001 - fastavro raises what Python raises on bytes that are something else
            return None

    def _writer(self, schema_id: int) -> Any:
        if schema_id not in self._writers:
            self._writers[schema_id] = self._ask(schema_id)
        return self._writers[schema_id]

    def _ask(self, schema_id: int) -> Any:
        try:
            return fastavro.parse_schema(json.loads(self._registry.schema(schema_id)))
        except RegistryError as error:
            if error.fault is Fault.NOT_FOUND:
                return None
            raise
