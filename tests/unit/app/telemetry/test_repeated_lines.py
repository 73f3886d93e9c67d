"""What Kafka clients repeat is held back, and nothing else is."""

import logging

from app.ingest import gap_writer, writer
from app.streaming import delivery
from app.telemetry.repeated_lines import CLIENT_LOGGERS, REPEAT_SECONDS, HoldBackRepeats


def _line(message: str, *arguments: object, name: str = "aiokafka") -> logging.LogRecord:
    return logging.LogRecord(name, logging.ERROR, "file", 1, message, arguments, None)


def test_a_repeated_line_is_said_once_in_a_while_with_a_count() -> None:
    """The same template with other arguments is a repetition."""
    now = [0.0]
    held = HoldBackRepeats(clock=lambda: now[0])
    assert held.filter(_line("no broker at %s", "a"))
    assert not held.filter(_line("no broker at %s", "b"))
    assert not held.filter(_line("no broker at %s", "a"))
    now[0] = REPEAT_SECONDS + 1
    later = _line("no broker at %s", "a")
    assert held.filter(later)
    assert later.getMessage() == "no broker at a (and 2 times more before)"


def test_lines_of_different_kinds_do_not_hold_each_other_back() -> None:
    """Neither other templates nor other loggers."""
    held = HoldBackRepeats(clock=lambda: 0.0)
    assert held.filter(_line("one"))
    assert held.filter(_line("two"))
    assert held.filter(_line("one", name="aiokafka.conn"))


def test_librdkafkas_lines_that_differ_in_numbers_only_are_one_kind() -> None:
    """It writes ports and durations into the text itself."""
    held = HoldBackRepeats(clock=lambda: 0.0)
    assert held.filter(_line("connect to 127.0.0.1:9092 failed after 5ms"))
    assert not held.filter(_line("connect to 127.0.0.1:9092 failed after 7ms"))


def test_what_every_producer_of_ours_lets_librdkafka_say_is_held_back() -> None:
    """A logger that is renamed would fill the log during the next outage."""
    ours = {delivery.librdkafka_log.name, writer._librdkafka_log.name, gap_writer._librdkafka_log.name}
    assert ours <= set(CLIENT_LOGGERS)
