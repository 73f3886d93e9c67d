"""Whether a node's events of a window of time are complete: a gate in front of whatever follows from absence.

A window is trusted where ingest vouched for all of it, once, and no gap touches it. It is not trusted where a gap
touches it, or where two sessions of ingest vouched for the same time. Otherwise nobody can tell. The pipeline's own
`callstream coverage` decides in the same way, and a test holds the two to one answer.

One thing is not known here: that somebody took the node out of service (`callstream nodes retire`). For that, records
from long before the window count. A time in which the node was gone is unknown here, and nothing is missing of it for
`callstream coverage`.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NamedTuple

from callstream_client.connection import Connection
from callstream_client.decoding import COVERAGE, Decoder
from callstream_client.records import CoverageGap, GapCause
from callstream_client.table import read_to_end

_CLAIMS: Final = frozenset({GapCause.HEARTBEAT, GapCause.FILTERED, GapCause.LOSSES_UNREAD})
"""Causes of records that vouch."""

_TELLING: Final = frozenset(
    {
        GapCause.FAREWELL,
        GapCause.CREATED,
        GapCause.BOOTED,
        GapCause.RETIRED,
        GapCause.RETIREMENT_UNDONE,
        GapCause.FOLLOWED,
    }
)
"""Causes of records that neither vouch nor are a gap: they tell which nodes there are."""

_NS_PER_MS: Final = 1_000_000
_NS_PER_SECOND: Final = 1_000_000_000
_CLOCK_NOISE_NS: Final = 5 * _NS_PER_SECOND
"""Sessions that overlap by no more follow each other: clocks of hosts differ."""

_MARGIN_MS: Final = 3_600_000
"""A record is written after the time that it is about, by another host's clock."""

_MINUTE_MS: Final = 60_000
_MINUTES_BEFORE_RECEIPT: Final = 2
_MAX_GAPS: Final = 10_000
_DEAD_LETTERS: Final = "runtime.dead-letters"


class Interval(NamedTuple):
    """A stretch of time, nanoseconds since the Unix epoch; the end is not included."""

    from_ns: int
    to_ns: int


class Trust(StrEnum):
    """What can be said about a window."""

    TRUSTED = "trusted"
    NOT_TRUSTED = "not-trusted"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class WindowVerdict:
    """The answer for one window of one node."""

    trust: Trust
    gaps: tuple[CoverageGap, ...]
    gaps_more: int
    """Gaps besides those listed."""
    unreadable: tuple[Interval, ...]
    """When gaps may have been of which records told that cannot be read."""
    refused: tuple[Interval, ...]
    """When events came that a stage could not process; any node may have sent them."""
    unvouched: tuple[Interval, ...]
    twice: tuple[Interval, ...]
    """Parts that two sessions of ingest vouched for at once."""
    vouched_until_ns: int | None

    @property
    def is_trusted(self) -> bool:
        """Whether what is not in the window's events did not happen where a probe would have seen it."""
        return self.trust is Trust.TRUSTED


class WindowJudge:
    """Collects the coverage records of one window of one node, in any order, repeated ones too."""

    def __init__(self, node: str, window: Interval, *, cluster: str = "") -> None:
        """Raises ValueError for an empty window."""
        if window.to_ns <= window.from_ns:
            raise ValueError("the window is empty")
        self._node = (cluster, node)
        self._window = window
        self._vouched: dict[str, list[Interval]] = {}
        self._gaps: dict[CoverageGap, None] = {}
        self._unreadable: set[Interval] = set()
        self._minutes: set[int] = set()
        self._is_doubtful = self._is_bad = False
        self._gaps_more = 0
        self._vouched_until_ns: int | None = None

    def add(self, record: CoverageGap) -> None:
        """Take a record; one of another node is ignored, one of all nodes is not."""
        if (record.cluster, record.node) != self._node and record.skipped is None:
            return
        span = Interval(record.from_ns, record.to_ns)
        if record.cause in _CLAIMS and span.to_ns > span.from_ns and record.skipped is None:
            self._vouched_until_ns = max(self._vouched_until_ns or 0, span.to_ns)
            if _touches(span, self._window):
                _extend(self._vouched.setdefault(record.session, []), span)
        is_other = record.cause is GapCause.HEARTBEAT or record.cause in _TELLING
        if not is_other and span.to_ns >= span.from_ns and _touches(span, self._window):
            self._add_gap(record)

    def add_unreadable(self, received_ms: int) -> None:
        """Take a record that cannot be read: it may have been a gap of the hour before it was written."""
        end_ns = max(received_ms, 0) * _NS_PER_MS
        span = Interval(end_ns - _MARGIN_MS * _NS_PER_MS, end_ns)
        if _touches(span, self._window):
            self._unreadable.add(span)

    def add_dead_letter(self, received_ms: int) -> None:
        """Take the time of receipt of an event that a stage could not process."""
        minute = received_ms // _MINUTE_MS
        if _touches(_around(minute), self._window):
            self._minutes.add(minute)

    def verdict(self) -> WindowVerdict:
        """What the records say."""
        sessions = [_joined(found) for found in self._vouched.values()]
        unvouched = tuple(_uncovered(self._window, _joined(one for found in sessions for one in found)))
        twice = tuple(_cut(one, self._window) for one in _twice(sessions) if _touches(one, self._window))
        refused = tuple(_joined(map(_around, self._minutes)))
        trust = Trust.TRUSTED
        if self._is_bad or self._unreadable or twice or refused:
            trust = Trust.NOT_TRUSTED
        elif self._is_doubtful or unvouched:
            trust = Trust.UNKNOWN
        gaps = tuple(sorted(self._gaps, key=lambda gap: (gap.from_ns, gap.to_ns, gap.cause)))
        unreadable = tuple(_joined(self._unreadable))
        return WindowVerdict(
            trust, gaps, self._gaps_more, unreadable, refused, unvouched, twice, self._vouched_until_ns
        )

    def _add_gap(self, gap: CoverageGap) -> None:
        if gap.cause is GapCause.LOSSES_UNREAD:
            self._is_doubtful = True
        else:
            self._is_bad = True
        if gap in self._gaps:
            return
        if len(self._gaps) < _MAX_GAPS:
            self._gaps[gap] = None
        else:
            self._gaps_more += 1


