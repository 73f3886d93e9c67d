"""Adds to a symbol store: objects first, then a snapshot that names them, then which snapshot is current.

Every file is written beside its place, synced and moved there. So a crash or a full disk leaves the store as it was, at
most with files that nothing names; the next writer removes those that are no objects. Others may read the files: a
stage may run under a user of its own. A lock lets one writer in at a time. No object is ever changed or removed, so a
running stage and an old manifest keep what they refer to; a damaged index is replaced.
"""

import enum
import fcntl
import shutil
import tempfile
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import IO, Self

from agents.symbols.index import SymbolIndex
from agents.symbols.index_format import SymbolOrigin
from app.files.folders import make_folder
from app.files.replacing import SHARED, replace_file, sync_file, sync_folder
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
    REPAIRED = "replaced a damaged index"
    UNCHANGED = "there already"
    CONFLICT = "another file with this build id is there, with different code"


class StoreWriter:
    """A context in which things are added; nothing is visible before `commit`."""

    def __init__(self, folder: Path) -> None:
        """Makes the store in `folder` if it has none. Raises SymbolStoreError if the folder cannot be used."""
        self.folder = folder
        try:
            for part in ("objects", "snapshots"):
                make_folder(folder / part)
            self._lock: IO[bytes] = (folder / "lock").open("ab")
        except OSError as error:
            raise SymbolStoreError(f"{folder} cannot be written: {error.strerror}") from error

    def __enter__(self) -> Self:
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._lock.close()
            raise SymbolStoreError(f"{self.folder} is being written by another process") from error
        self._remove_leftovers()
        if (self.folder / "format").exists():
            self.snapshot = read_snapshot(self.folder)
        else:
            self._make_empty()
        self._scratch = tempfile.TemporaryDirectory(prefix="new-", dir=self.folder, ignore_cleanup_errors=True)
        self.scratch = Path(self._scratch.name)
        """A folder for files that are not objects yet; gone afterwards."""
        return self

    def __exit__(self, *_: object) -> None:
        self._scratch.cleanup()
        self._lock.close()

    def _make_empty(self) -> None:
        """Make an empty store, or go on where its making was interrupted."""
        self.snapshot = Snapshot()
        current = self.folder / "current"
        if current.exists() and current.read_bytes() != f"{self.snapshot.digest}\n".encode():
            raise SymbolStoreError(f"{self.folder} is a symbol store whose file `format` is missing: restore it")
        self.commit()
        replace_file(self.folder / "format", FORMAT_LINE.encode(), SHARED)

    def _remove_leftovers(self) -> None:
        """Remove what a killed writer left."""
        for left in self.folder.glob("new-*"):
            shutil.rmtree(left, ignore_errors=True)
        for left in self.folder.glob("*/*.partial"):
            left.unlink(missing_ok=True)

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
        if kept in {Kept.ADDED, Kept.REPLACED, Kept.REPAIRED}:
            path.chmod(SHARED)
            sync_file(path)
            path.replace(object_path(self.folder, digest))
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
        replace_file(object_path(self.folder, digest), content, SHARED)
        self.snapshot = snapshot

    def commit(self) -> str:
        """Make everything kept so far current; returns the store's digest."""
        digest = self.snapshot.digest
        sync_folder(self.folder / "objects")
        replace_file(self.folder / "snapshots" / digest, self.snapshot.text.encode(), SHARED)
        replace_file(self.folder / "current", f"{digest}\n".encode(), SHARED)
        return digest

    def _compared(self, index: SymbolIndex, known_digest: str) -> Kept:
        try:
            known = open_index(object_path(self.folder, known_digest), index.build_id, known_digest)
        except SymbolStoreError:
            return Kept.REPAIRED
        if known.code_digest != index.code_digest:
            return Kept.CONFLICT
        poorer = _names_grade(index) < _names_grade(known) or bool(index.line_count) < bool(known.line_count)
        gains = (_names_grade(index), index.line_count, index.range_count)
        if known.format < index.format and not poorer:
            return Kept.REPLACED
        if poorer or gains <= (_names_grade(known), known.line_count, known.range_count):
            return Kept.UNCHANGED
        return Kept.REPLACED


def _names_grade(index: SymbolIndex) -> int:
    """How complete the names of an index are, by where they came from."""
    if index.origins & (SymbolOrigin.SYMTAB | SymbolOrigin.DEBUG_FILE | SymbolOrigin.GOPCLNTAB):
        return 3
    if index.origins & SymbolOrigin.GNU_DEBUGDATA:
        return 2
    return 1 if index.origins & SymbolOrigin.DYNSYM else 0
