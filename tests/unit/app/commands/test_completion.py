"""Completion in the shells themselves: each reads the script that we print, and asks the program."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from app.__main__ import COMMANDS, cli

ZSH_LINE = r"""
zmodload zsh/zpty
zpty it zsh -f -i
zpty -w it "PS1=; autoload -Uz compinit; compinit -u -d $PWD/dump; source $PWD/script; print rea''dy"
zpty -r it said '*ready*'
zpty -w -n it $'callstream tetr\t'
zpty -r -m it said '*tetragon-sim*'
print -r -- "$said"
"""


def _run(tmp_path: Path, shell: str, lines: str) -> str:
    """What the shell prints for these lines; it finds our script as `script`, and callstream on its path."""
    script = CliRunner().invoke(cli, ["completion", shell])
    assert script.exit_code == 0
    (tmp_path / "script").write_text(script.output, encoding="utf-8")
    (tmp_path / "callstream").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m app "$@"\n', encoding="utf-8")
    (tmp_path / "callstream").chmod(0o755)
    environ = os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}", "HOME": str(tmp_path), "TERM": "xterm"}
    environ["PYTHONPATH"] = str(Path(__file__).resolve().parents[4])
    ran = subprocess.run(
        [shell, "-c", lines], cwd=tmp_path, env=environ, capture_output=True, text=True, check=False, timeout=120
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def _bash(tmp_path: Path, *words: str) -> list[str]:
    """What bash offers where the cursor is behind the last word."""
    quoted = " ".join(f"'{word}'" for word in ("callstream", *words))
    lines = f"source ./script; COMP_WORDS=({quoted}); COMP_CWORD={len(words)}; _callstream_completion callstream"
    return _run(tmp_path, "bash", f"{lines}; printf '%s\\n' \"${{COMPREPLY[@]}}\"").split()


def test_bash_completes_commands_subcommands_and_values(tmp_path: Path) -> None:
    """A command with many words needs no look into its help."""
    assert set(_bash(tmp_path, "")) == set(COMMANDS)
    assert _bash(tmp_path, "dead-letters", "ret") == ["retry"]
    assert _bash(tmp_path, "worker", "--stage", "pri") == ["privacy"]
    assert _bash(tmp_path, "tap", "runtime.cov") == ["runtime.coverage"]


@pytest.mark.skipif(shutil.which("fish") is None, reason="there is no fish on this machine")
def test_fish_completes(tmp_path: Path) -> None:
    """With what the command does beside it."""
    offered = _run(tmp_path, "fish", "source ./script; complete -C 'callstream tetr'")
    assert offered.split("\t")[0].strip() == "tetragon-sim"


@pytest.mark.skipif(shutil.which("zsh") is None, reason="there is no zsh on this machine")
def test_zsh_completes(tmp_path: Path) -> None:
    """In a terminal, because zsh completes nowhere else."""
    assert "tetragon-sim" in _run(tmp_path, "zsh", ZSH_LINE)
