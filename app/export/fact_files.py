"""What a runtime fact says of the file that a symbol is in, in the form of the consumer.

A build id says only with its kind what it names: the consumer writes `gnu-build-id:` before the content of a GNU note
of 16 bytes or more, and takes no other one. The symbol store knows the kind, the SHA-256 of the file, and its package.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from agents.memo import Memo
from agents.symbols.build_ids import BuildIdKind
from agents.vulnerabilities.file_packages import FilePackages
from app.operators.errors import OperatorError
from app.symbols.snapshot import ObjectKind
from app.symbols.store import SymbolStore

_KNOWN_FILES: Final = 10_000
"""Files that an export remembers, of some hundred bytes; a node has some thousands."""

_MIN_HEX: Final = 32


class SharedBuildIdError(OperatorError):
    """Several files have one build id; the message says how many, and which id."""


@dataclass(frozen=True, slots=True)
class FactFile:
    """A file: the kind of its build id (None: not known), its SHA-256 and package URL where it has exactly one.

    `packages` is all that the store has of it.
    """

    kind: BuildIdKind | None = None
    sha256: str = ""
    package_url: str = ""
    packages: FilePackages | None = None

    def package_of(self, symbol: str) -> str:
        """The package URL of the Go module that a function is of, else that of the file; empty where there is none."""
        return (self.packages.module_of(symbol) if self.packages is not None else "") or self.package_url

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

    def build_id_of(self, sha256: str) -> str | None:
        """The build id of a file, by the SHA-256 of its content; None if the store has no such file.

        Raises SharedBuildIdError where other files have it too, for no event says which of them ran; SymbolStoreError.
        """
        if self._store is None:
            return None
        for build_id in self._store.snapshot.of_kind(ObjectKind.PACKAGES):
            packages = self._store.packages(build_id)
            digests = set() if packages is None else {one.sha256 for one in packages.contents}
            if sha256 in digests:
                if len(digests) > 1:
                    others = f"{len(digests):,} files of the symbol store have build id {build_id}"
                    raise SharedBuildIdError(f"{others}, and no event says whether sha256:{sha256} ran or another one")
                return build_id
        return None

    def _read(self, build_id: str) -> FactFile:
        packages = None if self._store is None else self._store.packages(build_id)
        if packages is None:
            return UNKNOWN_FILE
        digests = {one.sha256 for one in packages.contents}
        urls = {*packages.owners, *packages.listed}
        return FactFile(packages.build_id_kind, _only(digests), _only(urls), packages)


def _only(values: set[str]) -> str:
    return next(iter(values)) if len(values) == 1 else ""
