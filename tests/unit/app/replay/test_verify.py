"""Verification: what is as it was is proved, and any bit that is not is named."""

import random
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from app.evidence import avro_container, documents
from app.evidence.archive import Archive
from app.evidence.attestation import envelope_path
from app.evidence.documents import sealed
from app.evidence.signed_documents import NOBODY, TrustedSigner
from app.evidence.span_lines import SpanLine
from app.progress import Progress
from app.replay import call_file
from app.replay.manifest import MANIFEST_FILE
from app.replay.request import ReplayRequest
from app.replay.verdict import RunVerdict
from app.replay.verify import verify
from app.settings import Settings
from tests.support.archives import load_parts, make_archive
from tests.support.signed_runs import KEY, make_evidence


@pytest.fixture(scope="module")
def evidence(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an archive and a signed run over it."""
    folder = tmp_path_factory.mktemp("evidence")
    make_evidence(folder, load_parts(events=700, partitions=2))
    return folder


@pytest.fixture
def copy(evidence: Path, tmp_path: Path) -> Path:
    """A copy of the evidence, to be changed."""
    return shutil.copytree(evidence, tmp_path / "copy")


def verdict_on(
    folder: Path, *, settings: Settings | None = None, signed_by: Ed25519PrivateKey | None = None
) -> RunVerdict:
    """Verify the run in a copy of the evidence."""
    return verify(
        folder / "run" / MANIFEST_FILE,
        ReplayRequest(settings=settings or Settings()),
        Progress(),
        trust=NOBODY if signed_by is None else TrustedSigner(signed_by.public_key()),
    )


def text_of(verdict: RunVerdict) -> str:
    """Everything that a verdict says."""
    return "\n".join(verdict.lines())


def test_what_was_not_changed_is_proved(evidence: Path) -> None:
    """The same evidence gives the same run, signature included."""
    verdict = verdict_on(evidence, signed_by=KEY)
    assert verdict.proved, text_of(verdict)
    assert verdict.facts["signed_by"] == KEY.public_key().public_bytes_raw().hex()


def test_evidence_may_be_moved(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing in the evidence says where it once was."""
    monkeypatch.chdir(copy)
    assert verdict_on(Path()).proved


FILES = (
    "archive/archive.json",
    "archive/raw-00001.avro",
    "archive/raw-00000.spans",
    "archive/state-00000.avro",
    "run/manifest.json",
    "run/calls-00000.avro",
    "run/calls-00001.spans",
    "run/refused-00000.txt",
    "run/configuration/policy.toml",
)


@pytest.mark.slow(reason="proves a whole run for each file")
@pytest.mark.parametrize("name", FILES)
def test_a_flipped_bit_is_named(copy: Path, name: str) -> None:
    """One bit anywhere in the evidence makes the verification fail, and the file is named."""
    path = copy / name
    content = path.read_bytes()
    assert content
    chance = random.Random(name)
    for position in chance.sample(range(len(content) * 8), 4):
        damaged = bytearray(content)
        damaged[position // 8] ^= 1 << position % 8
        path.write_bytes(damaged)
        verdict = verdict_on(copy)
        assert not verdict.proved
        assert path.name in text_of(verdict)


def test_a_damaged_archive_is_named_by_partition_and_offsets(copy: Path) -> None:
    """The finding says which raw records cannot be trusted."""
    archive = Archive(copy / "archive")
    part = archive.contents.raw[1]
    span = archive.open_file(part.file).spans[1]
    _flip(copy / "archive" / "raw-00001.avro", span.begin + 20)
    assert f"raw-00001.avro, partition 1, offsets {span.first} to {span.last}" in text_of(verdict_on(copy))


def _flip(path: Path, position: int) -> None:
    content = bytearray(path.read_bytes())
    content[position] ^= 0x10
    path.write_bytes(content)


def forge(folder: Path, change: Callable[[dict[str, object]], object]) -> None:
    """Change the manifest and seal it again, as a forger without the key would."""
    path = folder / "run" / MANIFEST_FILE
    document = documents.read(path)
    change(document)
    documents.write(path, sealed(document))


def test_a_forged_manifest_is_refused_by_its_signature_and_by_the_replay(copy: Path) -> None:
    """Who seals a changed manifest again has no signature for it, and the replay names the field."""

    def change(document: dict[str, object]) -> None:
        books = document["books"]
        assert isinstance(books, dict)
        books["calls"] += 1

    forge(copy, change)
    said = text_of(verdict_on(copy, signed_by=KEY))
    assert "does not match its signature" in said
    assert "books.calls" in said


def test_a_manifest_signed_by_somebody_else_is_refused(copy: Path) -> None:
    """A valid signature proves nothing unless it is the expected one; and none is none."""
    other = Ed25519PrivateKey.from_private_bytes(bytes(32))
    assert "is signed with another key" in text_of(verdict_on(copy, signed_by=other))
    envelope_path(copy / "run" / MANIFEST_FILE).unlink()
    assert verdict_on(copy).proved
    assert "is not signed" in text_of(verdict_on(copy, signed_by=KEY))


def test_another_policy_is_named_with_the_first_event_field_by_field(copy: Path) -> None:
    """A run that was made under another policy differs, and the verdict shows in which event and field."""
    policy = copy / "run" / "configuration" / "policy.toml"
    text = policy.read_text()
    assert '"process.cwd", ' in text or '"process.cwd",' in text
    policy.write_text(text.replace('"process.cwd",', "", 1))
    verdict = verdict_on(copy)
    said = text_of(verdict)
    assert "policy.toml: is not the text that the run was made with" in said
    assert "configuration.policy_id" in said
    assert verdict.first_event is not None
    assert "redaction.policy_id" in {one.path for one in verdict.first_event.fields}
    assert "process.cwd" in said


def test_a_changed_call_is_shown_field_by_field(copy: Path) -> None:
    """A file of calls that was changed so that it still reads is caught, event and field named."""
    path, _, spans = call_file.paths(copy / "run", 0)
    line = SpanLine.of_line(spans.read_text().splitlines(keepends=True)[1])
    content = path.read_bytes()
    sync = call_file.header(0).sync
    with path.open("rb") as file:
        file.seek(line.begin)
        (block,) = avro_container.read_blocks(file, call_file.CODEC, sync, line.end)
    changed = _same_size(block.payload, line.end - line.begin, sync, block.records)
    path.write_bytes(content[: line.begin] + changed + content[line.end :])
    verdict = verdict_on(copy)
    assert f"calls-00000.avro, partition 0, raw offsets {line.first} to {line.last}" in text_of(verdict)
    assert verdict.first_event is not None
    (field,) = verdict.first_event.fields
    assert "XXX" in field.left
    assert "XXX" not in field.right


def _same_size(payload: bytes, size: int, sync: bytes, count: int) -> bytes:
    """A block with a word changed that has the same size as before: a forger's luck."""
    for found in re.finditer(rb"/[a-z]{3}/", payload):
        changed = payload[: found.start() + 1] + b"XXX" + payload[found.end() - 1 :]
        encoded = avro_container.block(call_file.CODEC, call_file.LEVEL, sync, count, changed)
        if len(encoded) == size:
            return encoded
    raise AssertionError("no change keeps the size")


def test_another_archive_is_refused(copy: Path) -> None:
    """An archive that is whole, and not the one that the run was made from, is named with what differs."""
    shutil.rmtree(copy / "archive")
    make_archive(copy / "archive", load_parts(events=700, partitions=2, seed=2))
    said = text_of(verdict_on(copy))
    assert "input.source.archive" in said
    assert "input.partitions[0].chain" in said


@pytest.mark.parametrize("name", ["archive/raw-00001.avro", "run/calls-00000.avro"])
def test_a_missing_file_is_named(copy: Path, name: str) -> None:
    """What is not there any more is named."""
    (copy / name).unlink()
    assert f"{Path(name).name}: No such file" in text_of(verdict_on(copy))


def test_a_newer_program_is_a_note(copy: Path) -> None:
    """Another version that gives the same bytes proves the run, and says so."""

    def change(document: dict[str, object]) -> None:
        program = document["program"]
        assert isinstance(program, dict)
        program["version"] = "0.0.1"

    forge(copy, change)
    envelope_path(copy / "run" / MANIFEST_FILE).unlink()
    verdict = verdict_on(copy)
    assert verdict.proved
    assert 'note: program.version: "0.0.1" is now' in text_of(verdict)


def test_a_symbol_store_that_the_run_did_not_have_is_left_out(evidence: Path, tmp_path: Path) -> None:
    """A run without symbols is proved without symbols, whatever the settings name today."""
    settings = replace(Settings(), symbol_store_dir=tmp_path / "nowhere")
    assert verdict_on(evidence, settings=settings).proved
