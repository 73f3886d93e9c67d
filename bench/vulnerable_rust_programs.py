"""Real Rust programs with vulnerable crates: `python -m bench.vulnerable_rust_programs RUSTSEC.zip`.

Builds programs of crates.io as their authors locked them, with cargo-auditable, and asks about each advisory that names
functions of their crates, whole and stripped. Readers that are not ours check it: rust-audit-info reads the crates of
the file, Python's packaging decides on versions, and binutils' nm demangles its functions.

What nm finds of an affected version must be present. Nothing may be called absent, since no Rust file has a complete
list of its code. The stripped twin has no names, so there nobody can tell.

Needs cargo with cargo-auditable and rust-audit-info. Records bench/results/vulnerable_rust_programs.txt.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
import tomllib
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from packaging.specifiers import SpecifierSet
from packaging.version import Version

from app.vulnerabilities.advisory_files import VulnerabilityDatabase, read_database
from bench.figures import Row, Table, record, text_of
from tests.support.programs import CACHE
from tests.support.vulnerable_programs import answers

PROGRAMS: Final = ("lsd@0.20.1", "pastel@0.8.1")
_FENCED: Final = re.compile(r"```toml\n(.*?)```", re.DOTALL)
_WITHOUT_NAMES: Final = {"code_present": "cannot_tell"}
"""What a stripped file says in place of what the whole one says."""


def main() -> None:
    """Build, compare, print and record. Exits with 1 where an answer is wrong."""
    path = Path(sys.argv[1])
    database, documents = read_database(path), _documents(path)
    tables: list[Table] = []
    is_right = True
    with tempfile.TemporaryDirectory(prefix="vulnerable-") as scratch:
        for package in sys.argv[2:] or PROGRAMS:
            rows = list(_rows(_installed(package), database, documents, Path(scratch) / package))
            is_right &= bool(rows) and all(row.figures["right"] for row in rows)
            tables.append(
                Table(package, {"database": path.name, "compiler": _said("rustc", "--version").strip()}, rows)
            )
            print(text_of(tables[-1]), flush=True)
    record("vulnerable_rust_programs", tables)
    sys.exit(0 if is_right else 1)


def _rows(program: Path, database: VulnerabilityDatabase, documents: Mapping[str, Any], folder: Path) -> Iterable[Row]:
    folder.mkdir()
    twin = folder / "stripped"
    _said("strip", "--strip-all", "-o", twin, program)
    advisories = list(database.advisories.values())
    whole, _ = answers(folder / "of-whole", program, advisories)
    stripped, _ = answers(folder / "of-stripped", twin, advisories)
    crates = json.loads(_said("rust-audit-info", program))["packages"]
    names = _said("nm", "--demangle", "--defined-only", program).splitlines()
    for name, document in sorted(documents.items()):
        crate = document["advisory"]["package"]
        versions = [one["version"] for one in crates if one["name"] == crate and one.get("kind", "runtime") != "build"]
        if not versions:
            continue
        affected = [one for one in versions if not _is_any(one, _safe(document))]
        functions = [
            function
            for function, ranges in document["affected"]["functions"].items()
            if any(not ranges or _is_any(one, ranges) for one in affected)
        ]
        by_nm = sum(1 for one in names if any(_is(function, one) for function in functions))
        told = whole.get(name, "")
        expected = "not_affected" if not functions else "code_present" if by_nm else "cannot_tell"
        yield Row(
            f"{name} {crate}",
            {
                "versions": ", ".join(versions),
                "patched": ", ".join(document["versions"]["patched"]) or "none",
                "affected functions": len(functions),
                "found by nm": by_nm,
                "whole": told,
                "stripped": stripped.get(name, ""),
                "right": int(told == expected and stripped.get(name, "") == _WITHOUT_NAMES.get(told, told)),
            },
        )


def _safe(document: Mapping[str, Any]) -> list[str]:
    return [*document["versions"]["patched"], *document["versions"].get("unaffected", ())]


def _is_any(version: str, ranges: Iterable[str]) -> bool:
    """Whether a version is in a range of Cargo's, by Python's rules, which are the same for such versions."""
    return any(Version(version) in SpecifierSet(",".join(map(_in_python, one.split(",")))) for one in ranges)


def _in_python(bound: str) -> str:
    bound = bound.replace(" ", "")
    if bound.startswith("^"):
        parts = [int(part) for part in bound[1:].partition("-")[0].split(".")]
        at = next((at for at, part in enumerate(parts) if part), len(parts) - 1)
        following = [*parts[:at], parts[at] + 1]
        return f">={bound[1:]},<{'.'.join(map(str, following))}"
    return f"={bound}" if bound.startswith("=") else bound


def _is(function: str, line: str) -> bool:
    """Whether a line of nm is a function that an advisory names, or a closure of it, as a person would look for it."""
    crate, *modules, name = function.split("::")
    owner = modules[-1] if modules else ""
    inside = rf".*\b{owner}\b.*::" if owner[:1].isupper() else r"(?:\w+::)*"
    return re.search(rf"\b{crate}::{inside}{name}(?:::h[0-9a-f]{{16}})?(?:::\{{.*)?$", line) is not None


def _documents(path: Path) -> dict[str, Any]:
    """The advisories that name functions, as RustSec wrote them."""
    found = {}
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            fenced = _FENCED.search(archive.read(name).decode()) if name.endswith(".md") else None
            document = tomllib.loads(fenced[1]) if fenced is not None else {}
            if document.get("affected", {}).get("functions"):
                found[document["advisory"]["id"]] = document
    return found


def _installed(package: str) -> Path:
    """The program of a crate; kept between runs."""
    folder = CACHE / f"rust-{package}"
    if not (folder / "bin").exists():
        _said("cargo", "auditable", "install", "--locked", "--no-track", "--root", folder, package)
    [program] = (folder / "bin").iterdir()
    return program


def _said(*command: str | Path) -> str:
    return subprocess.run(command, env={**os.environ}, stdout=subprocess.PIPE, text=True, check=True).stdout


if __name__ == "__main__":
    main()
