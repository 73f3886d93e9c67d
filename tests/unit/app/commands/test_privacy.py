"""app/commands/privacy.py and what it stands on: files in, exit codes and texts out."""

import json
import os
import time
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from agents.privacy.policy_file import built_in_policy, built_in_text
from app.__main__ import cli
from app.commands.ending import CANNOT
from app.commands.privacy import FAILED
from app.privacy import load
from app.privacy.cases import CasesError, parse_cases
from app.privacy.load import PrivacyConfigError, lacks_key, load_policy, load_privacy, reloaded
from app.settings import Settings

_EVENT = {
    "process_exec": {
        "process": {
            "exec_id": "bm9kZTox",
            "pid": 7,
            "binary": "/usr/bin/mysql",
            "arguments": "-uroot -phunter2 shop",
            "cwd": "/home/ann/src",
            "flags": "execve",
            "start_time": "2024-01-02T03:04:05Z",
        }
    },
    "node_name": "node-1",
    "time": "2024-01-02T03:04:05.000000006Z",
}


def _run(*arguments: str, input_text: str | None = None) -> Result:
    return CliRunner().invoke(cli, ["privacy", *arguments], input=input_text)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file to be written."""
    return tmp_path / "file.toml"


def test_policy_shows_a_built_in_policy_that_checks_as_itself(file: Path) -> None:
    """What `--show` prints, `--check` accepts under the same id."""
    file.write_text(_run("policy", "--show", "strict").output)
    checked = _run("policy", "--check", str(file))
    assert checked.exit_code == 0
    assert built_in_policy("strict").policy_id in checked.output


def test_policy_prints_json() -> None:
    """For scripts."""
    printed = json.loads(_run("policy", "--json").output)
    assert printed["policy_id"] == built_in_policy("default").policy_id
    assert printed["users"] == "mask"


def test_policy_check_says_line_and_rule(file: Path) -> None:
    """A policy that does not compile is unusable, and says why."""
    file.write_text(built_in_text("default").replace('users = "mask"', 'users = "hash"'))
    checked = _run("policy", "--check", str(file))
    line = next(n for n, text in enumerate(file.read_text().splitlines(), 1) if text.startswith("users"))
    assert checked.exit_code == CANNOT
    assert f"line {line}: people.users: is 'hash'" in checked.output


def test_cases_pass_when_they_come_out_as_expected(file: Path) -> None:
    """Exact texts, hidden words, and texts that must not change."""
    file.write_text(
        """
        [[case]]
        arguments = "app --password=x"
        leaves = "app --password=[redacted]"
        [[case]]
        binary = "/usr/bin/mysql"
        arguments = "-phunter2"
        hides = ["hunter2"]
        [[case]]
        path = "/usr/bin/ls"
        [[case]]
        buffer = "token=abc"
        leaves = "token=[redacted]"
        """
    )
    assert _run("test", str(file)).exit_code == 0


def test_case_that_comes_out_otherwise_fails_and_is_shown(file: Path) -> None:
    """What left, what was expected, and exit code 1."""
    file.write_text('[[case]]\ntitle = "ours"\narguments = "app --badge 1234"\nhides = ["1234"]\n')
    plain, printed = _run("test", str(file)), _run("test", str(file), "--json")
    assert plain.exit_code == printed.exit_code == FAILED
    assert "ours" in plain.output
    assert json.loads(printed.output)["failures"][0]["case"] == "ours"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[case]\n",
        "[[case]]\n",
        "case = 3",
        '[[case]]\ntext = "a"\npath = "b"\n',
        '[[case]]\ntext = "a"\nhide = ["b"]\n',
        '[[case]]\ntext = "a"\nhides = "b"\n',
        '[[case]]\ntext = "a"\nleaves = 3\n',
        '[[case]]\ntext = "a"\n[other]\n',
        "[[case\n",
    ],
)
def test_table_of_cases_that_is_wrong_is_refused(text: str) -> None:
    """A misspelled expectation would expect nothing."""
    with pytest.raises(CasesError):
        parse_cases(text)


def test_explain_shows_what_changed_and_by_which_rule() -> None:
    """Field by field, and never what did not leave."""
    shown = _run("explain", "-", input_text=json.dumps(_EVENT))
    assert shown.exit_code == 0
    assert "process.arguments" in shown.output
    assert "program 1" in shown.output
    assert "-p[redacted] shop" in shown.output
    assert "hunter2" not in shown.output
    assert "ann" not in shown.output.replace("cannot", "")


def test_explain_prints_json_with_every_field() -> None:
    """Kept, redacted and withheld ones."""
    story = json.loads(_run("explain", "-", "--json", input_text=json.dumps(_EVENT)).output)
    fates = {one["field"]: one["fate"] for one in story["fields"]}
    assert fates["process.arguments"] == "redacted"
    assert fates["process.binary"] == "kept"
    assert fates["node_name"] == "kept"


def test_explain_says_what_a_policy_withholds(file: Path) -> None:
    """Strict lets no command line out."""
    file.write_text(built_in_text("strict"))
    shown = _run("explain", "-", "--policy", str(file), "--json", input_text=json.dumps(_EVENT))
    fates = {one["field"]: one["fate"] for one in json.loads(shown.output)["fields"]}
    assert fates["process.arguments"] == "withheld"


def test_explain_names_what_is_dropped_before_the_filter() -> None:
    """Environment variables, labels and Tetragon's ids, by the names of their fields only."""
    event = json.loads(json.dumps(_EVENT))
    event["process_exec"]["process"]["environment_variables"] = [{"Key": "PGPASSWORD", "Value": "hunter3"}]
    event["process_exec"]["process"]["pod"] = {"name": "web", "pod_labels": {"team": "payments"}}
    shown = _run("explain", "-", input_text=json.dumps(event))
    story = json.loads(_run("explain", "-", "--json", input_text=json.dumps(event)).output)
    assert story["dropped"] == [
        "process_exec.process.environment_variables.Key",
        "process_exec.process.environment_variables.Value",
        "process_exec.process.exec_id",
        "process_exec.process.pod.pod_labels",
    ]
    assert "dropped before the filter: process_exec.process.environment_variables.Key" in shown.output
    assert not any(value in shown.output for value in ("PGPASSWORD", "hunter3", "payments"))


