"""agents/privacy over public corpora of secrets: recall and over-redaction by file, from CALLSTREAM_CORPORA_DIR.

A row has `input`, `output` and `expect`, which is `secret` or `clean`. A secret is what the expected output no longer
has; a redactor may hide more of the line, but never less.
"""

import difflib
import gzip
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.privacy import cleared

_FOLDER = os.environ.get("CALLSTREAM_CORPORA_DIR", "")

pytestmark = pytest.mark.skipif(
    not _FOLDER, reason="CALLSTREAM_CORPORA_DIR is not set: public corpora of secrets are not part of the project"
)

# Rows whose secret only their own custom rule knows: no redactor of command lines could.
_NEEDS_A_RULE = {"foobarqux", "abcd"}


def _files() -> list[Path]:
    return sorted(Path(_FOLDER).glob("*.jsonl.gz")) if _FOLDER else []


def _is_touched(row: dict[str, Any]) -> bool:
    """Whether an ordinary row changes; where its note lets the rule for paths change it, only by that."""
    found = cleared(row["input"])
    by_paths_alone = {rule for rule, _ in found.hits} == {"credential-path"}
    return found.text != row["input"] and not (by_paths_alone and "path rule may" in row.get("note", ""))


def _rows(file: Path) -> Iterator[dict[str, Any]]:
    with gzip.open(file, "rt", encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)


def _secrets(row: dict[str, Any]) -> list[str]:
    """Runs of the input that the expected output replaces, at least two characters long."""
    before, after = row["input"], row["output"]
    blocks = difflib.SequenceMatcher(None, before, after, autojunk=False).get_opcodes()
    found = [before[start:end].strip() for tag, start, end, _, _ in blocks if tag in {"replace", "delete"}]
    return [secret for secret in found if len(secret) > 1]


def _is_caught(row: dict[str, Any]) -> bool:
    left, expected = cleared(row["input"]).text, row["output"]
    shown = [secret for secret in _secrets(row) if len(secret) > 3 and left.count(secret) > expected.count(secret)]
    return left != row["input"] and not shown


@pytest.mark.parametrize("file", _files(), ids=lambda file: file.name)
def test_every_secret_of_a_corpus_is_caught(file: Path, record_property: Callable[[str, object], None]) -> None:
    """Every row that a redactor of command lines should catch is caught; the report says how many."""
    rows = [row for row in _rows(file) if row["input"] not in _NEEDS_A_RULE]
    secret = [row for row in rows if row["expect"] == "secret"]
    clean = [row for row in rows if row["expect"] == "clean"]
    missed = [number for number, row in enumerate(secret) if not _is_caught(row)]
    touched = [number for number, row in enumerate(clean) if _is_touched(row)]
    report = f"recall {len(secret) - len(missed)}/{len(secret)}, over-redaction {len(touched)}/{len(clean)}"
    record_property(file.name, report)
    print(f"{file.name}: {report}")  # noqa: T201 - the report is the point; pytest shows it with -rP
    assert missed == []
    assert touched == []
