"""Tallies, names and callers add up in any order and any grouping."""

from itertools import pairwise
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from agents.hot_symbols.counting.callers import MAX_CALLERS, Callers
from agents.hot_symbols.counting.partial import Partial, offsets
from agents.hot_symbols.counting.recent import MAX_NAMES, SKETCH_HASHES, Recent
from agents.hot_symbols.counting.tally import Tally
from agents.hot_symbols.reading.evidence import EventPlace, Touch
from agents.hot_symbols.reading.sightings import HOUR_NS, Sightings, summarized
from agents.hot_symbols.reading.times import moment
from agents.hot_symbols.table.symbol_row import SymbolRow

NAMES = st.integers(0, 20).map(lambda number: (f"name {number}",))
SEEN = st.lists(st.tuples(NAMES, st.integers(-5, 50)), max_size=40)
CALLS = st.lists(st.tuples(st.integers(0, 30).map(str), st.integers(1, 100)), max_size=60)
SIGHTING = st.tuples(
    st.integers(-40 * HOUR_NS, 40 * HOUR_NS),
    st.integers(0, 3),
    st.integers(0, 2),
    st.integers(0, 12),
)
LATEST_HOUR = 20
"""Hours later than this are those of clocks that run ahead."""

SIGHTINGS = st.lists(SIGHTING, min_size=1, max_size=20)


def recent_of(seen: list[tuple[tuple[str, ...], int]]) -> Recent:
    """All names in one round."""
    recent = Recent()
    for name, when in seen:
        recent.note(name, when)
    recent.settle()
    return recent


def state(recent: Recent) -> Any:
    """What a `Recent` says."""
    return recent.newest(), recent.sketch, recent.more()


@given(seen=SEEN, cuts=st.lists(st.integers(0, 40), max_size=5), data=st.data())
def test_recent_names_do_not_depend_on_order_or_grouping(
    seen: list[tuple[tuple[str, ...], int]], cuts: list[int], data: st.DataObject
) -> None:
    """However the pairs are shuffled, cut and merged, the same names remain, and the same number is known of others."""
    whole = recent_of(seen)
    shuffled = data.draw(st.permutations(seen))
    merged = Recent()
    edges = [0, *sorted(cuts), len(shuffled)]
    for begin, end in pairwise(edges):
        merged.add(recent_of(shuffled[begin:end]))
        merged.add(recent_of(shuffled[begin:end]))

    assert state(merged) == state(whole)


@given(seen=SEEN)
def test_recent_keeps_the_names_seen_last_and_counts_the_others(seen: list[tuple[tuple[str, ...], int]]) -> None:
    """The newest names are kept with their exact times; up to 32 different ones, the number of others is exact."""
    last: dict[tuple[str, ...], int] = {}
    for name, when in seen:
        last[name] = max(when, last.get(name, when))
    newest = sorted(last.items(), key=lambda entry: (-entry[1], entry[0]))

    recent = recent_of(seen)

    assert recent.newest() == newest[:MAX_NAMES]
    assert recent.more() == max(0, len(newest) - MAX_NAMES)


def test_recent_estimates_the_number_of_very_many_names() -> None:
    """Beyond what the sketch holds, the number of others is right within half."""
    recent = recent_of([((str(number),), number) for number in range(2000)])

    assert len(recent.sketch) == SKETCH_HASHES
    assert 1000 < recent.more() < 3000


@given(rounds=st.lists(CALLS, max_size=6))
def test_callers_fall_short_by_no_more_than_they_say(rounds: list[list[tuple[str, int]]]) -> None:
    """Every kept number is at most the truth and at least the truth less the shortfall; so are those that are gone."""
    callers = Callers()
    truth: dict[str, int] = {}
    for calls in rounds:
        part = Callers()
        for caller, number in calls:
            part.note(caller, number)
            truth[caller] = truth.get(caller, 0) + number
        part.settle()
        callers.add(part)

    assert len(callers.calls) <= MAX_CALLERS
    assert callers.shortfall <= sum(truth.values()) / (MAX_CALLERS + 1)
    for caller, number in truth.items():
        assert number - callers.shortfall <= callers.calls.get(caller, 0) <= number


def place(number: int) -> EventPlace:
    """One of thirteen places, of which the first says nothing."""
    if not number:
        return EventPlace(None, None, None)
    return EventPlace((f"sha256:{number}", "image"), (f"ns{number % 3}",), ("ns", "Pod", str(number)))


def observed(tally: Tally, sightings: list[tuple[int, int, int, int]]) -> Tally:
    """A tally after each sighting: time, hits, probe hits, place."""
    for time_ns, frames, probes, where in sightings:
        touch = Touch("/a!f", "/a", frames + probes, probes, ((1, frames),) if frames else (), (("/a!g", 1),))
        one = Sightings(place(where), [moment(time_ns, f"{frames}{probes}{where}")], [where])
        tally.observe([(touch, summarized(one, LATEST_HOUR))], 2)
    return tally


def packed(tally: Tally) -> bytes:
    """A tally as bytes."""
    return Partial(tally, 0, 0).to_bytes()


@given(sightings=SIGHTINGS, cut=st.integers(0, 20), data=st.data())
def test_tallies_do_not_depend_on_order_or_grouping(
    sightings: list[tuple[int, int, int, int]], cut: int, data: st.DataObject
) -> None:
    """Two halves of any permutation add up to the same bytes as the whole."""
    whole = observed(Tally("/a"), sightings)
    shuffled = data.draw(st.permutations(sightings))

    halves = observed(Tally("/a"), list(shuffled[:cut]))
    halves.add(observed(Tally("/a"), list(shuffled[cut:])))

    assert packed(halves) == packed(whole)


@given(sightings=SIGHTINGS, first=st.integers(0, 9), last=st.integers(9, 2**62))
def test_a_partial_comes_back_from_its_bytes(sightings: list[tuple[int, int, int, int]], first: int, last: int) -> None:
    """State that was written and read is the same state."""
    state = Partial(observed(Tally("/a"), sightings), first, last).to_bytes()

    assert Partial.from_bytes(state).to_bytes() == state
    assert offsets(state) == (first, last)


@given(steps=st.lists(st.tuples(st.integers(0, 2), st.integers(0, 5)), min_size=1, max_size=30), data=st.data())
def test_a_row_holds_the_newest_partial_of_every_partition(steps: list[tuple[int, int]], data: st.DataObject) -> None:
    """Partials that come late, twice or in any order leave the row at the newest of each partition."""

    def partial(source: int, last: int) -> bytes:
        hits = [(source, 1, 0, 0)] * (last + 1)
        return Partial(observed(Tally("/a"), hits), 0, last).to_bytes()

    row = SymbolRow()
    for source, last in steps:
        row.take(source, partial(source, last))
        if data.draw(st.booleans()):
            row = SymbolRow.from_bytes(row.to_bytes())

    newest = {source: max(last for other, last in steps if other == source) for source, _ in steps}
    assert row.tally().hits == sum(last + 1 for last in newest.values())


def test_a_row_keeps_what_expired_partials_counted() -> None:
    """A partial that begins behind the end of the known one is added to it, once; the old one changes nothing more."""
    row = SymbolRow()
    lives = [(0, 3, 4), (7, 9, 2), (20, 20, 1)]
    partials = [
        Partial(observed(Tally("/a"), [(0, hits, 0, 0)]), first, last).to_bytes() for first, last, hits in lives
    ]
    for partial in [*partials, *partials]:
        row.take(0, partial)

    assert SymbolRow.from_bytes(row.to_bytes()).tally().hits == 7
