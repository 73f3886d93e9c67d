"""One flipped bit in what a run depends on or has published: verification fails and names the place."""

import os
import random
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from app.__main__ import cli
from app.evidence import attestation, documents
from app.evidence.archive import Archive
from app.evidence.attestation import SignatureError
from app.evidence.configuration import configuration_of
from app.evidence.digests import Columns
from app.evidence.documents import DocumentError
from app.evidence.signed_documents import TrustedSigner, check_signature, write_signed
from app.kafka.records import OffsetRange, Recorded
from app.replay.compare import check
from app.replay.compare.check import PublishedResult
from app.replay.compare.copies import CopiesFound, CopyCheck, Slots, SlotWriter
from app.replay.compare.published import PublishedSchemas
from app.replay.engine import CallsNowhere, Lane, LaneOutput, build_steps, run
from app.replay.pipeline import Pipeline
from app.replay.request import ReplayRequest
from app.replay.verdict import RunVerdict
from app.settings import Settings
from schemas import records
from schemas.topics import Stage
from tests.support.archives import load_parts, make_archive
from tests.support.made_indexes import index_bytes, store_of

pytestmark = pytest.mark.slow(reason="proves a run again for each flipped bit")

ROOT = Path(__file__).parents[4]
TOPIC = "runtime.calls"
SCHEMA_ID = 5


def verified(folder: Path, *options: object) -> Result:
    """Verify the run in a folder."""
    result = CliRunner().invoke(
        cli, ["replay", "--verify", str(folder / "run"), "--processes", "1", *map(str, options)]
    )
    print(result.output)  # noqa: T201 - shown for a test that fails
    return result


