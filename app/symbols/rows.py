"""Indexes and reports as rows: what `callstream symbols` prints, and the JSON that scripts read."""

import os
from typing import Any

from agents.symbols.index import SymbolIndex
from agents.symbols.index_format import SymbolOrigin
from agents.symbols.lookup import Resolved
from agents.vulnerabilities.file_packages import FilePackages
from app.symbols.adding import FileReport, NotIndexed


def index_row(index: SymbolIndex) -> dict[str, Any]:
    """An index in short."""
    return {
        "build_id": index.build_id,
        "functions": index.range_count,
        "lines": index.line_count,
        "origins": _origins(index.origins),
        "machine": index.machine,
        "names": len(index.parts.name_offsets) - 1,
        "functions_with_known_inlining": index.head.described,
        "functions_that_may_inline": index.head.functions,
    }


def packages_row(found: FilePackages | None) -> dict[str, Any]:
    """What is known of the files of a build id beside their functions."""
    if found is None:
        return {"build_id_kind": "unknown", "sha256": [], "packages": [], "is_packed": None}
    return {
        "build_id_kind": found.build_id_kind.value,
        "sha256": [one.sha256 for one in found.contents],
        "packages": list(found.package_urls()),
        "is_packed": found.is_packed,
    }


def resolved_row(found: Resolved) -> dict[str, Any]:
    """What an index knows of one offset."""
    return {
        "symbol": found.symbol,
        "offset": found.offset,
        "source_file": found.source_file,
        "line_number": found.line_number,
        "inlined": [call._asdict() for call in found.inlined],
    }


def report_row(report: FileReport) -> dict[str, Any]:
    """What became of one file that was to be added."""
    path = os.fsencode(report.path).decode("utf-8", "backslashreplace")
    if isinstance(report, NotIndexed):
        return {"path": path, "outcome": "refused", "reason": report.reason.value, "detail": report.detail}
    return {
        "path": path,
        "outcome": report.kept.value,
        "build_id": report.build_id,
        "functions": report.functions,
        "lines": report.lines,
        "origins": _origins(report.origins),
        "notes": list(report.notes),
    }


def cell(value: Any) -> str:
    """A value of a row as people read it."""
    if isinstance(value, list):
        return ", ".join(map(cell, value))
    if isinstance(value, dict):
        return " ".join(f"{name} {number:#x}" for name, number in value.items())
    return str(value)


def _origins(origins: SymbolOrigin) -> list[str]:
    return [origin.name.lower() for origin in SymbolOrigin if origin in origins and origin.name is not None]
