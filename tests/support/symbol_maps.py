"""Maps of a symbol store as tests write and ask them."""

from collections.abc import Mapping
from typing import Final

from agents.symbols.lookup import RootOwner, Scope
from app.symbols.module_maps import MappedFile
from app.symbols.store import StoreMaps, SymbolStore
from app.symbols.store_writer import StoreWriter
from schemas.node import NodeId

NOW_NS: Final = 2_000_000_000 * 10**9


def put_modules(writer: StoreWriter, scope: str, build_ids: Mapping[str, str]) -> None:
    """Record files that were always there."""
    writer.merge_modules(scope, {module: [MappedFile(build_id)] for module, build_id in build_ids.items()})


def host_scope(name: str = "n", cluster: str = "") -> Scope:
    """A process that sees the files of a node."""
    return Scope("", RootOwner.HOST, NodeId(cluster, name))


def image_of(image_id: str, node: str = "n", architecture: str = "") -> Scope:
    """A process in a container."""
    return Scope(image_id, RootOwner.CONTAINER, NodeId("", node), architecture)


def maps_now(store: SymbolStore, scope: Scope) -> StoreMaps:
    """What the maps say of the present."""
    return store.maps(scope).at(NOW_NS)
