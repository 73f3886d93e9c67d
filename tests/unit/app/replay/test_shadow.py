"""`callstream privacy compare`: what a new policy or release would mask that was not, and the other way round."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from google.protobuf import json_format

from agents.privacy.policy_file import built_in_text
from agents.privacy.redaction.answers import Cleared
from agents.privacy.redaction.engine import RedactionEngine
from app.__main__ import cli
from app.replay.shadow import Direction, directions_of
from tests.support.archives import make_archive, recorded
from tests.support.events import event, process

_LINES = (
    "--berth 12 --interval 30s",
    "--badge north-quay --mail ann@harbour.example",
    "--password=Tr0ub4dorAnd3",
    "--config /home/ann/tide.toml",
)
Compare = Callable[..., Result]


@pytest.fixture
def compare() -> Compare:
    """The command, in a process without settings."""
    return lambda *arguments: CliRunner().invoke(cli, ["privacy", "compare", *map(str, arguments)])


@pytest.fixture
def policies(tmp_path: Path) -> tuple[Path, Path]:
    """The default policy, and one that masks badges and e-mails and lets homes and no namespace out."""
    old, new = tmp_path / "old.toml", tmp_path / "new.toml"
    text = built_in_text("default")
    old.write_text(text)
    changed = text.replace('homes = "mask"', 'homes = "keep"').replace("names = []", 'names = ["badge"]')
    assert changed.count('"badge"') == 1
    new.write_text(changed.replace('emails = "keep"', 'emails = "mask"').replace("emails = false", "emails = true"))
    return old, new


def _events() -> list[bytes]:
    return [
        event("process_exec", process(4000 + number, arguments=line)).SerializeToString()
        for number, line in enumerate(_LINES)
    ]


def _rows(result: Result) -> set[tuple[str, str, str, int]]:
    return {(row["direction"], row["field"], row["rule"], row["texts"]) for row in json.loads(result.output)["changes"]}


_EXPECTED = {("masked now", "process.arguments"), ("leaves now", "process.arguments")}


@pytest.mark.parametrize("kind", ["archive", "export"])
def test_changes_of_a_policy_are_counted_by_field_and_rule(
    kind: str, compare: Compare, policies: tuple[Path, Path], tmp_path: Path
) -> None:
    """Of an archive and of a file of exported events; no value is shown that nobody asked for."""
    old, new = policies
    events = tmp_path / kind
    if kind == "archive":
        make_archive(events, {0: recorded(_events())})
    else:
        sent = [event("process_exec", process(4000 + number, arguments=line)) for number, line in enumerate(_LINES)]
        events.write_text("".join(json_format.MessageToJson(one, indent=None) + "\n" for one in sent))
    found = compare(events, "--policy", new, "--against", old, "--json")
    assert found.exit_code == 1
    document = json.loads(found.output)
    assert (document["same"], document["differing"]) == (2, 2)
    assert {(direction, field) for direction, field, _, _ in _rows(found)} == _EXPECTED
    assert ("leaves now", "process.arguments", "home", 1) in _rows(found)
    assert "samples" not in document
    for secret in ("north-quay", "ann@", "/home/ann", "Tr0ub4dor"):
        assert secret not in found.output
    back = compare(events, "--policy", old, "--against", new, "--json")
    assert {(direction, field) for direction, field, _, _ in _rows(back)} == _EXPECTED
    assert ("masked now", "process.arguments", "home", 1) in _rows(back)


def test_samples_are_shown_only_when_they_are_asked_for(
    compare: Compare, policies: tuple[Path, Path], tmp_path: Path
) -> None:
    """Before and now, beside each other."""
    old, new = policies
    make_archive(tmp_path / "archive", {0: recorded(_events())})
    plain = compare(tmp_path / "archive", "--policy", new, "--against", old)
    shown = compare(tmp_path / "archive", "--policy", new, "--against", old, "--samples", "5")
    assert "/home/ann" not in plain.output
    assert "~/tide.toml" in shown.output
    assert "/home/ann/tide.toml" in shown.output
    assert "2 events leave as before, 2 differently" in plain.output


def test_a_withheld_field_is_named(compare: Compare, policies: tuple[Path, Path], tmp_path: Path) -> None:
    """A policy that lets a field out no more masks it whole."""
    old, _ = policies
    strict = tmp_path / "strict.toml"
    strict.write_text(built_in_text("strict"))
    make_archive(tmp_path / "archive", {0: recorded(_events())})
    found = _rows(compare(tmp_path / "archive", "--policy", strict, "--against", old, "--json"))
    assert ("masked now", "process.arguments", "withheld", 4) in found
    assert {direction for direction, _, _, _ in found} == {"masked now"}


def test_the_same_policy_lets_the_same_out(compare: Compare, policies: tuple[Path, Path], tmp_path: Path) -> None:
    """Exit code 0; whatever the policy is called."""
    old, _ = policies
    make_archive(tmp_path / "archive", {0: recorded(_events())})
    assert compare(tmp_path / "archive", "--policy", old).exit_code == 0


def test_a_run_of_another_release_is_compared_with_this_program(
    compare: Compare, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its calls are those that the run holds; the program that made them kept what this one masks."""
    archive, run = tmp_path / "archive", tmp_path / "run"
    make_archive(archive, {0: recorded(_events()[:3]), 1: recorded(_events()[3:], partition=1)})
    real = RedactionEngine.arguments

    def older(self: RedactionEngine, binary: str, text: str, *, truncated: bool = False) -> object:
        return Cleared(text, ()) if "password" in text else real(self, binary, text, truncated=truncated)

    with monkeypatch.context() as patched:
        patched.setattr(RedactionEngine, "arguments", older)
        made = CliRunner().invoke(cli, ["replay", "--archive", str(archive), "--out", str(run), "--processes", "1"])
        assert made.exit_code == 0, made.output
    found = compare(archive, "--against", run, "--json")
    assert found.exit_code == 1
    document = json.loads(found.output)
    assert (document["same"], document["differing"]) == (3, 1)
    ((direction, field, rule, texts),) = _rows(found)
    assert (direction, field, texts) == ("masked now", "process.arguments", 1)
    assert rule in {"assignment", "option"}
    again = CliRunner().invoke(
        cli, ["replay", "--archive", str(archive), "--out", str(tmp_path / "new"), "--processes", "1"]
    )
    assert again.exit_code == 0
    assert compare(archive, "--against", tmp_path / "new").exit_code == 0


