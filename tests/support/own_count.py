"""Counts of published calls by a reader of our own, to compare a table, an export or another run with."""

import json
from collections import Counter, defaultdict
from dataclasses import dataclass, field

from click.testing import CliRunner

from agents.hot_symbols.reading.meaning import PLACE_FIELDS
from agents.hot_symbols.reading.observations import CallObserver
from app.__main__ import cli
from app.kafka.schemas import CallLayouts
from schemas import topics
from tests.support.pipeline_run import PipelineRun


@dataclass(slots=True)
class OwnCount:
    """What a topic of calls says. Repetitions are those of readers that dedupe by the highest raw offset."""

    hits: Counter[str] = field(default_factory=Counter)
    """By symbol id, each event once."""
    places: dict[bytes, set[tuple[int, int]]] = field(default_factory=lambda: defaultdict(set))
    """By event id, as hex, the raw positions that such readers count."""
    records: int = 0
    repeated: int = 0


def own_count(run: PipelineRun, topic: str = topics.CALLS) -> OwnCount:
    """Read a topic of calls, given by its unprefixed name."""
    observe = CallObserver(CallLayouts(run.settings, PLACE_FIELDS))
    found = OwnCount()
    highest: dict[int, int] = defaultdict(lambda: -1)
    counted: set[bytes] = set()
    for record in run.records(topic):
        seen = observe(record.value)
        assert isinstance(seen, tuple)
        assert record.value is not None
        event_id, (offset, _, _, evidence, _) = record.value[6:38], seen
        found.records += 1
        if event_id not in counted:
            counted.add(event_id)
            found.hits.update({touch.symbol_id: touch.hits for touch in evidence.touches})
        if offset > highest[record.partition]:
            highest[record.partition] = offset
            found.places[event_id].add((record.partition, offset))
        else:
            found.repeated += 1
    return found


def hits_of_table(run: PipelineRun) -> Counter[str]:
    """Hits by symbol id in the published table."""
    asked = CliRunner().invoke(cli, ["hot-symbols", "--top", "100000", "--json"], env=run.environ)
    return Counter({row["symbol_id"]: row["hits"] for row in map(json.loads, asked.stdout.splitlines())})
