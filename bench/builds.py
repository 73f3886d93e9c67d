"""Commits that can run beside each other: each as its wheel, with the packages of its own lock.

Everything is kept in .cache/builds, so a commit is built once.
"""

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
CACHE: Final = ROOT / ".cache" / "builds"

_DONE: Final = ".made"
"""Lies in a folder of the cache that is whole."""


@dataclass(frozen=True, slots=True)
class Build:
    """A commit that can run: where its wheel was installed, and the Python that has its packages."""

    commit: str
    installed: Path
    python: Path

    def environ(self) -> Mapping[str, str]:
        """The commit's own files first. Strings hash the same in all, so that no dictionary is luckier than another."""
        return {**os.environ, "PYTHONPATH": str(self.installed), "PYTHONSAFEPATH": "1", "PYTHONHASHSEED": "0"}


def build(name: str) -> Build:
    """Make a commit ready to run. Raises CalledProcessError if there is no such commit, or its build fails."""
    commit = _output("git", "rev-parse", "--verify", f"{name}^{{commit}}").strip()
    tree = CACHE / commit[:12]
    installed = tree / "installed"
    if not (tree / _DONE).exists():
        print(f"building {commit[:12]}", file=sys.stderr)
        shutil.rmtree(tree, ignore_errors=True)
        source = tree / "source"
        source.mkdir(parents=True)
        archive = subprocess.run(["git", "archive", commit], cwd=ROOT, stdout=subprocess.PIPE, check=True).stdout
        subprocess.run(["tar", "-x", "-C", str(source)], input=archive, check=True)
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        environ = {**os.environ, "CALLSTREAM_BUILD_COMMIT": commit}
        subprocess.run([*pip, "--no-deps", "--target", str(installed), str(source)], check=True, env=environ)
        (tree / _DONE).touch()
    return Build(commit, installed, _environment(tree / "source" / "requirements.lock"))


def _environment(lock: Path) -> Path:
    """The Python of an environment with what a lock file names; one for each lock."""
    environment = CACHE / f"venv-{hashlib.sha256(lock.read_bytes()).hexdigest()[:12]}"
    if not (environment / _DONE).exists():
        print(f"making the environment of {lock}", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(environment)], check=True)
        pip = [str(environment / "bin" / "pip"), "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, "--require-hashes", "-r", str(lock)], check=True)
        (environment / _DONE).touch()
    return environment / "bin" / "python"


def _output(*command: str) -> str:
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
