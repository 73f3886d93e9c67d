"""On which nodes a file was placed, and when: by build id, from what loader, exec and exit events say.

A node counts as one that may have any file while nobody knows which files its processes had.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from agents.coverage.interval import Interval
from schemas.node import NodeId

Sightings = Mapping[str, Mapping[NodeId, int]]
"""By build id and node: since when the file was seen there. That a node is not in it says nothing."""


@dataclass(frozen=True, slots=True)
class Placements:
    """Windows in which files were placed, and in which nobody knows. All are in order and do not overlap."""

    by_file: Mapping[str, Mapping[NodeId, Sequence[Interval]]] = field(default_factory=dict)
    unknown: Mapping[NodeId, Sequence[Interval]] = field(default_factory=dict)
    """By node, of the nodes that tell of their files. Of others nothing is known at any time."""
    seen: Sightings = field(default_factory=dict)
    """Of the files for which somebody looked where they were seen."""


NO_PLACEMENTS = Placements()
