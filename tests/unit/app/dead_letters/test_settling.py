"""Which calls of events that were refused before are counted by readers of `runtime.calls`."""

from app.dead_letters.settling import rising


def test_a_call_behind_one_with_a_higher_raw_offset_is_counted_by_nobody() -> None:
    """A pass that was not committed published 3 and 5; the next one, after a repair, publishes 3, 4, 5 and 6."""
    first, highest = rising([(0, 3), (0, 5)], -1)
    second, highest = rising([(0, 3), (0, 4), (0, 5), (0, 6)], highest)
    assert first == {(0, 3), (0, 5)}
    assert second == {(0, 6)}
    assert highest == 6
