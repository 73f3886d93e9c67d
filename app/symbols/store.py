"""An open symbol store: one snapshot, whose answers do not change while it is open, whatever is added meanwhile.

Rules: indexes are mapped when first asked for and checked then; a damaged one ends the process, for an answer that
silently depends on a broken file is evidence of nothing. Refuses to know how indexes are made (store_writer.py).
"""

import mmap
from collections import OrderedDict
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Final, Self

from agents.canonicalize.frames import Resolved, Unresolved
from agents.canonicalize.symbol_index import IndexFormatError, SymbolIndex
from app.symbols.name_maps import decode_map, image_scope, scopes_of_node
from app.symbols.snapshot import Kind, Snapshot, SymbolStoreError, object_path, read_snapshot

# Each takes a file descriptor, of which a process has 1,024 by default. A node runs code from a few hundred files.
MAX_OPEN_INDEXES: Final = 256
# Of images and nodes; a map of a distribution's image has 2,000 pairs of some 150 bytes.
_CACHED_MAPS: Final = 256
_CACHED_NODES: Final = 4096


class SymbolStore:
    """A snapshot of a store; `SymbolSource` in agents/canonicalize/module_identity.py."""

    def __init__(self, folder: Path, snapshot: Snapshot) -> None:
        """Use `open`."""
        self.folder = folder
        self.snapshot = snapshot
        self.digest = snapshot.digest
        self._indexes = snapshot.of_kind(Kind.INDEX)
        self._module_maps = snapshot.of_kind(Kind.MODULES)
        self._kernel_maps = snapshot.of_kind(Kind.KERNEL)
        self._opened: OrderedDict[str, SymbolIndex] = OrderedDict()
        self._map = lru_cache(maxsize=_CACHED_MAPS)(self._read_map)
        self._node_module_maps = lru_cache(maxsize=_CACHED_NODES)(
            lambda node: [self._module_maps[scope] for scope in scopes_of_node(self._module_maps, node)]
        )
        self._node_kernel_maps = lru_cache(maxsize=_CACHED_NODES)(
            lambda node: [self._kernel_maps[scope] for scope in scopes_of_node(self._kernel_maps, node)][:1]
        )

    @classmethod
    def open(cls, folder: Path, digest: str | None = None) -> Self:
        """The store in `folder`, at the snapshot `digest` or the current one. Raises SymbolStoreError."""
        return cls(folder, read_snapshot(folder, digest))

    def lookup(self, build_id: str, file_offset: int, *, innermost: bool) -> Resolved | Unresolved:
        """The function at `file_offset` of the file `build_id`. Raises SymbolStoreError where its index is damaged."""
        index = self.index(build_id)
        return Unresolved.NO_INDEX if index is None else index.lookup(file_offset, innermost=innermost)

    def index(self, build_id: str) -> SymbolIndex | None:
        """The index of a build id, opened; None where there is none. Raises SymbolStoreError where it is damaged."""
        opened = self._opened.get(build_id)
        if opened is not None:
            self._opened.move_to_end(build_id)
            return opened
        digest = self._indexes.get(build_id)
        if digest is None:
            return None
        index = open_index(object_path(self.folder, digest), build_id, digest)
        self._opened[build_id] = index
        if len(self._opened) > MAX_OPEN_INDEXES:
            self._opened.popitem(last=False)
        return index

    def mapped_build_id(self, image_id: str, node_name: str, module: str) -> str | None:
        """The build id of `module` by the map of an image, or, where `image_id` is empty, by those of a node."""
        if image_id:
            digest = self._module_maps.get(image_scope(image_id))
            return None if digest is None else self._map(digest).get(module)
        for digest in self._node_module_maps(node_name):
            if (build_id := self._map(digest).get(module)) is not None:
                return build_id
        return None

    def kernel_module_on(self, node_name: str, symbol: str) -> str | None:
        """The kernel module of `symbol` by the kallsyms that fit a node best."""
        for digest in self._node_kernel_maps(node_name):
            return self._map(digest).get(symbol)
        return None

    def _read_map(self, digest: str) -> dict[str, str]:
        return decode_map(read_object(self.folder, digest))


def read_object(folder: Path, digest: str) -> bytes:
    """The content of a map object, checked. Raises SymbolStoreError."""
    path = object_path(folder, digest)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise SymbolStoreError(f"{path} cannot be read") from error
    if sha256(content).hexdigest() != digest:
        raise SymbolStoreError(f"{path} is damaged")
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
