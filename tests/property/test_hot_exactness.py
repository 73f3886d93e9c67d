"""Counts are exact whatever fails: a model of Kafka and two workers, and every crash, repetition and reassignment.

The histories are new ones in every run; `make prove` runs ten times as many.
"""

from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

import pytest
from hypothesis import seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from agents.hot_symbols.counting.recent import MAX_NAMES
from agents.hot_symbols.counting.tally import HOURS_KEPT
from agents.hot_symbols.reading.citations import HOURS_CITED, Citation
from agents.hot_symbols.reading.evidence import RESOLUTIONS
from agents.hot_symbols.reading.sightings import HOUR_NS
from schemas import records
from tests.support.hot_world import KINDS, PARTITIONS, PLACES, START_NS, Crash, Event, World, expected_rows
from tests.support.run_size import run_seed, run_size

HISTORIES: Final = 200
STEPS: Final = 50
HOUR_SECONDS = 3600
EVENTS = st.lists(
    st.builds(
        lambda seconds, kind, place: Event(START_NS + seconds * 1_000_000_000, kind, place),
        st.integers(-30 * HOUR_SECONDS, 30 * HOUR_SECONDS),
        st.integers(0, len(KINDS) - 1),
        st.integers(0, len(PLACES) - 1),
    ),
    min_size=1,
    max_size=6,
)
PARTITION = st.integers(0, PARTITIONS - 1)
WORKER = st.integers(0, 1)
SIZE = st.integers(1, 8)


@seed(run_seed())
class Exactness(RuleBasedStateMachine):
    """Any interleaving of work and failures; in the end everything that happened is counted once."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        self.seen = [0] * PARTITIONS
        self.hits: dict[bytes, int] = {}

    @rule(partition=PARTITION, events=EVENTS)
    def events_happen(self, partition: int, events: list[Event]) -> None:
        """Tetragon saw something."""
        self.world.happen(partition, events)

    @rule(partition=PARTITION, back=st.integers(1, 20))
    def calls_come_again(self, partition: int, back: int) -> None:
        """An earlier stage was killed."""
        self.world.resend(partition, back)

    @rule(partition=PARTITION, size=SIZE)
    def calls_are_consumed(self, partition: int, size: int) -> None:
        """Step one takes calls into memory."""
        self.world.consume(self.world.owner[partition], partition, size)

    @rule(partition=PARTITION, size=SIZE)
    def partials_are_consumed(self, partition: int, size: int) -> None:
        """Step two takes partials into memory."""
        self.world.consume_partials(self.world.owner[partition], partition, size)

    @rule(number=WORKER, commit=st.booleans())
    def counts_are_flushed(self, number: int, commit: bool) -> None:
        """Step one writes."""
        self.world.flush(number, commit=commit)

    @rule(number=WORKER, commit=st.booleans())
    def rows_are_flushed(self, number: int, commit: bool) -> None:
        """Step two writes."""
        self.world.flush_partials(number, commit=commit)

    @rule(partition=PARTITION, size=SIZE, data=st.data())
    def worker_is_killed_while_it_writes_counts(self, partition: int, size: int, data: st.DataObject) -> None:
        """A flush of step one ends anywhere."""
        number = self.world.owner[partition]
        self.world.consume(number, partition, size)
        with suppress(Crash):
            self.world.flush(number, lambda sent: data.draw(st.integers(0, sent)))

    @rule(partition=PARTITION, size=SIZE, data=st.data())
    def worker_is_killed_while_it_writes_rows(self, partition: int, size: int, data: st.DataObject) -> None:
        """A flush of step two ends anywhere."""
        number = self.world.owner[partition]
        self.world.consume_partials(number, partition, size)
        with suppress(Crash):
            self.world.flush_partials(number, lambda sent: data.draw(st.integers(0, sent)))

    @rule(number=WORKER)
    def worker_is_killed(self, number: int) -> None:
        """Memory is gone."""
        self.world.kill(number)

    @rule(number=WORKER)
    def state_folder_is_lost(self, number: int) -> None:
        """Memory and disk are gone."""
        self.world.lose_folder(number)

    @rule(owner=st.tuples(WORKER, WORKER))
    def partitions_move(self, owner: tuple[int, int]) -> None:
        """Workers join and leave in good order."""
        self.world.rebalance(owner)

    @rule(dead=WORKER)
    def worker_dies_and_the_other_takes_over(self, dead: int) -> None:
        """A worker is gone for longer than the group waits."""
        self.world.fail_over(dead)

    @rule(partition=PARTITION, size=SIZE, hours=st.integers(-30, 60), commit=st.booleans(), data=st.data())
    def partials_expire(self, partition: int, size: int, hours: int, data: st.DataObject, *, commit: bool) -> None:
        """Partials without a hit since some time are removed, and whoever removes them may die over it, or after."""
        world, number = self.world, self.world.owner[partition]
        world.consume(number, partition, size)
        world.flush(number, commit=commit)
        for to, owner in enumerate(world.owner):
            world.consume_partials(owner, to, 10_000)
            world.flush_partials(owner)
        before_ns = START_NS + hours * HOUR_SECONDS * 1_000_000_000
        if data.draw(st.booleans()):
            with suppress(Crash):
                world.expire_partials(number, before_ns, lambda sent: data.draw(st.integers(0, sent)))
            return
        world.expire_partials(number, before_ns)
        if data.draw(st.booleans()):
            world.fail_over(number)
            world.rebalance([0, 1])

    @rule()
    def topics_are_compacted(self) -> None:
        """Kafka drops what newer records of the same key replace."""
        world = self.world
        for log in (*world.partials, *world.counts_changelog, *world.symbols_changelog):
            log.compact()

    @invariant()
    def published_counts_never_fall(self) -> None:
        """Whoever follows the topic sees a symbol's hits grow or stay."""
        for log in self.world.published:
            while self.seen[log.partition] < len(log.records):
                record = log.records[self.seen[log.partition]]
                self.seen[log.partition] += 1
                assert record.key is not None
                assert record.value is not None
                hits = records.decode(records.HOT_SYMBOL, record.value)["hits"]
                assert hits >= self.hits.get(record.key, 0)
                self.hits[record.key] = hits

    def teardown(self) -> None:
        """In the end every count, time and hour is exact."""
        self.world.finish()
        expected = expected_rows(self.world.raw)
        rows = self.world.rows()
        assert rows.keys() == expected.keys()
        for symbol, row in rows.items():
            assert facts_of(row) == facts_expected(expected[symbol]), symbol


