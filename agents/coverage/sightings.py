"""On which nodes files were seen, from what loader events say. That a node is not named says nothing of it."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from schemas.node import NodeId

Sightings = Mapping[str, Mapping[NodeId, int]]
"""By build id and node, since when the file was seen there. Only files are named for which somebody looked."""

NO_SIGHTINGS: Final[Sightings] = MappingProxyType({})
