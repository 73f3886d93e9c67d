"""Each worker has an index of its own, whatever folders and hosts the workers have."""

import errno
import os
import re
import stat
from collections.abc import Mapping
from pathlib import Path

import pytest

from app.processes.process_end import ExitCode
from app.settings import Settings
from app.streaming import membership
from app.streaming.membership import JOINS, Claim, IndexTakenError, Rivalry, claim, identity_of, member_name

GROUP = "callstream-privacy"


@pytest.fixture(autouse=True)
def _own_host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Locks of a host that has only this test."""
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path))
    monkeypatch.setattr(membership, "EXPIRY_SECONDS", 0.0)


def _settings(folder: Path) -> Settings:
    return Settings(data_dir=folder)


def _claim(
    folder: Path, wish: int | None = None, *, members: Mapping[str, str] | None = None, cluster: str = "c"
) -> Claim:
    return claim(_settings(folder), GROUP, wish, cluster, lambda: members or {})


def test_workers_of_one_host_take_different_indexes_with_one_data_folder_and_with_two(tmp_path: Path) -> None:
    """The first thing that anybody tries is a second worker with another data folder."""
    first, second = _claim(tmp_path / "one"), _claim(tmp_path / "two")
    third = _claim(tmp_path / "one")
    assert [first.index, second.index, third.index] == [0, 1, 2]
    assert _claim(tmp_path / "three", cluster="another").index == 0


def test_a_worker_takes_the_index_again_that_its_data_folder_has_state_of(tmp_path: Path) -> None:
    """Its tables need not be read again, also if a lower index is free by then."""
    first, second = _claim(tmp_path / "one"), _claim(tmp_path / "two")
    identity_of(_settings(tmp_path / "two"), GROUP, second.index)
    first.release()
    second.release()
    assert _claim(tmp_path / "two").index == 1


def test_an_index_that_is_wished_for_and_taken_is_refused_with_advice(tmp_path: Path) -> None:
    """It is nobody's fault but the operator's, so nothing is taken instead."""
    with_it = _claim(tmp_path / "one", 3)
    with pytest.raises(
        IndexTakenError, match=r"index 3 of callstream-privacy is taken by process \d+ of this host; leave out"
    ):
        _claim(tmp_path / "two", 3)
    assert IndexTakenError.exit_code is ExitCode.INDEX_TAKEN
    with_it.release()
    assert _claim(tmp_path / "two", 3).index == 3


def test_a_member_of_another_host_with_our_name_has_its_index(tmp_path: Path) -> None:
    """Containers may all be called the same; the group knows who is in it."""
    settings = _settings(tmp_path)
    members = {member_name(settings, GROUP, 0): "of another data folder"}
    assert _claim(tmp_path, members=members).index == 1
    with pytest.raises(IndexTakenError, match="another data folder"):
        _claim(tmp_path, 0, members=members)


def test_a_member_of_the_same_data_folder_is_the_worker_before_its_restart(tmp_path: Path) -> None:
    """A quick restart moves no partition."""
    identity = identity_of(_settings(tmp_path), GROUP, 0)
    assert identity_of(_settings(tmp_path), GROUP, 0) == identity
    assert _claim(tmp_path, members={identity.member: identity.client_id}).index == 0
    assert identity_of(_settings(tmp_path / "other"), GROUP, 0).client_id != identity.client_id


def test_a_lock_folder_of_somebody_else_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Temporary folders are for everybody, and a link there could lead anywhere."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.setattr("os.getuid", lambda: 4_711)
    (tmp_path / "callstream-4711").symlink_to(elsewhere)
    with pytest.raises(PermissionError, match="not a folder of this user"):
        _claim(tmp_path)


def test_two_foreign_members_under_our_name_are_a_rival_and_our_own_next_one_is_not() -> None:
    """A member id may be seen in the group before the process learns that it is its own."""
    alone = Rivalry()
    assert alone.feed({"a"}, "b") is None
    assert alone.feed({"a", "b"}, "b") is None
    assert alone.feed({"a", "b", "c"}, "c") is None
    pushed = Rivalry()
    assert pushed.feed({"a"}, "x") is None
    assert pushed.feed({"a", "b"}, "y") is None
    found = pushed.feed({"a", "b", "c"}, "c")
    assert found is not None
    assert "leave out --index" in found


def test_a_process_whose_member_id_is_taken_every_other_second_has_a_rival_that_no_look_found() -> None:
    """Each look finds ourselves, who have just joined again. As many ids over a longer time are no sign of a rival."""
    pushed, busy = Rivalry(), Rivalry()
    for number in range(JOINS):
        assert pushed.feed({"a"}, "a") is None
        pushed.joined(2.0 * number)
        busy.joined(6.0 * number)
    assert pushed.feed({"a"}, "a") is not None
    assert busy.feed({"a"}, "a") is None


def test_a_workers_folder_is_private_also_one_that_existed(tmp_path: Path) -> None:
    """What is in it follows from raw events, and its changelog is a restricted topic."""
    folder = membership.data_dir(_settings(tmp_path), GROUP, 0)
    folder.mkdir(parents=True, mode=0o755)
    identity_of(_settings(tmp_path), GROUP, 0)

    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}


@pytest.mark.parametrize("damage", [b"", bytes(8), b"12345678\n", b"garbage!"])
def test_a_damaged_word_of_a_folder_is_made_again(tmp_path: Path, damage: bytes) -> None:
    """A power cut may leave the file empty; zeros are not part of a client's id."""
    identity = identity_of(_settings(tmp_path), GROUP, 0)
    (identity.folder / "member").write_bytes(damage)
    again = identity_of(_settings(tmp_path), GROUP, 0)

    assert re.fullmatch(rf"{re.escape(identity.member)}-[0-9a-f]{{8}}", again.client_id)
    assert identity_of(_settings(tmp_path), GROUP, 0) == again


def test_a_full_disk_of_the_locks_is_no_hindrance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are locked all the same; only who holds one is not written down."""

    def refuse(_descriptor: int, _length: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "ftruncate", refuse)
    first = _claim(tmp_path, 0)
    with pytest.raises(IndexTakenError, match="process unknown"):
        _claim(tmp_path, 0)
    first.release()
