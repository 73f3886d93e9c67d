"""The schema that an Avro file says it was written under, and texts of schemas that differ in words only.

The text of a schema is part of the evidence, with its words for people: a changed word is found. Where a release
changed words, the texts before are known by digest.
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import fastavro

from app.operators.regular_files import open_regular
from schemas import records

_EARLIER: Final[Mapping[str, frozenset[str]]] = {
    records.CALL: frozenset({"5cdc033e044643e8460c8389bbcc266c1fb86304e9b92955475c0dc0bcfa9c39"}),
    records.DEAD_LETTER: frozenset({"d64c1d44c618baea9f20c2050b40087bf915d88438c095e1b75bbf6790016f26"}),
    records.RECORDED_RECORD: frozenset({"da668262960e3430cb772a17b3a154b7416c00ca2723f93c841b24a0f5e29d4b"}),
}
"""SHA-256 of the texts that said the same in other words, by the schema's name."""


def said_the_same(name: str, digest: str) -> bool:
    """Whether an earlier text of a packaged schema, by digest, differs from today's in words for people only."""
    return digest in _EARLIER[name]


def schema_text_in(path: Path) -> str | None:
    """The schema in a file's header; None where it has none or cannot be read."""
    try:
        with open_regular(path) as file:
            return str(fastavro.reader(file).metadata["avro.schema"])
    except Exception:  # noqa: BLE001 - a damaged header makes fastavro raise anything
        return None


def text_then(path: Path, name: str) -> str:
    """The schema of this name as the file has it, if it says the same in other words; else as this program has it."""
    then = schema_text_in(path)
    if then is not None and said_the_same(name, text_digest(then)):
        return then
    return records.schema_text(name)


def text_digest(text: str) -> str:
    """SHA-256 of a schema's text."""
    return hashlib.sha256(text.encode()).hexdigest()
