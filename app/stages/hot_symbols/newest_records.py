"""A topic as it says today: read whole and then followed. Of several records of one key only the newest is decoded."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from app.kafka.records import Recorded
from app.kafka.refused import RefusedRecords
from app.kafka.registry import SchemaRegistry
from app.kafka.schemas import RecordDecoder, RecordFault
from app.kafka.topic_follower import AT_ONCE, WholeTopics
from app.settings import Settings
from app.stages.hot_symbols.schema_lookup import meet_patiently

_LOOK_SECONDS: Final = 0.05


class NewestRecords:
    """Not locked; `take` blocks on Kafka and the registry, so a thread of its own calls it."""

    def __init__(self, settings: Settings, topic: str, partitions: int, refused: RefusedRecords) -> None:
        self._schemas = RecordDecoder(settings, SchemaRegistry.from_settings(settings), topic, follows=True)
        self._whole = WholeTopics(settings, {settings.name(topic): partitions}, refused)
        self._refused = refused

    @property
    def is_read(self) -> bool:
        """Whether everything is taken that was there when reading began."""
        return self._whole.is_read

    def begin(self) -> None:
        """Read from the beginning again."""
        self._whole.begin()

    def take(self, most: int, wants: Callable[[bytes | None], bool] = lambda _: True) -> Iterator[Mapping[str, Any]]:
        """What has come, of about so many records at most; those whose keys nobody wants are not decoded."""
        looked_at, newest = 0, dict[tuple[int, bytes | None], Recorded]()
        while True:
            found = self._whole.next(_LOOK_SECONDS)
            looked_at += len(found)
            newest |= {(one.partition, one.key): one for one in found if wants(one.key)}
            if len(found) < AT_ONCE or looked_at >= most:
                break
        if unmet := self._schemas.unmet(record.value for record in newest.values()):
            meet_patiently(self._schemas, unmet)
        for record in newest.values():
            if record.value is None:
                continue
            value = self._schemas.decode(record.value)
            if isinstance(value, RecordFault):
                self._refused.refuse(record, value)
            else:
                yield value
