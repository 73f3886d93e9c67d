"""An open symbol store: one snapshot, whose answers do not change while it is open, whatever is added meanwhile.

An index is mapped and checked when it is first used. A damaged one ends the process: an answer that silently depends on
a broken file is evidence of nothing.
"""

import mmap
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Final, Self

from agents.symbols.index import SymbolIndex
from agents.symbols.index_format import IndexFormatError
from agents.symbols.lookup import Resolved, RootOwner, Scope, Unresolved
from agents.vulnerabilities.file_packages import FilePackages
from app.symbols.layouts import Layout, decode_layouts, other_offset
from app.symbols.module_maps import CLOCK_DOUBT_NS, MACHINES, changes, decode_module_map, file_at
from app.symbols.name_maps import decode_map, image_scope, scopes_of_node
from app.symbols.shared_build_ids import decode_codes
from app.symbols.snapshot import CURE, ObjectKind, Snapshot, SymbolStoreError, object_path, read_snapshot
from schemas.node import NodeId

# Each takes a file descriptor, of which a process has 1,024 by default. A node runs code from a few hundred files.
MAX_OPEN_INDEXES: Final = 256
# Of images and nodes; a map of a distribution's image has 2,000 pairs of some 150 bytes.
_CACHED_MAPS: Final = 256
# Nodes and images of a fleet.
_CACHED_NAMES: Final = 4096


class SymbolStore:
    """A snapshot of a store; `SymbolSource` in agents/symbols/lookup.py."""

    def __init__(self, folder: Path, snapshot: Snapshot) -> None:
        """Use `open`."""
        self.folder = folder
        self.snapshot = snapshot
        self.digest = snapshot.digest
        self._indexes = snapshot.of_kind(ObjectKind.INDEX)
        self._module_maps = snapshot.of_kind(ObjectKind.MODULES)
        self._kernel_maps = snapshot.of_kind(ObjectKind.KERNEL)
        self._packages = snapshot.of_kind(ObjectKind.PACKAGES)
        self._open_index = lru_cache(maxsize=MAX_OPEN_INDEXES)(
            lambda build_id, digest: open_index(object_path(folder, digest), build_id, digest)
        )
        self.read_map = lru_cache(maxsize=_CACHED_MAPS)(lambda digest: decode_map(read_object(folder, digest)))
        """A map of kernel symbols by its digest. Raises SymbolStoreError if it is damaged."""
        self.read_module_map = lru_cache(maxsize=_CACHED_MAPS)(
            lambda digest: decode_module_map(read_object(folder, digest))
        )
        """A module map by its digest. Raises SymbolStoreError if it is damaged."""
        self._image_module_maps = lru_cache(maxsize=_CACHED_NAMES)(self._maps_of_image)
        self._node_module_maps = lru_cache(maxsize=_CACHED_NAMES)(lambda node: _of_node(self._module_maps, node))
        self._node_kernel_maps = lru_cache(maxsize=_CACHED_NAMES)(lambda node: _of_node(self._kernel_maps, node)[:1])
        # no bound on their number: the snapshot has only so many maps to put together
        self._maps_of = cache(lambda *of: StoreMapsOverTime(self, *of))
        self.maps_at = cache(lambda *of: StoreMaps(self, *of))
        """The one `StoreMaps` of its arguments."""
        codes = snapshot.of_kind(ObjectKind.CODES)
        self.ambiguous = frozenset(one for one in codes if decode_codes(read_object(folder, codes[one])).are_ambiguous)
        """Build ids that files with different code share, and of which nobody said which one is meant."""
        self._layouts = snapshot.of_kind(ObjectKind.LAYOUTS)
        self._layouts_of = lru_cache(maxsize=MAX_OPEN_INDEXES)(
            lambda digest: decode_layouts(read_object(folder, digest))
        )

    @classmethod
    def open(cls, folder: Path, digest: str | None = None) -> Self:
        """The store in `folder`, at the snapshot `digest` or the current one. Raises SymbolStoreError."""
        return cls(folder, read_snapshot(folder, digest))

    def lookup(self, build_id: str, file_offset: int, *, innermost: bool) -> Resolved | Unresolved:
        """The function at `file_offset` of the file `build_id`. Raises SymbolStoreError if its index is damaged.

        Where files of that build id have code at different offsets, it is named only if they agree.
        """
        if build_id in self.ambiguous:
            return Unresolved.AMBIGUOUS
        index = self.index(build_id)
        if index is None:
            return Unresolved.NO_INDEX
        found = index.lookup(file_offset, innermost=innermost)
        if build_id not in self._layouts:
            return found
        for layout in self.layouts(build_id):
            if layout == index.segments:
                continue
            offset = other_offset(file_offset, layout, index.segments)
            other = Unresolved.UNMAPPED if offset is None else index.lookup(offset, innermost=innermost)
            if found is Unresolved.UNMAPPED:
                found = other
            elif other not in (found, Unresolved.UNMAPPED):
                return Unresolved.AMBIGUOUS
        return found

    def layouts(self, build_id: str) -> tuple[Layout, ...]:
        """Where the files of a build id have its code, if that differs."""
        digest = self._layouts.get(build_id)
        return () if digest is None else self._layouts_of(digest)

    def index(self, build_id: str) -> SymbolIndex | None:
        """The index of a build id, opened; None if the store has none. Raises SymbolStoreError if it is damaged."""
        digest = self._indexes.get(build_id)
        return None if digest is None else self._open_index(build_id, digest)

    def packages(self, key: str) -> FilePackages | None:
        """What is known of the files of a build id, or of an image by its scope. Raises SymbolStoreError."""
        digest = self._packages.get(key)
        return None if digest is None else decode_packages(read_object(self.folder, digest))

    def ambiguous_modules(self) -> list[tuple[str, str]]:
        """Scopes and modules of which one of several files lies there today, if no architecture is known."""
        return [(scope, module) for scope in sorted(self._module_maps) for module in self.ambiguous_in(scope)]

    def ambiguous_in(self, scope: str) -> list[str]:
        """Such modules of one scope; none if it has no map."""
        digest = self._module_maps.get(scope)
        if digest is None:
            return []
        return sorted(
            module
            for module, files in self.read_module_map(digest).items()
            if isinstance(file_at(files, files[-1].since_ns + CLOCK_DOUBT_NS, None), Unresolved)
        )

    def maps(self, scope: Scope) -> "StoreMapsOverTime":
        """The maps that hold for a process: its image's, or those of its node if it sees the host's files.

        A process of which nothing says whose files it sees has none, nor has one in an image that nobody named.
        """
        image_id, root, node, architecture = scope
        modules: tuple[str, ...] = ()
        if root is RootOwner.HOST:
            modules = self._node_module_maps(node)
        elif root is RootOwner.CONTAINER and image_id:
            modules = self._image_module_maps(image_id)
        known = architecture if modules and architecture in MACHINES else ""
        return self._maps_of(modules, self._node_kernel_maps(node), known)

    def _maps_of_image(self, image_id: str) -> tuple[str, ...]:
        digest = self._module_maps.get(image_scope(image_id))
        return () if digest is None else (digest,)


