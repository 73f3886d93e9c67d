"""Compiles what runs for each event, and writes the commit into what is built. All else is in pyproject.toml.

`app/operators/program_version.py` reads the commit.
"""

import os
import runpy
import shlex
import shutil
import sys
import sysconfig
from collections.abc import Iterable
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_py import build_py
from setuptools.command.sdist import sdist

ROOT = Path(__file__).resolve().parent
VERSION = runpy.run_path(str(ROOT / "app" / "operators" / "program_version.py"))

COMPILED = (
    "agents/canonicalize",
    "agents/event_facts.py",
    "agents/hot_symbols/counting",
    "agents/hot_symbols/identity.py",
    "agents/hot_symbols/partitioning.py",
    "agents/hot_symbols/reading",
    "agents/memo.py",
    "agents/packing.py",
    "agents/privacy/calls.py",
    "agents/privacy/fields.py",
    "agents/privacy/filtered.py",
    "agents/privacy/matching",
    "agents/privacy/redaction",
    "agents/privacy/repeated_values.py",
    "agents/privacy/repeats.py",
    "agents/privacy/rules",
    "agents/privacy/stage.py",
    "app/evidence/digests.py",
    "app/evidence/record_rows.py",
    "schemas/avro_wire.py",
    "schemas/canonical_head.py",
    "schemas/proto_wire.py",
    "schemas/units.py",
)
"""What mypyc compiles in a wheel, by folder or file: pure modules in which a stage spends its time. The same sources
without a change, so that a checkout and a wheel without a compiler do the same more slowly."""

NOT_COMPILED = (
    "__init__.py",
    "answers.py",
    "choices.py",
    "further_programs.py",
    "program_forms.py",
    "program_table.py",
    "scanner_table.py",
)
"""Files in those folders that only hold tables and types: compiled, they take long to build and save no time."""


def _extensions() -> list[Extension]:
    """For a wheel where mypyc and a C compiler are; nothing for a checkout, in which a change counts at once.

    Where the C compiler fails, setuptools says so and goes on, and the wheel has plain Python.
    """
    if "bdist_wheel" not in sys.argv:
        return []
    compiler = os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc"
    if shutil.which(shlex.split(compiler)[0]) is None:  # or mypyc would work for most of a minute for nobody
        print(f"{compiler} is not here: this wheel has plain Python only", file=sys.stderr)  # noqa: T201 - how setup.py speaks
        return []
    try:
        from mypyc.build import mypycify  # noqa: PLC0415 - a build without it is allowed
    except ImportError:
        print("mypyc is not here: this wheel has plain Python only", file=sys.stderr)  # noqa: T201 - how setup.py speaks
        return []
    found = [path for name in COMPILED for path in (ROOT / name).rglob("*.py")] + [ROOT / name for name in COMPILED]
    files = sorted(str(path.relative_to(ROOT)) for path in found if path.is_file() and path.name not in NOT_COMPILED)
    if not files:
        return []
    # what other packages have types for must not change what is built: a build has only mypy beside it
    options = ["--ignore-missing-imports", "--follow-imports=silent"]
    # as mypyc's own program reads it: tests compile without the C compiler's optimizer, which takes most of the time
    level = os.environ.get("MYPYC_OPT_LEVEL", "3")
    extensions = mypycify([*options, *files], opt_level=level, debug_level="0")
    for extension in extensions:
        extension.optional = True
    return list(extensions)


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


setup(cmdclass={"build_py": BuildWithCommit, "sdist": SourceWithCommit}, ext_modules=_extensions())
