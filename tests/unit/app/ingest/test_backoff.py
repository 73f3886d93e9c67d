from app.ingest.backoff import FIRST_SECONDS, HEALTHY_AFTER_SECONDS, LONGEST_SECONDS, Backoff


def test_waits_double_up_to_the_longest() -> None:
    """A dead agent is asked ever more rarely, and never more rarely than every LONGEST_SECONDS."""
    backoff = Backoff(lambda: 1.0)

    waits = [backoff.wait_seconds(0.0) for _ in range(12)]

    assert waits[:3] == [FIRST_SECONDS, 2 * FIRST_SECONDS, 4 * FIRST_SECONDS]
    assert waits[-1] == LONGEST_SECONDS
    assert max(waits) == LONGEST_SECONDS


def test_jitter_takes_up_to_a_half_off() -> None:
    """A fleet of ingests does not knock in step, and none knocks at once."""
    assert Backoff(lambda: 0.0).wait_seconds(0.0) == FIRST_SECONDS / 2


def test_short_lived_stream_does_not_reset() -> None:
    """An agent that accepts and crashes is still crashing."""
    backoff = Backoff(lambda: 1.0)
    for _ in range(5):
        backoff.wait_seconds(HEALTHY_AFTER_SECONDS - 1)

    assert backoff.wait_seconds(HEALTHY_AFTER_SECONDS - 1) > 4 * FIRST_SECONDS


def test_healthy_stream_resets() -> None:
    """After a good while the next attempt is soon again."""
    backoff = Backoff(lambda: 1.0)
    for _ in range(8):
        backoff.wait_seconds(0.0)

    assert backoff.wait_seconds(HEALTHY_AFTER_SECONDS) == FIRST_SECONDS
