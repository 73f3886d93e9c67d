"""Reads a vulnerability database from a file or folder: OSV, the zip of Go's database, RustSec, CVE records.

Anybody may have made these files, so every size has a limit, and a document that cannot be used is named and costs no
other one. Which kind a document is follows from its name: `.json` is OSV, `RUSTSEC-*.md` and `.toml` are RustSec's.
Folders called `index` are those of Go's zip, which repeat what the documents say.
"""

import enum
import errno
import json
import os
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path, PurePosixPath
from typing import Final, NamedTuple

from agents.vulnerabilities.advisory import Advisory, AdvisoryRefusal, Ecosystem
from agents.vulnerabilities.c_code import CVE_RECORD, read_cve_record, read_functions
from agents.vulnerabilities.osv import read_osv
from agents.vulnerabilities.rustsec import read_rustsec
from app.operators.regular_files import open_regular, read_regular

MAX_DOCUMENT_BYTES: Final = 8 << 20
"""The largest in osv.dev's export has some 3 MB."""

MAX_DOCUMENTS: Final = 1_000_000
"""osv.dev has some 500,000 of all ecosystems."""

MAX_DATABASE_BYTES: Final = 4 << 30
"""Of all documents, unpacked."""

MAX_ARCHIVE_BYTES: Final = 2 << 30

_KNOWN: Final = frozenset(one.value for one in Ecosystem)

_FUNCTIONS: Final = ".functions.toml"
"""How the name of a list of functions of somebody's own ends."""


class DocumentFault(enum.StrEnum):
    """Why a document of a database was not even parsed."""

    NOT_TEXT = "it is not UTF-8"
    UNREADABLE = "it cannot be read"
    NOT_JSON = "it is not JSON"
    TOO_LARGE = "it is larger than a document may be"
    DAMAGED = "the archive is damaged there"
    ENCRYPTED = "it is encrypted"
    REPEATED = "another document has this id, and says something else"


@dataclass(frozen=True, slots=True)
class RefusedDocument:
    """A document that cannot be used: its name in the database, why, and which field."""

    name: str
    reason: str
    where: str = ""


@dataclass(frozen=True, slots=True)
class VulnerabilityDatabase:
    """The advisories of a file or folder by id, and what was refused.

    `digest` is over the names and contents of all documents that could be read, in order of their names, so it does not
    depend on how they were packed. `dated` is the newest date in them.
    """

    source: str
    digest: str
    dated: str
    advisories: dict[str, Advisory]
    refused: tuple[RefusedDocument, ...]
    passed_over: int = 0
    """Documents about other ecosystems, which are not kept: osv.dev has half a million of them."""


class DatabaseFileError(Exception):
    """The file or folder is not a database, or larger than one may be; the message says which and why."""


class Document(NamedTuple):
    """A document by its name in the database, or why it cannot be read."""

    name: str
    content: bytes | DocumentFault


def read_database(path: Path) -> VulnerabilityDatabase:
    """The database at a path. Raises DatabaseFileError."""
    advisories: dict[str, Advisory] = {}
    refused: list[RefusedDocument] = []
    digest = sha256()
    size = count = passed_over = 0
    for name, content in documents(path):
        count += 1
        if isinstance(content, DocumentFault):
            refused.append(RefusedDocument(name, content.value))
            continue
        size += len(content)
        if size > MAX_DATABASE_BYTES or count > MAX_DOCUMENTS:
            raise DatabaseFileError(f"{path} is larger than a database may be, at {name}")
        digest.update(f"{name}\0{sha256(content).hexdigest()}\n".encode("utf-8", "surrogateescape"))
        read = _read(name, content)
        if isinstance(read, RefusedDocument):
            refused.append(read)
        elif read.affected and not any(one.ecosystem in _KNOWN for one in read.affected):
            passed_over += 1
        elif advisories.setdefault(read.advisory_id, read) != read:
            refused.append(RefusedDocument(name, DocumentFault.REPEATED.value, "id"))
    if not count:
        raise DatabaseFileError(f"{path} has no advisory: neither .json nor RUSTSEC-*.md or .toml nor *.functions.toml")
    dated = max((one.dated for one in advisories.values()), default="")
    return VulnerabilityDatabase(path.name, digest.hexdigest(), dated, advisories, tuple(refused), passed_over)


