"""What earlier programs recorded stays readable: its formats, its digests, and the bytes that it says.

`recorded/COMMIT/` holds an archive with what the live stages published, a run over it, and that run's symbol store. The
program of that commit made them from 400 generated events.
"""

import json
import shutil
from pathlib import Path
from typing import Final

import fastavro
import pytest
from click.testing import CliRunner

from app.__main__ import cli

RECORDED: Final = sorted((Path(__file__).parent / "recorded").iterdir())


@pytest.mark.parametrize("recorded", RECORDED, ids=lambda path: path.name)
def test_what_an_earlier_program_recorded_is_proved(recorded: Path, tmp_path: Path) -> None:
    """Archive, run and audit statements verify; notes say that the program is another, with more symbols."""
    copy = shutil.copytree(recorded, tmp_path / "recorded")
    options = ("--symbols", str(copy / "symbols"), "--processes", "1", "--json")
    result = CliRunner().invoke(cli, ["replay", "--verify", str(copy / "run"), *options])
    assert result.exit_code == 0, result.output
    verdict = json.loads(result.stdout)
    assert verdict["proved"]
    may_differ = ("program.", "configuration.call_schema: this program's has more")
    assert [note for note in verdict["notes"] if not note.startswith(may_differ)] == []


@pytest.mark.parametrize("recorded", RECORDED, ids=lambda path: path.name)
def test_a_recorded_run_holds_calls_and_audit_statements(recorded: Path) -> None:
    """The recording is worth a verification: it has calls, symbols, copies, and audited runs of both stages."""
    manifest = json.loads((recorded / "run" / "manifest.json").read_text())
    assert manifest["books"]["calls"] > 200
    assert manifest["books"]["inside"]["frames/Exact"] > 0
    copies, audits = manifest["published"]["copies"], manifest["published"]["audit"]
    assert sum(one["copies"] for one in copies) == manifest["books"]["calls"]
    assert {one["stage"] for one in audits if one["proved"]} == {"canonicalize", "privacy"}


@pytest.mark.parametrize("recorded", RECORDED, ids=lambda path: path.name)
def test_an_event_of_an_earlier_program_is_shown_and_proved(recorded: Path, tmp_path: Path) -> None:
    """Its call is read under the schema of then, from the file and as it is made again."""
    copy = shutil.copytree(recorded, tmp_path / "recorded")
    with (copy / "run" / "calls-00000.avro").open("rb") as file:
        event_id = next(
            call["event_id"] for call in fastavro.reader(file) if isinstance(call, dict) and call["stack_frames"]
        )
    options = ("--symbols", str(copy / "symbols"), "--processes", "1", "--json", "--event", event_id)
    result = CliRunner().invoke(cli, ["replay", "--verify", str(copy / "run"), *options])

    assert result.exit_code == 0, result.output
    assert event_id in result.stdout
