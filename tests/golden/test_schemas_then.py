"""Every schema that was once published can be exchanged with today's: old readers read new records, and back.

`schemas/COMMIT/` holds the texts as the program of that commit registered them. Add a folder when a schema changes.
"""

import io
import json
from pathlib import Path
from typing import Any, Final

import fastavro
import pytest
from fastavro.schema import to_parsing_canonical_form
from fastavro.utils import generate_one

from app.evidence.written_schema import said_the_same, text_digest
from schemas import records

THEN: Final = sorted((Path(__file__).parent / "schemas").glob("*/*.avsc"))
_DECIDING: Final = (records.CALL, records.DEAD_LETTER, records.RECORDED_RECORD)


def _name(path: Path) -> str:
    return f"{path.parent.name}-{path.stem}"


def _exchanged(writer: Any, reader: Any) -> Any:
    """A record of one schema, read with the other."""
    written = io.BytesIO()
    fastavro.schemaless_writer(written, writer, generate_one(writer))
    written.seek(0)
    return fastavro.schemaless_reader(written, writer, reader)


@pytest.mark.parametrize("path", THEN, ids=_name)
def test_records_go_both_ways(path: Path) -> None:
    """A reader with either schema reads what the other one wrote, for several records."""
    then: Any = fastavro.parse_schema(json.loads(path.read_text()))
    now = records.parsed_schema(path.stem)
    for _ in range(20):
        assert _exchanged(now, then).keys() == {field["name"] for field in then["fields"]}
        assert _exchanged(then, now).keys() == {field["name"] for field in now["fields"]}


@pytest.mark.parametrize("path", [path for path in THEN if path.stem in _DECIDING], ids=_name)
def test_evidence_knows_the_texts_that_differ_in_words_only(path: Path) -> None:
    """A schema whose words were changed since is known by its digest, so that what was recorded is still proved."""
    text = path.read_text().removesuffix("\n")
    then, now = fastavro.parse_schema(json.loads(text)), records.parsed_schema(path.stem)
    if to_parsing_canonical_form(then) == to_parsing_canonical_form(now) and text != records.schema_text(path.stem):
        assert said_the_same(path.stem, text_digest(text))
