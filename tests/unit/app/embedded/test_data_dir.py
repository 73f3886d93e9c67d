"""Opening the broker's data folder."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from app.embedded import data_dir
from app.embedded.data_dir import DataDir, new_cluster_id
from app.embedded.failures import EmbeddedError, Failure
from app.embedded.pins import Pins

_PINS = Pins(kafka_version="4.3.1", registry_version="3.3.3", digests={}, fingerprint="")


def test_a_folder_keeps_its_cluster_id_and_is_private(tmp_path: Path) -> None:
    """Opened again it is the same cluster, and only its owner can look inside."""
    first = DataDir(tmp_path / "broker", _PINS)
    first.close()
    second = DataDir(tmp_path / "broker", _PINS)
    second.close()
    assert second.marker == first.marker
    assert (tmp_path / "broker").stat().st_mode & 0o777 == 0o700


def test_a_folder_in_use_is_refused_until_it_is_given_back(tmp_path: Path) -> None:
    """The message names the folder and the process that holds it."""
    held = DataDir(tmp_path, _PINS)
    with pytest.raises(EmbeddedError, match=f"{tmp_path} is used by another broker.*process {os.getpid()}") as caught:
        DataDir(tmp_path, _PINS)
    assert caught.value.reason is Failure.DATA_DIR_LOCKED
    held.close()
    DataDir(tmp_path, _PINS).close()


def test_a_folder_stays_locked_while_a_server_that_inherited_the_lock_lives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A killed broker's servers hold the lock until they are gone."""
    monkeypatch.setattr(data_dir, "LOCK_WAIT_SECONDS", 0)
    held = DataDir(tmp_path, _PINS)
    with subprocess.Popen(
        [sys.executable, "-c", "input()"], stdin=subprocess.PIPE, pass_fds=(held.descriptor,)
    ) as server:
        held.close()
        with pytest.raises(EmbeddedError):
            DataDir(tmp_path, _PINS)
        server.communicate(b"\n")
    DataDir(tmp_path, _PINS).close()


def test_a_folder_with_something_else_in_it_is_refused(tmp_path: Path) -> None:
    """A home folder given by mistake is left as it is, and the message says what was found there."""
    (tmp_path / "thesis.txt").touch()
    with pytest.raises(EmbeddedError, match=r"holds thesis\.txt") as caught:
        DataDir(tmp_path, _PINS)
    assert caught.value.reason is Failure.DATA_DIR_INCOMPATIBLE


@pytest.mark.parametrize(
    "change", [{"kafka": "4.10.0"}, {"registry": "4.0"}, {"layout": 2}, {"kafka": "later"}, {"x": 1}]
)
def test_a_folder_from_a_later_version_is_refused(tmp_path: Path, change: dict[str, object]) -> None:
    """Newer data may not be readable; versions compare by number, not by letter."""
    DataDir(tmp_path, _PINS).close()
    marker = tmp_path / "callstream-broker.json"
    before = json.dumps(json.loads(marker.read_text()) | change)
    marker.write_text(before)
    with pytest.raises(EmbeddedError, match=str(tmp_path)) as caught:
        DataDir(tmp_path, _PINS)
    assert caught.value.reason is Failure.DATA_DIR_INCOMPATIBLE
    assert marker.read_text() == before


def test_a_folder_from_an_earlier_version_is_taken_over(tmp_path: Path) -> None:
    """Kafka reads what an older Kafka wrote; afterwards the older one is refused."""
    DataDir(tmp_path, _PINS).close()
    newer = Pins(kafka_version="4.10.0", registry_version="3.3.3", digests={}, fingerprint="")
    DataDir(tmp_path, newer).close()
    with pytest.raises(EmbeddedError, match=r"4\.10\.0"):
        DataDir(tmp_path, _PINS)


def test_a_path_that_is_a_file_is_refused(tmp_path: Path) -> None:
    """A folder that cannot be made is named with the system's reason."""
    (tmp_path / "file").touch()
    with pytest.raises(EmbeddedError, match=f"{tmp_path / 'file'} cannot be used") as caught:
        DataDir(tmp_path / "file", _PINS)
    assert caught.value.reason is Failure.DATA_DIR_INCOMPATIBLE


def test_a_full_disk_is_refused_and_the_lock_given_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Kafka would stop for good in the middle of the work."""
    with monkeypatch.context() as patch:
        patch.setattr(data_dir, "NEEDED_BYTES", 1 << 60)
        with pytest.raises(EmbeddedError, match="not enough disk") as caught:
            DataDir(tmp_path, _PINS)
    assert caught.value.reason is Failure.NO_SPACE
    DataDir(tmp_path, _PINS).close()


def test_cluster_ids_are_what_kafka_wants(monkeypatch: pytest.MonkeyPatch) -> None:
    """22 characters of URL-safe base64; one that looks like an option is drawn again."""
    draws = iter([b"\xf8" + bytes(15), bytes(16)])
    monkeypatch.setattr("os.urandom", lambda _: next(draws))
    assert new_cluster_id() == "A" * 22
