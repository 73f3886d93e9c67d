"""When events may have been counted twice, for whoever shows counts: two ingests vouched for one node at once.

Read from the table of node coverage, which has all that is known of each node in one row. A row of a symbol says it if
the symbol ran from before the end of such a time until after its beginning, on whichever node.
"""

import logging
import threading
import time
from collections.abc import Iterable
from typing import Any, Final

from agents.coverage.covering import parse_node_key
from agents.coverage.interval import Interval
from agents.coverage.node_coverage import NodeCoverage
from agents.packing import StateError
from app.kafka.topic_reader import TopicReader
from app.operators.errors import OperatorError
from app.settings import Settings
from schemas import topics
from schemas.node import NodeId
from schemas.topics import Stage

log = logging.getLogger(__name__)

FIELD: Final = "hits_may_be_doubled"
"""What a row is shown with beside its own fields: true, false, or null where nobody could look."""

_FRESH_SECONDS: Final = 60.0


class DoubledHits:
    """What is known of such times; may be used by several threads."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._topic = settings.name(topics.changelog(Stage.HOT_SYMBOLS, topics.NODE_COVERAGE_TABLE))
        self._lock = threading.Lock()
        self._positions: dict[int, int] = {}
        self._nodes: dict[NodeId, list[Interval]] = {}
        self._read_at: float | None = None
        self.trouble: str | None = None
        """Why nobody could look; None if it was possible."""

    def mark(self, rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
        """The rows with `FIELD`, by what is known now or was known a minute ago."""
        with self._lock:
            if self._read_at is None or time.monotonic() - self._read_at > _FRESH_SECONDS:
                self._read()
            known = None if self._read_at is None else [one for found in self._nodes.values() for one in found]
        return [row | {FIELD: None if known is None else _touches(row, known)} for row in rows]

    def nodes(self) -> list[NodeId]:
        """Nodes that two ingests ever vouched for at once, as far as is known."""
        with self._lock:
            return sorted(self._nodes)

    def _read(self) -> None:
        try:
            with TopicReader(self._settings) as reader:
                for record in reader.records(self._topic, self._positions):
                    self._positions[record.partition] = record.offset + 1
                    node = parse_node_key(record.key or b"")
                    if node is not None:
                        self._take(node, record.value)
        except (OperatorError, StateError) as error:
            if self.trouble is None:
                log.warning("whether hits may be doubled cannot be told: %s", error)
            self.trouble = str(error)
            return
        self._read_at, self.trouble = time.monotonic(), None

    def _take(self, node: NodeId, row: bytes | None) -> None:
        twice = [] if row is None else NodeCoverage.from_bytes(row).twice
        if twice:
            self._nodes[node] = twice
        else:
            self._nodes.pop(node, None)


def _touches(row: dict[str, Any], known: Iterable[Interval]) -> bool:
    return any(one.from_ns <= row["last_seen_ns"] and row["first_seen_ns"] < one.to_ns for one in known)
