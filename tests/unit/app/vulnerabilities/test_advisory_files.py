"""A database is read from a file, a folder or an archive, and what is wrong in it costs nothing else."""

import json
import os
import zipfile
from pathlib import Path
from typing import Any

import pytest

from app.vulnerabilities.advisory_files import MAX_DOCUMENT_BYTES, DatabaseFileError, read_database

_RUSTSEC = '```toml\n[advisory]\nid = "RUSTSEC-0000-0001"\npackage = "a-crate"\ndate = "2026-01-01"\n```\n'


def _osv(advisory_id: str, **more: Any) -> str:
    return json.dumps({"id": advisory_id, "modified": "2026-02-03T00:00:00Z", "affected": [], **more})


_FILES = {
    "ID/GO-1.json": _osv("GO-1"),
    "ID/GO-2.json": _osv("GO-2"),
    "crates/a/RUSTSEC-0000-0001.md": _RUSTSEC,
    "index/db.json": "{}",
    "README.md": "# Words",
}


def _folder(path: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        file = path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return path


def _archive(path: Path, files: dict[str, str]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in reversed(files.items()):
            archive.writestr(name, text)
    return path


def test_an_archive_and_its_folder_are_one_database(tmp_path: Path) -> None:
    """With one digest, however it was packed, and the newest date; other files are passed over."""
    folder = read_database(_folder(tmp_path / "folder", _FILES))
    archive = read_database(_archive(tmp_path / "db.zip", _FILES))

    assert sorted(folder.advisories) == ["GO-1", "GO-2", "RUSTSEC-0000-0001"]
    assert (folder.refused, folder.dated) == ((), "2026-02-03T00:00:00Z")
    assert (archive.digest, archive.advisories) == (folder.digest, folder.advisories)


def test_another_word_is_another_digest(tmp_path: Path) -> None:
    """Also where no id changes."""
    first = read_database(_folder(tmp_path / "a", {"GO-1.json": _osv("GO-1")}))
    other = read_database(_folder(tmp_path / "b", {"GO-1.json": _osv("GO-1", summary="x")}))

    assert first.digest != other.digest


def test_one_document_is_a_database(tmp_path: Path) -> None:
    """By its own name."""
    folder = _folder(tmp_path, {"GO-1.json": _osv("GO-1"), "RUSTSEC-0000-0001.md": _RUSTSEC})

    assert list(read_database(folder / "GO-1.json").advisories) == ["GO-1"]
    assert list(read_database(folder / "RUSTSEC-0000-0001.md").advisories) == ["RUSTSEC-0000-0001"]


def test_a_wrong_document_is_named_and_costs_no_other(tmp_path: Path) -> None:
    """With the reason, and the field where one is wrong."""
    files = {
        "a.json": _osv("GO-1"),
        "b.json": "{",
        "c.json": "[" * 100_000,
        "d.json": '{"id": 1}',
        "e.json": _osv("GO-1", summary="other"),
        "f.json": _osv("GO-1"),
        "g.json": " " * (MAX_DOCUMENT_BYTES + 1),
        "RUSTSEC-x.md": "# no advisory",
    }
    expected = [
        ("RUSTSEC-x.md", "a field is missing", "advisory.package"),
        ("b.json", "it is not JSON", ""),
        ("c.json", "it is not JSON", ""),
        ("d.json", "a field has the wrong type", "id"),
        ("e.json", "another document has this id, and says something else", "id"),
        ("g.json", "it is larger than a document may be", ""),
    ]
    for path in (_folder(tmp_path / "folder", files), _archive(tmp_path / "db.zip", files)):
        database = read_database(path)

        assert list(database.advisories) == ["GO-1"]
        assert [(one.name, one.reason, one.where) for one in database.refused] == expected


def test_a_damaged_member_is_named(tmp_path: Path) -> None:
    """Its checksum is wrong; the others are read."""
    path = tmp_path / "db.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.json", _osv("GO-1"))
        archive.writestr("b.json", _osv("GO-2"))
    path.write_bytes(path.read_bytes().replace(b"GO-2", b"GO-3"))
    database = read_database(path)

    assert list(database.advisories) == ["GO-1"]
    assert [one.name for one in database.refused] == ["b.json"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("none.json", None, "No such file"),
        ("words.txt", b"words", "has no advisory"),
        ("db.zip", b"PK\x05\x06" + b"\xff" * 18, "damaged archive"),
        ("cut.zip", b"PK\x03\x04", "has no advisory"),
    ],
)
def test_a_path_that_is_no_database_is_refused(tmp_path: Path, name: str, content: bytes | None, message: str) -> None:
    """With its name, and what is wrong."""
    if content is not None:
        (tmp_path / name).write_bytes(content)

    with pytest.raises(DatabaseFileError, match=message) as refused:
        read_database(tmp_path / name)
    assert name in str(refused.value)


def test_a_pipe_is_no_document(tmp_path: Path) -> None:
    """It would hold the command up."""
    _folder(tmp_path, {"a.json": _osv("GO-1")})
    os.mkfifo(tmp_path / "b.json")
    database = read_database(tmp_path)

    assert list(database.advisories) == ["GO-1"]
    assert [(one.name, one.reason) for one in database.refused] == [("b.json", "it cannot be read")]
