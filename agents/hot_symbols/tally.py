"""What is counted of one symbol: a sum that can be split, repeated in parts, and put together again.

Rules: `add` is commutative and associative in everything but the choice of rare callers, so a row is the same however
its events were cut into batches and partitions. Times are the events' own. The hours are those of the newest 24 hours
that the symbol was seen in: an hour outside that window can never come back into it, so dropping it early loses
nothing. This module refuses to know partitions and offsets.
"""

from collections.abc import Iterator, Mapping
from typing import Final

from agents.hot_symbols.callers import Callers
from agents.hot_symbols.evidence import CONFIRMED, Place, Touch
from agents.hot_symbols.recent import Name, Recent

HOURS_KEPT: Final = 24
HOUR_NS: Final = 3_600_000_000_000

NEVER_FIRST: Final = (1 << 63) - 1
NEVER_LAST: Final = -(1 << 63)
"""First and last of a symbol that was never seen."""

_IMAGE_WORDS, _NAMESPACE_WORDS, _WORKLOAD_WORDS = 2, 1, 3


class Tally:
    """Counts of one symbol.

    `module` is the first, by name, of the paths that the symbol's file was seen under. `grades` are frames by index
    into RESOLUTIONS, `hours` hits by hours since the Unix epoch.
    """

    __slots__ = (
        "callers",
        "first_ns",
        "grades",
        "hits",
        "hours",
        "images",
        "last_ns",
        "module",
        "namespaces",
        "probe_hits",
        "workloads",
    )

    def __init__(self, module: str) -> None:
        self.module = module
        self.hits = 0
        self.probe_hits = 0
        self.first_ns = NEVER_FIRST
        self.last_ns = NEVER_LAST
        self.grades: dict[int, int] = {}
        self.hours: dict[int, int] = {}
        self.callers = Callers()
        self.images = Recent()
        self.namespaces = Recent()
        self.workloads = Recent()

    @property
    def confirmed_hits(self) -> int:
        """Frames whose symbol is sure, and fired probes."""
        return self.probe_hits + sum(count for grade, count in self.grades.items() if grade in CONFIRMED)

    def observe(
        self, touch: Touch, events: int, times: tuple[int, int], hours: Mapping[int, int], place: Place
    ) -> None:
        """Count `events` events that all say `touch`, between two times (both included), by hour, in one place.

        Call `settle` after a round of these, before anything else.
        """
        first, last = times
        self.module = min(self.module, touch.module)
        self.hits += touch.hits * events
        self.probe_hits += touch.probe_hits * events
        self.first_ns = min(self.first_ns, first)
        self.last_ns = max(self.last_ns, last)
        for grade, frames in touch.grades:
            self.grades[grade] = self.grades.get(grade, 0) + frames * events
        for hour, count in hours.items():
            self.hours[hour] = self.hours.get(hour, 0) + touch.hits * count
        for caller, calls in touch.callers:
            self.callers.note(caller, calls * events)
        if place.image is not None:
            self.images.note(place.image, last)
        if place.namespace is not None:
            self.namespaces.note(place.namespace, last)
        if place.workload is not None:
            self.workloads.note(place.workload, last)

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

    def settle(self) -> None:
        """Bring everything that is bounded back within its bounds."""
        self._drop_old_hours()
        self.callers.settle()
        self.images.settle()
        self.namespaces.settle()
        self.workloads.settle()

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
            for entry in sorted(counts.items()):
                numbers += entry
        numbers += (self.callers.shortfall, len(self.callers.calls))
        for caller, calls in self.callers.top():
            numbers.append(calls)
            texts.append(caller)
        for recent in (self.images, self.namespaces, self.workloads):
            numbers.append(len(recent.last_ns))
            for name, when_ns in recent.newest():
                numbers.append(when_ns)
                texts += name
            numbers.append(len(recent.sketch))
            numbers += recent.sketch

    @classmethod
    def read_from(cls, numbers: Iterator[int], texts: Iterator[str]) -> "Tally":
        """Take a tally off packed state; the way back of `write_to`."""
        tally = cls(next(texts))
        tally.hits, tally.probe_hits = next(numbers), next(numbers)
        tally.first_ns, tally.last_ns = next(numbers), next(numbers)
        tally.grades = {next(numbers): next(numbers) for _ in range(next(numbers))}
        tally.hours = {next(numbers): next(numbers) for _ in range(next(numbers))}
        shortfall = next(numbers)
        tally.callers = Callers({next(texts): next(numbers) for _ in range(next(numbers))}, shortfall)
        tally.images = _read_recent(_IMAGE_WORDS, numbers, texts)
        tally.namespaces = _read_recent(_NAMESPACE_WORDS, numbers, texts)
        tally.workloads = _read_recent(_WORKLOAD_WORDS, numbers, texts)
        return tally


def _read_recent(words: int, numbers: Iterator[int], texts: Iterator[str]) -> Recent:
    last_ns: dict[Name, int] = {tuple(next(texts) for _ in range(words)): next(numbers) for _ in range(next(numbers))}
    return Recent(last_ns, tuple(next(numbers) for _ in range(next(numbers))))
