"""One event of a run with all that it rests on, and what keeps it from being proved."""

import base64
import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from app.evidence import documents
from app.evidence.documents import sealed
from app.evidence.signed_documents import TrustedSigner
from app.evidence.span_lines import read_lines
from app.progress import Progress
from app.replay import call_file
from app.replay.manifest import MANIFEST_FILE, Manifest
from app.replay.one_event import ShownEvent, show_event
from app.replay.request import ReplayError, ReplayRequest
from app.replay.verify import verify
from app.settings import Settings
from tests.support.archives import load_parts
from tests.support.signed_runs import KEY, make_evidence

PARTS = load_parts(events=500, partitions=2)


@pytest.fixture(scope="module")
def evidence(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an archive and a signed run over it."""
    folder = tmp_path_factory.mktemp("one-event")
    make_evidence(folder, PARTS)
    return folder


@pytest.fixture
def copy(evidence: Path, tmp_path: Path) -> Path:
    """A copy of the evidence, to be changed."""
    return shutil.copytree(evidence, tmp_path / "copy")


def manifest_of(folder: Path) -> Manifest:
    """The run's manifest."""
    return Manifest.of_document(documents.read(folder / "run" / MANIFEST_FILE), "manifest")


def some_call(folder: Path, partition: int = 1) -> dict[str, object]:
    """A call in the last span of a partition."""
    calls, _, spans = call_file.paths(folder / "run", partition)
    line = read_lines(spans, manifest_of(folder).output[partition].spans)[-1]
    return call_file.read_span(calls, partition, line)[-1]


def shown(folder: Path, event_id: str, settings: Settings | None = None) -> ShownEvent:
    """Show an event of the run."""
    request = ReplayRequest(settings=settings or Settings())
    return show_event(folder / "run", event_id, request, Progress(), trust=TrustedSigner(KEY.public_key()))


def test_an_event_is_shown_with_all_that_it_rests_on(evidence: Path) -> None:
    """Its call, the raw record as it was received, the digests of its span, and the policy."""
    call = some_call(evidence)
    found = shown(evidence, str(call["event_id"]))
    document = json.loads(json.dumps(found.document()))

    assert found.is_proved, [*found.lines()]
    assert document["call"] == json.loads(json.dumps(call))
    source = document["call"]["source"]
    raw = next(one for one in PARTS[1] if one.offset == source["offset"])
    assert base64.b64decode(document["raw_record"]["value"]) == raw.value
    assert (document["raw_record"]["partition"], document["raw_record"]["offset"]) == (1, raw.offset)
    assert "process" in json.dumps(document["raw_record"]["event"])
    line = read_lines(call_file.paths(evidence / "run", 1)[2], manifest_of(evidence).output[1].spans)[-1]
    assert document["span"]["records"] == line.records.digest
    assert document["policy"]["id"] == document["call"]["redaction"]["policy_id"]
    assert Path(document["policy"]["text"]).read_text()
    assert [*found.lines()][-1] == f"{call['event_id']}: proved"


def test_an_event_that_a_run_does_not_have_is_not_proved(evidence: Path) -> None:
    """And is not shown."""
    found = shown(evidence, "0" * 32)

    assert not found.is_proved
    assert found.call is None
    assert "the run has no event" in "\n".join(found.lines())


@pytest.mark.parametrize("name", ["run/manifest.json", "run/configuration/policy.toml", "archive/raw-00001.avro"])
def test_an_event_whose_evidence_was_changed_is_not_proved(copy: Path, name: str) -> None:
    """Manifest, policy, and the raw records of its span."""
    event_id = str(some_call(copy)["event_id"])
    path = copy / name
    if name.endswith(".json"):
        document = documents.read(path)
        document["program"]["version"] = "0.0.1"
        documents.write(path, sealed(document))
    else:
        content = bytearray(path.read_bytes())
        content[-40] ^= 1
        path.write_bytes(content)
    found = shown(copy, event_id)

    assert not found.is_proved
    assert found.verdict.findings


@pytest.mark.parametrize(("gone", "matter"), [("archive", "no archive at"), ("run/manifest.json", "No such file")])
def test_without_its_evidence_nobody_can_tell(copy: Path, gone: str, matter: str) -> None:
    """That is no contradiction: the command ends otherwise, with one line."""
    event_id = str(some_call(copy)["event_id"])
    path = copy / gone
    shutil.rmtree(path) if path.is_dir() else path.unlink()

    with pytest.raises(ReplayError, match=f"cannot tell: .*{matter}"):
        shown(copy, event_id)
    with pytest.raises(ReplayError, match=f"cannot tell: .*{matter}"):
        verify(copy / "run" / MANIFEST_FILE, ReplayRequest(settings=Settings()), Progress())


def test_without_the_symbol_store_of_the_run_nobody_can_tell(copy: Path, tmp_path: Path) -> None:
    """Not set, not there, or without the snapshot."""
    path = copy / "run" / MANIFEST_FILE
    document = documents.read_unproved(path)
    document["configuration"]["symbols"] = "ab" * 32
    documents.write(path, sealed(document))
    (tmp_path / "store" / "snapshots").mkdir(parents=True)
    places = {"say with --symbols": None, "no symbol store at": tmp_path / "nowhere", "no snapshot": tmp_path / "store"}
    (tmp_path / "store" / "format").write_text("callstream symbol store 1\n")
    for matter, store in places.items():
        settings = replace(Settings(), symbol_store_dir=store)
        with pytest.raises(ReplayError, match=f"cannot tell: .*{matter}"):
            shown(copy, "0" * 32, settings)
