"""Replays give the same bytes however they are run, and the manifest says what came of what."""

import json
import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import fastavro
import pytest

from app.evidence.archive import Archive
from app.evidence.avro_container import Codec
from app.progress import Progress
from app.replay.diff import position_of
from app.replay.make import RunOutput, make
from app.replay.manifest import Manifest
from app.replay.request import ReplayError, ReplayRequest
from app.settings import Settings
from tests.support.archives import load_parts, make_archive, rows_before


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Archive:
    """Two partitions of a generated load, with records that nothing can be made of."""
    return make_archive(tmp_path_factory.mktemp("archive"), load_parts(events=4_000, partitions=2))


def replay(archive: Archive, folder: Path, *, processes: int = 1, batch_records: int = 1_000) -> Manifest:
    """Replay an archive into a folder, manifest included."""
    request = ReplayRequest(
        settings=Settings(), archive=archive.folder, processes=processes, batch_records=batch_records
    )
    return make(request, RunOutput(folder=folder), Progress()).manifest


@pytest.fixture(scope="module")
def first(archive: Archive, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A replay in one process."""
    folder = tmp_path_factory.mktemp("first")
    replay(archive, folder)
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    """Every file of a run."""
    found = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    if "manifest.json" in found:
        document = json.loads(found["manifest.json"])
        for name in ("program", "digest"):  # somebody may be writing code while the tests run
            del document[name]
        found["manifest.json"] = json.dumps(document).encode()
    return found


@pytest.mark.slow(reason="replays the archive in each way")
@pytest.mark.parametrize("way", [(1, 7), (2, 1_000), (4, 100), (7, 4_096)], ids=lambda way: f"{way[0]}x{way[1]}")
def test_files_do_not_depend_on_processes_and_batches(
    archive: Archive, first: Path, tmp_path: Path, way: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every file has the same bytes with other numbers of processes, lanes and records in a batch."""
    monkeypatch.setattr("app.replay.engine.SMALLEST_LANE", 1)
    replay(archive, tmp_path, processes=way[0], batch_records=way[1])
    assert contents(tmp_path) == contents(first)


@pytest.mark.slow(reason="replays in processes of its own")
def test_files_do_not_depend_on_the_surroundings(archive: Archive, first: Path, tmp_path: Path) -> None:
    """Another hash seed, time zone, locale and working directory, in another interpreter, give the same bytes."""
    program = (
        "import sys; from pathlib import Path; sys.path.insert(0, sys.argv[1]);"
        "from tests.unit.app.replay import test_run as t; from app.evidence.archive import Archive;"
        "t.replay(Archive(Path(sys.argv[2])), Path(sys.argv[3]))"
    )
    root = Path(__file__).parents[4]
    surroundings = [("1", "Asia/Kathmandu", "C"), ("77", "America/Caracas", "tr_TR.UTF-8")]
    for number, (seed, zone, locale) in enumerate(surroundings):
        away, out = tmp_path / f"cwd-{number}", tmp_path / f"out-{number}"
        away.mkdir()
        environ = {**os.environ, "PYTHONHASHSEED": seed, "TZ": zone, "LC_ALL": locale, "PYTHONPATH": str(root)}
        command = [sys.executable, "-c", program, str(root), str(archive.folder), str(out)]
        subprocess.run(command, cwd=away, env=environ, check=True)
        made, expected = contents(out), contents(first)
        for one in (made, expected):
            del one["manifest.json"]  # it names the archive by relative path
        assert made == expected


@pytest.mark.parametrize("codec", [Codec.NULL, Codec.SNAPPY])
def test_calls_do_not_depend_on_how_the_archive_is_packed(first: Path, tmp_path: Path, codec: Codec) -> None:
    """The same records under another codec have the same chain and give the same calls."""
    other = make_archive(tmp_path / "archive", load_parts(events=4_000, partitions=2), codec=codec)
    manifest = replay(other, tmp_path / "run")
    document = json.loads((first / "manifest.json").read_text())
    assert [part.chain for part in manifest.input] == [part["chain"] for part in document["input"]["partitions"]]
    assert manifest.calls == document["output"]["calls"]


def test_other_avro_readers_read_the_calls(archive: Archive, first: Path) -> None:
    """Each partition's file has its calls in the order of raw offsets, as whole records."""
    document = json.loads((first / "manifest.json").read_text())
    calls = 0
    for part in archive.ranges():
        found = calls_of(first, part.partition, 0)
        positions = [position_of(call) for call in found]
        assert positions == sorted(positions)
        assert {partition for partition, _ in positions} == {part.partition}
        calls += len(found)
    assert calls == document["books"]["calls"] > 3_000


def test_the_books_balance_and_name_every_record(first: Path) -> None:
    """Every raw record is a call, rightly no call, or a dead letter with a reason; dead letters are listed."""
    books = json.loads((first / "manifest.json").read_text())["books"]
    not_calls, dead = sum(books["not_calls"].values()), sum(books["dead_letters"].values())
    assert books["records"] == books["calls"] + not_calls + dead
    assert books["not_calls"]["loader"] > 0
    assert books["dead_letters"]["canonicalize/malformed_protobuf"] > 0
    listed = [line for path in first.glob("refused-*.txt") for line in path.read_text().splitlines()]
    assert len(listed) == dead


@pytest.mark.slow(reason="records and replays a second archive")
def test_a_partial_range_with_its_start_state_gives_the_same_calls(tmp_path: Path) -> None:
    """An archive that begins in the middle gives the same calls as the whole, for it has what was loaded before."""
    taken = load_parts(events=4_000, partitions=1)[0]
    early, late = taken[:1_500], taken[1_500:]
    archives = {
        "whole": make_archive(tmp_path / "whole", {0: taken}),
        "knowing": make_archive(tmp_path / "knowing", {0: late}, {0: rows_before(early)}),
        "ignorant": make_archive(tmp_path / "ignorant", {0: late}),
    }
    for name, made in archives.items():
        replay(made, tmp_path / f"run-{name}")
    calls = {name: calls_of(tmp_path / f"run-{name}", 0, late[0].offset) for name in archives}
    assert calls["knowing"] == calls["whole"]
    assert calls["ignorant"] != calls["whole"]


def calls_of(folder: Path, partition: int, first: int) -> list[dict[str, Any]]:
    """Calls of a partition from a raw offset on."""
    with (folder / f"calls-{partition:05}.avro").open("rb") as file:
        found: list[Any] = list(fastavro.reader(file))
    return [call for call in found if position_of(call)[1] >= first]


def test_a_folder_in_use_is_refused(archive: Archive, tmp_path: Path) -> None:
    """Nothing is written over."""
    (tmp_path / "precious").write_text("x")
    with pytest.raises(ReplayError, match="is not empty"):
        replay(archive, tmp_path)
    assert contents(tmp_path) == {"precious": b"x"}


def test_a_run_is_for_its_owner_only(first: Path) -> None:
    """The run of another policy may hold what the live one removes."""
    assert stat.S_IMODE(first.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in first.rglob("*") if path.is_file()} == {0o600}


def test_an_interrupted_run_says_what_to_do_with_its_folder(archive: Archive, tmp_path: Path) -> None:
    """Without a manifest it is not a run."""
    (tmp_path / "piece-00000-00000").write_bytes(b"half")
    with pytest.raises(ReplayError, match=r"is not empty.*if a replay there was interrupted, remove it"):
        replay(archive, tmp_path)
