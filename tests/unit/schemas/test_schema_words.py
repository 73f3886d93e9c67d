"""schemas/avro: each schema says to people what each of its parts means."""

import json
import re
from collections.abc import Iterator
from typing import Any, Final

import pytest

from schemas import records

_SENTENCE: Final = re.compile(r"\S.*[.)]\Z", re.DOTALL)
_PACKAGED: Final = (*records.NAMES, records.RECORDED_RECORD)


def _parts(schema: Any, place: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every record, field and enum of a schema by its place."""
    match schema:
        case list():
            for branch in schema:
                yield from _parts(branch, place)
        case {"type": "record", "fields": fields}:
            yield place, schema
            for field in fields:
                yield f"{place}.{field['name']}", field
                yield from _parts(field["type"], f"{place}.{field['name']}")
        case {"type": "enum"}:
            yield place, schema
        case {"type": dict() | list() as inner}:
            yield from _parts(inner, place)
        case {"items": inner} | {"values": inner}:
            yield from _parts(inner, place)


@pytest.mark.parametrize("name", _PACKAGED)
def test_every_record_field_and_enum_has_a_doc(name: str) -> None:
    """A reader of the schema alone learns what each part means; it is a sentence."""
    silent = [
        place
        for place, part in _parts(json.loads(records.schema_text(name)), name)
        if _SENTENCE.fullmatch(part.get("doc", "")) is None
    ]
    assert silent == []


@pytest.mark.parametrize("name", _PACKAGED)
def test_every_symbol_of_an_enum_is_explained(name: str) -> None:
    """The doc of an enum has each of its symbols before a colon."""
    for place, part in _parts(json.loads(records.schema_text(name)), name):
        if part["type"] == "enum":
            explained = {word for words in re.findall(r"((?:\w+, )*\w+): ", part["doc"]) for word in words.split(", ")}
            assert set(part["symbols"]) - explained == set(), place


def test_every_time_says_its_unit_and_its_beginning() -> None:
    """A field with nanoseconds or milliseconds says since when they count, or that it is a length."""
    for name in _PACKAGED:
        for place, part in _parts(json.loads(records.schema_text(name)), name):
            if place.endswith(("_ns", "_ms")):
                assert re.search("Unix epoch|As |as |A length|Milliseconds of", part["doc"]), place
