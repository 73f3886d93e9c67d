from app.ingest.backoff import FIRST_S, HEALTHY_AFTER_S, LONGEST_S, Backoff


def test_waits_double_up_to_the_longest() -> None:
    """A dead agent is asked ever more rarely, and never more rarely than every LONGEST_S."""
    backoff = Backoff(lambda: 1.0)

    waits = [backoff.wait_s(0.0) for _ in range(12)]

    assert waits[:3] == [FIRST_S, 2 * FIRST_S, 4 * FIRST_S]
    assert waits[-1] == LONGEST_S
    assert max(waits) == LONGEST_S


def test_jitter_takes_up_to_a_half_off() -> None:
    """A fleet of ingests does not knock in step, and none knocks at once."""
    assert Backoff(lambda: 0.0).wait_s(0.0) == FIRST_S / 2


def test_short_lived_stream_does_not_reset() -> None:
    """An agent that accepts and crashes is still crashing."""
    backoff = Backoff(lambda: 1.0)
    for _ in range(5):
        backoff.wait_s(HEALTHY_AFTER_S - 1)

    assert backoff.wait_s(HEALTHY_AFTER_S - 1) > 4 * FIRST_S


def test_healthy_stream_resets() -> None:
    """After a good while the next attempt is soon again."""
    backoff = Backoff(lambda: 1.0)
    for _ in range(8):
        backoff.wait_s(0.0)

    assert backoff.wait_s(HEALTHY_AFTER_S) == FIRST_S
