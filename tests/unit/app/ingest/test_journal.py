import errno
from contextlib import closing
from pathlib import Path

import pytest

from app.ingest import journal as journal_module
from app.ingest.journal import Journal, State
from app.processes.folder_lock import FolderUnusableError
from schemas.coverage import CoverageGap, GapCause


def _gap(number: int, cause: GapCause = GapCause.OVERFLOW, lost: int | None = 1) -> CoverageGap:
    return CoverageGap(node="n", from_ns=number, to_ns=number + 1, cause=cause, events_lost=lost)


def test_pending_gaps_survive_the_process(tmp_path: Path) -> None:
    """What was not acknowledged is pending again in the next process, in order."""
    with closing(Journal(tmp_path)) as first:
        for number in range(3):
            first.add([_gap(number)])
        first.done(_gap(1))

    with closing(Journal(tmp_path)) as second:
        assert next(iter(second.pending)) == _gap(0)
        assert list(second.pending)[-1] == _gap(2)


def test_acknowledged_gaps_do_not_come_back(tmp_path: Path) -> None:
    """When all are acknowledged the journal is empty."""
    with closing(Journal(tmp_path)) as first:
        first.add([_gap(0)])
        first.add([_gap(1)])
        first.done(_gap(0))
        first.done(_gap(1))
        first.add([_gap(2)])

    with closing(Journal(tmp_path)) as second:
        assert list(second.pending) == [_gap(2)]


def test_journal_does_not_grow_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where one gap is always pending, the acknowledged ones are cleared out all the same."""
    monkeypatch.setattr(journal_module, "MAX_PENDING", 10)
    with closing(Journal(tmp_path)) as journal:
        for number in range(100):
            journal.add([_gap(number)])
            journal.done(_gap(number - 1))
        assert list(journal.pending) == [_gap(99)]

    assert len((tmp_path / "gaps.jsonl").read_text().splitlines()) < 20


def test_torn_last_line_is_left_out(tmp_path: Path) -> None:
    """A crash in the middle of a line costs that line, whose gap was promised to nobody, and not the next one."""
    with closing(Journal(tmp_path)) as first:
        first.add([_gap(0)])
    with (tmp_path / "gaps.jsonl").open("a") as file:
        file.write('{"node": "n", "from_')

    with closing(Journal(tmp_path)) as second:
        assert list(second.pending) == [_gap(0)]
        second.add([_gap(1)])
    with closing(Journal(tmp_path)) as third:
        assert list(third.pending) == [_gap(0), _gap(1)]


def test_state_survives_the_process(tmp_path: Path) -> None:
    """The node and up to when it was vouched for."""
    with closing(Journal(tmp_path)) as first:
        assert first.state is None
        first.save(State("n", 5))

    with closing(Journal(tmp_path)) as second:
        assert second.state == State("n", 5)


@pytest.mark.parametrize("content", ["", "{", "[]", '{"node": "n"}', "\x00\x00"])
def test_damaged_state_is_no_state(tmp_path: Path, content: str) -> None:
    """Then nothing is known of the time before, and nothing is claimed of it."""
    (tmp_path / "state.json").write_text(content)

    with closing(Journal(tmp_path)) as journal:
        assert journal.state is None


def test_second_process_is_refused(tmp_path: Path) -> None:
    """Two ingests in one folder would each overwrite what the other vouches for."""
    with (
        closing(Journal(tmp_path)),
        pytest.raises(FolderUnusableError, match=r"another callstream ingest.*folder of its own"),
    ):
        Journal(tmp_path)


def test_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    """The message says which folder and why."""
    (tmp_path / "file").write_text("")

    with pytest.raises(FolderUnusableError, match=r"CALLSTREAM_DATA_DIR.*file/ingest.*Not a directory"):
        Journal(tmp_path / "file" / "ingest")


def test_beyond_the_limit_gaps_are_merged_and_none_is_forgotten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The window and the count of the last one of the same cause grow; unknown counts stay unknown."""
    monkeypatch.setattr(journal_module, "MAX_PENDING", 3)
    with closing(Journal(tmp_path)) as journal:
        journal.add([_gap(0, GapCause.RECONNECT, None)])
        journal.add([_gap(1, GapCause.RECONNECT, None)])
        journal.add([_gap(2)])
        journal.add([_gap(10)])
        journal.add([_gap(20, GapCause.RECONNECT, None)])
        expected = [
            _gap(0, GapCause.RECONNECT, None),
            CoverageGap(node="n", from_ns=1, to_ns=21, cause=GapCause.RECONNECT),
            CoverageGap(node="n", from_ns=2, to_ns=11, cause=GapCause.OVERFLOW, events_lost=2),
        ]
        assert list(journal.pending) == expected

    with closing(Journal(tmp_path)) as again:
        assert list(again.pending) == expected


def test_full_disk_keeps_gaps_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A gap that cannot be stored is still published."""

    def refuse(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", refuse)
    with closing(Journal(tmp_path)) as journal:
        journal.add([_gap(0)])
        journal.save(State("n", 1))

        assert list(journal.pending) == [_gap(0)]
        assert journal.state == State("n", 1)
