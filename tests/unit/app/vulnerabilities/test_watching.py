"""Findings become watches, and the answers to them the verdict of today."""

import json
import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import pytest

from agents.hot_symbols.watch.watch import Watch
from agents.vulnerabilities.advisory import Advisory
from agents.vulnerabilities.osv import read_osv
from agents.vulnerabilities.verdict import CodeNotPresent
from agents.vulnerabilities.verdicts import FOLDED, CodeAbsent
from app.__main__ import cli
from app.symbols.adding import AddOptions
from app.symbols.store import SymbolStore
from app.vulnerabilities.findings import Finding, finding_row, findings, reasons_of
from app.vulnerabilities.programs import programs
from app.vulnerabilities.watching import Observed, callers_of, statuses, verdict_lines, verdict_row, watches_of
from tests.support.indexed_files import add_to
from tests.support.vex_scene import SHOP, answer, vex_scene
from tests.support.vulnerable_files import ADVISORY, BUILD_ID, CVE, GROW, advisory, vulnerable_program

WATCH_ID = f"{BUILD_ID}!{GROW}"
NOW_NS = 10**18


@pytest.fixture
def found(tmp_path: Path) -> list[Finding]:
    """One file of a node with the function of one advisory."""
    path = vulnerable_program(tmp_path / "usr/bin/app")
    add_to(tmp_path / "store", [path.resolve()], AddOptions(root=tmp_path, scope="node:n1"))
    read = read_osv(advisory())
    assert isinstance(read, Advisory)
    return [
        one for program in programs(SymbolStore.open(tmp_path / "store")) for one in findings(program, [(read, "db")])
    ]


def _answer(**changes: Any) -> dict[str, Any]:
    """What a worker says of the watch."""
    answer = {
        "watch_id": WATCH_ID, "answer": "NotSeen", "since_ns": 1, "complete_until_ns": 2, "hits": 0,
        "confirmed_hits": 0, "first_seen_ns": 0, "last_seen_ns": 0, "events": [], "symbols": [],
        "placed_watched_ms": 3, "placed_missing_ms": 1, "events_lost": 0, "snapshot": "5" * 64,
        "images": [], "images_more": 0,
        "reasons": [{"reason": "NotHooked", "words": "nothing says that it is probed", "about": []}],
    }  # fmt: skip
    return answer | changes


def _verdict(found: list[Finding], *answers: dict[str, Any], callers: dict[str, tuple[str, ...]] | None = None) -> Any:
    observed = Observed({one["watch_id"]: one for one in answers}, callers or {}, "5" * 64)
    [status] = statuses(found, observed, {}, NOW_NS)
    return status.verdict


def test_a_function_is_watched_by_build_id_with_all_names_of_the_vulnerability(found: list[Finding]) -> None:
    """And the path of the file, because it has one only."""
    assert watches_of(found, 7) == {
        WATCH_ID: Watch(
            symbol=GROW, module="/usr/bin/app", build_id=BUILD_ID, since_ns=7, vulnerabilities=(ADVISORY, CVE)
        )
    }


def test_a_verdict_says_what_is_missing_and_the_command_for_it(found: list[Finding]) -> None:
    """For people and for scripts."""
    unwatched, unprobed = _verdict(found), _verdict(found, _answer())

    assert f"  try: callstream vulnerabilities watch {ADVISORY}" in list(verdict_lines(unwatched))
    lines = list(verdict_lines(unprobed))
    assert f"missing: functions were not probed all the time: {GROW}" in lines
    assert f"  try: callstream vulnerabilities policy {ADVISORY} --agent-version VERSION" in lines
    assert any("75.0000 % of the node-time watched" in line for line in lines)
    row = verdict_row(unprobed)
    assert row["verdict"] == "under_investigation"
    assert {one["lack"] for one in row["lacks"]} >= {"NOT_PROBED", "STATIC_DOUBT"}


def test_every_command_that_a_verdict_names_can_be_typed(found: list[Finding]) -> None:
    """With all options that it needs; only the version of agents that say none is left to fill in."""
    gap = [{"reason": "Gap", "words": "a gap", "about": []}]
    rows = [verdict_row(_verdict(found, *answers)) for answers in ((), (_answer(),), (_answer(reasons=gap),))]
    commands = {one["command"] for row in rows for one in row["lacks"]} - {""}

    assert len(commands) == 3
    for typed in commands:
        left = shlex.split(typed)[1:]
        command: click.Command | None = cli
        while isinstance(command, click.Group):
            _, command, left = command.resolve_command(click.Context(command), left)
        assert command is not None
        command.make_context("tried", left)


def test_what_counts_as_absent_besides_is_said_with_the_verdict(found: list[Finding]) -> None:
    """A function that was folded into a constant has no code, so all are told wherever code is absent."""
    absent = CodeAbsent(("lib.Parse",))
    [line] = verdict_lines(CodeNotPresent(absent.looked_for))

    assert FOLDED in reasons_of(absent)
    assert FOLDED in finding_row(replace(found[0], assessment=absent))["reasons"]
    assert verdict_row(CodeNotPresent(absent.looked_for))["reasons"] == [FOLDED]
    assert line.endswith(FOLDED)


def test_a_hit_names_its_events_and_callers(found: list[Finding]) -> None:
    """The callers are those of the rows that are the function, the most frequent first."""
    rows = [{"symbol_id": "row", "callers": [{"symbol_id": "rare", "hits": 1}, {"symbol_id": "often", "hits": 9}]}]
    event = {"event_id": "e1", "partition": 2, "offset": 7}
    hit = _answer(answer="Hit", hits=3, confirmed_hits=3, events=[event], symbols=[{"symbol_id": "row"}], reasons=[])
    verdict = _verdict(found, hit, callers=callers_of(rows))
    row = verdict_row(verdict)

    assert row["verdict"] == "affected"
    assert row["seen"][0]["events"] == ["e1 at 2:7"]
    assert row["seen"][0]["callers"] == ["often", "rare"]
    assert "called by often, rare" in next(verdict_lines(verdict))
    assert json.dumps(row)


def test_each_image_that_has_a_file_has_a_verdict_of_its_own(tmp_path: Path) -> None:
    """From the hits in it; that on the file is from all of them."""
    scene = vex_scene(tmp_path, f"image:{SHOP}", "image:sha256:" + "00" * 32)
    [one] = [one for one in scene.statuses(answer()) if one.evidence.vulnerability == ADVISORY]

    assert verdict_row(one.verdict)["verdict"] == "affected"
    assert {name: verdict_row(verdict)["verdict"] for name, verdict in one.by_image().items()} == {
        SHOP: "affected",
        "sha256:" + "00" * 32: "under_investigation",
    }
    assert f"in registry.example/any@{SHOP}" in next(verdict_lines(one.verdict))


def test_words_of_a_newer_worker_are_doubts(found: list[Finding]) -> None:
    """An answer or a reason that is not known here closes nothing."""
    newer = _answer(answer="NeverEver", reasons=[{"reason": "Sunspots", "words": "sunspots", "about": []}])

    assert verdict_row(_verdict(found, newer))["verdict"] == "under_investigation"
