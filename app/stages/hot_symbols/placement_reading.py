"""On which nodes the watched files were seen: runtime.placements, read whole for the files that are watched now.

When a file is watched that was not before, the topic is read again. Until then nothing is known of any file.
"""

import logging
from collections.abc import Collection
from typing import Final

from agents.coverage.sightings import NO_SIGHTINGS, Sightings
from agents.placements.placement_table import PlacementTable
from app.kafka.refused import RefusedRecords
from app.settings import Settings
from app.stages.hot_symbols.newest_records import NewestRecords
from schemas import placements, topics

log = logging.getLogger(__name__)

_MANY: Final = 500_000
"""Records that are looked at before the caller has its turn, some seconds; only those of watched files are kept."""


class PlacementReading:
    """Not locked; `follow` blocks on Kafka and the registry, so a thread of its own calls it."""

    def __init__(self, settings: Settings, partitions: int, refused: RefusedRecords) -> None:
        self._records = NewestRecords(settings, topics.PLACEMENTS, partitions, refused)
        self._table = PlacementTable()

    def follow(self, build_ids: Collection[str]) -> Sightings:
        """Take what has come; gives where these files were seen, or nothing while the topic is not read."""
        if not self._table.has(build_ids):
            self._table = PlacementTable(build_ids)
            self._records.begin()
        if not build_ids:
            return NO_SIGHTINGS
        had_left_out = self._table.left_out
        for record in self._records.take(_MANY, self._table.wants):
            self._table.take(placements.from_record(record))
        if self._table.left_out and not had_left_out:
            log.warning("runtime.placements has too many nodes of watched files; answers count some of them")
        return self._table.since_ns if self._records.is_read else NO_SIGHTINGS
