"""What the records of runtime.placements say of some files: since when each node was seen to have them.

A record only grows, so all of one file on a node are one sighting, in whatever order they come and however often.
Whoever may write the topic may name any number of nodes, so only the first ones are kept.
"""

from collections.abc import Iterable
from typing import Final

from agents.coverage.sightings import Sightings
from schemas.node import NodeId
from schemas.placements import FilePlacement

MAX_SIGHTINGS: Final = 1_000_000
"""Of files on nodes, at some 150 bytes each: a hundred watched files on each of 10,000 nodes."""


class PlacementTable:
    """Sightings by build id and node."""

    def __init__(self, build_ids: Iterable[str] = (), max_sightings: int = MAX_SIGHTINGS) -> None:
        """Only files of these build ids are kept."""
        self._room = max_sightings
        self._since: dict[str, dict[NodeId, int]] = {build_id: {} for build_id in build_ids}
        self.left_out = False
        """Whether there was something that is not kept."""

    @property
    def since_ns(self) -> Sightings:
        """What is kept; the moment is when a process was first seen to map the file, Unix epoch in nanoseconds."""
        return self._since

    def has(self, build_ids: Iterable[str]) -> bool:
        """Whether all of these files are kept."""
        return self._since.keys() >= set(build_ids)

    def wants(self, key: bytes | None) -> bool:
        """Whether a record with this key may be about a file that is kept."""
        return key is not None and key.rpartition(b"#")[2].decode("ascii", "replace") in self._since

    def take(self, placement: FilePlacement) -> None:
        """Take a record."""
        nodes = self._since.get(placement.build_id)
        if nodes is None:
            return
        node = placement.node_id
        before_ns = nodes.get(node)
        if before_ns is not None:
            nodes[node] = min(before_ns, placement.from_ns)
        elif self._room:
            self._room -= 1
            nodes[node] = placement.from_ns
        else:
            self.left_out = True
