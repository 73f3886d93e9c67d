"""The files that one ingest saw mapped, and which of them are due to be told.

A file is told when it is first seen, and from then on once a day: so what an ingest saw stays on the topic for as long
as it runs, and for the topic's retention after that.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from typing import Final

from agents.placements.seen_builds import MAX_BUILDS
from schemas.node import NodeId
from schemas.placements import FilePlacement
from schemas.units import NS_PER_SECOND

TELL_AGAIN_NS: Final = 86_400 * NS_PER_SECOND
"""A thirtieth of the topic's retention. With a thousand files a node, 10,000 nodes write 120 records a second."""

MAX_AT_ONCE: Final = 1_000
"""Files that are told at a time: a program that maps thousands of them does not fill the producer's queue."""

_BETWEEN: Final = "#"


@dataclass(slots=True)
class _File:
    from_ns: int
    to_ns: int
    told_ns: int | None = None


class NodeFiles:
    """Files by node and build id. Times are Unix epoch in nanoseconds."""

    def __init__(self, session: str, max_files: int = MAX_BUILDS) -> None:
        """`session` is the random word of the ingest process; beyond `max_files` no further file is remembered."""
        self._session, self._max_files = session, max_files
        self._files: dict[tuple[NodeId, str], _File] = {}

    def saw(self, node: NodeId, build_id: str, from_ns: int, to_ns: int) -> bool:
        """Loader events of that time named the file; returns whether it is remembered."""
        known = self._files.get((node, build_id))
        if known is not None:
            known.from_ns, known.to_ns = min(known.from_ns, from_ns), max(known.to_ns, to_ns)
        elif len(self._files) >= self._max_files:
            return False
        else:
            self._files[node, build_id] = _File(from_ns, to_ns)
        return True

    def due(self, now_ns: int) -> list[FilePlacement]:
        """What is to be told now: files that were never told, and those that were a day ago."""
        late = (
            FilePlacement(
                node=node.name,
                cluster=node.cluster,
                session=self._session,
                build_id=build_id,
                from_ns=file.from_ns,
                to_ns=file.to_ns,
            )
            for (node, build_id), file in self._files.items()
            if file.told_ns is None or now_ns - file.told_ns >= TELL_AGAIN_NS
        )
        return list(islice(late, MAX_AT_ONCE))

    def told(self, placements: Iterable[FilePlacement], now_ns: int) -> None:
        """The topic has these now."""
        for one in placements:
            self._files[one.node_id, one.build_id].told_ns = now_ns


def placement_key(placement: FilePlacement) -> bytes:
    """The record's key: `NODE#SESSION#BUILD-ID`. It stays while the record grows."""
    places = str(placement.node_id), placement.session or "-", placement.build_id
    parts = (place.replace("%", "%25").replace(_BETWEEN, "%23") for place in places)
    return _BETWEEN.join(parts).encode("utf-8", "surrogatepass")
