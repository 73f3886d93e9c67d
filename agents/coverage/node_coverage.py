"""What is known of one node's coverage: when its events were vouched for, and the gaps in them.

The state depends only on which coverage records went in, not on their order or on how often one came. It is bounded:
only the newest intervals are kept. Where older ones were dropped, nothing is claimed about the time before
`known_from_ns`. Of gaps that say how many events they lost, the newest keep the number.
"""

from collections.abc import Iterable
from typing import Final, NamedTuple

from agents.coverage.interval import Interval, Stretch, join
from agents.coverage.lives import Life, lives
from agents.coverage.node_window import NodeWindow, is_gap, judge, vouches
from agents.coverage.told import Told
from agents.coverage.vouching import VouchedInterval, join_by_session, vouched_by_anybody, vouched_twice
from agents.packing import StateError, pack, unpack
from schemas.coverage import LOSSES, CoverageGap, GapCause
from schemas.text_limits import cut_text
from schemas.units import EARLIEST_NS

MAX_INTERVALS: Final = 256
"""Of each kind. A session's heartbeats join into one interval as long as nothing is missing, so these are breaks of 16
bytes and a word."""

MAX_COUNTED: Final = 64
"""Gaps that keep their number of lost events; older ones are joined, and then nobody knows the number."""

_MAX_DETAIL: Final = 64

_UNKNOWN: Final = GapCause.UNKNOWN.value


class GapInterval(NamedTuple):
    """A stretch of time in which events may be missing, and why: the value of a GapCause.

    `events_lost` is None where nobody counted them; `detail` distinguishes counted gaps of one time, as by counter.
    """

    from_ns: int
    to_ns: int
    cause: str
    events_lost: int | None = None
    detail: str = ""


