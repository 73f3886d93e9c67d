"""Build ids that loader events named, by node, with the receipt of the first and the last of these events."""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Final

from schemas.node import NodeId

MAX_BUILDS: Final = 16_384
"""Of nodes together, at some 300 bytes each. A node runs some hundred to some thousand files; a program that maps
files without end costs others no memory, and their files are still told of if they came before."""


@dataclass(slots=True)
class SeenOnNode:
    """By build id, as it was sent: when its first and its last event came. Milliseconds since the Unix epoch."""

    first_ms: dict[bytes, int] = field(default_factory=dict)
    last_ms: dict[bytes, int] = field(default_factory=dict)


class SeenBuilds:
    """What was seen since the last look."""

    def __init__(self, max_builds: int = MAX_BUILDS) -> None:
        self._found: dict[NodeId, SeenOnNode] = {}
        self._room = self._max_builds = max_builds
        self._left_out = 0

    def saw(self, node: NodeId, build_ids: AbstractSet[bytes], received_ms: int) -> None:
        """Loader events of a node, received together, named these."""
        found = self._found.get(node)
        if found is None:
            if not self._room:
                self._left_out += len(build_ids)
                return
            found = self._found[node] = SeenOnNode()
        if new := build_ids - found.first_ms.keys():
            told = sorted(new)[: self._room]
            self._room -= len(told)
            self._left_out += len(new) - len(told)
            found.first_ms |= dict.fromkeys(told, received_ms)
        found.last_ms |= dict.fromkeys(build_ids & found.first_ms.keys(), received_ms)

    def take(self) -> tuple[Mapping[NodeId, SeenOnNode], int]:
        """What was seen since the last call, and how many sightings there was no room for."""
        found, left_out = self._found, self._left_out
        self._found, self._room, self._left_out = {}, self._max_builds, 0
        return found, left_out
