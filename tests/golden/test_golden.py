"""Golden cases: every kind of event, probe, argument and frame, and what each becomes (see tests/support/golden.py)."""

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.message import Message

from agents.canonicalize.frames import FrameResolution
from agents.canonicalize.outcomes import Canonical, NotACall, Outcome
from app.simulator.event_files import read_events
from schemas.canonical_pb2 import CanonicalEvent
from schemas.probe_types import PROBE_TYPES
from schemas.tetragon.arguments_pb2 import KprobeArgument
from schemas.tetragon.events_pb2 import GetEventsResponse
from tests.support import golden
from tests.support.golden import Case, cases, observed, outcome_text, published, readable

CASES = cases()

_NEED_A_SYMBOL_STORE = {
    FrameResolution.EXACT,
    FrameResolution.INLINED,
    FrameResolution.NO_SYMBOL_TABLE,
    FrameResolution.NO_SYMBOL,
}
_FIELDS_OF_A_SYMBOL_STORE = {
    "CanonicalFrame.source_file",
    "CanonicalFrame.line_number",
    "CanonicalStack.snapshot",
    "CanonicalTarget.build_id",
}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_case_becomes_what_it_states(case: Case) -> None:
    """The events take the path that the case is about, and become exactly what is written down."""
    outcomes = observed(case.events, case.hooks)

    assert tuple(map(outcome_text, outcomes)) == case.outcomes
    assert tuple(map(readable, outcomes)) == case.canonical
    assert tuple(map(published, outcomes)) == case.call


def _all_outcomes() -> Iterator[Outcome]:
    for case in CASES:
        yield from observed(case.events, case.hooks)


def _all_events() -> Iterator[GetEventsResponse]:
    for case in CASES:
        yield from map(GetEventsResponse.FromString, case.events)


def _canonical_events() -> Iterator[CanonicalEvent]:
    for outcome in _all_outcomes():
        if isinstance(outcome, Canonical):
            yield CanonicalEvent.FromString(outcome.value)


def test_cases_cover_every_kind_of_event() -> None:
    """A kind that joins the contract needs a case."""
    kinds = {field.name for field in GetEventsResponse.DESCRIPTOR.oneofs_by_name["event"].fields}

    assert {event.WhichOneof("event") for event in _all_events()} == kinds


def test_cases_cover_every_probe_type_and_every_not_a_call() -> None:
    """Every symbol of ProbeType but Unknown, and every kind that is rightly no call, is some case's outcome."""
    stated = {outcome for case in CASES for outcome in case.outcomes if not outcome.startswith("refused:")}

    assert stated == set(PROBE_TYPES[1:]) | {f"not_a_call:{reason}" for reason in NotACall}


def test_cases_cover_every_kind_of_argument() -> None:
    """A kind that joins the oneof of KprobeArgument needs a case."""
    kinds = {field.name for field in KprobeArgument.DESCRIPTOR.oneofs_by_name["arg"].fields}
    arguments = [argument for event in _all_events() for argument in event.process_kprobe.args]
    arguments += [argument for event in _all_events() for argument in event.process_tracepoint.args]

    assert kinds <= {argument.WhichOneof("arg") for argument in arguments}


def test_cases_cover_every_resolution_that_needs_no_symbol_store() -> None:
    """Each way in which a frame can be good or bad without an index occurs."""
    found = {resolution for outcome in _all_outcomes() for resolution in _resolutions(outcome)}
    wanted = set(FrameResolution) - _NEED_A_SYMBOL_STORE - {FrameResolution.UNKNOWN}

    assert found == {resolution.value for resolution in wanted}


def _resolutions(outcome: Outcome) -> set[str]:
    return {resolution for resolution, _ in outcome.resolutions} if isinstance(outcome, Canonical) else set()


def test_cases_cover_every_field_of_the_canonical_event() -> None:
    """A field that joins the canonical event needs a case in which it is set."""
    wanted = _fields(CanonicalEvent.DESCRIPTOR) - _FIELDS_OF_A_SYMBOL_STORE
    found: set[str] = set()
    for event in _canonical_events():
        found |= _set_fields(event)

    assert wanted - found == set()


def _fields(descriptor: Any) -> set[str]:
    found = {f"{descriptor.name}.{field.name}" for field in descriptor.fields}
    for field in descriptor.fields:
        if field.message_type is not None:
            found |= _fields(field.message_type)
    return found


