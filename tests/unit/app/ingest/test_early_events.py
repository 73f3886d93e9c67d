import threading

import grpc

from app.ingest.early_events import MAX_BYTES, EarlyEvents
from app.ingest.statuses import StreamEnd

UNAVAILABLE = StreamEnd(grpc.StatusCode.UNAVAILABLE, "")


def test_latest_events_are_kept_within_the_limits() -> None:
    """What is dropped while another ingest writes is not a loss, and is known."""
    early = EarlyEvents()
    for _ in range(3):
        early.put(b"x" * (MAX_BYTES // 2))

    assert (len(early.kept()), early.is_whole) == (2, False)


def test_end_of_the_stream_forgets_what_it_brought() -> None:
    """A new stream does not go on where the old one ended."""
    early = EarlyEvents(wall_ns=iter(range(1, 10)).__next__)
    early.opened(b"a")
    early.put(b"a")
    opened_ns = early.open_ns

    early.ended(UNAVAILABLE)

    assert opened_ns is not None
    assert (early.kept(), early.first_event, early.open_ns) == ([], None, None)
    assert early.asked_ns > opened_ns


def test_events_go_on_in_order_behind_those_that_were_kept() -> None:
    """First what was chosen of the kept ones, then each new one through the filter, then directly."""
    early, got, filtered = EarlyEvents(), list[bytes](), list[bytes]()
    for event in (b"1", b"2", b"3"):
        early.put(event)

    over = early.pass_on(got.append, lambda kept: kept[1:], filtered.append, lambda _: None, lambda _: None)
    early.put(b"4")
    early.pass_directly(got.append)
    early.put(b"5")

    assert (over, got, filtered) == (1, [b"2", b"3", b"5"], [b"4"])


def test_end_of_the_stream_after_the_turn_waits_for_what_the_stream_brought() -> None:
    """Where to go on was found by numbers, so nothing moves any more; the end comes behind the events."""
    early, got = EarlyEvents(), list[object]()
    for _ in range(2):
        early.put(b"x" * (MAX_BYTES // 2))
    early.hold()
    early.put(b"last")
    ending = threading.Thread(target=early.ended, args=(UNAVAILABLE,), daemon=True)
    ending.start()
    ending.join(0.05)
    kept = early.kept()

    early.pass_on(got.append, lambda events: events[1:], got.append, lambda _: None, got.append)
    ending.join()

    assert (len(kept), early.is_whole) == (3, True)
    assert got[1:] == [b"last", UNAVAILABLE]