def test_explain_names_an_event_that_is_no_call_and_does_not_fail() -> None:
    """A throttle event is nothing that went wrong."""
    shown = _run("explain", "-", input_text='{"process_throttle": {"type": "THROTTLE_START"}, "node_name": "n"}\n')
    assert shown.exit_code == 0
    assert "event 1: is not a call: throttle" in shown.output


def test_explain_fails_on_a_line_that_is_no_event_without_quoting_it() -> None:
    """Error texts are inside the promise."""
    shown = _run("explain", "-", input_text='{"process_exec": {"process": {"pid": "hunter2"}}}\n')
    assert shown.exit_code == FAILED
    assert "hunter2" not in shown.output


def test_privacy_needs_a_readable_policy_and_a_long_key(file: Path) -> None:
    """What cannot be used stops the start, by name of the file."""
    with pytest.raises(PrivacyConfigError, match=r"file\.toml"):
        load_policy(file)
    file.write_text("short")
    with pytest.raises(PrivacyConfigError, match="5 bytes"):
        load_privacy(Settings(privacy_key_file=file))


def test_key_is_told_apart_and_not_shown(file: Path, tmp_path: Path) -> None:
    """Configurations can be compared without a look at the key."""
    file.write_text("a key of sixteen bytes and more\n")
    other = tmp_path / "other"
    other.write_text("another key of sixteen bytes")
    one, two = load_privacy(Settings(privacy_key_file=file)), load_privacy(Settings(privacy_key_file=other))
    assert one.key_id != two.key_id
    assert "sixteen" not in repr(one)


def test_policy_that_asks_for_pseudonyms_without_a_key_is_noticed(file: Path) -> None:
    """They become masks, and the operator should know."""
    file.write_text(built_in_text("default").replace('users = "mask"', 'users = "pseudonym"'))
    assert lacks_key(load_privacy(Settings(privacy_policy_file=file)))
    assert not lacks_key(load_privacy(Settings()))


