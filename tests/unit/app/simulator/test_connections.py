"""app/simulator/connections.py."""

import pytest

from app.simulator.recording import Recording
from app.simulator.session import Offer, Session
from tests.support import watched_simulator as module
from tests.support.watched_simulator import WatchedConnections

OFFER = Offer(Recording.of([]), repeat=1, rate_per_s=None, close_at_end=False, agent=None)


def _session(connections: WatchedConnections, events_sent: int) -> Session:
    session = Session(OFFER, joined=connections.joined, left=connections.left)
    session.traffic.calls = 1
    session.traffic.events_sent = events_sent
    connections.joined(session)
    return session


def test_totals_count_open_and_closed_connections() -> None:
    """A connection counts from its beginning, while it is open and when it is gone."""
    connections = WatchedConnections()
    first, _second = _session(connections, 10), _session(connections, 200)
    connections.left(first)

    counters = connections.counters()

    assert (counters.connections, counters.connections_open) == (2, 1)
    assert (counters.calls, counters.events_sent) == (2, 210)


def test_totals_stay_right_when_old_connections_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the youngest connections are listed, but the totals hold all, an old one that is still busy too."""
    monkeypatch.setattr(module, "REMEMBERED_CONNECTIONS", 2)
    connections = WatchedConnections()
    oldest = _session(connections, 1)
    for _ in range(3):
        connections.left(_session(connections, 10))
    oldest.traffic.events_sent = 500

    counters = connections.counters()

    assert [traffic.events_sent for traffic in counters.by_connection] == [10, 10]
    assert (counters.connections, counters.events_sent) == (4, 530)


def test_counters_are_a_copy() -> None:
    """What was counted before does not change while a test looks at it."""
    connections = WatchedConnections()
    session = _session(connections, 1)
    before = connections.counters()
    session.traffic.events_sent = 2

    assert [traffic.events_sent for traffic in before.by_connection] == [1]
