"""app/simulator/playback.py."""

from app.simulator.playback import FOREVER, Playback
from app.simulator.recording import Recording

THREE = Recording.of([b"a", b"bb", b"ccc"])  # 6, 7 and 8 bytes with their prefixes
BIG = 1_000_000


def test_one_pass_hands_out_everything_once() -> None:
    """With room enough a recording comes in one piece, and then nothing more."""
    playback = Playback(THREE)

    assert playback.take(BIG, 0.0) == THREE.payload
    assert playback.finished
    assert not playback.take(BIG, 9.0)


def test_pieces_may_end_inside_an_event_that_counts_when_its_last_byte_is_taken() -> None:
    """Room decides where a piece ends; the count follows whole events."""
    playback = Playback(THREE)

    taken = [(bytes(playback.take(7, 0.0)), playback.events_taken) for _ in range(3)]

    assert b"".join(piece for piece, _ in taken) == bytes(THREE.payload)
    assert [events for _, events in taken] == [1, 2, 3]


def test_no_room_takes_nothing() -> None:
    """A window at or below zero, which a settings change can cause, takes nothing and loses nothing."""
    playback = Playback(THREE)

    assert not playback.take(0, 0.0)
    assert not playback.take(-5, 0.0)
    assert playback.take(BIG, 0.0) == THREE.payload


def test_repeat_counts_passes() -> None:
    """Two passes are the recording twice, one piece a pass."""
    playback = Playback(THREE, repeat=2)

    assert [len(playback.take(BIG, 0.0)) for _ in range(3)] == [21, 21, 0]
    assert playback.events_taken == 6


def test_repeat_forever_never_finishes() -> None:
    """Without an end there is always a next pass."""
    playback = Playback(THREE, repeat=FOREVER)

    for _ in range(1000):
        assert playback.take(BIG, 0.0)
    assert not playback.finished


def test_an_empty_recording_is_finished_at_once() -> None:
    """Nothing repeated for ever is still nothing, not an endless loop."""
    playback = Playback(Recording.of([]), repeat=FOREVER, rate_per_s=5)

    assert playback.finished
    assert not playback.take(BIG, 100.0)


def test_rate_releases_whole_events_when_they_are_due() -> None:
    """At two a second the first event is due after half a second, and room beyond it is not used."""
    playback = Playback(THREE, rate_per_s=2)

    assert [len(playback.take(BIG, seconds)) for seconds in (0.0, 0.49, 0.5, 0.6, 1.0, 1.5)] == [0, 0, 6, 0, 7, 8]
    assert playback.finished


def test_rate_does_not_drift_when_ticks_are_uneven() -> None:
    """After an hour of uneven ticks exactly rate times time events are out."""
    playback = Playback(THREE, repeat=FOREVER, rate_per_s=100)
    seconds, tick = 0.0, 0.0
    while seconds < 3600.0:
        tick = (tick + 0.0137) % 0.9
        seconds = min(seconds + tick, 3600.0)
        while playback.take(BIG, seconds):
            pass

    assert playback.events_taken == 360_000


def test_rate_catches_up_when_the_client_was_slow() -> None:
    """What became due while there was no room comes as soon as there is."""
    playback = Playback(THREE, repeat=2, rate_per_s=2)

    assert not playback.take(0, 2.0)
    assert [len(playback.take(BIG, 2.0)) for _ in range(3)] == [21, 6, 0]