@pytest.fixture(scope="module")
def evidence(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an archive, a symbol store and a run over both."""
    folder = tmp_path_factory.mktemp("evidence")
    make_archive(folder / "archive", load_parts(events=300, partitions=1))
    store_of(folder / "symbols", index_bytes(names=("first", "second")))
    made = ["--archive", folder / "archive", "--symbols", folder / "symbols", "--out", folder / "run", "--processes", 1]
    assert CliRunner().invoke(cli, ["replay", *map(str, made)]).exit_code == 0
    return folder


def test_a_flipped_bit_in_the_symbol_store_is_named(evidence: Path, tmp_path: Path) -> None:
    """Whether or not an event asked for it: every object and the snapshot are looked at."""
    copy = shutil.copytree(evidence, tmp_path / "copy")
    assert verified(copy, "--symbols", copy / "symbols").exit_code == 0
    chance = random.Random(8)
    stored = [path for folder in ("objects", "snapshots") for path in (copy / "symbols" / folder).iterdir()]
    files = sorted(path for path in stored if path.stat().st_size)  # a store begins with an empty snapshot
    assert {path.parent.name for path in files} == {"objects", "snapshots"}
    for path in files:
        content = path.read_bytes()
        for _ in range(4):
            _flip(path, content, chance)
            refused = verified(copy, "--symbols", copy / "symbols")
            assert refused.exit_code == 1
            assert path.name[:12] in refused.output
        path.write_bytes(content)


@pytest.mark.parametrize("name", ["archive/archive.json", "run/manifest.json"])
def test_any_flipped_bit_in_a_signature_is_named(evidence: Path, tmp_path: Path, name: str) -> None:
    """Every bit of the envelope, of an archive and of a manifest."""
    key = Ed25519PrivateKey.generate()
    copy = shutil.copytree(evidence, tmp_path / "copy")
    path = copy / name
    document = documents.read(path)
    about = partial(_statement_about, path.name)
    write_signed(path, document, key, about)
    assert check_signature(path, document, TrustedSigner(key.public_key()))
    envelope = attestation.envelope_path(path)
    content = envelope.read_bytes()
    for position in range(len(content) * 8):
        damaged = bytearray(content)
        damaged[position // 8] ^= 1 << position % 8
        envelope.write_bytes(damaged)
        with pytest.raises(SignatureError):
            check_signature(path, document, TrustedSigner(key.public_key()))
    if path.parent.name == "archive":
        envelope.write_bytes(content.replace(b"payload", b"paylord"))
        with pytest.raises(DocumentError, match=path.name):
            Archive(path.parent)


def _statement_about(name: str, content: bytes) -> bytes:
    return attestation.statement([attestation.subject(name, content)], "https://example.test/word/v1", {})


def _flip(path: Path, content: bytes, chance: random.Random) -> None:
    damaged = bytearray(content)
    damaged[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
    path.chmod(0o644)
    path.write_bytes(damaged)


def test_a_flipped_bit_in_the_schema_is_named(evidence: Path, tmp_path: Path) -> None:
    """A program whose packaged schema was changed proves nothing, and says in which schema."""
    shutil.copytree(ROOT / "schemas", tmp_path / "schemas")
    path = tmp_path / "schemas" / "avro" / f"{records.CALL}.avsc"
    content, chance = path.read_bytes(), random.Random(4)
    word = content.index(b"observation")  # in a description, which decides no byte and is part of the contract
    for position in (word, chance.randrange(len(content)), chance.randrange(len(content))):
        damaged = bytearray(content)
        damaged[position] ^= 1
        path.write_bytes(damaged)
        options = ["--verify", evidence / "run", "--symbols", evidence / "symbols", "--processes", "1"]
        done = subprocess.run(
            [sys.executable, "-m", "app", "replay", *map(str, options)],
            cwd=tmp_path,  # comes before everything else where Python looks for packages
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 1
        assert records.CALL in done.stdout + done.stderr


Published = tuple[list[Recorded], Slots, LaneOutput, Archive]


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Published:
    """The copies of calls as a live stage has published them, and the digests that a replay leaves to compare them."""
    folder = tmp_path_factory.mktemp("published")
    archive = make_archive(folder / "archive", load_parts(events=400, partitions=1))
    (whole,) = archive.ranges()
    slots = Slots(folder, whole)
    slots.create()
    output = LaneOutput(open_sink=CallsNowhere, open_witness=partial(_SlotWitness, slots), schema_id=SCHEMA_ID)
    run(ReplayRequest(settings=Settings()), archive, output)
    kept: list[Recorded] = []
    pipeline = Pipeline(build_steps(ReplayRequest(settings=Settings()), SCHEMA_ID), _Topic(kept))
    for batch in archive.batches(whole.partition, whole.first, whole.next - 1, 1_000):
        pipeline.take(batch)
    return kept, slots, output, archive


class _SlotWitness:
    """A witness that keeps the digests of calls."""

    def __init__(self, slots: Slots, _lane: Lane) -> None:
        self._writer = SlotWriter(slots)

    def saw(self, stage: Stage, columns: Columns, _dead_letters: object) -> None:
        if stage is Stage.PRIVACY:
            self._writer.write(columns)

    def result(self) -> None:
        self._writer.close()


class _Topic(CallsNowhere):
    """A sink that keeps calls as records of a topic."""

    def __init__(self, kept: list[Recorded]) -> None:
        super().__init__()
        self._kept = kept

    def calls(self, records: Columns, values: Sequence[bytes | None]) -> None:
        for timestamp_ms, key, value in zip(records.timestamps_ms, records.keys, values, strict=True):
            self._kept.append(Recorded(TOPIC, 0, len(self._kept), timestamp_ms, key, value))


def schemas() -> PublishedSchemas:
    """The registry's schemas: one."""
    return PublishedSchemas.of_texts({str(SCHEMA_ID): records.schema_text(records.CALL)})


def compared(copies: list[Recorded], slots: Slots) -> CopiesFound:
    """Compare a topic's records with the replay."""
    return CopyCheck(slots, schemas()).run([copies])


def test_what_was_published_is_proved_in_any_order_and_number(
    published: Published,
) -> None:
    """Copies may repeat and come in any order."""
    copies, slots, *_ = published
    found = compared([*copies, *random.Random(1).sample(copies, 50)], slots)
    assert (found.calls, found.copies) == (len(copies), len(copies) + 50)
    assert (found.differing, found.strange, found.missing) == (0, 0, 0)


def test_a_flipped_bit_in_a_published_record_is_named(published: Published) -> None:
    """In value, key or timestamp of any copy: named by topic, partition and offset, or as one that is missing."""
    copies, slots, output, _ = published
    chance = random.Random(11)
    configuration, _ = configuration_of(Settings())
    for _ in range(300):
        at = chance.randrange(len(copies))
        verdict = RunVerdict()
        found = compared([*copies[:at], flipped(copies[at], chance), *copies[at + 1 :]], slots)
        result = PublishedResult({0: found}, {}, {})
        check.report(result, configuration, verdict)
        raw_offset = records.decode(records.CALL, copies[at].value or b"")["source"]["offset"]
        said = "\n".join(verdict.lines())
        assert f"{TOPIC}, partition 0, offset {at}:" in said or f"first that of raw {raw_offset}" in said
    assert output.schema_id == SCHEMA_ID


def flipped(copy: Recorded, chance: random.Random) -> Recorded:
    """The record with one bit changed."""
    assert copy.key is not None
    assert copy.value is not None
    match chance.choice(["value", "value", "value", "key", "timestamp"]):
        case "timestamp":
            return copy._replace(timestamp=copy.timestamp ^ 1 << chance.randrange(40))
        case "key":
            return copy._replace(key=_one_bit(copy.key, chance))
        case _:
            return copy._replace(value=_one_bit(copy.value, chance))


def _one_bit(content: bytes, chance: random.Random) -> bytes:
    damaged = bytearray(content)
    damaged[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
    return bytes(damaged)


def test_the_first_published_event_that_differs_is_shown_field_by_field(
    published: Published,
) -> None:
    """A forged copy is decoded and compared with the call that its raw record gives."""
    copies, slots, _, archive = published
    victim = copies[17]
    assert victim.value is not None
    call = records.decode(records.CALL, victim.value)
    forged = records.encode(records.CALL, SCHEMA_ID, call | {"node_name": "elsewhere"})
    found = compared([*copies, victim._replace(value=forged)], slots)
    event = check.differing_event({0: found}, _SchemasOnly(), ReplayRequest(settings=Settings()), archive)
    assert event is not None
    assert event.event_id == call["event_id"]
    assert [one.path for one in event.fields] == ["node_name"]
    assert event.fields[0].left == '"elsewhere"'


class _SchemasOnly:
    """A source of copies that nobody asks for its copies."""

    def __init__(self) -> None:
        self.schemas = schemas()

    def copies(self, part: OffsetRange) -> Iterator[list[Recorded]]:
        raise AssertionError(part)
