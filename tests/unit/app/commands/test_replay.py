"""app/commands/replay.py over archives: folders in, exit codes, texts and documents out."""

import contextlib
import json
import shutil
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import fastavro
import pytest
from click.testing import CliRunner, Result
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from agents.privacy.policy_file import built_in_text
from app.__main__ import cli
from app.evidence.archive import ARCHIVE_FILE, RECORDING_FILE
from tests.support.archives import load_parts, make_archive

pytestmark = pytest.mark.slow(reason="runs replays as commands")

WITHOUT_CWD = built_in_text("default").replace('"process.cwd",', "")


def run(*arguments: object) -> Result:
    """Run the command in this process, and print what it printed if the test fails."""
    result = CliRunner().invoke(cli, ["replay", *map(str, arguments)])
    print(result.output)  # noqa: T201 - shown for a test that fails
    return result


@pytest.fixture(scope="module")
def evidence(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an archive, a run over it, and one over it under a policy that lets less out."""
    folder = tmp_path_factory.mktemp("evidence")
    make_archive(folder / "archive", load_parts(events=900, partitions=2))
    (folder / "policy.toml").write_text(WITHOUT_CWD)
    assert run("--archive", folder / "archive", "--out", folder / "run", "--processes", 1).exit_code == 0
    stricter = ("--policy", folder / "policy.toml", "--out", folder / "what-if")
    assert run("--archive", folder / "archive", *stricter, "--processes", 2).exit_code == 0
    return folder


def keys(folder: Path) -> tuple[Path, Path]:
    """An Ed25519 key pair in PEM files, as openssl writes them."""
    key = Ed25519PrivateKey.generate()
    private, public = folder / "key.pem", folder / "key.pub"
    private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    public.write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    return private, public


def test_a_run_says_what_it_made_and_is_proved(evidence: Path, tmp_path: Path) -> None:
    """A run prints the digests of its manifest, and --verify takes the manifest or the folder."""
    made = json.loads(run("--archive", evidence / "archive", "--out", tmp_path / "run", "--json").output)
    manifest = json.loads((tmp_path / "run" / "manifest.json").read_text())
    assert (made["digest"], made["calls"]) == (manifest["digest"], manifest["output"]["calls"])
    for path in (tmp_path / "run", tmp_path / "run" / "manifest.json"):
        proved = run("--verify", path, "--processes", 1)
        assert proved.exit_code == 0
        assert "proved" in proved.output


def test_a_signed_run_is_proved_by_its_key_only(evidence: Path, tmp_path: Path) -> None:
    """The manifest that --sign signed is proved with that public key, and not with another."""
    private, public = keys(tmp_path)
    made = run("--archive", evidence / "archive", "--out", tmp_path / "run", "--sign", private)
    assert made.exit_code == 0
    (tmp_path / "other").mkdir()
    _, other = keys(tmp_path / "other")
    assert run("--verify", tmp_path / "run", "--public-key", public).exit_code == 0
    refused = run("--verify", tmp_path / "run", "--public-key", other, "--json")
    assert refused.exit_code == 1
    assert "signed with another key" in json.loads(refused.output)["findings"][0]["matter"]
    assert run("--verify", evidence / "run", "--public-key", public).exit_code == 1


def test_a_damaged_archive_is_named(evidence: Path, tmp_path: Path) -> None:
    """A run over a truncated file ends with exit code 1, the file and the offsets."""
    shutil.copytree(evidence / "archive", tmp_path / "archive")
    path = tmp_path / "archive" / "raw-00001.avro"
    path.write_bytes(path.read_bytes()[:-7])
    refused = run("--archive", tmp_path / "archive", "--out", tmp_path / "run")
    assert refused.exit_code == 1
    assert "raw-00001.avro, partition 1: has" in refused.output
    assert "are cut off" in refused.output


def test_an_unfinished_recording_is_no_archive(evidence: Path, tmp_path: Path) -> None:
    """Nothing is replayed from a recording that was not finished, and the reader learns how to finish it."""
    shutil.copytree(evidence / "archive", tmp_path / "archive")
    (tmp_path / "archive" / ARCHIVE_FILE).rename(tmp_path / "archive" / RECORDING_FILE)
    refused = run("--archive", tmp_path / "archive", "--out", tmp_path / "run")
    assert refused.exit_code == 1
    assert "run the same `callstream record` again" in refused.output


def test_equal_runs_have_no_diff(evidence: Path, tmp_path: Path) -> None:
    """Two runs under one configuration are the same, event by event."""
    assert run("--archive", evidence / "archive", "--out", tmp_path / "run").exit_code == 0
    same = run("--diff", evidence / "run", tmp_path / "run", "--json")
    assert same.exit_code == 0
    found = json.loads(same.output)
    assert found["equal"]
    assert found["same"] == calls_of(evidence / "run").total() > 700


def calls_of(run_folder: Path) -> Counter[bool]:
    """How many calls of a run have a working directory, and how many have none."""
    has_cwd: Counter[bool] = Counter()
    for path in run_folder.glob("calls-*.avro"):
        with path.open("rb") as file:
            for call in fastavro.reader(file):
                assert isinstance(call, dict)
                has_cwd[call["process"]["cwd"] is not None] += 1
    return has_cwd


def test_a_diff_says_what_another_policy_would_have_published(evidence: Path) -> None:
    """Every event that would have lost a field is counted by field, and the first are shown with both values."""
    differing = run("--diff", evidence / "run", evidence / "what-if", "--json", "--max", 3)
    assert differing.exit_code == 1
    found = json.loads(differing.output)
    with_cwd = calls_of(evidence / "run")[True] - calls_of(evidence / "what-if")[True]
    assert found["differing"] == found["by_field"]["process.cwd"] == with_cwd > 100
    assert found["only_left"] == found["only_right"] == 0
    assert "policy_id" in {one["path"] for one in found["configuration"]}
    assert len(found["events"]) == 3
    (cwd,) = (one for one in found["events"][0]["fields"] if one["path"] == "process.cwd")
    assert cwd["right"] == "null"
    assert cwd["left"].startswith('"/')
    text = run("--diff", evidence / "run", evidence / "what-if").output
    assert found["events"][0]["event_id"] in text
    assert "process.cwd" in text


def test_runs_over_other_events_are_not_compared(evidence: Path, tmp_path: Path) -> None:
    """A diff of runs over different events would blame the policy for the difference."""
    make_archive(tmp_path / "archive", load_parts(events=300, partitions=2, seed=2))
    assert run("--archive", tmp_path / "archive", "--out", tmp_path / "run").exit_code == 0
    refused = run("--diff", evidence / "run", tmp_path / "run")
    assert refused.exit_code == 2
    assert "not over the same raw records" in refused.output


def test_a_diff_of_damaged_files_is_refused(evidence: Path, tmp_path: Path) -> None:
    """A file of calls that was changed after the run is named, and nothing is compared."""
    shutil.copytree(evidence / "run", tmp_path / "run")
    path = tmp_path / "run" / "calls-00000.avro"
    content = bytearray(path.read_bytes())
    content[-30] ^= 1
    path.write_bytes(content)
    refused = run("--diff", tmp_path / "run", evidence / "what-if")
    assert refused.exit_code == 1
    assert "calls-00000.avro, partition 0" in refused.output


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("--out", "x", "--verify", "y"),
        ("--verify", "y", "--policy", "z"),
        ("--diff", "x", "y", "--archive", "z"),
        ("--out", "x", "--public-key", "z"),
        ("--out", "x", "--force"),
        ("--out", "x", "--archive", "y", "--from", "offset:7"),
        ("--out", "x", "--from", "yesterday"),
    ],
    ids=" ".join,
)
def test_options_that_do_not_go_together_are_refused(
    arguments: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An option that would be ignored is an error, and nothing is written."""
    monkeypatch.chdir(tmp_path)
    assert run(*arguments).exit_code == 2
    assert not list(tmp_path.iterdir())


def test_the_live_topic_and_the_pipelines_own_are_refused(evidence: Path, tmp_path: Path) -> None:
    """Without --force the live topic takes nothing, and other topics of the pipeline never do; Kafka is not asked."""
    for topic, said in (("runtime.calls", "is the live topic"), ("tetragon.raw", "is the pipeline's")):
        refused = run("--archive", evidence / "archive", "--out", tmp_path / "run", "--to-topic", topic)
        assert refused.exit_code == 2
        assert said in refused.output
    assert not list(tmp_path.iterdir())


def test_processes_end_with_a_replay_that_is_killed(tmp_path: Path) -> None:
    """Nothing goes on working, or waits for work for ever, when the command is gone."""
    archive = make_archive(tmp_path / "archive", load_parts(events=6_000, partitions=2))
    options = ("--archive", archive.folder, "--out", tmp_path / "run", "--processes", 2)
    with subprocess.Popen([sys.executable, "-m", "app", "replay", *map(str, options)]) as parent:
        while len(children := children_of(parent.pid)) < 3:  # two processes, and what tracks their resources
            assert parent.poll() is None
            time.sleep(0.02)
        parent.kill()
    deadline = time.monotonic() + 30
    while any(Path(f"/proc/{child}").exists() for child in children):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def children_of(parent: int) -> list[int]:
    """Processes that this one has started."""
    found = []
    for path in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if path.name.isdigit() and (path / "stat").read_text().rpartition(")")[2].split()[1] == str(parent):
                found.append(int(path.name))
    return found


def test_a_folder_in_use_is_refused(evidence: Path) -> None:
    """A run is never written over another one."""
    refused = run("--archive", evidence / "archive", "--out", evidence / "run")
    assert refused.exit_code == 2
    assert "is not empty" in refused.output


def test_one_event_is_shown_and_what_is_not_at_hand_is_no_contradiction(evidence: Path, tmp_path: Path) -> None:
    """0 for a proved event, 1 for one that the run does not have, 2 and one line where nobody can tell."""
    with (evidence / "run" / "calls-00000.avro").open("rb") as file:
        call = next(iter(fastavro.reader(file)))
    assert isinstance(call, dict)
    shown = run("--verify", evidence / "run", "--event", call["event_id"], "--json")
    assert shown.exit_code == 0
    document = json.loads(shown.stdout)
    assert (document["proved"], document["raw_record"]["offset"]) == (True, call["source"]["offset"])
    assert run("--verify", evidence / "run", "--event", "0" * 32).exit_code == 1
    assert run("--out", tmp_path / "no", "--archive", evidence / "archive", "--event", "0" * 32).exit_code == 2

    shutil.copytree(evidence / "run", tmp_path / "run")
    for options in ((), ("--event", call["event_id"])):
        gone = run("--verify", tmp_path / "run", *options)
        assert gone.exit_code == 2
        assert gone.stderr.count("\n") == 1
        assert "cannot tell: no archive at" in gone.stderr
