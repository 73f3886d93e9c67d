import errno
import os
import stat
from contextlib import closing
from pathlib import Path
from random import Random

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


def test_state_survives_the_process(tmp_path: Path) -> None:
    """The node and up to when it was vouched for."""
    with closing(Journal(tmp_path)) as first:
        assert first.state is None
        first.save(State("n", 5))

    with closing(Journal(tmp_path)) as second:
        assert second.state == State("n", 5)


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


@pytest.mark.parametrize("torn", [b'{"node": "n", "from_', b"\xff\xfe\x00", bytes(5000)])
def test_torn_last_line_is_left_out(tmp_path: Path, torn: bytes) -> None:
    """A crash in the middle of a line costs that line, whose gap was promised to nobody, and not the next one."""
    with closing(Journal(tmp_path)) as first:
        first.add([_gap(0)])
    with (tmp_path / "gaps.jsonl").open("ab") as file:
        file.write(torn)

    with closing(Journal(tmp_path)) as second:
        assert list(second.pending) == [_gap(0)]
        second.add([_gap(1)])
    with closing(Journal(tmp_path)) as third:
        assert list(third.pending) == [_gap(0), _gap(1)]


def test_a_bit_anywhere_costs_one_line_and_is_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Neither a time nor a number that nobody wrote is believed; the other gaps are there."""
    with closing(Journal(tmp_path)) as first:
        first.add(map(_gap, range(3)))
    path = tmp_path / "gaps.jsonl"
    content = path.read_bytes()
    begin, end = content.index(b"\n") + 1, content.index(b"\n", content.index(b"\n") + 1)
    for bit in range(begin * 8, end * 8, 3):
        damaged = bytearray(content)
        damaged[bit // 8] ^= 1 << bit % 8
        path.write_bytes(damaged)
        caplog.clear()
        with closing(Journal(tmp_path)) as journal:
            assert list(journal.pending) == [_gap(0), _gap(2)]
        assert f"line 2 of {path} is damaged" in caplog.text


@pytest.mark.proof
def test_power_cut_leaves_every_gap_that_was_added(tmp_path: Path, seed: int, size: int) -> None:
    """Each addition is synced. Behind the last one a disk shows zeros, half a line, old lines of another file."""
    rng = Random(seed)
    for cycle in range(20 * size):
        folder = tmp_path / str(cycle)
        synced = [_gap(number) for number in range(rng.randrange(1, 5))]
        with closing(Journal(folder)) as journal:
            journal.add(synced)
            path = folder / "gaps.jsonl"
            kept = path.stat().st_size
            journal.add(map(_gap, range(100, 103)))
            whole = path.read_bytes()
        ends = {
            "zeros": bytes(len(whole) - kept),
            "half": whole[kept : kept + rng.randrange(len(whole) - kept)],
            "old": whole[kept - 7 : len(whole) - 7],
            "pieces": whole[kept : kept + 60] + bytes(100) + whole[kept + 160 :],
        }
        path.write_bytes(whole[:kept] + ends[rng.choice(sorted(ends))])

        with closing(Journal(folder)) as again:
            found = list(again.pending)
            assert found[: len(synced)] == synced
            assert set(found[len(synced) :]) <= set(map(_gap, range(100, 103)))
            again.add([_gap(200)])
        with closing(Journal(folder)) as third:
            assert list(third.pending) == [*found, _gap(200)]


def test_a_journal_that_cannot_be_read_is_set_aside(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Ingest starts, and the log says where it is now."""
    (tmp_path / "gaps.jsonl").mkdir()
    with closing(Journal(tmp_path)) as journal:
        journal.add([_gap(0)])

    assert (tmp_path / "gaps.jsonl.damaged").is_dir()
    assert f"is set aside: {tmp_path / 'gaps.jsonl.damaged'}" in caplog.text
    with closing(Journal(tmp_path)) as again:
        assert list(again.pending) == [_gap(0)]


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"node": "n"}\n', b"\x00\x00", b"\xff", bytes(4096)])
def test_damaged_state_is_no_state(tmp_path: Path, content: bytes, caplog: pytest.LogCaptureFixture) -> None:
    """Then nothing is known of the time before, and nothing is claimed of it."""
    path = tmp_path / "state.json"
    path.write_bytes(content)

    with closing(Journal(tmp_path)) as journal:
        assert journal.state is None
    assert str(path) in caplog.text


def test_state_with_any_bit_flipped_is_no_state(tmp_path: Path) -> None:
    """A later time than the one that was written would claim what nobody saw."""
    with closing(Journal(tmp_path)) as first:
        first.save(State("n", 5_000))
    path = tmp_path / "state.json"
    content = path.read_bytes()
    for bit in range(len(content) * 8):
        damaged = bytearray(content)
        damaged[bit // 8] ^= 1 << bit % 8
        path.write_bytes(damaged)
        with closing(Journal(tmp_path)) as journal:
            assert journal.state is None


def test_full_disk_keeps_gaps_in_memory_until_there_is_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A gap that cannot be stored is published all the same, and stored as soon as the disk takes it."""
    fsync = os.fsync

    def refuse(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with closing(Journal(tmp_path)) as journal:
        journal.add([_gap(0)])
        journal.done(_gap(0))
        monkeypatch.setattr(os, "fsync", refuse)
        journal.add([_gap(1)])
        journal.done(_gap(1))
        journal.add([_gap(2)])
        journal.save(State("n", 1))
        journal.store_again()

        assert list(journal.pending) == [_gap(2)]
        assert journal.state == State("n", 1)
        assert journal.trouble == "the journal cannot be written: No space left on device"
        monkeypatch.setattr(os, "fsync", fsync)
        journal.store_again()
        assert journal.trouble == "the state of coverage cannot be saved: No space left on device"
        journal.save(State("n", 2))
        assert journal.trouble is None
        journal.add([_gap(3)])
        assert (tmp_path / "gaps.jsonl").read_bytes().count(b"\n") == 2

    with closing(Journal(tmp_path)) as again:
        assert list(again.pending) == [_gap(2), _gap(3)]


def test_what_the_disk_refused_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half a line is cut off, and the next one begins in its place."""
    pwrite = os.pwrite

    def half(descriptor: int, content: bytes, position: int) -> int:
        if position == half_from:
            return pwrite(descriptor, content[: len(content) // 2], position)
        raise OSError(errno.EIO, "Input/output error")

    journal = Journal(tmp_path)
    journal.add([_gap(0)])
    path = tmp_path / "gaps.jsonl"
    before, half_from = path.read_bytes(), path.stat().st_size
    monkeypatch.setattr(os, "pwrite", half)
    journal.add([_gap(1)])
    assert path.read_bytes() == before
    monkeypatch.undo()
    journal.add([_gap(2)])
    assert path.read_bytes().count(b"\n") == 3
    journal.close()


def test_journal_and_state_are_for_the_owner_only(tmp_path: Path) -> None:
    """They name nodes, and say when somebody could not see them."""
    with closing(Journal(tmp_path)) as journal:
        journal.add([_gap(0)])
        journal.save(State("n", 1))
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}

    assert modes == {"gaps.jsonl": 0o600, "lock": 0o600, "state.json": 0o600}