class NodeCoverage:
    """Intervals of one node: `by_session` and `gaps` in the order of their ends, and what else its records tell."""

    __slots__ = ("by_session", "gaps", "known_from_ns", "told", "twice", "vouched")

    def __init__(
        self,
        by_session: Iterable[VouchedInterval] = (),
        gaps: Iterable[GapInterval] = (),
        known_from_ns: int | None = None,
        told: Told | None = None,
    ) -> None:
        self.by_session = list(by_session)
        """What each session vouched for, in the order of the ends."""
        self.vouched = vouched_by_anybody(self.by_session)
        """What was vouched for by anybody."""
        self.twice = vouched_twice(self.by_session)
        """When two sessions of ingest vouched for the node at once, in order."""
        self.gaps = list(gaps)
        self.known_from_ns = known_from_ns
        self.told = told or Told()

    def add(self, found: Iterable[CoverageGap]) -> None:
        """Take records of this node."""
        found = list(found)
        for record in found:
            if vouches(record):
                self.by_session.append(VouchedInterval(record.from_ns, record.to_ns, record.session))
            if is_gap(record):
                self.gaps.append(_gap_of(record))
        self.told.add(found)
        self._settle()

    def lives(self) -> list[Life]:
        """From when to when the node owes. What was dropped may have been heard, so it owes for all of that."""
        told = [gap for gap in self.gaps if gap.cause != _UNKNOWN]
        dropped_ns = max(self.told.forgotten_ns, self.known_from_ns or 0)
        dropped = [Interval(EARLIEST_NS, dropped_ns)] if dropped_ns else []
        return lives(self.told, [*dropped, *self.vouched], told)

    def incomplete(self) -> list[GapInterval]:
        """When events may be missing: the gaps, and all the time before what is known."""
        if self.known_from_ns is None:
            return self.gaps
        return [GapInterval(EARLIEST_NS, self.known_from_ns, GapCause.UNKNOWN.value), *self.gaps]

    def judge(self, window: Interval) -> NodeWindow[GapInterval]:
        """Whether a window is complete. What was dropped is not vouched for, so it is never trusted."""
        return judge(window, self.vouched, self.twice, self.gaps)

    def _settle(self) -> None:
        vouched, gaps = join_by_session(self.by_session), _settled(self.gaps)
        dropped: list[Stretch] = [*vouched[:-MAX_INTERVALS], *gaps[:-MAX_INTERVALS]]
        for one in dropped:
            end_ns = max(one.to_ns, one.from_ns + 1)  # of an instant: nothing is claimed about its own moment either
            self.known_from_ns = max(end_ns, self.known_from_ns or end_ns)
        begin = self.known_from_ns
        if begin is not None:
            vouched = [one._replace(from_ns=max(one.from_ns, begin)) for one in vouched if one.to_ns > begin]
            gaps = [
                one._replace(from_ns=max(one.from_ns, begin))
                for one in gaps
                if one.to_ns > begin or one.from_ns == begin
            ]
        self.by_session = sorted(vouched, key=lambda one: (one.to_ns, one.from_ns, one.session))
        self.vouched, self.twice = vouched_by_anybody(vouched), vouched_twice(vouched)
        self.gaps = list(dict.fromkeys(gaps))  # a repetition of one that was cut

    def to_bytes(self) -> bytes:
        """Packed state; equal coverage is equal bytes."""
        is_cut = self.known_from_ns is not None
        numbers = [is_cut, self.known_from_ns or 0, len(self.by_session), len(self.gaps)]
        for one in self.by_session:
            numbers += one[:2]
        for gap in self.gaps:
            numbers += [*gap[:2], -1 if gap.events_lost is None else gap.events_lost]
        sessions, causes = [one.session for one in self.by_session], [gap.cause for gap in self.gaps]
        details = [gap.detail for gap in self.gaps]
        return pack([*numbers, *self.told.numbers()], [*sessions, *causes, *details, *self.told.texts()])

    @classmethod
    def from_bytes(cls, state: bytes) -> "NodeCoverage":
        """The coverage in a packed state. Raises StateError."""
        found = unpack(state)
        numbers, texts = iter(found[0]), iter(found[1])
        try:
            is_cut, known_from_ns, sessions, gaps = (next(numbers) for _ in range(4))
            vouched = [(next(numbers), next(numbers), next(texts)) for _ in range(sessions)]
            lengths = [(next(numbers), next(numbers), next(numbers)) for _ in range(gaps)]
            causes, details = [next(texts) for _ in range(gaps)], [next(texts) for _ in range(gaps)]
            told = Told.unpacked(numbers, texts)
        except (StopIteration, RuntimeError):
            raise StateError("state of coverage in another form than this version writes") from None
        if next(numbers, None) is not None or next(texts, None) is not None:
            raise StateError("state of coverage in another form than this version writes")
        return cls(
            [VouchedInterval(*one) for one in vouched],
            [
                GapInterval(from_ns, to_ns, cause, None if lost < 0 else lost, detail)
                for (from_ns, to_ns, lost), cause, detail in zip(lengths, causes, details, strict=True)
            ],
            known_from_ns if is_cut else None,
            told,
        )


def _gap_of(record: CoverageGap) -> GapInterval:
    """The gap of a record; losses keep their number."""
    if record.cause not in LOSSES or record.events_lost is None:
        return GapInterval(record.from_ns, record.to_ns, record.cause.value)
    detail = cut_text(record.detail or "", _MAX_DETAIL)
    return GapInterval(record.from_ns, record.to_ns, record.cause.value, max(0, record.events_lost), detail)


def _by_end(gap: GapInterval) -> tuple[int, int, str, int, str]:
    return gap.to_ns, gap.from_ns, gap.cause, gap.events_lost or 0, gap.detail


def _settled(gaps: Iterable[GapInterval]) -> list[GapInterval]:
    """Gaps in order: the newest with their numbers, one by one, and the others joined by cause."""
    counted = sorted({gap for gap in gaps if gap.events_lost is not None}, key=_by_end)
    by_cause: dict[str, list[Interval]] = {}
    for gap in (*(gap for gap in gaps if gap.events_lost is None), *counted[:-MAX_COUNTED]):
        by_cause.setdefault(gap.cause, []).append(Interval(gap.from_ns, gap.to_ns))
    joined = [GapInterval(*one, cause) for cause, intervals in by_cause.items() for one in join(intervals)]
    return sorted([*joined, *counted[-MAX_COUNTED:]], key=_by_end)
