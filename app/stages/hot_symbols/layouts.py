"""Layouts of calls by schema id, from the registry.

Rules: a schema is asked for once; an id that the registry does not have is remembered too, or a flood of garbage would
ask for every record. The question blocks its caller, for some milliseconds and once a schema version. This module
refuses to know what is read from a call.
"""

import json
from collections.abc import Iterable
from typing import Final

from app.kafka.registry import Fault, RegistryError, SchemaRegistry
from app.settings import Settings
from schemas.call_layout import CallLayout

MAX_UNKNOWN: Final = 1024
"""Ids remembered as unknown; after that all are asked for again."""


class RegistryLayouts:
    """Asks the registry that the settings name."""

    def __init__(self, settings: Settings, wanted: Iterable[str]) -> None:
        """`wanted` names the repeating fields that the layouts are to lead to."""
        self._settings = settings
        self._wanted = frozenset(wanted)
        self._known: dict[int, CallLayout] = {}
        self._unknown: set[int] = set()

    def __call__(self, schema_id: int) -> CallLayout | None:
        """The layout of calls with that schema; None where there is no such schema, or it is not a call's.

        Raises RegistryError where the registry does not answer.
        """
        if schema_id not in self._known and schema_id not in self._unknown:
            layout = self._ask(schema_id)
            if layout is not None:
                self._known[schema_id] = layout
            else:
                if len(self._unknown) >= MAX_UNKNOWN:
                    self._unknown.clear()
                self._unknown.add(schema_id)
        return self._known.get(schema_id)

    def _ask(self, schema_id: int) -> CallLayout | None:
        with SchemaRegistry.from_settings(self._settings) as registry:
            try:
                schema = json.loads(registry.schema(schema_id))
            except RegistryError as error:
                if error.fault is Fault.NOT_FOUND:
                    return None
                raise
        if not isinstance(schema, dict) or schema.get("name") != "RuntimeCallEvent":
            return None
        return CallLayout(schema_id, schema, self._wanted)