def window_of(connection: Connection, node: str, from_ns: int, to_ns: int, *, cluster: str = "") -> WindowVerdict:
    """Whether the events of a node from `from_ns` to before `to_ns` are complete.

    Ingest vouches for a time about 70 seconds later, so a window that ends now is unknown. Raises UnreachableError,
    RegistryError, and ValueError for an empty window.
    """
    judge = WindowJudge(node, Interval(from_ns, to_ns), cluster=cluster)
    since_ms = max(0, from_ns // _NS_PER_MS - _MARGIN_MS)
    key = _key(cluster, node)
    decoder = Decoder(connection, COVERAGE)
    try:
        for message in read_to_end(connection, COVERAGE.topic, since_ms):
            found = decoder.decode(message.value() or b"")
            if not isinstance(found, str):
                judge.add(found)
            elif message.key() == key or _names_nobody(message.key()):
                judge.add_unreadable(message.timestamp()[1])
    finally:
        decoder.close()
    for message in read_to_end(connection, _DEAD_LETTERS, since_ms):
        judge.add_dead_letter(message.timestamp()[1])
    return judge.verdict()


def _key(cluster: str, node: str) -> bytes:
    """Key of a node's records: CLUSTER/NAME, or NAME; a slash inside of a name is %2F, a percent sign %25."""
    names = [one.replace("%", "%25").replace("/", "%2F") for one in (cluster, node)]
    return (f"{names[0]}/{names[1]}" if cluster else names[1]).encode("utf-8", "surrogatepass")


def _names_nobody(key: bytes | None) -> bool:
    try:
        return key is None or not key.decode()
    except UnicodeDecodeError:
        return True


def _around(minute: int) -> Interval:
    """When an event may have happened that was received in this minute."""
    minute_ns = _MINUTE_MS * _NS_PER_MS
    return Interval((minute - _MINUTES_BEFORE_RECEIPT) * minute_ns, (minute + 1) * minute_ns)


def _touches(one: Interval, window: Interval) -> bool:
    """Whether the two share a moment; an interval without length counts where the window holds it."""
    if one.from_ns == one.to_ns:
        return window.from_ns <= one.from_ns < window.to_ns
    return one.from_ns < window.to_ns and one.to_ns > window.from_ns


def _cut(one: Interval, window: Interval) -> Interval:
    return Interval(max(one.from_ns, window.from_ns), min(one.to_ns, window.to_ns))


def _extend(vouched: list[Interval], beat: Interval) -> None:
    """Heartbeats follow each other, so most of them only lengthen the last interval."""
    if vouched and vouched[-1].from_ns <= beat.from_ns <= vouched[-1].to_ns:
        vouched[-1] = Interval(vouched[-1].from_ns, max(vouched[-1].to_ns, beat.to_ns))
    else:
        vouched.append(beat)


def _joined(intervals: Iterable[Interval]) -> list[Interval]:
    """The union, in order and without overlaps."""
    joined: list[Interval] = []
    for one in sorted(intervals):
        if joined and one.from_ns <= joined[-1].to_ns:
            joined[-1] = Interval(joined[-1].from_ns, max(joined[-1].to_ns, one.to_ns))
        else:
            joined.append(one)
    return joined


def _uncovered(window: Interval, covered: Iterable[Interval]) -> Iterator[Interval]:
    begin = window.from_ns
    for one in covered:
        if one.from_ns >= window.to_ns:
            break
        if one.from_ns > begin:
            yield Interval(begin, one.from_ns)
        begin = max(begin, one.to_ns)
    if begin < window.to_ns:
        yield Interval(begin, window.to_ns)


def _twice(sessions: Iterable[Iterable[Interval]]) -> list[Interval]:
    """Stretches that more than one session vouched for, and longer than clocks differ."""
    turns = sorted(turn for one in sessions for span in one for turn in ((span.from_ns, 1), (span.to_ns, -1)))
    found: list[Interval] = []
    running = begin_ns = 0
    for at_ns, change in turns:
        if running == 1 and change == 1:
            begin_ns = at_ns
        elif running == 2 and change == -1:
            found.append(Interval(begin_ns, at_ns))
        running += change
    return [one for one in _joined(found) if one.to_ns - one.from_ns > _CLOCK_NOISE_NS]
