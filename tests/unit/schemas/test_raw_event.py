"""What a raw event says of itself."""

import pytest

from schemas.node import NodeId
from schemas.raw_event import event_time_ns, node_of
from schemas.tetragon.events_pb2 import GetEventsResponse
from schemas.units import MAX_SECONDS


@pytest.mark.parametrize(
    ("seconds", "nanos", "time_ns"),
    [
        (1_700_000_000, 5, 1_700_000_000_000_000_005),
        (0, 0, 0),
        (-1, 0, -1_000_000_000),
        (MAX_SECONDS, 999_999_999, MAX_SECONDS * 10**9 + 999_999_999),
        (MAX_SECONDS + 1, 0, None),
        (-MAX_SECONDS - 1, 0, None),
        (1 << 62, 0, None),
        (1, -1, None),
        (1, 1_000_000_000, None),
    ],
)
def test_a_time_is_one_that_a_record_can_hold(seconds: int, nanos: int, time_ns: int | None) -> None:
    """An agent may send any other, which then is not a time."""
    event = GetEventsResponse()
    event.time.seconds, event.time.nanos = seconds, nanos

    assert event_time_ns(event.SerializeToString()) == time_ns


def test_what_is_no_event_has_neither_time_nor_node() -> None:
    """Any bytes may come."""
    named = GetEventsResponse(node_name="worker-0", cluster_name="east").SerializeToString()

    assert event_time_ns(b"\xff") is event_time_ns(named) is None
    assert node_of(b"\xff") == node_of(b"") == NodeId("", "")
    assert node_of(named) == NodeId("east", "worker-0")
