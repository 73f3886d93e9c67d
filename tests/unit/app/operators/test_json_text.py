"""app/operators/json_text.py: what a program in JavaScript reads of our JSON is what we said."""

import json
import re
from pathlib import Path
from typing import Any, Final

import pytest

from app.operators.json_text import LENGTHS, json_text
from schemas import records

ROOT: Final = Path(__file__).resolve().parents[4]

DOORS: Final = {
    "app/operators/json_text.py",
    "app/operators/escaping.py",  # one character
    "app/telemetry/logs.py",  # log lines, with times as text too
    "app/tap/lines.py",  # lines for people
    "app/replay/one_event.py",  # as above
    "app/replay/compare/published.py",  # a schema
    "app/stages/hot_symbols/advertising.py",  # a record that workers write for workers
    "app/symbols/reader.py",  # between processes of ours
    "app/symbols/limited_process.py",  # as above
    "app/symbols/demangler.py",  # as above
    "app/symbols/package_reader.py",  # as above
    "app/symbols/file_owners.py",  # as above
    "app/vulnerabilities/database_folder.py",  # a list that only it reads
    "app/kafka/registry_link.py",  # requests
    "app/export/openvex.py",  # documents whose format others fixed, with times as text
    "app/export/runtime_facts.py",  # as above
    "app/export/vex_output.py",  # a VEX document has no numbers of nanoseconds
    "app/export/speedscope.py",  # as above
    "app/export/flame_graph/page.py",  # for its own page
}
"""Files that may write JSON without `json_text`, and no times in nanoseconds."""


def _by_javascript(text: str) -> Any:
    """A document as a reader has it whose numbers are all of 64-bit floating point."""
    return json.loads(text, parse_int=float)


@pytest.mark.parametrize(
    ("given", "added"),
    [
        ({"since_ns": 1_796_004_420_840_012_423}, {"since": "2026-11-30T02:07:00.840012423Z"}),
        ({"since_ns": "1796004420840012423"}, {"since": "2026-11-30T02:07:00.840012423Z"}),
        ({"from_ns": -1}, {"from": "1969-12-31T23:59:59.999999999Z"}),
        ({"last_seen_ns": 0}, {"last_seen": None}),
        ({"vouched_until_ns": None}, {"vouched_until": None}),
        ({"complete_ns": 86_400_000_000_001}, {"complete_s": 86_400.000000001}),
        ({"since_ns": 1, "since": "kept"}, {}),
        ({"since_ns": True, "text_ns": "x", "list_ns": []}, {}),
        ({"hits": 1}, {}),
    ],
)
def test_a_time_stands_as_text_beside_its_number(given: dict[str, Any], added: dict[str, Any]) -> None:
    """On every level, in objects and in lists; nothing that was there goes."""
    assert json.loads(json_text(given)) == given | added
    assert json.loads(json_text({"rows": [{"in": given}]})) == {"rows": [{"in": given | added}]}


def test_times_survive_javascript() -> None:
    """The text has every digit that the number loses."""
    ns = 1_796_004_420_840_012_423
    read = _by_javascript(json_text({"since_ns": ns}))
    assert int(read["since_ns"]) != ns
    assert read["since"].endswith("00.840012423Z")


def test_every_length_of_the_schemas_is_known() -> None:
    """A field in nanoseconds that is no point in time says so in its doc."""
    said = {
        field["name"]
        for name in records.NAMES
        for field in json.loads(records.schema_text(name))["fields"]
        if field["name"].endswith("_ns") and "A length" in field["doc"]
    }
    assert said == LENGTHS


def test_all_json_for_others_goes_through_one_place() -> None:
    """A new command or page cannot forget the times as text."""
    found = {
        str(path.relative_to(ROOT))
        for path in (ROOT / "app").rglob("*.py")
        if re.search(r"\bjson\.dumps?\(", path.read_text(encoding="utf-8"))
        and not str(path.relative_to(ROOT)).startswith(("app/evidence/", "app/simulator/", "app/embedded/"))
    }
    assert found <= DOORS
