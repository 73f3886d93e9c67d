"""Adds to a symbol store: objects first, then a snapshot that names them, then which snapshot is current.

Every file is written beside its place, synced and moved there. So a crash or a full disk leaves the store as it was, at
most with files that nothing names; the next writer removes those that are not objects. Others may read the files: a
stage may run under a user of its own. A lock lets one writer in at a time. No object is ever changed or removed, so a
running stage and an old manifest keep what they refer to; a damaged index is replaced.
"""

import enum
import fcntl
import shutil
import tempfile
import time
from collections.abc import Iterable, Mapping
from dataclasses import replace as changed
from hashlib import sha256
from pathlib import Path
from typing import IO, Final, Self

from agents.symbols.index import SymbolIndex
from agents.vulnerabilities.file_packages import FilePackages
from app.files.folders import make_folder
from app.files.replacing import SHARED, replace_file, set_mode, sync_file, sync_folder
from app.symbols.layouts import Layout, decode_layouts, encode_layouts
from app.symbols.module_maps import MappedFile, ModuleMap, decode_module_map, encode_module_map, merged
from app.symbols.name_maps import encode_map
from app.symbols.richness import richness
from app.symbols.shared_build_ids import SharedBuildId, decode_codes, encode_codes
from app.symbols.snapshot import (
    FORMAT_LINE,
    ObjectKind,
    Snapshot,
    SymbolStoreError,
    is_store,
    object_path,
    read_snapshot,
    snapshot_path,
)
from app.symbols.store import decode_packages, open_index, open_new_index, read_object

_LOOK_AGAIN_SECONDS: Final = 0.2
"""Short beside the reading of a file, and one system call."""


class Kept(enum.Enum):
    """What became of a new index; values are what people read."""

    ADDED = "added"
    REPLACED = "replaced a poorer index"
    REPAIRED = "replaced a damaged index"
    UNCHANGED = "there already"
    MOVED = "there already, with its code elsewhere in the file"
    CONFLICT = "another file with this build id is there, with different code"


