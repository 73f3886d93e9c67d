"""An open symbol store: one snapshot, whose answers do not change while it is open, whatever is added meanwhile.

An index is mapped and checked when it is first used. A damaged one ends the process: an answer that silently depends on
a broken file is evidence of nothing.
"""

import mmap
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Final, Self

from agents.symbols.index import SymbolIndex
from agents.symbols.index_format import IndexFormatError
from agents.symbols.lookup import Resolved, Unresolved
from app.symbols.name_maps import decode_map, image_scope, scopes_of_node
from app.symbols.snapshot import ObjectKind, Snapshot, SymbolStoreError, object_path, read_snapshot
from schemas.node import NodeId

# Each takes a file descriptor, of which a process has 1,024 by default. A node runs code from a few hundred files.
MAX_OPEN_INDEXES: Final = 256
# Of images and nodes; a map of a distribution's image has 2,000 pairs of some 150 bytes.
_CACHED_MAPS: Final = 256
# Nodes and images of a fleet.
_CACHED_NAMES: Final = 4096
_REPAIR: Final = "restore it, or have the store's file `current` name an earlier snapshot"


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
        self._open_index = lru_cache(maxsize=MAX_OPEN_INDEXES)(
            lambda build_id, digest: open_index(object_path(folder, digest), build_id, digest)
        )
        self.read_map = lru_cache(maxsize=_CACHED_MAPS)(lambda digest: decode_map(read_object(folder, digest)))
        """A map object by its digest. Raises SymbolStoreError if it is damaged."""
        self._image_module_maps = lru_cache(maxsize=_CACHED_NAMES)(self._maps_of_image)
        self._node_module_maps = lru_cache(maxsize=_CACHED_NAMES)(lambda node: _of_node(self._module_maps, node))
        self._node_kernel_maps = lru_cache(maxsize=_CACHED_NAMES)(lambda node: _of_node(self._kernel_maps, node)[:1])
        # not bounded by number: it has what the snapshot's maps combine to, one of the first and one of the second
        self._maps_of = cache(lambda modules, kernel: StoreMaps(self, modules, kernel))

    @classmethod
    def open(cls, folder: Path, digest: str | None = None) -> Self:
        """The store in `folder`, at the snapshot `digest` or the current one. Raises SymbolStoreError."""
        return cls(folder, read_snapshot(folder, digest))

    def lookup(self, build_id: str, file_offset: int, *, innermost: bool) -> Resolved | Unresolved:
        """The function at `file_offset` of the file `build_id`. Raises SymbolStoreError if its index is damaged."""
        index = self.index(build_id)
        return Unresolved.NO_INDEX if index is None else index.lookup(file_offset, innermost=innermost)

    def index(self, build_id: str) -> SymbolIndex | None:
        """The index of a build id, opened; None if the store has none. Raises SymbolStoreError if it is damaged."""
        digest = self._indexes.get(build_id)
        return None if digest is None else self._open_index(build_id, digest)

    def maps(self, image_id: str, node: NodeId, is_contained: bool) -> "StoreMaps":
        """The maps that hold for a process: its image's, or those of its node if it is not contained.

        A contained process whose image Tetragon did not name has none: it must not count as one of its node.
        """
        if image_id:
            modules = self._image_module_maps(image_id)
        else:
            modules = () if is_contained else self._node_module_maps(node)
        return self._maps_of(modules, self._node_kernel_maps(node))

    def _maps_of_image(self, image_id: str) -> tuple[str, ...]:
        digest = self._module_maps.get(image_scope(image_id))
        return () if digest is None else (digest,)


@dataclass(frozen=True, slots=True, eq=False)
class StoreMaps:
    """Maps of a store, the first that has a name wins; `ScopeMaps` in agents/symbols/lookup.py."""

    store: SymbolStore
    modules: tuple[str, ...]
    kernel: tuple[str, ...]

    def build_id(self, module: str) -> str | None:
        """The build id of a normalized module. Raises SymbolStoreError if a map is damaged."""
        return self._first(self.modules, module)

    def kernel_module(self, symbol: str) -> str | None:
        """The kernel module of `symbol`. Raises SymbolStoreError if a map is damaged."""
        return self._first(self.kernel, symbol)

    def _first(self, digests: tuple[str, ...], name: str) -> str | None:
        for digest in digests:
            if (found := self.store.read_map(digest).get(name)) is not None:
                return found
        return None


def _of_node(maps: Mapping[str, str], node: NodeId) -> tuple[str, ...]:
    return tuple(maps[scope] for scope in scopes_of_node(maps, node))


def read_object(folder: Path, digest: str) -> bytes:
    """The content of a map object, checked. Raises SymbolStoreError."""
    path = object_path(folder, digest)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise SymbolStoreError(f"{path} cannot be read: {_REPAIR}") from error
    if sha256(content).hexdigest() != digest:
        raise SymbolStoreError(f"{path} is damaged: {_REPAIR}")
    return content


def open_index(path: Path, build_id: str, digest: str) -> SymbolIndex:
    """Map an index object and check it: its trailing checksum is its name. Raises SymbolStoreError."""
    try:
        with path.open("rb") as stream:
            view = memoryview(mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ))
        index = SymbolIndex(view)
    except (OSError, ValueError, IndexFormatError) as error:
        raise SymbolStoreError(f"{path} is damaged or missing: {error}") from error
    if index.build_id != build_id or index_digest(view) != digest:
        raise SymbolStoreError(f"{path} is another index than its name says")
    return index


def index_digest(view: memoryview) -> str:
    """The name of an index object: the SHA-256 that stands at its end, lower hex."""
    return bytes(view[-sha256().digest_size :]).hex()
