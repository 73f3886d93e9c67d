"""The files of a symbol store as a watch asks for them: by build id, path and file name, and by the names in them.

A damaged index or map is logged and taken for a missing one: an answer can only say less for it.
"""

import logging
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from posixpath import basename
from typing import Final

from agents.hot_symbols.watch.file_places import FilePlaces
from agents.hot_symbols.watch.files import FileNames, NoNames
from agents.probes.hook_windows import FileEntries
from agents.symbols.function_names import FunctionNames
from app.symbols.module_maps import ModuleMap
from app.symbols.name_maps import NODE_SCOPE
from app.symbols.snapshot import ObjectKind, SymbolStoreError, snapshot_digests, snapshot_path
from app.symbols.store import SymbolStore

log = logging.getLogger(__name__)

_OPEN_NAMES: Final = 256
"""As many as a store keeps open; each takes a few hundred bytes besides."""

_OPEN_SNAPSHOTS: Final = 16
"""Other snapshots that rows name; each is a list of a store's objects, some MB for a large one."""


class StoreFiles:
    """A snapshot of a store; `KnownFiles` in agents/hot_symbols/watch/files.py."""

    def __init__(self, store: SymbolStore) -> None:
        self._store = store
        self.digest = store.digest
        self.names: Callable[[str], FunctionNames | NoNames] = lru_cache(maxsize=_OPEN_NAMES)(
            lambda build_id: _names(self._store, build_id)
        )
        self._then = lru_cache(maxsize=_OPEN_SNAPSHOTS)(self._store_then)
        self._older = lru_cache(maxsize=_OPEN_NAMES)(self._names_then)
        self._before: Sequence[str] | None = None

    def build_ids(self, modules: Collection[str]) -> Mapping[str, Collection[str]]:
        """The build ids that any map ever had for each of these paths or file names; each map is read once."""
        paths = {module for module in modules if "/" in module}
        files = set(modules) - paths
        found: dict[str, set[str]] = {}
        for _, known in self._module_maps() if modules else ():
            for path in paths & known.keys():
                found.setdefault(path, set()).update(one.build_id for one in known[path])
            for path, several in known.items() if files else ():
                if (name := basename(path)) in files:
                    found.setdefault(name, set()).update(one.build_id for one in several)
        return found

    def places(self, build_ids: Collection[str]) -> Mapping[str, FilePlaces]:
        """Where any map ever had these files; each map is read once."""
        wanted, paths = frozenset(build_ids), dict[str, set[str]]()
        in_images: set[str] = set()
        for scope, known in self._module_maps() if wanted else ():
            for path, several in known.items():
                for build_id in wanted.intersection(one.build_id for one in several):
                    if scope.startswith(NODE_SCOPE):
                        paths.setdefault(build_id, set()).add(path)
                    else:
                        in_images.add(build_id)
        return {
            build_id: FilePlaces(frozenset(paths.get(build_id, ())), build_id in in_images)
            for build_id in {*paths, *in_images}
        }

    def entries(self, build_id: str) -> FileEntries | None:
        """Where the functions of a file begin, for hooks; None where no index tells for sure."""
        if isinstance(self.names(build_id), NoNames) or self._store.layouts(build_id):
            return None
        return NamedEntries(lambda: self.names(build_id))

    def _module_maps(self) -> Iterator[tuple[str, ModuleMap]]:
        """All maps by scope; one that is damaged is logged and left out."""
        for scope, digest in sorted(self._store.snapshot.of_kind(ObjectKind.MODULES).items()):
            try:
                yield scope, self._store.read_module_map(digest)
            except SymbolStoreError as error:
                log.warning("a map of the symbol store is left out: %s", error)

    def names_then(self, build_id: str, snapshot: str) -> FileNames | NoNames:
        """The index that a build id had in a snapshot; what `names` gives if it is the same."""
        if snapshot == self.digest:
            return self.names(build_id)
        store = self._then(snapshot)
        if store is None:
            return NoNames.NO_INDEX
        then, now = (one.snapshot.of_kind(ObjectKind.INDEX).get(build_id) for one in (store, self._store))
        return self.names(build_id) if then == now else self._older(build_id, snapshot)

    def names_before(self, build_id: str) -> Collection[FileNames]:
        """Other indexes of the same code that the newest `_OPEN_SNAPSHOTS` snapshots have of a build id."""
        if self._before is None:
            self._before = _older_snapshots(self._store)
        found = (self.names_then(build_id, snapshot) for snapshot in self._before)
        now = self.names(build_id)
        return {id(one): one for one in found if not isinstance(one, NoNames) and one is not now}.values()

    def _store_then(self, snapshot: str) -> SymbolStore | None:
        try:
            return SymbolStore.open(self._store.folder, snapshot)
        except SymbolStoreError as error:
            log.warning("names of an older snapshot cannot be resolved: %s", error)
            return None

    def _names_then(self, build_id: str, snapshot: str) -> FileNames | NoNames:
        store, now = self._then(snapshot), self.names(build_id)
        then = NoNames.NO_INDEX if store is None else _names(store, build_id)
        if isinstance(then, NoNames) or isinstance(now, NoNames):
            return NoNames.NO_INDEX
        return then if then.code_digest == now.code_digest else NoNames.NO_INDEX


