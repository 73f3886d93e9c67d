"""What `make tools` does where something is missing or cannot be had."""

from pathlib import Path

import pytest

from tests.support import tools


@pytest.fixture(autouse=True)
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A user who has nothing yet, on a machine with nothing."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    (tmp_path / "bin").mkdir()


def _program(folder: Path, name: str, script: str) -> None:
    path = folder / "bin" / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def test_what_cannot_be_had_is_said_and_keeps_no_other_away(tmp_path: Path) -> None:
    """Go's last words stand in the outcome, no half of a tool stays, and the next tool is tried."""
    _program(tmp_path, "go", "echo no way to the proxy >&2; exit 1")

    outcomes = tools.install(["helm", "gdb"])

    assert outcomes == {
        "helm": "not installed: go: no way to the proxy",
        "gdb": "not installed: only root may install packages: apt-get install gdb",
    }
    assert tools.helm() is None
    assert list(tools.folder().iterdir()) == []


def test_a_tool_is_installed_once(tmp_path: Path) -> None:
    """It is whole before anybody can find it, and a second run leaves it alone."""
    _program(tmp_path, "go", 'echo "$GOBIN $GOTOOLCHAIN $CGO_ENABLED" > "$GOBIN/helm"')

    assert tools.install(["helm"]) == {"helm": "installed"}
    found = tools.helm()
    assert found is not None
    assert found.read_text().endswith("made local 0\n")
    _program(tmp_path, "go", "exit 1")
    assert tools.install(["helm"]) == {}


def test_a_module_with_another_checksum_is_not_taken(tmp_path: Path) -> None:
    """Definitions that were changed since they were pinned are refused."""
    _program(tmp_path, "go", """echo '{"Sum": "h1:other", "Dir": "/"}'""")

    assert "another checksum than the pinned one: h1:other" in tools.install(["crds"])["crds"]
    assert tools.crds() is None