def test_reload_that_fails_keeps_the_old_policy_and_says_so(file: Path) -> None:
    """A running stage does not fall over an edit."""
    file.write_text(built_in_text("strict"))
    settings = Settings(privacy_policy_file=file)
    running = load_privacy(settings)
    file.write_text("schema = 9")
    kept, reason = reloaded(running, settings)
    assert kept is running
    assert reason is not None
    assert "schema" in reason
    file.write_text(built_in_text("open"))
    renewed, reason = reloaded(running, settings)
    assert reason is None
    assert renewed.policy.policy_id == built_in_policy("open").policy_id


_TOO_MUCH = {
    "brackets": "schema = 1\nname = " + "[" * 100_000,
    "a deep table": "a = " + "{b = " * 500 + "1" + "}" * 500,
    "a long key": "[" + ".".join(["a"] * 30_000) + "]",
    "12 MB of dotted tables": "".join(f"[a.b.c.d{number}]\n" for number in range(700_000)),
    "unknown keys": "".join(f"key{number} = 1\n" for number in range(20_000)),
    "names": f"schema = 1\nname = 'x'\n[fields]\nallow = ['event_id']\n[secrets]\nnames = {['abc'] * 5_000}",
    "patterns": "schema = 1\nname = 'x'\n[[secrets.patterns]]\nrule = 'x'\npattern = '(" + "a{1000}" * 1_000 + ")'",
    "no text": "\x00",
}


@pytest.mark.parametrize("kind", _TOO_MUCH)
def test_a_policy_of_any_kind_that_is_too_much_keeps_the_old_one(kind: str, file: Path) -> None:
    """A running stage goes on, a start ends with the file's name, and neither takes long."""
    running = load_privacy(Settings())
    file.write_text(_TOO_MUCH[kind])
    began = time.process_time()

    found, refusal = reloaded(running, Settings(privacy_policy_file=file))
    checked = _run("policy", "--check", str(file))

    assert found is running
    assert refusal is not None
    assert str(file) in refusal
    assert checked.exit_code == 2
    assert str(file) in checked.output
    assert len(checked.output) < 100_000
    assert time.process_time() - began < 10


def test_a_policy_that_is_no_file_keeps_the_old_one(tmp_path: Path) -> None:
    """A pipe would block the stage, and a device would fill its memory."""
    running = load_privacy(Settings())
    os.mkfifo(tmp_path / "pipe")

    for path in (tmp_path / "pipe", Path("/dev/zero"), tmp_path):
        for settings in (Settings(privacy_policy_file=path), Settings(privacy_key_file=path)):
            found, refusal = reloaded(running, settings)
            assert found is running
            assert refusal in {f"{path}: is not a regular file", f"{path}: Is a directory"}


def test_no_exception_of_reading_a_policy_ends_the_stage(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a library raises about a file, the policy in force stays, and the text of the file is not in the log."""
    running = load_privacy(Settings())

    def fail(_settings: Settings) -> None:
        raise RecursionError("hunter2")

    monkeypatch.setattr(load, "load_privacy", fail)
    assert reloaded(running, Settings()) == (running, "the files cannot be read (RecursionError)")


def test_explain_names_what_tetragon_does_not_know() -> None:
    """A misspelled name, or one of a newer Tetragon, would otherwise vanish without a word."""
    line = json.dumps(
        {
            "process_exec": {"process": {"execId": "x", "binary": "/bin/x", "pid": 1, "Secret": {"a": 1}}},
            "node_name": "n",
            "time": "2026-01-01T00:00:00Z",
            "brand_new": [1],
        }
    )

    shown = _run("explain", "-", input_text=line + "\n")
    assert "process_exec.process.Secret" in shown.output
    assert "brand_new" in shown.output
    assert "time" not in shown.output.partition("dropped before the filter:")[2]


def test_explain_refuses_deep_nesting() -> None:
    """One line, no traceback."""
    shown = _run("explain", "-", input_text='{"a":' * 100_000 + "1" + "}" * 100_000 + "\n")
    assert shown.exit_code == FAILED
    assert "is not a line of Tetragon's JSON export" in shown.output
