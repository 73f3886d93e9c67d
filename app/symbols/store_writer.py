"""Adds to a symbol store: objects first, then a snapshot that names them, then which snapshot is current.

Every file is written under another name, flushed and renamed. So a crash leaves the store as it was, at most with files
that nothing names. A lock lets one writer in at a time. Nothing is ever changed or removed, so a running stage and an
old manifest keep what they refer to.
"""

import enum
import fcntl
import os
import tempfile
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import IO, Self

from agents.symbols.index import SymbolIndex
from agents.symbols.index_format import SymbolOrigin
from app.symbols.name_maps import decode_map, encode_map
from app.symbols.snapshot import (
    FORMAT_LINE,
    ObjectKind,
    Snapshot,
    SymbolStoreError,
    object_path,
    read_snapshot,
)
from app.symbols.store import index_digest, open_index, read_object


class Kept(enum.Enum):
    """What became of a new index; values are what people read."""

    ADDED = "added"
    REPLACED = "replaced a poorer index"
    UNCHANGED = "there already"
    CONFLICT = "another file with this build id is there, with different code"


class StoreWriter:
    """A context in which things are added; nothing is visible before `commit`."""

    def __init__(self, folder: Path) -> None:
        """Makes the store in `folder` if it has none. Raises SymbolStoreError if the folder cannot be used."""
        self.folder = folder
        try:
            for part in ("objects", "snapshots"):
                (folder / part).mkdir(parents=True, exist_ok=True)
            self._lock: IO[bytes] = (folder / "lock").open("ab")
        except OSError as error:
            raise SymbolStoreError(f"{folder} cannot be written: {error.strerror}") from error

    def __enter__(self) -> Self:
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._lock.close()
            raise SymbolStoreError(f"{self.folder} is being written by another process") from error
        if (self.folder / "format").exists():
            self.snapshot = read_snapshot(self.folder)
        else:
            self.snapshot = Snapshot()
            self.commit()
            self._write(self.folder / "format", FORMAT_LINE.encode())
        self._scratch = tempfile.TemporaryDirectory(prefix="new-", dir=self.folder)
        self.scratch = Path(self._scratch.name)
        """A folder for files that are not objects yet; gone afterwards."""
        return self

    def __exit__(self, *_: object) -> None:
        self._scratch.cleanup()
        self._lock.close()

    def known_index(self, build_id: str) -> Path | None:
        """The index object of a build id."""
        digest = self.snapshot.of_kind(ObjectKind.INDEX).get(build_id)
        return None if digest is None else object_path(self.folder, digest)

    def keep_index(self, path: Path, build_id: str, *, replace: bool = False) -> Kept:
        """Take the index file at `path`, which is moved, if it is better than the one in the store.

        `replace` takes it in any case. Raises SymbolStoreError if it is damaged.
        """
        view = memoryview(path.read_bytes())
        digest = index_digest(view)
        index = open_index(path, build_id, digest)
        known_digest = self.snapshot.of_kind(ObjectKind.INDEX).get(build_id)
        kept = Kept.ADDED
        if known_digest is not None:
            kept = Kept.REPLACED if replace and known_digest != digest else self._compared(index, known_digest)
        if kept in {Kept.ADDED, Kept.REPLACED}:
            _flush(path)
            path.rename(object_path(self.folder, digest))
            self.snapshot = self.snapshot.with_entry(ObjectKind.INDEX, build_id, digest)
        return kept

    def merge_map(self, kind: ObjectKind, scope: str, pairs: Mapping[str, str]) -> None:
        """Add pairs to the map of a scope; later ones win. Raises ValueError if a name cannot be written."""
        known = self.snapshot.of_kind(kind).get(scope)
        merged = {**(decode_map(read_object(self.folder, known)) if known else {}), **pairs}
        self.replace_map(kind, scope, merged)

    def replace_map(self, kind: ObjectKind, scope: str, pairs: Mapping[str, str]) -> None:
        """Put the map of a scope. Raises ValueError if a name cannot be written."""
        content = encode_map(pairs)
        digest = sha256(content).hexdigest()
        snapshot = self.snapshot.with_entry(kind, scope, digest)
        self._write(object_path(self.folder, digest), content)
        self.snapshot = snapshot

    def commit(self) -> str:
        """Make everything kept so far current; returns the store's digest."""
        digest = self.snapshot.digest
        _flush(self.folder / "objects")
        self._write(self.folder / "snapshots" / digest, self.snapshot.text.encode())
        self._write(self.folder / "current", f"{digest}\n".encode())
        return digest

    def _compared(self, index: SymbolIndex, known_digest: str) -> Kept:
        known = open_index(object_path(self.folder, known_digest), index.build_id, known_digest)
        if known.code_digest != index.code_digest:
            return Kept.CONFLICT
        poorer = _names_grade(index) < _names_grade(known) or bool(index.line_count) < bool(known.line_count)
        gains = (_names_grade(index), index.line_count, index.range_count)
        if known.format < index.format and not poorer:
            return Kept.REPLACED
        if poorer or gains <= (_names_grade(known), known.line_count, known.range_count):
            return Kept.UNCHANGED
        return Kept.REPLACED

    def _write(self, path: Path, content: bytes) -> None:
        descriptor, name = tempfile.mkstemp(dir=path.parent)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        os.chmod(name, 0o644)  # noqa: PTH101 - mkstemp's 0600 would hide the store from a stage's own user
        Path(name).rename(path)
        _flush(path.parent)


def _names_grade(index: SymbolIndex) -> int:
    """How complete the names of an index are, by where they came from."""
    if index.origins & (SymbolOrigin.SYMTAB | SymbolOrigin.DEBUG_FILE | SymbolOrigin.GOPCLNTAB):
        return 3
    if index.origins & SymbolOrigin.GNU_DEBUGDATA:
        return 2
    return 1 if index.origins & SymbolOrigin.DYNSYM else 0


def _flush(path: Path) -> None:
    """Have the disk write what was renamed or finished."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
