"""What a program recorded can be proved as long as the schema of calls has only grown."""

import copy
import json
from typing import Any

import fastavro
import pytest

from app.evidence.configuration import call_schema_fingerprint, fingerprint_of_text, grown_call_schema
from app.evidence.schema_growth import has_only_grown
from schemas import records

KIND: dict[str, Any] = {"type": "enum", "name": "Kind", "symbols": ["A", "B"], "default": "A"}
CALL: dict[str, Any] = {
    "type": "record",
    "name": "Call",
    "doc": "then",
    "fields": [
        {"name": "kind", "type": KIND, "default": "A"},
        {"name": "names", "type": {"type": "array", "items": "string"}},
        {"name": "again", "type": ["null", "Kind"], "default": None},
    ],
}


def parsed(schema: dict[str, Any]) -> Any:
    """As fastavro keeps it."""
    return fastavro.parse_schema(copy.deepcopy(schema))


def changed(*, symbols: list[str] | None = None, fields: list[dict[str, Any]] | None = None, doc: str = "now") -> Any:
    """The schema with other symbols or fields."""
    kind = KIND | {"symbols": symbols or KIND["symbols"]}
    first = CALL["fields"][0] | {"type": kind}
    return parsed(CALL | {"doc": doc, "fields": fields or [first, *CALL["fields"][1:]]})


@pytest.mark.parametrize(
    ("now", "has"),
    [
        (changed(), True),
        (changed(symbols=["A", "B", "C"]), True),
        (changed(symbols=["A"]), False),
        (changed(symbols=["B", "A"]), False),
        (changed(symbols=["A", "C", "B"]), False),
        (changed(fields=[*CALL["fields"], {"name": "more", "type": "int", "default": 0}]), False),
        (changed(fields=CALL["fields"][:2]), False),
        (changed(fields=[CALL["fields"][0], {"name": "names", "type": "string"}, CALL["fields"][2]]), False),
        (changed(fields=[CALL["fields"][0], CALL["fields"][2], CALL["fields"][1]]), False),
    ],
)
def test_only_symbols_at_the_end_and_words_may_come_in(now: Any, has: bool) -> None:
    """Everything else changes the bytes, or what they mean."""
    assert has_only_grown(parsed(CALL), now) is has


def test_a_schema_of_calls_that_has_fewer_symbols_stands_for_itself() -> None:
    """With a fingerprint of its own; text that is not a schema, or another one, stands for nothing."""
    ours = records.schema_text(records.CALL)
    older = ours.replace(',"Ambiguous","Inlined"', "")

    assert older != ours
    assert grown_call_schema(older) == older
    assert fingerprint_of_text(older) != call_schema_fingerprint() == fingerprint_of_text(ours)
    for text in (None, "", "{", '{"type": "nothing"}', json.dumps(CALL), "[" * 100_000):
        assert grown_call_schema(text) is None