class StoreWriter:
    """A context in which things are added; nothing is visible before `commit`."""

    def __init__(self, folder: Path, wait_seconds: float = 0.0) -> None:
        """Makes the store in `folder` if it has none. Raises SymbolStoreError if the folder cannot be used.

        While another process writes the store, entering the context waits for `wait_seconds`.
        """
        self.folder = folder
        self._wait_seconds = wait_seconds
        try:
            for part in ("objects", "snapshots"):
                make_folder(folder / part)
            self._lock: IO[bytes] = (folder / "lock").open("ab")
        except OSError as error:
            raise SymbolStoreError(f"{folder} cannot be written: {error.strerror}") from error

    def __enter__(self) -> Self:
        self._take_lock()
        self._remove_leftovers()
        if is_store(self.folder):
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

    def _take_lock(self) -> None:
        deadline = time.monotonic() + self._wait_seconds
        while True:
            try:
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                if time.monotonic() >= deadline:
                    self._lock.close()
                    raise SymbolStoreError(f"{self.folder} is being written by another process") from error
                time.sleep(_LOOK_AGAIN_SECONDS)
            except OSError as error:
                self._lock.close()
                raise SymbolStoreError(f"{self.folder} cannot be locked: {error.strerror}") from error
            else:
                return

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
        index, digest = open_new_index(path, build_id)
        known_digest = self.snapshot.of_kind(ObjectKind.INDEX).get(build_id)
        kept = Kept.ADDED
        if known_digest is not None:
            kept = self._compared(index, digest, known_digest)
            if replace and known_digest != digest:
                if kept is Kept.CONFLICT:
                    self.choose_code(build_id, index.code_digest.hex())
                kept = Kept.REPLACED
        if kept in {Kept.ADDED, Kept.REPLACED, Kept.REPAIRED}:
            with path.open("rb") as file:
                set_mode(file.fileno(), SHARED)
            sync_file(path)
            path.replace(object_path(self.folder, digest))
            self.snapshot = self.snapshot.with_entry(ObjectKind.INDEX, build_id, digest)
        return kept

    def keep_packages(self, key: str, found: FilePackages, *, replace: bool = False) -> FilePackages:
        """Keep what was found of a file by build id, or of an image by its scope, beside what is known of it.

        `replace` forgets what was known.
        """
        digest = self.snapshot.of_kind(ObjectKind.PACKAGES).get(key)
        known = None if digest is None else decode_packages(read_object(self.folder, digest))
        joined = found if known is None or replace else known.joined(found)
        if joined != known:
            self._put(ObjectKind.PACKAGES, key, joined.encoded())
        return joined

    def module_map(self, scope: str) -> ModuleMap:
        """The module map of a scope, empty without one. Raises SymbolStoreError if it is damaged."""
        digest = self.snapshot.of_kind(ObjectKind.MODULES).get(scope)
        return {} if digest is None else decode_module_map(read_object(self.folder, digest))

    def merge_modules(self, scope: str, files: Mapping[str, Iterable[MappedFile]], *, replace: bool = False) -> None:
        """Add files to the module map of a scope; `replace` forgets what was known of their paths.

        Raises ValueError if a name cannot be written.
        """
        known = dict(self.module_map(scope))
        for module, added in files.items():
            known[module] = merged(() if replace else known.get(module, ()), added)
        self._put(ObjectKind.MODULES, scope, encode_module_map(known))

    def replace_map(self, kind: ObjectKind, scope: str, pairs: Mapping[str, str]) -> None:
        """Put the map of a scope. Raises ValueError if a name cannot be written."""
        self._put(kind, scope, encode_map(pairs))

    def _put(self, kind: ObjectKind, key: str, content: bytes) -> None:
        digest = sha256(content).hexdigest()
        snapshot = self.snapshot.with_entry(kind, key, digest)
        replace_file(object_path(self.folder, digest), content, SHARED)
        self.snapshot = snapshot

    def shared_build_id(self, build_id: str) -> SharedBuildId:
        """The codes that were seen under a build id, if there was more than one, and the chosen one."""
        digest = self.snapshot.of_kind(ObjectKind.CODES).get(build_id)
        return SharedBuildId() if digest is None else decode_codes(read_object(self.folder, digest))

    def note_codes(self, build_id: str, codes: Iterable[str]) -> None:
        """Remember that files with these codes have one build id."""
        shared = self.shared_build_id(build_id)
        found = changed(shared, codes=shared.codes.union(codes))
        if found != shared:
            self._put(ObjectKind.CODES, build_id, encode_codes(found))

    def choose_code(self, build_id: str, code: str) -> None:
        """Say which code is meant by a build id, now and whatever else comes."""
        shared = self.shared_build_id(build_id)
        self._put(ObjectKind.CODES, build_id, encode_codes(SharedBuildId(shared.codes | {code}, code)))

    def note_layout(self, build_id: str, layout: Layout) -> bool:
        """Remember where a further file of a build id has its code; False if that is known."""
        known = self.known_index(build_id)
        if known is None:
            return False
        return self._note_layouts(build_id, layout, open_index(known, build_id, known.name).segments)

    def _note_layouts(self, build_id: str, new: Layout, other: Layout) -> bool:
        """Remember two layouts of a build id, if they differ; whether the first one is news."""
        digest = self.snapshot.of_kind(ObjectKind.LAYOUTS).get(build_id)
        known = {other} if digest is None else {other, *decode_layouts(read_object(self.folder, digest))}
        if new in known:
            return False
        self._put(ObjectKind.LAYOUTS, build_id, encode_layouts({*known, new}))
        return True

    def commit(self) -> str:
        """Make everything kept so far current; returns the store's digest."""
        digest = self.snapshot.digest
        sync_folder(self.folder / "objects")
        replace_file(snapshot_path(self.folder, digest), self.snapshot.text.encode(), SHARED)
        replace_file(self.folder / "current", f"{digest}\n".encode(), SHARED)
        return digest

    def _compared(self, index: SymbolIndex, digest: str, known_digest: str) -> Kept:
        """Which index is better, of two of one build id. Codes and layouts that differ are remembered."""
        try:
            known = open_index(object_path(self.folder, known_digest), index.build_id, known_digest)
        except SymbolStoreError:
            return Kept.REPAIRED
        if known.code_digest != index.code_digest:
            self.note_codes(index.build_id, [known.code_digest.hex(), index.code_digest.hex()])
            return Kept.CONFLICT
        moved = self._note_layouts(index.build_id, index.segments, known.segments)
        ours, theirs = richness(index), richness(known)
        if ours > theirs or (ours == theirs and digest < known_digest):  # whichever was added first
            return Kept.REPLACED
        return Kept.MOVED if moved else Kept.UNCHANGED
