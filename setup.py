"""Writes the commit into what is built; `app/operators/program_version.py` reads it. All else is in pyproject.toml."""

import runpy
from collections.abc import Iterable
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py
from setuptools.command.sdist import sdist

ROOT = Path(__file__).resolve().parent
VERSION = runpy.run_path(str(ROOT / "app" / "operators" / "program_version.py"))


def _bake(folder: str) -> None:
    (Path(folder) / "app" / VERSION["BAKED"]).write_text(VERSION["commit_to_bake"](ROOT) + "\n", encoding="ascii")


class BuildWithCommit(build_py):
    """A wheel has the file; an editable install has not, because its checkout knows better."""

    def run(self) -> None:
        """Build, and write the commit beside what was built."""
        super().run()
        if not self.editable_mode:
            _bake(self.build_lib)


class SourceWithCommit(sdist):
    """A wheel can be built from a source archive, which has no `.git`."""

    def make_release_tree(self, base_dir: str, files: Iterable[str]) -> None:
        """Copy the sources, and write the commit beside them."""
        super().make_release_tree(base_dir, files)
        _bake(base_dir)


setup(cmdclass={"build_py": BuildWithCommit, "sdist": SourceWithCommit})
