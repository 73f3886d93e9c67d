"""What is counted of one symbol: a sum that can be split, repeated in parts, and put together again.

Rules: `add` is commutative and associative in everything but the choice of rare callers, so a row is the same however
its events were cut into batches and partitions. Times are the events' own. The hours are those of the newest 24 hours
that the symbol was seen in: an hour outside that window can never come back into it, so dropping it early loses
nothing. No hour is later than that of receipt, so that a clock that runs ahead does not push all others out.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import Final

from agents.hot_symbols.counting.callers import Callers
from agents.hot_symbols.counting.recent import Recent
from agents.hot_symbols.reading.citations import Citations, cited_event
from agents.hot_symbols.reading.evidence import CONFIRMED, EventPlace, Touch
from agents.hot_symbols.reading.sightings import Summary, firsts_of_hours, moment_and_offset
from schemas.text_limits import cut_place

HOURS_KEPT: Final = 24

NEVER_FIRST: Final = (1 << 63) - 1
NEVER_LAST: Final = -(1 << 63)
"""First and last of a symbol that was never seen."""

_IMAGE_WORDS, _NAMESPACE_WORDS, _WORKLOAD_WORDS, _SNAPSHOT_WORDS = 2, 1, 3, 1


@dataclass(slots=True, eq=False)
class Tally:
    """Counts of one symbol.

    `module` is the first, by name, of the paths that the symbol's file was seen under. `grades` are frames by index
    into RESOLUTIONS, `hours` hits by hours since the Unix epoch.
    """

    module: str
    hits: int = 0
    probe_hits: int = 0
    first_ns: int = NEVER_FIRST
    last_ns: int = NEVER_LAST
    grades: dict[int, int] = field(default_factory=dict)
    hours: dict[int, int] = field(default_factory=dict)
    callers: Callers = field(default_factory=Callers)
    images: Recent = field(default_factory=Recent)
    namespaces: Recent = field(default_factory=Recent)
    workloads: Recent = field(default_factory=Recent)
    citations: Citations = field(default_factory=Citations)
    snapshots: Recent = field(default_factory=Recent)
    """Those whose indexes named the symbol, as far as calls say them."""

    @property
    def confirmed_hits(self) -> int:
        """Frames whose symbol is sure, and fired probes."""
        return self.probe_hits + sum(count for grade, count in self.grades.items() if grade in CONFIRMED)

    def observe(self, touched: Sequence[tuple[Touch, Summary]], partition: int) -> None:
        """Count events of a raw partition: what each kind says about the symbol, and how often, when and where."""
        places: dict[EventPlace, int] = {}
        named: dict[str, int] = {}
        grades, hours, calls = self.grades, self.hours, self.callers.calls
        for touch, summary in touched:
            events = summary.events
            self.module = min(self.module, touch.module)
            self.hits += touch.hits * events
            self.probe_hits += touch.probe_hits * events
            self.first_ns = min(self.first_ns, summary.first_ns)
            self.last_ns = max(self.last_ns, summary.last_ns)
            for grade, frames in touch.grades:
                grades[grade] = grades.get(grade, 0) + frames * events
            for hour, count in summary.hours.items():
                hours[hour] = hours.get(hour, 0) + touch.hits * count
            for caller, number in touch.callers:
                calls[caller] = calls.get(caller, 0) + number * events
            for place, when_ns in summary.places.items():
                if when_ns > places.get(place, NEVER_LAST):
                    places[place] = when_ns
            if touch.snapshot is not None and summary.last_ns > named.get(touch.snapshot, NEVER_LAST):
                named[touch.snapshot] = summary.last_ns
        self._note(places)
        if named:
            for snapshot, when_ns in named.items():
                self.snapshots.note((snapshot,), when_ns)
            self.snapshots.settle()
        self._drop_old_hours()
        self.callers.settle()
        self._cite([summary for _, summary in touched], partition)

    def _cite(self, summaries: Sequence[Summary], partition: int) -> None:
        earliest, latest = min([one.first for one in summaries]), max([one.last for one in summaries])
        _, firsts = firsts_of_hours(summaries, earliest)
        first, last = (cited_event(*moment_and_offset(seen), partition) for seen in (earliest, latest))
        by_hour = {
            hour: first if seen == earliest else cited_event(*moment_and_offset(seen), partition)
            for hour, seen in firsts.items()
        }
        self.citations.note(first, last, by_hour)

    def _note(self, places: dict[EventPlace, int]) -> None:
        for place, when_ns in places.items():
            if place.image is not None:
                self.images.note(place.image, when_ns)
            if place.namespace is not None:
                self.namespaces.note(place.namespace, when_ns)
            if place.workload is not None:
                self.workloads.note(place.workload, when_ns)
        for recent in (self.images, self.namespaces, self.workloads):
            recent.settle()

    def add(self, other: "Tally") -> None:
        """Add another tally of the same symbol, and settle."""
        self.module = min(self.module, other.module)
        self.hits += other.hits
        self.probe_hits += other.probe_hits
        self.first_ns = min(self.first_ns, other.first_ns)
        self.last_ns = max(self.last_ns, other.last_ns)
        for grade, frames in other.grades.items():
            self.grades[grade] = self.grades.get(grade, 0) + frames
        for hour, count in other.hours.items():
            self.hours[hour] = self.hours.get(hour, 0) + count
        self._drop_old_hours()
        self.callers.add(other.callers)
        self.images.add(other.images)
        self.namespaces.add(other.namespaces)
        self.workloads.add(other.workloads)
        self.citations.add(other.citations)
        self.snapshots.add(other.snapshots)

    def shorten(self, max_bytes: int) -> None:
        """Cut the texts to a size, besides some 2 kB; what is dropped counts among what is not listed."""
        self.module = cut_place(self.module)
        share = max_bytes // 4
        self.callers.settle(share)
        for recent in (self.images, self.namespaces, self.workloads):
            recent.settle(share)

    def _drop_old_hours(self) -> None:
        if len(self.hours) > 1:
            oldest = max(self.hours) - HOURS_KEPT
            if min(self.hours) <= oldest:
                self.hours = {hour: hits for hour, hits in self.hours.items() if hour > oldest}

    def write_to(self, numbers: list[int], texts: list[str]) -> None:
        """Append the tally to packed state; everything in an order of its own, so equal tallies are equal bytes."""
        numbers += (self.hits, self.probe_hits, self.first_ns, self.last_ns)
        texts.append(self.module)
        for counts in (self.grades, self.hours):
            numbers.append(len(counts))
            numbers += chain.from_iterable(sorted(counts.items()))
        top = self.callers.top()
        numbers += (self.callers.shortfall, len(top))
        numbers += [calls for _, calls in top]
        texts += [caller for caller, _ in top]
        for recent in (self.images, self.namespaces, self.workloads):
            _write_recent(recent, numbers, texts)
        self.citations.write_to(numbers, texts)
        _write_recent(self.snapshots, numbers, texts)

    @classmethod
    def read_from(cls, numbers: Iterator[int], texts: Iterator[str]) -> "Tally":
        """Take a tally from packed state, as `write_to` appended it."""
        tally = cls(next(texts))
        tally.hits, tally.probe_hits, tally.first_ns, tally.last_ns = islice(numbers, 4)
        tally.grades = _read_counts(numbers)
        tally.hours = _read_counts(numbers)
        shortfall, callers = islice(numbers, 2)
        tally.callers = Callers(dict(zip(islice(texts, callers), islice(numbers, callers), strict=True)), shortfall)
        tally.images = _read_recent(_IMAGE_WORDS, numbers, texts)
        tally.namespaces = _read_recent(_NAMESPACE_WORDS, numbers, texts)
        tally.workloads = _read_recent(_WORKLOAD_WORDS, numbers, texts)
        tally.citations = Citations.read_from(numbers, texts)
        tally.snapshots = _read_recent(_SNAPSHOT_WORDS, numbers, texts)
        return tally


def _read_counts(numbers: Iterator[int]) -> dict[int, int]:
    pairs = islice(numbers, 2 * next(numbers))
    return dict(zip(pairs, pairs, strict=True))


def _write_recent(recent: Recent, numbers: list[int], texts: list[str]) -> None:
    if not recent.last_ns and not recent.sketch:
        numbers += (0, 0)
        return
    newest = recent.newest()
    numbers.append(len(newest))
    numbers += [when_ns for _, when_ns in newest]
    texts += chain.from_iterable([name for name, _ in newest])
    numbers.append(len(recent.sketch))
    numbers += recent.sketch


def _read_recent(words: int, numbers: Iterator[int], texts: Iterator[str]) -> Recent:
    count = next(numbers, None)
    if count is None:  # state of before has no snapshots
        return Recent()
    flat = islice(texts, words * count)
    names = zip(*[flat] * words, strict=True)
    last_ns = dict(zip(names, islice(numbers, count), strict=True))
    return Recent(last_ns, tuple(islice(numbers, next(numbers))))
