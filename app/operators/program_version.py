"""Which program this is: its version, and the commit that it was made of.

A checkout is asked for its commit each time, and says if the program has been changed since. A wheel has the commit
in a file that `setup.py` writes when it builds one. An image is built where there is no `.git`, so its commit is given
to the build. What cannot be known is `unknown`; it is never a guess.
"""

import os
import re
import subprocess
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Final

BAKED: Final = "commit.txt"
"""Beside the packages' `__init__.py` in `app`, in wheels only."""

GIVEN: Final = "CALLSTREAM_BUILD_COMMIT"
"""The variable that gives a build outside of a checkout its commit."""

UNKNOWN: Final = "unknown"
_CHANGED: Final = "-dirty"
_COMMIT: Final = re.compile(rf"[0-9a-f]{{40}}([0-9a-f]{{24}})?({_CHANGED})?")
_SHOWN_DIGITS: Final = 12
_PROGRAM: Final = ("app", "agents", "schemas", "pyproject.toml", "requirements.lock")
"""Whose changes make another program. What a user leaves in the checkout does not."""
_GIT_SECONDS: Final = 10.0


@dataclass(frozen=True, slots=True)
class ProgramVersion:
    """`commit` is in full, with `-dirty` behind it if the program was changed since, or `unknown`."""

    version: str
    commit: str

    def __str__(self) -> str:
        digits, dirty, _ = self.commit.partition(_CHANGED)
        if digits != UNKNOWN:
            digits = digits[:_SHOWN_DIGITS]
        return f"{self.version} (commit {digits}{', with changes' if dirty else ''})"


@cache
def program_version() -> ProgramVersion:
    """Of the program that runs, as it was when this was first called."""
    return ProgramVersion(metadata.version("callstream"), commit_in(Path(__file__).resolve().parents[2]))


def commit_in(root: Path) -> str:
    """The commit of the program in a folder: of the checkout that it is, else what was baked in."""
    if (root / ".git").exists():
        return _checked_out(root)
    try:
        baked = (root / "app" / BAKED).read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return UNKNOWN
    return baked if _COMMIT.fullmatch(baked) else UNKNOWN


def commit_to_bake(root: Path) -> str:
    """What a build writes into the wheel. Raises ValueError if the given commit is not one."""
    known = commit_in(root)
    given = os.environ.get(GIVEN, "").strip()
    if known != UNKNOWN or given in {"", UNKNOWN}:
        return known
    if not _COMMIT.fullmatch(given):
        raise ValueError(f"{GIVEN} is {given!r}; write the commit in full, as `git rev-parse HEAD` prints it")
    return given


def _checked_out(root: Path) -> str:
    try:
        commit = _git(root, "rev-parse", "--verify", "HEAD").strip()
        changes = _git(root, "status", "--porcelain", "--", *_PROGRAM)
    except (OSError, subprocess.SubprocessError):
        return UNKNOWN  # no git, or a checkout of somebody else's, which git does not read
    return f"{commit}{_CHANGED if changes.strip() else ''}"


def _git(root: Path, *words: str) -> str:
    """What git prints; its variables could name another repository."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    return subprocess.run(
        ["git", "-C", str(root), *words],
        env=environ | {"GIT_OPTIONAL_LOCKS": "0"},
        capture_output=True,
        check=True,
        text=True,
        timeout=_GIT_SECONDS,
    ).stdout