def _set_fields(message: Message) -> set[str]:
    found = set()
    for field, value in message.ListFields():
        found.add(f"{message.DESCRIPTOR.name}.{field.name}")
        if field.message_type is not None:
            for item in value if field.is_repeated else [value]:
                found |= _set_fields(item)
    return found


def test_every_case_says_what_it_is_about() -> None:
    """Each case has a sentence of its own, and every file belongs to a case."""
    assert len({case.about for case in CASES}) == len(CASES)
    assert all(case.about.endswith(".") for case in CASES)
    assert sorted(path.stem for path in golden.EVENTS.iterdir()) == sorted(case.name for case in CASES)


def test_exposed_addresses_change_no_frame() -> None:
    """The case with addresses has the frames of the case without them, and another event id."""
    by_name = {case.name: case.canonical[0] or {} for case in CASES}
    hidden, exposed = by_name["kprobe-with-both-stacks"], by_name["kprobe-with-exposed-addresses"]

    assert hidden["stack"] == exposed["stack"]
    assert hidden["event_id"] != exposed["event_id"]


def test_recorded_events_of_a_known_kind_are_never_refused() -> None:
    """Every recording from Tetragon's own documentation becomes a call, or is rightly none."""
    folder = os.environ.get("CALLSTREAM_SAMPLES_DIR")
    if not folder:
        pytest.skip("CALLSTREAM_SAMPLES_DIR is not set: the recordings are not part of the project")
    files = [Path(folder) / name for name in ("cilium_tetragon.jsonl", "constructed_stack_event.jsonl")]
    outcomes = observed(list(read_events(files)), {})

    assert len(outcomes) == 52
    assert [outcome for outcome in outcomes if not isinstance(outcome, Canonical | NotACall)] == []


@pytest.fixture(name="folder")
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Golden cases in a folder of their own: one of the real ones."""
    for name in ("events", "expected"):
        (tmp_path / name).mkdir()
        monkeypatch.setattr(golden, name.upper(), tmp_path / name)
    shutil.copy(golden.FOLDER / "events" / "kretprobe.jsonl", tmp_path / "return.jsonl")
    return tmp_path


def _run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> object:
    """Exit code or message of the command line."""
    monkeypatch.setattr("sys.argv", ["golden", *arguments])
    with pytest.raises(SystemExit) as ended:
        golden.main()
    return ended.value.code


def test_adding_a_case_takes_one_command(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file and a stated outcome become a case that holds; a second one of the same name is refused."""
    line = ["add", str(folder / "return.jsonl"), "--about", "A return.", "--outcome", "Kretprobe"]

    assert _run(monkeypatch, *line) == 0
    case = cases()[0]
    assert (case.name, case.about, case.outcomes) == ("return", "A return.", ("Kretprobe",))
    outcomes = observed(case.events, case.hooks)
    assert tuple(map(readable, outcomes)) == case.canonical
    assert tuple(map(published, outcomes)) == case.call
    assert "there is a case return already" in str(_run(monkeypatch, *line))


def test_adding_a_case_by_its_file_alone_writes_down_what_it_sees(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`make golden ADD=file`: the author looks at the outcomes and the sentence afterwards."""
    assert _run(monkeypatch, "add", str(folder / "return.jsonl")) == 0
    case = cases()[0]
    assert (case.about, case.outcomes) == ("Return.", ("Kretprobe",))
    assert "return.json: Return. Kretprobe" in capsys.readouterr().out


def test_adding_a_case_is_refused_when_it_misses_its_path(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An event that does not become what its author says it does is no case."""
    line = ["add", str(folder / "return.jsonl"), "--about", "A return.", "--outcome", "Kprobe"]

    assert "['Kprobe'], but ['Kretprobe']" in str(_run(monkeypatch, *line))
    assert cases() == []


def test_updating_rewrites_canonical_events_and_never_an_outcome(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is canonical follows the code; an outcome that changed stops the update."""
    _run(monkeypatch, "add", str(folder / "return.jsonl"), "--about", "A return.", "--outcome", "Kretprobe")
    path = folder / "expected" / "return.json"
    good = json.loads(path.read_text())
    path.write_text(json.dumps(good | {"canonical": [None], "call": ["no call"]}))

    assert _run(monkeypatch, "update") == 0
    assert json.loads(path.read_text()) == good

    path.write_text(json.dumps(good | {"outcomes": ["Kprobe"]}))
    assert "nothing but its author may change that" in str(_run(monkeypatch, "update"))
