"""Keeps what is known of files beside their indexes: what they say of themselves, who owns them, what a bill has."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

from agents.symbols.build_ids import BuildIdKind
from agents.vulnerabilities.file_packages import FilePackages
from app.symbols.file_owners import Bill, Owners, owners_in
from app.symbols.limited_reader import FileRefusal, LimitedReader
from app.symbols.store_writer import StoreWriter

_OF_NO_PACKAGE: Final = ("/home/", "/proc/", "/root/", "/tmp/", "/var/tmp/")  # noqa: S108 - paths that are asked about
"""Where no package of a distribution has files (Filesystem Hierarchy Standard)."""


class PackageKeeper:
    """Keeps the packages of the files of one `symbols add`."""

    def __init__(self, root: Path, bill: Bill | None, note: Callable[[str], None], *, replace_known: bool) -> None:
        """`root` has the package databases; `note` is called with what could not be read."""
        self._root = root
        self._bill = bill
        self._note = note
        self._replace = replace_known

    def keep(
        self,
        indexed: Mapping[Path, str],
        modules: Mapping[Path, list[str]],
        writer: StoreWriter,
        reader: LimitedReader,
        scope: str | None,
    ) -> None:
        """Keep those of files with their build ids and their paths in the root."""
        paths = {path for found in modules.values() for path in found if not path.startswith(_OF_NO_PACKAGE)}
        owners = owners_in(self._root, paths, writer.scratch)
        for words in owners.unread:
            self._note(words)
        seen: set[str] = set()
        for path, build_id in indexed.items():
            found = reader.packages(path, writer.scratch / "packages")
            if isinstance(found, FileRefusal):
                self._note(f"{path}: its packages: {found.reason.value} {found.detail}".rstrip())
                continue
            found = self._with_packages(found, modules[path], owners)
            for words in found.unread:
                self._note(f"{path}: {words}")
            writer.keep_packages(build_id, found, replace=self._replace and build_id not in seen)
            seen.add(build_id)
        left = () if self._bill is None else self._bill.of_no_file()
        if scope is not None and left:
            writer.keep_packages(scope, FilePackages(BuildIdKind.CONTENT, listed=left), replace=self._replace)

    def _with_packages(self, found: FilePackages, modules: list[str], owners: Owners) -> FilePackages:
        digests = [one.sha256 for one in found.contents]
        return replace(
            found,
            owners=tuple(sorted({url for path in modules for url in owners.by_path.get(path, ())})),
            listed=() if self._bill is None else self._bill.packages_of(digests, modules),
        )
