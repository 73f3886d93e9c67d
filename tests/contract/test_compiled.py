"""A wheel's compiled modules do the same as their sources, byte by byte."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).resolve().parents[2]
STEPS: Final = ROOT / "bench" / "compare_steps.py"
EVENTS: Final = 3_000
_SOURCES: Final = ("app", "agents", "schemas", "pyproject.toml", "setup.py", "README.md", "LICENSE", "AUTHORS")
_GOLDEN: Final = (
    "tests/golden/test_golden.py",
    "tests/unit/agents/privacy/redaction",
    "tests/unit/app/evidence/test_record_rows.py",
)
_DIGESTS: Final = "import json, sys; print(json.dumps(json.loads(sys.stdin.readline())['digests'], sort_keys=True))"


def _wheel(folder: Path) -> Path:
    """A wheel of the checkout's files, built in `folder` and unpacked; returns where it was unpacked to."""
    for name in _SOURCES:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, folder / "source" / name)
    pip: list[str | Path] = [sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check"]
    pip += ["--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", folder, folder / "source"]
    subprocess.run(pip, check=True)
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as content:
        content.extractall(folder / "installed")
    return folder / "installed"


def _python(tree: Path, *arguments: str | Path, given: str = "") -> str:
    """Output of a Python that imports the program from `tree`, and all else from the checkout."""
    path = os.pathsep.join(map(str, (tree, ROOT)))
    environ = os.environ | {"PYTHONPATH": path, "PYTHONSAFEPATH": "1", "PYTHONHASHSEED": "0"}
    command = [sys.executable, *arguments]
    ended = subprocess.run(command, env=environ, cwd=ROOT, input=given, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout[-2000:] + ended.stderr[-2000:]
    return ended.stdout


def _digests(tree: Path, events_file: Path) -> str:
    answer = _python(tree, STEPS, tree, events_file, given="measure\n")
    return _python(tree, "-c", _DIGESTS, given=answer)


@pytest.mark.slow(reason="it compiles, forty seconds")
def test_compiled_modules_put_out_the_same_bytes_as_their_sources(tmp_path: Path) -> None:
    """Golden cases pass in the compiled program, and generated events become the same calls and counts in both."""
    if shutil.which("cc") is None:
        pytest.skip("there is no C compiler")
    (tmp_path / "source").mkdir()
    compiled = _wheel(tmp_path)
    for module in ("agents.canonicalize.stage", "agents.privacy.redaction.engine", "app.evidence.record_rows"):
        where = _python(compiled, "-c", f"import {module} as one; print(one.__file__)")
        assert where.strip().endswith(".so")
    _python(compiled, "-m", "pytest", "-q", "-p", "no:cacheprovider", *_GOLDEN)

    _python(ROOT, STEPS, ROOT, tmp_path / "events", str(EVENTS))
    assert _digests(compiled, tmp_path / "events") == _digests(ROOT, tmp_path / "events")
