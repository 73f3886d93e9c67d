"""The program with its compiled modules, as a wheel has them.

To compile takes minutes, so the modules are kept in .cache/compiled, under a digest of all that went in: the sources
that are compiled or that those import, how the wheel is built, and the versions of Python, mypy and the C compiler. The
next run takes them from there, beside the other files as they are now. They are compiled without the C compiler's
optimizer: what Python they came from is what is proved, and `bench.compare` checks digests of optimized ones.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Final

from tests.support.programs import CACHE, run

ROOT: Final = Path(__file__).resolve().parents[2]
_PACKAGES: Final = ("app", "agents", "schemas")
_BUILT_FROM: Final = (*_PACKAGES, "pyproject.toml", "setup.py", "README.md", "LICENSE", "AUTHORS")
COMPILED_FROM: Final = ("agents", "schemas", "app/evidence", "pyproject.toml", "setup.py")
"""What the compiled modules are or import; tests/contract/test_compiled.py holds it against `COMPILED` of setup.py."""


def compiled_program(folder: Path) -> Path:
    """A folder with the packages of the checkout and their compiled modules; `folder` is a new one for the build."""
    kept = CACHE / f"{_digest()}.zip"
    if not kept.exists():
        _keep_modules(_wheel(folder), kept)
    tree = folder / "installed"
    for name in _PACKAGES:
        shutil.copytree(ROOT / name, tree / name, ignore=shutil.ignore_patterns("__pycache__"))
    with zipfile.ZipFile(kept) as modules:
        modules.extractall(tree)
    return tree


def _digest() -> str:
    digest = hashlib.sha256(f"{sys.version} {version('mypy')} {run('cc', '--version')}".encode())
    for path in _files():
        digest.update(f"{path.relative_to(ROOT)} {hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return digest.hexdigest()


def _files() -> Iterator[Path]:
    for name in COMPILED_FROM:
        path = ROOT / name
        yield from sorted(path.rglob("*.py")) if path.is_dir() else (path,)


def _wheel(folder: Path) -> Path:
    for name in _BUILT_FROM:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        target = folder / "source" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        copy(ROOT / name, target)
    pip: list[str | Path] = [sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check"]
    pip += ["--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", folder, folder / "source"]
    subprocess.run(pip, check=True, env=os.environ | {"MYPYC_OPT_LEVEL": "0"})
    (wheel,) = folder.glob("*.whl")
    return wheel


def _keep_modules(wheel: Path, kept: Path) -> None:
    with zipfile.ZipFile(wheel) as whole:
        compiled = [name for name in whole.namelist() if name.endswith(".so")]
        assert any("__mypyc" in name for name in compiled), "the C compiler failed, and nothing is kept of that"
    CACHE.mkdir(parents=True, exist_ok=True)
    made = kept.with_name(f"{kept.name}-{os.getpid()}")
    with zipfile.ZipFile(wheel) as whole, zipfile.ZipFile(made, "w") as modules:
        for name in compiled:
            modules.writestr(name, whole.read(name))
    made.rename(kept)  # whole or not at all: another process may look for it
