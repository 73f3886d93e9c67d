"""What a runtime fact says of the file that a symbol is in, in the form of the consumer.

A build id says only with its kind what it names: the consumer writes `gnu-build-id:` before the content of a GNU note
of 16 bytes or more, and takes no other one. The symbol store knows the kind, the SHA-256 of the file, and its package.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from agents.memo import Memo
from agents.symbols.build_ids import BuildIdKind
from app.symbols.store import SymbolStore

_KNOWN_FILES: Final = 10_000
"""Files that an export remembers, of some hundred bytes; a node has some thousands."""

_MIN_HEX: Final = 32


@dataclass(frozen=True, slots=True)
class FactFile:
    """A file: the kind of its build id (None: not known), its SHA-256 and package URL where it has exactly one."""

    kind: BuildIdKind | None = None
    sha256: str = ""
    package_url: str = ""

    def build_id(self, build_id: str) -> str:
        """The build id as the consumer writes it; empty where it has another kind, or nobody knows which."""
        is_note = self.kind is BuildIdKind.GNU and len(build_id) >= _MIN_HEX
        return f"gnu-build-id:{build_id}" if is_note else ""


UNKNOWN_FILE: Final = FactFile()


class FactFiles:
    """The files of a symbol store, by build id."""

    def __init__(self, folder: Path | None) -> None:
        """Without a folder no file is known. Raises SymbolStoreError."""
        self._store = None if folder is None else SymbolStore.open(folder)
        self._known = Memo[str, FactFile](self._read, _KNOWN_FILES)

    def file(self, build_id: str | None) -> FactFile:
        """What is known of a file. Raises SymbolStoreError."""
        return self._known[build_id] if build_id else UNKNOWN_FILE

    def _read(self, build_id: str) -> FactFile:
        packages = None if self._store is None else self._store.packages(build_id)
        if packages is None:
            return UNKNOWN_FILE
        digests = {one.sha256 for one in packages.contents}
        urls = {*packages.owners, *packages.listed}
        return FactFile(packages.build_id_kind, _only(digests), _only(urls))


def _only(values: set[str]) -> str:
    return next(iter(values)) if len(values) == 1 else ""
