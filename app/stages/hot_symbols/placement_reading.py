"""On which nodes the watched files were seen: runtime.placements, read whole for the files that are watched now.

When a file is watched that was not before, the topic is read again. Until then nothing is known of any file.
"""

import logging
from collections.abc import Collection
from typing import Final

from agents.coverage.placements import NO_PLACEMENTS, Placements
from agents.placements.placement_table import PlacementTable
from app.kafka.records import Recorded
from app.kafka.refused import RefusedRecords
from app.kafka.registry import SchemaRegistry
from app.kafka.schemas import RecordDecoder, RecordFault
from app.kafka.topic_follower import AT_ONCE, WholeTopics
from app.settings import Settings
from app.stages.hot_symbols.schema_lookup import meet_patiently
from schemas import placements, topics

log = logging.getLogger(__name__)

_LOOK_SECONDS: Final = 0.05
_MANY: Final = 500_000
"""Records that are looked at before the caller has its turn, some seconds; only those of watched files are kept."""


class PlacementReading:
    """Not locked; `follow` blocks on Kafka and the registry, so a thread of its own calls it."""

    def __init__(self, settings: Settings, partitions: int, refused: RefusedRecords) -> None:
        self._schemas = RecordDecoder(settings, SchemaRegistry.from_settings(settings), topics.PLACEMENTS, follows=True)
        self._whole = WholeTopics(settings, {settings.name(topics.PLACEMENTS): partitions}, refused)
        self._refused = refused
        self._table = PlacementTable()

    def follow(self, build_ids: Collection[str]) -> Placements:
        """Take what has come; gives where these files were seen, or nothing while the topic is not read."""
        if not self._table.has(build_ids):
            self._table = PlacementTable(build_ids)
            self._whole.begin()
        if not build_ids:
            return NO_PLACEMENTS
        looked_at, wanted = 0, dict[tuple[int, bytes | None], Recorded]()
        while True:
            found = self._whole.next(_LOOK_SECONDS)
            looked_at += len(found)
            wanted |= {(one.partition, one.key): one for one in found if self._table.wants(one.key)}
            if len(found) < AT_ONCE or looked_at >= _MANY:
                break
        had_left_out = self._table.left_out
        self._take(wanted.values())
        if self._table.left_out and not had_left_out:
            log.warning("runtime.placements has too many nodes of watched files; answers count some of them")
        return Placements(seen=self._table.since_ns) if self._whole.is_read else NO_PLACEMENTS

    def _take(self, found: Collection[Recorded]) -> None:
        if unmet := self._schemas.unmet(record.value for record in found):
            meet_patiently(self._schemas, unmet)
        for record in found:
            if record.value is None:
                continue
            placement = self._schemas.decode(record.value)
            if isinstance(placement, RecordFault):
                self._refused.refuse(record, placement)
            else:
                self._table.take(placements.from_record(placement))
