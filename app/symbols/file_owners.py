"""The parent's side of package_reader.py: which packages own the files of a root, and which a bill has for them."""

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from app.symbols.bills import BillEntry
from app.symbols.limited_process import LimitedProcess, NoAnswer

SECONDS: Final = 300.0
"""For a bill or for all databases of a root; a bill of 50 MB takes a minute in the library of its format."""


class BillRefusedError(Exception):
    """A bill of materials cannot be used; the message says which and why."""


@dataclass(frozen=True, slots=True)
class Owners:
    """Package URLs by path, and what could not be read."""

    by_path: dict[str, tuple[str, ...]]
    unread: tuple[str, ...]


class Bill:
    """A bill of materials, joined with files by digest, then by path."""

    def __init__(self, entries: Sequence[BillEntry]) -> None:
        self._entries = entries
        self._joined: set[str] = set()
        self.by_digest = 0
        self.by_path = 0
        """Files that got packages so."""

    def packages_of(self, digests: Collection[str], paths: Collection[str]) -> tuple[str, ...]:
        """The packages of a file, as package URLs."""
        found = [one.package_url for one in self._entries if not one.digests.isdisjoint(digests)]
        self.by_digest += bool(found)
        if not found:
            found = [one.package_url for one in self._entries if not one.paths.isdisjoint(paths)]
            self.by_path += bool(found)
        self._joined.update(found)
        return tuple(sorted(set(found)))

    def of_no_file(self) -> tuple[str, ...]:
        """The packages that no file got: the bill speaks of the image only there."""
        return tuple(sorted({one.package_url for one in self._entries} - self._joined))


def read_bills(paths: Sequence[Path], scratch: Path) -> Bill:
    """Several bills of one root as one. `scratch` is a folder for files. Raises BillRefusedError."""
    entries = []
    for path in paths:
        document = _asked({"bill": str(path)}, scratch)
        if isinstance(document, str):
            raise BillRefusedError(f"{path}: {document}")
        entries += [
            BillEntry(url, frozenset(digests), frozenset(found)) for url, digests, found in document["packages"]
        ]
    return Bill(entries)


def owners_in(root: Path, paths: Collection[str], scratch: Path) -> Owners:
    """Who owns paths of a root, as maps have them, by the package databases in it."""
    if not paths:
        return Owners({}, ())
    asked = scratch / "paths"
    asked.write_text(json.dumps(sorted(paths)), encoding="utf-8")
    document = _asked({"root": str(root), "paths": str(asked)}, scratch)
    if isinstance(document, str):
        return Owners({}, (f"package databases of {root}: {document}",))
    owners = {path: tuple(urls) for path, urls in document["owners"].items()}
    return Owners(owners, tuple(document["unread"]))


def _asked(request: dict[str, Any], scratch: Path) -> dict[str, Any] | str:
    """The answer, or why there is none."""
    output = scratch / "packages"
    process = LimitedProcess("app.symbols.package_reader", seconds=SECONDS, max_requests=1)
    try:
        answer = process.ask({**request, "output": str(output)})
    finally:
        process.end()
    if isinstance(answer, NoAnswer):
        return f"{answer.reason.value} {answer.detail}".strip()
    if "refused" in answer:
        return str(answer["refused"])
    document: dict[str, Any] = json.loads(output.read_bytes())
    return document
