"""Checks every object of a store's current snapshot against the digest that names it."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from app.symbols.layouts import decode_layouts
from app.symbols.module_maps import decode_module_map
from app.symbols.name_maps import decode_map
from app.symbols.shared_build_ids import decode_codes
from app.symbols.snapshot import Entry, ObjectKind, SymbolStoreError, object_path
from app.symbols.store import SymbolStore, decode_packages, open_index, read_object

_DECODERS: Final[Mapping[ObjectKind, Callable[[bytes], object]]] = {
    ObjectKind.MODULES: decode_module_map,
    ObjectKind.KERNEL: decode_map,
    ObjectKind.CODES: decode_codes,
    ObjectKind.LAYOUTS: decode_layouts,
    ObjectKind.PACKAGES: decode_packages,
}


@dataclass(frozen=True, slots=True)
class Checked:
    """An object, and its fault; None if it is intact."""

    entry: Entry
    fault: str | None


def check_objects(store: SymbolStore) -> Iterator[Checked]:
    """Read every object of the snapshot."""
    for entry in store.snapshot.entries:
        try:
            if entry.kind == ObjectKind.INDEX.value:
                open_index(object_path(store.folder, entry.digest), entry.key, entry.digest)
            else:
                _DECODERS[ObjectKind(entry.kind)](read_object(store.folder, entry.digest))
        except SymbolStoreError as error:
            yield Checked(entry, str(error))
        else:
            yield Checked(entry, None)
