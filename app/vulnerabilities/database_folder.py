"""The folder of loaded vulnerability databases: each under its digest, and which one is in use.

    folder/databases.json        the databases by name, the newest last, with digest, date, licence and what was refused
    folder/<digest>.zip          the documents, in an archive of our own

A database is never changed. The one before the last stays in use for the question what changed since then.
"""

import json
import zipfile
from collections import Counter
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Final

from app.files.folders import make_folder
from app.files.replacing import SHARED, replace_file, replacing
from app.operators.errors import OperatorError
from app.operators.regular_files import read_regular
from app.vulnerabilities.advisory_files import (
    DatabaseFileError,
    RefusedDocument,
    VulnerabilityDatabase,
    documents,
    read_database,
)

MAX_KEPT: Final = 2
"""Of one name: the one in use and the one before."""

MAX_REFUSED: Final = 100
"""Documents that are named; the others are counted."""

_LIST: Final = "databases.json"
_MAX_LIST_BYTES: Final = 16 << 20
_NO_DATE: Final = (1980, 1, 1)  # what a zip says of a member whose time nobody gave


class DatabaseFolderError(OperatorError):
    """The folder or a database cannot be used; the message says which and why."""


@dataclass(frozen=True, slots=True)
class LoadedDatabase:
    """A database that was loaded. `dated` is the day of its data, empty where nobody knows it."""

    name: str
    digest: str
    dated: str
    licence: str
    advisories: int
    with_functions: int
    refused: tuple[RefusedDocument, ...] = ()
    refused_more: int = 0
    passed_over: int = 0


class DatabaseFolder:
    """The databases in a folder."""

    def __init__(self, folder: Path) -> None:
        """Raises DatabaseFolderError if its list cannot be read; a folder without a list has none."""
        self.folder = folder
        self._loaded = _read_list(folder / _LIST)

    def load(self, path: Path, name: str | None, dated: str, licence: str) -> LoadedDatabase:
        """Take the database at a path, and use it under its name from now on. Raises DatabaseFolderError."""
        try:
            read = read_database(path)
        except DatabaseFileError as error:
            raise DatabaseFolderError(str(error)) from None
        if not read.advisories:
            first = [f"{one.name}: {one.reason} {one.where}".rstrip() for one in read.refused[:1]]
            elsewhere = [f"{read.passed_over:,} are about other ecosystems"] if read.passed_over else []
            raise DatabaseFolderError(f"{path} has no advisory that can be used; {'; '.join([*first, *elsewhere])}")
        name = name or _name(read)
        loaded = LoadedDatabase(
            name,
            read.digest,
            dated or _newest(path),
            licence or _licence(read),
            len(read.advisories),
            sum(any(one.named for one in advisory.affected) for advisory in read.advisories.values()),
            read.refused[:MAX_REFUSED],
            max(len(read.refused) - MAX_REFUSED, 0),
            read.passed_over,
        )
        self._keep(path, read.digest)
        others = [one for one in self._loaded if (one.name, one.digest) != (name, read.digest)]
        self._loaded = _kept([*others, loaded])
        rows = [asdict(one) for one in self._loaded]
        try:
            replace_file(self.folder / _LIST, json.dumps(rows, indent=1).encode(), SHARED)
        except OSError as error:
            raise DatabaseFolderError(f"{self.folder} cannot be written: {error.strerror}") from None
        self._remove_unused()
        return loaded

    def _keep(self, path: Path, digest: str) -> None:
        """Pack the documents under their digest: the same bytes for the same documents."""
        try:
            make_folder(self.folder)
            with (
                replacing(self.folder / f"{digest}.zip", SHARED) as file,
                zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive,
            ):
                for name, content in documents(path):
                    if isinstance(content, bytes):
                        archive.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)
        except OSError as error:
            raise DatabaseFolderError(f"{self.folder} cannot be written: {error.strerror}") from None

    def in_use(self) -> list[LoadedDatabase]:
        """The newest database of each name, by name. Raises DatabaseFolderError if there is none."""
        newest = {one.name: one for one in self._loaded}
        if not newest:
            raise DatabaseFolderError(f"{self.folder} has no database; `callstream vulnerabilities load` takes one")
        return [newest[name] for name in sorted(newest)]

    def before(self) -> list[LoadedDatabase]:
        """The database before the newest one of each name, where there is one."""
        last = {one.name: one for one in self.in_use()}
        older = {one.name: one for one in self._loaded if one != last[one.name]}
        return [older[name] for name in sorted(older)]

    def read(self, loaded: LoadedDatabase) -> VulnerabilityDatabase:
        """The advisories of a database. Raises DatabaseFolderError if it is missing or damaged."""
        path = self.folder / f"{loaded.digest}.zip"
        cure = "`callstream vulnerabilities load` takes it again"
        try:
            read = read_database(path)
        except DatabaseFileError as error:
            raise DatabaseFolderError(f"{error}; {cure}") from None
        if read.digest != loaded.digest:
            raise DatabaseFolderError(f"{path} is damaged: {cure}")
        return read

    def _remove_unused(self) -> None:
        used = {f"{one.digest}.zip" for one in self._loaded}
        for path in self.folder.glob("*.zip"):
            if path.name not in used:
                path.unlink(missing_ok=True)


def _kept(loaded: list[LoadedDatabase]) -> list[LoadedDatabase]:
    names = [one.name for one in loaded]
    return [one for at, one in enumerate(loaded) if names[at:].count(one.name) <= MAX_KEPT]


def _name(database: VulnerabilityDatabase) -> str:
    """What most of its ids begin with, in small letters."""
    starts = Counter(one.partition("-")[0].lower() for one in database.advisories)
    return min(starts, key=lambda start: (-starts[start], start))


def _newest(path: Path) -> str:
    """The day of the newest document, by the times of the files; empty where there are none."""
    if path.is_file() and zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            days = [one.date_time[:3] for one in archive.infolist()]
        newest = max(days, default=_NO_DATE)
        return "" if newest == _NO_DATE else date(*newest).isoformat()
    files = [path] if path.is_file() else [one for one in path.rglob("*") if one.is_file()]
    newest_s = max(one.stat().st_mtime for one in files)
    return datetime.fromtimestamp(newest_s, UTC).date().isoformat()


def _licence(database: VulnerabilityDatabase) -> str:
    """What its advisories say, and else what the makers of their ids say."""
    return "; ".join(sorted({one.licence for one in database.advisories.values() if one.licence})) or "not known"


def _read_list(path: Path) -> list[LoadedDatabase]:
    try:
        rows: list[dict[str, Any]] = json.loads(read_regular(path, _MAX_LIST_BYTES))
        return [
            LoadedDatabase(**{**row, "refused": tuple(RefusedDocument(**one) for one in row["refused"])})
            for row in rows
        ]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise DatabaseFolderError(f"{path} cannot be read: {error.strerror}") from None
    except (ValueError, TypeError, KeyError):
        raise DatabaseFolderError(f"{path} is damaged; remove it, and load the databases again") from None
