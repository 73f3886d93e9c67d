"""Archives from strangers: what is not an archive is refused with one line that names the file."""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from app.evidence import documents
from app.evidence.archive import ARCHIVE_FILE, Archive
from app.evidence.documents import DocumentError
from app.kafka.records import DamagedError
from tests.support.archives import make_archive, recorded


@pytest.fixture(name="folder")
def _folder(tmp_path: Path) -> Path:
    make_archive(tmp_path / "archive", {0: recorded([b"a", b"b"])})
    return tmp_path / "archive"


def _change(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change the archive's document as a stranger can: with a digest that is right."""
    document = documents.read(folder / ARCHIVE_FILE)
    change(document)
    (folder / ARCHIVE_FILE).write_bytes(documents.encode(documents.sealed(document)))


@pytest.mark.parametrize(
    "change",
    [
        lambda found: found["raw"][0]["range"].update(partition=-1),
        lambda found: found["raw"][0]["range"].update(partition=None),
        lambda found: found["raw"][0]["range"].update(partition="0"),
        lambda found: found["raw"][0]["range"].update(partition=True),
        lambda found: found["raw"][0]["range"].update(next=1 << 70),
        lambda found: found["raw"][0]["range"].update(first=1 << 60),
        lambda found: found["raw"][0].update(file=None),
        lambda found: found["raw"][0]["file"].pop("name"),
        lambda found: found["raw"][0]["file"].update(more=1),
        lambda found: found["raw"][0]["file"].update(name="../../etc/passwd"),
        lambda found: found["raw"][0]["file"].update(name="/etc/passwd-00000"),
        lambda found: found["raw"][0]["file"].update(name="raw-00000\n"),
        lambda found: found.update(raw=found["raw"] * 2_000),
        lambda found: found.update(raw={}),
        lambda found: found.update(codec=[]),
        lambda found: found.update(topic=7),
        lambda found: found.update(published={"calls": [], "audit": [], "schemas": {}}),
        lambda found: found.pop("raw"),
        lambda found: found.update(kind="another"),
    ],
)
def test_a_field_of_another_kind_is_refused(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Types, signs, sizes, names that lead out of the folder, partitions that are there twice."""
    _change(folder, change)

    with pytest.raises(DocumentError, match=r"archive\.json: is not an archive of format 1") as refused:
        Archive(folder)
    assert "\n" not in str(refused.value)


def test_deep_nesting_is_refused(folder: Path) -> None:
    """Neither the reader nor a comparison may run out of stack."""
    for depth in (100, 100_000):
        (folder / ARCHIVE_FILE).write_text('{"a":' * depth + "1" + "}" * depth + "\n")
        with pytest.raises(DocumentError, match=r"archive\.json: is not one of our documents"):
            Archive(folder)


@pytest.mark.parametrize("name", [ARCHIVE_FILE, "raw-00000.spans", "raw-00000.avro"])
def test_a_pipe_in_the_place_of_a_file_is_refused_at_once(folder: Path, name: str) -> None:
    """It would wait for a writer without end."""
    (folder / name).unlink()
    os.mkfifo(folder / name)

    with pytest.raises((DocumentError, DamagedError), match=f"{name}: is not a regular file"):
        list(Archive(folder).batches(0, 0, 10, 10))


def test_a_span_line_of_other_types_is_damage(folder: Path) -> None:
    """The digest of the span file is the stranger's own."""
    spans = folder / "raw-00000.spans"
    for line in ("1\n", "[]\n", '{"span":-1}\n', "[" * 100_000 + "\n", '{"begin":"a"}\n'):
        spans.write_text(line)
        digest = hashlib.sha256(line.encode()).hexdigest()
        _change(folder, lambda found, digest=digest: found["raw"][0]["file"].update(spans=digest))  # type: ignore[misc]
        with pytest.raises(DamagedError, match="line 1: was changed"):
            list(Archive(folder).batches(0, 0, 10, 10))