def documents(path: Path) -> Iterator[Document]:
    """The documents of a folder, an archive, or the file itself, in order of their names. Raises DatabaseFileError."""
    try:
        if path.is_dir():
            yield from _of_folder(path)
            return
        with open_regular(path) as file:
            is_archive = zipfile.is_zipfile(file)
            too_large = os.fstat(file.fileno()).st_size > MAX_ARCHIVE_BYTES
            if is_archive and too_large:
                raise DatabaseFileError(f"{path} has more than {MAX_ARCHIVE_BYTES:,} bytes")
            if is_archive:
                with zipfile.ZipFile(file) as archive:
                    yield from _of_archive(archive)
                return
        if _is_advisory(path.name):
            yield Document(path.name, read_regular(path, MAX_DOCUMENT_BYTES))
    except zipfile.BadZipFile as error:
        raise DatabaseFileError(f"{path} is a damaged archive: {error}") from None
    except OSError as error:
        raise DatabaseFileError(f"cannot read {path}: {error.strerror or error}") from None


def _of_folder(folder: Path) -> Iterator[Document]:
    found = (Path(place, name).relative_to(folder).as_posix() for place, _, names in os.walk(folder) for name in names)
    names = sorted(name for name in found if _is_advisory(name))
    for name in names:
        try:
            yield Document(name, read_regular(folder / name, MAX_DOCUMENT_BYTES))
        except OSError as error:
            if error.filename != str(folder / name):
                raise
            is_large = error.errno == errno.EFBIG
            yield Document(name, DocumentFault.TOO_LARGE if is_large else DocumentFault.UNREADABLE)


def _of_archive(archive: zipfile.ZipFile) -> Iterator[Document]:
    members = sorted((one for one in archive.infolist() if _is_advisory(one.filename)), key=lambda one: one.filename)
    for member in members:
        if member.flag_bits & 1:
            yield Document(member.filename, DocumentFault.ENCRYPTED)
            continue
        try:
            with archive.open(member) as file:
                content = file.read(MAX_DOCUMENT_BYTES + 1)  # the size that the archive says may be a lie
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError):
            yield Document(member.filename, DocumentFault.DAMAGED)
            continue
        is_whole = len(content) <= MAX_DOCUMENT_BYTES
        yield Document(member.filename, content if is_whole else DocumentFault.TOO_LARGE)


def _is_advisory(name: str) -> bool:
    path = PurePosixPath(name)
    if path.suffix == ".json":
        return "index" not in path.parts[:-1]
    is_rustsec = path.suffix in {".md", ".toml"} and path.name.startswith("RUSTSEC-")
    return is_rustsec or path.name.endswith(_FUNCTIONS)


def _read(name: str, content: bytes) -> Advisory | RefusedDocument:
    try:
        text = content.decode()
    except UnicodeDecodeError:
        return RefusedDocument(name, DocumentFault.NOT_TEXT.value)
    if name.endswith(".json"):
        try:
            document = json.loads(text)
            is_cve = isinstance(document, dict) and document.get("dataType") == CVE_RECORD
            read = read_cve_record(document) if is_cve else read_osv(document)
        except (ValueError, RecursionError):
            return RefusedDocument(name, DocumentFault.NOT_JSON.value)
    else:
        read = read_functions(text) if name.endswith(_FUNCTIONS) else read_rustsec(text)
    return RefusedDocument(name, read.fault.value, read.where) if isinstance(read, AdvisoryRefusal) else read
