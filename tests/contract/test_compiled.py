"""A wheel's compiled modules do the same as their sources, byte by byte."""

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from tests.support.compiled_modules import COMPILED_FROM, ROOT, compiled_program

STEPS: Final = ROOT / "bench" / "compare_steps.py"
EVENTS: Final = 3_000
_GOLDEN: Final = (
    "tests/golden/test_golden.py",
    "tests/unit/agents/privacy/redaction",
    "tests/unit/app/evidence/test_record_rows.py",
)
_DIGESTS: Final = "import json, sys; print(json.dumps(json.loads(sys.stdin.readline())['digests'], sort_keys=True))"


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


def test_everything_that_is_compiled_or_imported_there_is_in_the_digest() -> None:
    """What setup.py compiles lies in folders whose change has it compiled again, and so does what it imports."""
    listed = next(
        ast.literal_eval(one.value)
        for one in ast.parse((ROOT / "setup.py").read_text(encoding="utf-8")).body
        if isinstance(one, ast.Assign) and ast.unparse(one.targets[0]) == "COMPILED"
    )
    for path in (ROOT / name for name in listed):
        for file in path.rglob("*.py") if path.is_dir() else [path]:
            tree = ast.parse(file.read_text(encoding="utf-8"))
            imported = {
                one.module.replace(".", "/") for one in ast.walk(tree) if isinstance(one, ast.ImportFrom) and one.module
            }
            own = {name for name in imported if name.split("/")[0] in {"app", "agents", "schemas"}}
            for name in (str(file.relative_to(ROOT)), *own):
                assert any(f"{name}/".startswith(f"{folder}/") for folder in COMPILED_FROM), (file, name)


@pytest.mark.slow(reason="it compiles, two minutes for sources that were not compiled before")
def test_compiled_modules_put_out_the_same_bytes_as_their_sources(tmp_path: Path) -> None:
    """Golden cases pass in the compiled program, and generated events become the same calls and counts in both."""
    if shutil.which("cc") is None:
        pytest.skip("there is no C compiler")
    compiled = compiled_program(tmp_path)
    for module in ("agents.canonicalize.stage", "agents.privacy.redaction.engine", "app.evidence.record_rows"):
        where = _python(compiled, "-c", f"import {module} as one; print(one.__file__)")
        assert where.strip().endswith(".so")
    _python(compiled, "-m", "pytest", "-q", "-p", "no:cacheprovider", *_GOLDEN)

    _python(ROOT, STEPS, ROOT, tmp_path / "events", str(EVENTS))
    assert _digests(compiled, tmp_path / "events") == _digests(ROOT, tmp_path / "events")
