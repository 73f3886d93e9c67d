"""`callstream --version` names the commit of a checkout, a wheel and an image, and is never wrong."""

import os
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest
from click.testing import CliRunner

from app.__main__ import cli
from app.operators.program_version import GIVEN, ProgramVersion, commit_in, commit_to_bake, program_version

ROOT = Path(__file__).resolve().parents[2]
COMMIT = "0123456789abcdef0123456789abcdef01234567"


def _git(folder: Path, *words: str) -> str:
    named = ("-c", "user.name=x", "-c", "user.email=x@example.org")
    environ = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    command = ["git", "-C", str(folder), *named, *words]
    return subprocess.run(command, env=environ, capture_output=True, check=True, text=True).stdout.strip()


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A small checkout with what builds a wheel."""
    checkout = tmp_path / "checkout"
    (checkout / "app" / "operators").mkdir(parents=True)
    for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE", "AUTHORS", "app/operators/program_version.py"):
        (checkout / name).write_bytes((ROOT / name).read_bytes())
    for name in ("app", "app/operators"):
        (checkout / name / "__init__.py").write_text('"""A package."""\n', encoding="utf-8")
    _git(checkout, "init", "--quiet")
    _git(checkout, "add", ".")
    _git(checkout, "commit", "--quiet", "--message", "first")
    return checkout


def _baked(sources: Path, environ: Mapping[str, str] | None = None, *, build: str = "wheel") -> str:
    """The commit that a program says which was built of these sources, and unpacked elsewhere."""
    built = sources.parent / f"built-{build}"
    built.mkdir(exist_ok=True)
    program = f"from setuptools import build_meta; print(build_meta.build_{build}({str(built)!r}))"
    command = [sys.executable, "-c", program]
    ran = subprocess.run(
        command, cwd=sources, env={**os.environ, **(environ or {})}, capture_output=True, check=False, text=True
    )
    if ran.returncode:
        raise RuntimeError(ran.stderr)
    file = built / ran.stdout.split()[-1]
    unpacked = sources.parent / f"unpacked-{build}"
    if build == "sdist":
        subprocess.run(["tar", "-xf", str(file), "-C", str(built)], check=True)
        return _baked(built / file.name.removesuffix(".tar.gz"))
    with zipfile.ZipFile(file) as wheel:
        wheel.extractall(unpacked)
    return commit_in(unpacked)


def test_the_program_says_its_version_and_commit() -> None:
    """In one line, as `--version` does everywhere."""
    result = CliRunner().invoke(cli, ["--version"])
    assert (result.exit_code, result.output) == (0, f"callstream {program_version()}\n")
    assert str(ProgramVersion("1.2", COMMIT)) == "1.2 (commit 0123456789ab)"
    assert str(ProgramVersion("1.2", f"{COMMIT}-dirty")) == "1.2 (commit 0123456789ab, with changes)"
    assert str(ProgramVersion("1.2", "unknown")) == "1.2 (commit unknown)"


def test_a_checkout_says_whether_the_program_was_changed(checkout: Path) -> None:
    """A changed or new module makes another program; what a user leaves beside it does not, nor does GIT_DIR."""
    commit = _git(checkout, "rev-parse", "HEAD")
    (checkout / "notes.txt").write_text("x", encoding="utf-8")
    assert commit_in(checkout) == commit
    (checkout / "app" / "new.py").write_text("x = 1\n", encoding="utf-8")
    assert commit_in(checkout) == f"{commit}-dirty"
    (checkout / "app" / "new.py").unlink()
    (checkout / "app" / "__init__.py").write_text("x = 1\n", encoding="utf-8")
    assert commit_in(checkout) == f"{commit}-dirty"


def test_a_folder_inside_of_another_checkout_has_not_its_commit(checkout: Path) -> None:
    """A program that is installed below somebody's repository is not that repository's program."""
    inside = checkout / "app" / "operators"
    assert commit_in(inside) == "unknown"


def test_a_wheel_has_the_commit_that_it_was_built_of(checkout: Path) -> None:
    """Also if it is built of a source archive, and it says if the checkout was changed."""
    commit = _git(checkout, "rev-parse", "HEAD")
    assert _baked(checkout, build="sdist") == commit
    (checkout / "app" / "__init__.py").write_text("x = 1\n", encoding="utf-8")
    assert _baked(checkout) == f"{commit}-dirty"


def test_an_image_has_the_commit_that_its_build_was_given(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its sources have no `.git`. A checkout knows better, and a word that is not a commit is refused."""
    monkeypatch.setenv(GIVEN, COMMIT)
    assert commit_to_bake(checkout) == _git(checkout, "rev-parse", "HEAD")
    (checkout / ".git").rename(checkout.parent / "git")
    assert _baked(checkout) == COMMIT
    monkeypatch.setenv(GIVEN, "v1.0")
    with pytest.raises(ValueError, match="write the commit in full"):
        commit_to_bake(checkout)
    for nothing in ("", "unknown"):
        monkeypatch.setenv(GIVEN, nothing)
        assert commit_to_bake(checkout) == "unknown"