class NamedEntries:
    """`FileEntries` of agents/probes, from an index that is open while it is read."""

    def __init__(self, names: Callable[[], FunctionNames | NoNames]) -> None:
        self._names = names

    def entries(self, symbol: str) -> Collection[int]:
        """The addresses of all functions that have this name; not of code that only chooses one."""
        names = self._names()
        codes = () if isinstance(names, NoNames) else names.codes(symbol)
        return [code.address for code in codes if not code.is_resolver]

    def address_of(self, file_offset: int) -> int | None:
        """The address of a place in the file; None where no code is there."""
        names = self._names()
        return None if isinstance(names, NoNames) else names.address_of(file_offset)


def _older_snapshots(store: SymbolStore) -> Sequence[str]:
    """The newest of those that are not in use."""
    try:
        others = [one for one in snapshot_digests(store.folder) if one != store.digest]
        return sorted(others, key=lambda one: -snapshot_path(store.folder, one).stat().st_mtime_ns)[:_OPEN_SNAPSHOTS]
    except (OSError, SymbolStoreError) as error:
        log.warning("older snapshots of the symbol store are left out: %s", error)
        return ()


def _names(store: SymbolStore, build_id: str) -> FunctionNames | NoNames:
    if build_id in store.ambiguous:
        return NoNames.AMBIGUOUS
    try:
        index = store.index(build_id)
    except SymbolStoreError as error:
        log.warning("an index of the symbol store is left out: %s", error)
        return NoNames.NO_INDEX
    return NoNames.NO_INDEX if index is None else FunctionNames(index)


def files_of(folder: Path | None) -> StoreFiles | None:
    """The files of the store in `folder`; None where there is none. Raises SymbolStoreError if it cannot be read."""
    return None if folder is None else StoreFiles(SymbolStore.open(folder))


def names_in(folder: Path | None) -> Callable[[str], FileNames | NoNames] | None:
    """The index of a build id in the store in `folder`; None where there is no store. Raises SymbolStoreError."""
    files = files_of(folder)
    return None if files is None else files.names


class FollowedStore:
    """The current snapshot of a store, which `symbols add` may change meanwhile."""

    def __init__(self, folder: Path | None) -> None:
        """None where there is no store."""
        self._folder = folder
        self.files: StoreFiles | None = None
        """The files as they were at the last look; None as long as no store could be read."""
        self.look()

    def look(self) -> bool:
        """Take the current snapshot, and say whether it is another one. A store that cannot be read changes nothing."""
        if self._folder is None:
            return False
        try:
            store = SymbolStore.open(self._folder)
        except SymbolStoreError as error:
            log.warning("the symbol store cannot be read, and answers to watches go on without it: %s", error)
            return False
        if self.files is not None and store.digest == self.files.digest:
            return False
        self.files = StoreFiles(store)
        return True