class StoreMapsOverTime:
    """Maps of a store; `TimedMaps` in agents/symbols/lookup.py."""

    def __init__(
        self, store: SymbolStore, modules: tuple[str, ...], kernel: tuple[str, ...], architecture: str
    ) -> None:
        """Raises SymbolStoreError if a map is damaged."""
        maps = map(store.read_module_map, modules)
        self._begins = sorted({moment for known in maps for files in known.values() for moment in changes(files)})
        self._at = lru_cache(maxsize=_CACHED_NAMES)(
            lambda after: store.maps_at(modules, kernel, architecture, self._begins[after - 1] if after else 0)
        )

    def at(self, time_ns: int) -> "StoreMaps":
        """What they said at a moment. Nothing changes between two moments at which a file came."""
        return self._at(bisect_right(self._begins, time_ns))


@dataclass(frozen=True, slots=True, eq=False)
class StoreMaps:
    """Maps of a store at a moment, the first that has a name wins; `ScopeMaps` in agents/symbols/lookup.py."""

    store: SymbolStore
    modules: tuple[str, ...]
    kernel: tuple[str, ...]
    architecture: str
    time_ns: int

    def build_id(self, module: str) -> str | Unresolved | None:
        """The build id of a normalized module. Raises SymbolStoreError if a map is damaged."""
        machines = MACHINES.get(self.architecture)
        for digest in self.modules:
            files = self.store.read_module_map(digest).get(module, ())
            if (found := file_at(files, self.time_ns, machines)) is not None:
                return found
        return None

    def kernel_module(self, symbol: str) -> str | None:
        """The kernel module of `symbol`. Raises SymbolStoreError if a map is damaged."""
        for digest in self.kernel:
            if (found := self.store.read_map(digest).get(symbol)) is not None:
                return found
        return None

    def on(self, architecture: str) -> "StoreMaps":
        """The same maps for a process whose kernel is of this architecture, if the scope did not say it."""
        if self.architecture or not self.modules:
            return self
        return self.store.maps_at(self.modules, self.kernel, architecture, self.time_ns)


def _of_node(maps: Mapping[str, str], node: NodeId) -> tuple[str, ...]:
    return tuple(maps[scope] for scope in scopes_of_node(maps, node))


def read_object(folder: Path, digest: str) -> bytes:
    """The content of a map object, checked. Raises SymbolStoreError."""
    path = object_path(folder, digest)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise SymbolStoreError(f"{path} cannot be read: {CURE}") from error
    if sha256(content).hexdigest() != digest:
        raise SymbolStoreError(f"{path} is damaged: {CURE}")
    return content


def decode_packages(content: bytes) -> FilePackages:
    """What is known of the files of a build id. Raises SymbolStoreError."""
    read = FilePackages.decoded(content)
    if isinstance(read, FilePackages):
        return read
    raise SymbolStoreError(f"packages of a file are damaged: {read.fault.value} ({read.where}); {CURE}")


def open_index(path: Path, build_id: str, digest: str) -> SymbolIndex:
    """Map an index object and check it: its trailing checksum is its name. Raises SymbolStoreError."""
    index, found = open_new_index(path, build_id)
    if found != digest:
        raise _misnamed(path, build_id)
    return index


def open_new_index(path: Path, build_id: str) -> tuple[SymbolIndex, str]:
    """Map an index file that is not an object yet and check it; the digest is its name as one.

    Raises SymbolStoreError.
    """
    try:
        with path.open("rb") as stream:
            view = memoryview(mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ))
        index = SymbolIndex(view)
    except (OSError, ValueError, IndexFormatError) as error:
        raise SymbolStoreError(f"{path} is damaged or missing: {error}; {_add_again(build_id)}") from error
    if index.build_id != build_id:
        raise _misnamed(path, build_id)
    return index, index_digest(view)


def _misnamed(path: Path, build_id: str) -> SymbolStoreError:
    return SymbolStoreError(f"{path} is another index than its name says; {_add_again(build_id)}")


def _add_again(build_id: str) -> str:
    return f"`callstream symbols add` of the file with build id {build_id} makes it again"


def index_digest(view: memoryview) -> str:
    """The name of an index object: the SHA-256 that stands at its end, lower hex."""
    return bytes(view[-sha256().digest_size :]).hex()
