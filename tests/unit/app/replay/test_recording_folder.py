"""A recording's folder: private, continued after any end, and one thing or the other, never half an archive."""

import stat
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest

from app.evidence import documents
from app.evidence.archive import ARCHIVE_FILE, RECORDING_FILE, Archive
from app.evidence.avro_container import Codec
from app.evidence.documents import DocumentError
from app.kafka.records import OffsetRange
from app.kafka.topic_reader import TopicReader
from app.processes.folder_lock import FolderUnusableError, alone_in
from app.replay import record
from app.settings import Settings
from tests.support.archives import TOPIC
from tests.support.disk_writers import ArchiveWriter


def _modes(folder: Path) -> set[int]:
    return {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}


def test_an_archive_is_for_its_owner_only_also_in_a_folder_that_others_could_read(tmp_path: Path) -> None:
    """Raw events are in it."""
    tmp_path.chmod(0o755)
    ArchiveWriter().record(tmp_path)

    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o700
    assert _modes(tmp_path) == {0o600}


def test_an_archive_is_signed_when_it_appears(tmp_path: Path) -> None:
    """A death between archive and signature would leave one that can never be signed."""
    assert ArchiveWriter().record(tmp_path).is_signed
    with pytest.raises(FolderUnusableError, match="finished archive"):
        record.unfinished(tmp_path)


def test_a_plan_that_was_being_written_is_no_hindrance(tmp_path: Path) -> None:
    """A process may die at its first write."""
    (tmp_path / f"{RECORDING_FILE}.partial").write_bytes(b'{"half')
    assert record.unfinished(tmp_path) is None
    ArchiveWriter().record(tmp_path)

    assert (tmp_path / ARCHIVE_FILE).exists()


def test_a_strange_file_is_a_hindrance(tmp_path: Path) -> None:
    """A folder that holds something else is not recorded into."""
    (tmp_path / "notes.txt").write_bytes(b"mine")
    with pytest.raises(FolderUnusableError, match="is not empty"):
        record.unfinished(tmp_path)


@pytest.mark.parametrize("content", [b"", bytes(300), b'{"kind":"callstream recording"}\n'])
def test_a_damaged_plan_is_named_with_its_cure(tmp_path: Path, content: bytes) -> None:
    """What was to be recorded is not known any more."""
    (tmp_path / RECORDING_FILE).write_bytes(content)
    with pytest.raises(DocumentError, match=rf"{tmp_path}/{RECORDING_FILE}.*; remove {tmp_path} and record again"):
        record.unfinished(tmp_path)


def test_a_plan_beside_a_finished_archive_changes_nothing(tmp_path: Path) -> None:
    """It is left there if the disk refuses to remove it."""
    archive = ArchiveWriter().record(tmp_path)
    (tmp_path / RECORDING_FILE).write_bytes(b"left")

    assert Archive(tmp_path).digest == archive.digest


def test_two_recordings_do_not_share_a_folder(tmp_path: Path) -> None:
    """Their records would lie among each other."""
    told = pytest.raises(FolderUnusableError, match="another callstream record is writing into it")
    with alone_in(tmp_path, owner="callstream record"), told:  # as the other one
        ArchiveWriter().record(tmp_path)
    ArchiveWriter().record(tmp_path)


def test_a_plan_that_another_recording_began_is_not_mixed_with_ours(tmp_path: Path) -> None:
    """Both looked at the empty folder, and one was first."""
    plan = record.Plan("test", TOPIC, Codec.NULL, (OffsetRange(0, 1, 2),), (1,), published=False)
    (tmp_path / "ours").mkdir()
    documents.write(tmp_path / "ours" / RECORDING_FILE, documents.sealed(plan.document()))
    other = replace(plan, codec=Codec.DEFLATE)
    with pytest.raises(FolderUnusableError, match="another recording was begun in it"):
        record.record(cast("TopicReader", ArchiveWriter()), Settings(), tmp_path / "ours", other)