def facts_of(row: dict[str, Any]) -> dict[str, Any]:
    """The exact part of a published row."""
    names = ("hits", "probe_hits", "first_seen_ns", "last_seen_ns", "hits_by_resolution", "images_more")
    facts = {name: row[name] for name in names}
    facts["hours"] = {entry["hour"]: entry["hits"] for entry in row["hourly_hits"]}
    facts["callers"] = {entry["symbol_id"]: entry["hits"] for entry in row["callers"]}
    facts["images"] = [((image["image_id"], image["image_name"]), image["last_seen_ns"]) for image in row["images"]]
    facts["events"] = [(one["time_ns"], one["event_id"], one["partition"], one["offset"]) for one in row["events"]]
    return facts


def facts_expected(row: dict[str, Any]) -> dict[str, Any]:
    """The same from a plain count."""
    newest = max(row["hours"])
    images = sorted(row["images"].items(), key=lambda entry: (-entry[1], entry[0]))
    return {
        "hits": row["hits"],
        "probe_hits": row["probe_hits"],
        "first_seen_ns": min(row["times"]),
        "last_seen_ns": max(row["times"]),
        "hits_by_resolution": {RESOLUTIONS[grade]: frames for grade, frames in row["grades"].items()},
        "images_more": max(0, len(images) - MAX_NAMES),
        "hours": {hour: hits for hour, hits in row["hours"].items() if hour > newest - HOURS_KEPT},
        "callers": row["callers"],
        "images": images[:MAX_NAMES],
        "events": cited(row["all"]),
    }


def cited(events: list[Citation]) -> list[Citation]:
    """The first and the last, and the first of each of the newest hours."""
    first_of_hours: dict[int, Citation] = {}
    ordered = sorted(events, key=lambda one: (one.time_ns, one.event_id[::-1], one.partition, one.offset))
    for one in ordered:
        first_of_hours.setdefault(one.time_ns // HOUR_NS, one)
    kept = {ordered[0], ordered[-1], *(first_of_hours[hour] for hour in sorted(first_of_hours)[-HOURS_CITED:])}
    return [one for one in ordered if one in kept]


@pytest.fixture(name="figures")
def _figures(record_property: Callable[[str, object], None]) -> None:
    """What `make prove` writes down beside the outcome."""
    record_property("histories", HISTORIES * run_size())
    record_property("steps each", STEPS)


def test_a_partial_that_a_dead_worker_sent_is_not_mistaken_for_the_one_after_an_expiry() -> None:
    """It may include calls that are not counted again yet, so partials stay until all calls are."""
    world, hour = World(), HOUR_SECONDS * 1_000_000_000
    world.happen(0, [Event(START_NS, 0, 0)] * 3)
    world.consume(0, 0, 3)
    arrive = iter([False, True, True])
    with suppress(Crash):
        world.flush(0, lambda sent: sent if next(arrive) else 0)  # the partials are sent, their rows are not
    world.consume(0, 0, 1)
    world.flush(0)
    for partition, owner in enumerate(world.owner):
        world.consume_partials(owner, partition, 100)
        world.flush_partials(owner)
    world.expire_partials(0, START_NS + hour)
    world.happen(0, [Event(START_NS, 0, 0)])
    world.finish()
    assert {symbol: row["hits"] for symbol, row in world.rows().items()} == {"/a!f": 8, "/a!g": 4}


TestExactness = pytest.mark.proof(pytest.mark.usefixtures("figures")(Exactness.TestCase))
TestExactness.settings = settings(
    max_examples=HISTORIES * run_size(), stateful_step_count=STEPS, deadline=None, derandomize=False, database=None
)
