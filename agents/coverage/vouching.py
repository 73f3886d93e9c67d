"""Who vouched for which stretches of time: the heartbeats of a node, apart by the session of ingest that sent them.

Two sessions that vouch for one stretch are two ingests at once: on one agent, which doubles its events, or on two
agents of one name, where the silence of one is hidden by the other. Nobody can tell which, so it is a reason to doubt.
"""

from collections.abc import Iterable
from typing import Final, NamedTuple

from agents.coverage.interval import Interval, join
from schemas.units import NS_PER_SECOND

VOUCHED_TWICE: Final = "VouchedTwice"
"""The cause, where an answer lists such a stretch."""

CLOCK_NOISE_NS: Final = 5 * NS_PER_SECOND
"""Sessions that overlap by no more than that follow each other. A session begins to vouch when its stream opens and
ends a minute before its last event, so a restart or a hand-over leaves a hole; clocks of hosts differ by less."""


class VouchedInterval(NamedTuple):
    """A stretch of time that one session vouched for; `session` is empty where the record names none."""

    from_ns: int
    to_ns: int
    session: str


def join_by_session(vouched: Iterable[VouchedInterval]) -> list[VouchedInterval]:
    """One interval for those of a session that overlap or touch, in the order of their ends."""
    by_session: dict[str, list[Interval]] = {}
    for one in vouched:
        by_session.setdefault(one.session, []).append(Interval(one.from_ns, one.to_ns))
    joined = [VouchedInterval(*one, session) for session, found in by_session.items() for one in join(found)]
    return sorted(joined, key=lambda one: (one.to_ns, one.from_ns, one.session))


def vouched_by_anybody(vouched: Iterable[VouchedInterval]) -> list[Interval]:
    """Stretches that any session vouched for, in order and without overlaps."""
    return join(Interval(one.from_ns, one.to_ns) for one in vouched)


def vouched_twice(vouched: Iterable[VouchedInterval]) -> list[Interval]:
    """Stretches that more than one session vouched for, in order; a session's own intervals do not overlap."""
    turns = sorted(turn for one in vouched for turn in ((one.from_ns, 1), (one.to_ns, -1)))
    stretches: list[Interval] = []
    sessions = begin_ns = 0
    for at_ns, change in turns:
        if sessions == 1 and change == 1:
            begin_ns = at_ns
        elif sessions == 2 and change == -1:
            stretches.append(Interval(begin_ns, at_ns))
        sessions += change
    return [one for one in join(stretches) if one.to_ns - one.from_ns > CLOCK_NOISE_NS]
