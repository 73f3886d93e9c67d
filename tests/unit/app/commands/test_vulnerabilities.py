"""`callstream vulnerabilities` as people and scripts use it, as far as it needs no Kafka."""

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from agents.probes.policy_file import TracingPolicy, read_policy
from app.__main__ import cli
from app.vulnerabilities.database_folder import DatabaseFolder
from tests.support.vulnerable_files import ADVISORY, BUILD_ID, CVE, GROW, OTHER, advisory, database, vulnerable_program

PROBED = ("policy", CVE, "--agent-version", "1.8.0")


class Commands:
    """The command on a store and a folder of databases."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = {
            "CALLSTREAM_SYMBOL_STORE_DIR": str(folder / "store"),
            "CALLSTREAM_VULNERABILITY_DIR": str(folder / "databases"),
        }

    def run(self, *arguments: str | Path) -> Result:
        """Run a subcommand."""
        return CliRunner().invoke(cli, ["vulnerabilities", *map(str, arguments)], env=self.environment)

    def answer(self, *arguments: str | Path) -> Any:
        """The JSON document that a subcommand prints."""
        result = self.run(*arguments, "--json")
        assert result.exit_code in {0, 1}, result.output
        return json.loads(result.stdout)

    def add(self, *arguments: str | Path) -> None:
        """Run `symbols add`."""
        result = CliRunner().invoke(cli, ["symbols", "add", *map(str, arguments)], env=self.environment)
        assert result.exit_code == 0, result.output


@pytest.fixture
def commands(tmp_path: Path) -> Commands:
    """A program on a node, and a database with its advisory."""
    made = Commands(tmp_path)
    made.add("--node", "n1", "--root", tmp_path, vulnerable_program(tmp_path / "usr/bin/app"))
    assert made.run("load", database(tmp_path / "osv", advisory())).exit_code == 0
    return made


def test_a_database_is_named_dated_and_kept_by_its_content(tmp_path: Path) -> None:
    """However it was packed; the one before stays, and older ones go."""
    commands = Commands(tmp_path)
    first = commands.answer("load", database(tmp_path / "one", advisory()), "--dated", "2026-08-21")
    again = commands.answer("load", database(tmp_path / "same", advisory()))
    for number in range(3):
        commands.answer("load", database(tmp_path / f"new{number}", advisory(summary=f"changed {number}")))

    assert (first["name"], first["dated"], first["advisories"], first["with_functions"]) == (
        "rustsec",
        "2026-08-21",
        1,
        1,
    )
    assert first["licence"].startswith("CC0-1.0")
    assert again["digest"] == first["digest"]
    folder = DatabaseFolder(tmp_path / "databases")
    [last], [before] = folder.in_use(), folder.before()
    assert folder.read(last).advisories[ADVISORY].summary == "changed 2"
    assert folder.read(before).advisories[ADVISORY].summary == "changed 1"
    assert len(list((tmp_path / "databases").glob("*.zip"))) == 2


def test_a_document_that_cannot_be_used_is_named_and_costs_no_other(tmp_path: Path) -> None:
    """Exit code 1; where nothing can be used, nothing is loaded."""
    commands = Commands(tmp_path)
    folder = database(tmp_path / "osv", advisory())
    (folder / "GO-1.json").write_text('{"id": "GO-1", "affected": 3}')
    loaded = commands.run("load", folder)
    (folder / f"{ADVISORY}.json").unlink()
    empty = commands.run("load", folder)
    npm = {"package": {"ecosystem": "npm", "name": "left-pad"}}
    others = commands.run("load", database(tmp_path / "npm", advisory(affected=[npm])))

    assert loaded.exit_code == 1
    assert "refused: GO-1.json: a field has the wrong type affected" in loaded.stdout
    assert empty.exit_code == 2
    assert "has no advisory that can be used; GO-1.json" in empty.stderr
    assert others.exit_code == 2
    assert "1 are about other ecosystems" in others.stderr


def test_a_damaged_database_is_named_with_its_cure(commands: Commands) -> None:
    """It is never taken for one that knows nothing."""
    [stored] = (commands.folder / "databases").glob("*.zip")
    stored.write_bytes(stored.read_bytes()[:-30])
    result = commands.run("assess")

    assert result.exit_code == 2
    assert stored.name in result.stderr
    assert "callstream vulnerabilities load" in result.stderr


def test_a_file_says_which_functions_it_has_and_where(commands: Commands) -> None:
    """By id or alias; exit code 1 says that a file has the code."""
    [file] = commands.answer("assess", CVE)["files"]
    [finding] = file["findings"]

    assert file["build_id"] == BUILD_ID
    assert file["places"] == [{"scope": "node:n1", "path": "/usr/bin/app"}]
    assert file["packages"] == ["pkg:cargo/smallvec@0.6.9"]
    assert (finding["vulnerability"], finding["answer"]) == (ADVISORY, "code_present")
    assert finding["symbols"] == [{"symbol": GROW, "file_offsets": [0x1000]}]
    assert commands.run("assess").exit_code == 1
    assert f"{ADVISORY}  {CVE}   code_present" in commands.run("assess").stdout


def test_another_version_is_not_affected_and_a_name_that_is_not_there_is_no_proof(tmp_path: Path) -> None:
    """Without debug information of the crate, nobody can tell that its code is absent."""
    commands = Commands(tmp_path)
    commands.run("load", database(tmp_path / "osv", advisory(functions=["smallvec::SmallVec::shrink"])))
    commands.add(vulnerable_program(tmp_path / "old"))
    unknown = commands.run("assess", CVE, "--json")
    (tmp_path / "store").rename(tmp_path / "first")
    commands.add(vulnerable_program(tmp_path / "new", "0.6.10"))
    fixed = commands.run("assess", CVE, "--json")

    assert (unknown.exit_code, fixed.exit_code) == (1, 0)
    assert json.loads(unknown.stdout)["files"][0]["findings"][0]["answer"] == "cannot_tell"
    assert json.loads(fixed.stdout)["files"][0]["findings"][0]["answer"] == "not_affected"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("assess", "CVE-1"), "no database has CVE-1"),
        (("assess", "--build-id", "00" * 20), f"the store has no index of {'00' * 20}"),
        (("assess", "--databases", "nowhere"), "nowhere has no database; `callstream vulnerabilities load` takes one"),
        (("load", "nowhere"), "Path 'nowhere' does not exist"),
        (("load", ".", "--dated", "yesterday"), "'yesterday' is not a day"),
        (("policy", CVE), "--agent-version is needed"),
        (("policy", CVE, "--agent-version", "1.8", "--node-label", "x"), "'x' is not a label"),
    ],
)
def test_what_is_wrong_is_named(commands: Commands, arguments: tuple[str, ...], words: str) -> None:
    """Exit code 2, and what to do where something can be done."""
    result = commands.run(*arguments)

    assert result.exit_code == 2
    assert words in result.stderr


def test_a_policy_is_written_for_the_very_file(commands: Commands) -> None:
    """The same bytes each time; what reads the policies of agents takes it for one of ours."""
    made = commands.run(*PROBED, "--output", commands.folder / "policies")
    [path] = (commands.folder / "policies").iterdir()
    text = path.read_text()
    again = commands.run(*PROBED)

    assert made.exit_code == 0, made.output
    assert again.stdout == f"---\n{text}"
    read = read_policy(yaml.safe_load(text))
    assert isinstance(read, TracingPolicy)
    [hook] = read.hooks
    assert (hook.path, hook.offsets) == ("/procRoot/1/root/usr/bin/app", (0x1000,))
    assert hook.build_ids == {BUILD_ID}
    assert hook.reports_every_call
    assert not hook.has_other_digests


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--agent-version", "1.7.2"), "this agent ignores binaryDigests"),
        (("--agent-version", "newest"), "the agent's version cannot be read"),
        (("--agent-version", "1.8", "--path", "app"), "the path does not begin at the root"),
    ],
)
def test_a_file_without_a_policy_is_named_with_the_reason(
    commands: Commands, arguments: tuple[str, ...], words: str
) -> None:
    """Exit code 1, and no policy that might stand on other code."""
    result = commands.run("policy", CVE, *arguments)

    assert result.exit_code == 1
    assert result.stdout == ""
    assert words in result.stderr


def test_a_file_of_an_image_needs_its_path_on_a_node(tmp_path: Path) -> None:
    """With it, the policy is bound to that node."""
    commands = Commands(tmp_path)
    commands.run("load", database(tmp_path / "osv", advisory()))
    root = tmp_path / "root"
    vulnerable_program(root / "app")
    commands.add("--image", "shop@sha256:" + "12" * 32, root)
    refused = commands.run(*PROBED)
    label = ("--node-label", "kubernetes.io/hostname=w1")
    written = commands.answer(*PROBED, "--path", "/procRoot/77/root/app", *label)

    assert "say with --path where an agent sees it" in refused.stderr
    [made] = written["policies"]
    assert made["document"]["spec"]["nodeSelector"] == {"matchLabels": {"kubernetes.io/hostname": "w1"}}
    assert made["document"]["spec"]["uprobes"][0]["path"] == "/procRoot/77/root/app"


def test_a_policy_of_somebodys_own_is_checked(commands: Commands) -> None:
    """Each function is answered for, or has the reasons why not."""
    document = commands.answer(*PROBED)["policies"][0]["document"]
    ours = commands.folder / "ours.yaml"
    ours.write_text(yaml.safe_dump(document))
    good = commands.run("policy", CVE, "--check", ours)
    document["kind"] = "TracingPolicyNamespaced"
    document["spec"]["podSelector"] = {"matchLabels": {"app": "shop"}}
    document["spec"]["uprobes"][0]["return"] = True
    ours.write_text(yaml.safe_dump(document))
    [row] = commands.answer("policy", CVE, "--check", ours)["functions"]
    ours.write_text("a: [")
    broken = commands.run("policy", CVE, "--check", ours)

    assert good.exit_code == 0, good.output
    assert "answered for" in good.stdout
    assert row["symbol"] == GROW
    assert {one.split(",")[0] for one in row["reasons"]} == {
        "the policy is of one namespace",
        "the policy selects workloads",
        "the hook is on the return",
    }
    assert broken.exit_code == 2
    assert "ours.yaml" in broken.stderr


def test_probes_beyond_the_cap_are_left_out_and_said(tmp_path: Path) -> None:
    """Exit code 1: not every function has its probe."""
    commands = Commands(tmp_path)
    commands.run(
        "load", database(tmp_path / "osv", advisory(functions=["smallvec::SmallVec::grow", "smallvec::SmallVec::push"]))
    )
    commands.add("--node", "n1", "--root", tmp_path, vulnerable_program(tmp_path / "usr/bin/app"))
    result = commands.run(*PROBED, "--max-probes", "1", "--json")
    [made] = json.loads(result.stdout)["policies"]

    assert result.exit_code == 1
    assert [one["symbol"] for one in made["probes"]] == [GROW]
    assert [one["symbol"] for one in made["left_out"]] == [OTHER]


def test_a_copy_whose_code_lies_elsewhere_in_the_file_has_a_policy_of_its_own(tmp_path: Path) -> None:
    """A tool that patches a program moves its code and keeps its build id; each policy is bound to its very file."""
    commands = Commands(tmp_path)
    commands.run("load", database(tmp_path / "osv", advisory()))
    commands.add("--node", "n1", "--root", tmp_path, vulnerable_program(tmp_path / "usr/bin/app"))
    moved = vulnerable_program(tmp_path / "usr/bin/app", text_offset=0x3000)
    commands.add("--node", "n1", "--root", tmp_path, moved)
    made = commands.answer(*PROBED)["policies"]

    by_digest = {one["sha256"]: [probe["file_offset"] for probe in one["probes"]] for one in made}
    assert sorted(by_digest.values()) == [[0x1000], [0x3000]]
    assert by_digest[sha256(moved.read_bytes()).hexdigest()] == [0x3000]
    assert len({one["name"] for one in made}) == 2


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("-o", "x.json"), "name its --format"),
        (("--format", "csaf"), "--format needs --output"),
        (("--format", "csaf", "-o", "x.json"), "--format needs --vex"),
        (("--format", "csaf", "-o", "x.json", "--sign", __file__), "--sign is for --format openvex"),
    ],
)
def test_a_document_needs_its_options(commands: Commands, options: tuple[str, ...], said: str) -> None:
    """What is missing is said before anything is read."""
    result = commands.run("status", *options)
    assert result.exit_code == 2
    assert said in result.output
