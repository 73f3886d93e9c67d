"""schemas/avro_structure.py: schemas that cannot be decoded with safely are refused by their structure."""

import json
from typing import Any

import pytest

from schemas import records
from schemas.avro_structure import UnsafeSchemaError, safe_schema


@pytest.mark.parametrize("name", [*records.NAMES, records.RECORDED_RECORD])
def test_our_own_schemas_are_safe(name: str) -> None:
    """All that are packaged."""
    document = json.loads(records.schema_text(name))
    assert safe_schema(document)["name"] == records.parsed_schema(name)["name"]


def _doubling(levels: int) -> Any:
    found: Any = {"type": "record", "name": "R0", "fields": []}
    for level in range(1, levels):
        fields = [{"name": "a", "type": found}, {"name": "b", "type": f"R{level - 1}"}]
        found = {"type": "record", "name": f"R{level}", "fields": fields}
    return found


def _nested(levels: int) -> Any:
    found: Any = "int"
    for _ in range(levels):
        found = {"type": "array", "items": found}
    return found


EMPTY: dict[str, Any] = {"type": "record", "name": "E", "fields": []}


@pytest.mark.parametrize(
    ("document", "why"),
    [
        ({"type": "array", "items": "null"}, "items without bytes"),
        ({"type": "array", "items": EMPTY}, "items without bytes"),
        ({"type": "array", "items": {"type": "fixed", "name": "F", "size": 0}}, "items without bytes"),
        (
            {"type": "record", "name": "L", "fields": [{"name": "next", "type": ["null", "L"]}]},
            "L holds itself",
        ),
        (
            {"type": "record", "name": "L", "fields": [{"name": "all", "type": {"type": "map", "values": "L"}}]},
            "L holds itself",
        ),
        (_doubling(20), "hold each other"),
        (_nested(80), "nested more than"),
        ([{"type": "fixed", "name": f"F{n}", "size": 1} for n in range(9_000)], "more than 20000 parts"),
        ({"type": "record", "name": "R", "fields": [], "__fastavro_parsed__": True}, "begins with __"),
        ({"type": "bytes", "logicalType": "decimal", "precision": 4}, "decimal"),
    ],
)
def test_what_could_take_all_time_or_memory_is_refused(document: Any, why: str) -> None:
    """Before a byte is decoded."""
    with pytest.raises(UnsafeSchemaError, match=why):
        safe_schema(document)


def test_a_map_may_have_values_without_bytes() -> None:
    """Each entry has a key."""
    safe_schema({"type": "map", "values": "null"})
