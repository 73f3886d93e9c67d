"""app/simulator/recording.py."""

import pytest

from app.simulator import recording as module
from app.simulator.recording import NO_KIND, Recording, RecordingTooLargeError
from schemas.tetragon.events_pb2 import GetEventsResponse, ProcessExec, ProcessThrottle, RateLimitInfo

EXEC = GetEventsResponse(process_exec=ProcessExec()).SerializeToString()
THROTTLE = GetEventsResponse(process_throttle=ProcessThrottle(cgroup="c")).SerializeToString()
LIMIT = GetEventsResponse(rate_limit_info=RateLimitInfo()).SerializeToString()


def test_events_are_length_prefixed_in_order() -> None:
    """Each event is preceded by a zero flag and its length in four bytes, big-endian."""
    recording = Recording.of([b"abc", b"", bytes(258)])

    assert bytes(recording.payload) == b"\0\0\0\0\3abc" + bytes(5) + b"\0\0\0\1\2" + bytes(258)
    assert list(recording.ends) == [8, 13, 276]
    assert len(recording) == 3


def test_kinds_are_the_event_type_numbers() -> None:
    """A kind is the number of the oneof's member; bytes without one, or that do not parse, have none."""
    other_edition = bytes([13 << 3 | 2, 0])

    assert list(Recording.of([EXEC, LIMIT, b"", other_edition, b"\xff"]).kinds) == [1, 40001, NO_KIND, NO_KIND, NO_KIND]


def test_only_keeps_the_chosen_kinds_in_order() -> None:
    """Choosing kinds gives the recording that holds just their events."""
    chosen = Recording.of([EXEC, THROTTLE, LIMIT, EXEC]).only(frozenset({1, 40001}))
    expected = Recording.of([EXEC, LIMIT, EXEC])

    assert (bytes(chosen.payload), chosen.ends, chosen.kinds) == (
        bytes(expected.payload),
        expected.ends,
        expected.kinds,
    )


def test_only_copies_nothing_when_all_kinds_are_chosen() -> None:
    """Clients without filters share one buffer."""
    recording = Recording.of([EXEC, THROTTLE])

    assert recording.only(frozenset({NO_KIND, 1, 27})) is recording


def test_a_recording_over_the_limit_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Events that do not fit into memory's share end the load with a message."""
    monkeypatch.setattr(module, "MAX_PAYLOAD_BYTES", 20)

    with pytest.raises(RecordingTooLargeError, match="first 3 events"):
        Recording.of([b"abc"] * 4)
