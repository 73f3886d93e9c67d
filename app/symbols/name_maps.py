"""Where the maps of a symbol store hold, and the text of those that go from name to name.

A scope says where a map holds: `image:ID`, `node:NAME` or `node:CLUSTER/NAME`. An image is known by its digest
(`sha256:...`), whichever repository it came from. Kernel maps go from symbol to kernel module: one pair a line,
separated by a tab, sorted. Module maps are in module_maps.py.
"""

import re
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from typing import Final

from app.symbols.snapshot import SymbolStoreError
from schemas.node import NodeId

NODE_SCOPE: Final = "node:"
"""How the scopes of nodes begin."""
_IMAGE_DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}")


def image_scope(image_id: str) -> str:
    """The scope of an image, by its digest if the id has one (`repository@sha256:...`)."""
    found = _IMAGE_DIGEST.search(image_id)
    return "image:" + (found[0] if found else image_id)


def node_scope(node: str) -> str:
    """The scope of a node as text (`CLUSTER/NAME`), or of all nodes that a pattern with `*` and `?` matches.

    Cluster and name match apart. Without a cluster only nodes match whose agent names none.
    """
    return NODE_SCOPE + node


def scopes_of_node(scopes: Iterable[str], node: NodeId) -> list[str]:
    """The scopes that hold for a node, most specific first: its own, then patterns, longest first."""
    own = node_scope(str(node))
    matching = [scope for scope in scopes if scope == own or (scope.startswith(NODE_SCOPE) and _matches(own, scope))]
    return sorted(matching, key=lambda scope: (scope != own, -len(scope), scope))


def _matches(own: str, scope: str) -> bool:
    return all(fnmatchcase(part, pattern) for part, pattern in zip(_parts(own), _parts(scope), strict=True))


def _parts(scope: str) -> tuple[str, str]:
    """Cluster and name, as they stand in a scope."""
    cluster, slash, name = scope.removeprefix(NODE_SCOPE).partition("/")
    return (cluster, name) if slash else ("", cluster)


def encode_map(pairs: Mapping[str, str]) -> bytes:
    """The text of a map, UTF-8. Raises ValueError if a key or a value holds a tab or the end of a line."""
    if any(c in text for pair in pairs.items() for text in pair for c in "\t\r\n"):
        raise ValueError("a name with a tab or the end of a line in it")
    return "".join(f"{key}\t{value}\n" for key, value in sorted(pairs.items())).encode()


def decode_map(content: bytes) -> dict[str, str]:
    """The map that was encoded as `content`. Raises SymbolStoreError."""
    try:
        return dict(line.split("\t") for line in content.decode().split("\n")[:-1])
    except ValueError as error:
        raise SymbolStoreError("a map has a line that is not a pair") from error
