"""A file with the code of a vulnerability, and databases that say so, made without a compiler."""

import json
import zlib
from pathlib import Path
from typing import Any, Final

from tests.support.elf_files import ElfFile, ElfSymbol

GROW: Final = "_ZN8smallvec17SmallVec$LT$A$GT$4grow17h0123456789abcdefE"
OTHER: Final = "_ZN8smallvec17SmallVec$LT$A$GT$4push17h0123456789abcdefE"
BUILD_ID: Final = bytes(range(20)).hex()
ADVISORY: Final = "RUSTSEC-2019-0009"
CVE: Final = "CVE-2019-15551"


def vulnerable_program(path: Path, version: str = "0.6.9", text_offset: int = 0x1000) -> Path:
    """A Rust program that says which smallvec it has, with two of its functions; its code lies there in the file."""
    crates = {"packages": [{"name": "smallvec", "version": version, "source": "crates.io"}]}
    section = (".dep-v0", zlib.compress(json.dumps(crates).encode()))
    path.parent.mkdir(parents=True, exist_ok=True)
    functions = (ElfSymbol(GROW, 0x1000, 0x20), ElfSymbol(OTHER, 0x1100, 0x40))
    path.write_bytes(ElfFile(functions, text_offset=text_offset, extra=(section,)).encode())
    return path


def advisory(**changes: Any) -> dict[str, Any]:
    """An advisory of that program, in OSV's form; `functions` are those that it names."""
    functions = changes.pop("functions", ["smallvec::SmallVec::grow"])
    return {
        "id": ADVISORY,
        "aliases": [CVE],
        "summary": "Double-free in SmallVec::grow()",
        "affected": [
            {
                "package": {"ecosystem": "crates.io", "name": "smallvec"},
                "ranges": [{"type": "SEMVER", "events": [{"introduced": "0"}, {"fixed": "0.6.10"}]}],
                "ecosystem_specific": {"affects": {"functions": functions}},
            }
        ],
        **changes,
    }


def database(folder: Path, *advisories: dict[str, Any]) -> Path:
    """A database of them, one document each."""
    folder.mkdir(parents=True, exist_ok=True)
    for one in advisories:
        (folder / f"{one['id']}.json").write_text(json.dumps(one))
    return folder