def test_what_cannot_be_compared_is_named(compare: Compare, policies: tuple[Path, Path], tmp_path: Path) -> None:
    """A line that is not an event, a folder that is not an archive, and neither a policy nor a run."""
    lines = tmp_path / "events.json"
    lines.write_text("{}\nnothing\n")
    assert "line 2" in compare(lines, "--policy", policies[0]).output
    assert "archive.json" in compare(tmp_path, "--policy", policies[0]).output
    assert compare(lines).exit_code == 2


@pytest.mark.parametrize(
    ("before", "now", "directions"),
    [
        ("a --b c", "a --b [redacted]", {Direction.MASKED_NOW}),
        ("a --b [redacted]", "a --b c", {Direction.LEAVES_NOW}),
        ("x [redacted] middle word", "open middle [redacted]", {Direction.MASKED_NOW, Direction.LEAVES_NOW}),
        ("cat ~/x", "cat ~[home:1:abc]/x", set()),
        ("u=[user]", "u=[user:1:abc]", set()),
        ("cat ~/x", "cat /home/ann/x", {Direction.LEAVES_NOW}),
    ],
)
def test_direction_of_a_text(before: str, now: str, directions: set[Direction]) -> None:
    """Both, where it lost more at one place and less at another."""
    assert directions_of(before, now) == directions
