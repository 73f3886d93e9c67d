"""app/operators/times.py: the one way in which times are printed."""

import pytest

from app.operators.times import time_text

NOON_NS = 1_769_860_800 * 10**9


@pytest.mark.parametrize(
    ("time_ns", "digits", "text"),
    [
        (NOON_NS, 0, "2026-01-31T12:00:00Z"),
        (NOON_NS + 999_999_999, 0, "2026-01-31T12:00:00Z"),
        (NOON_NS + 1_999_999, 3, "2026-01-31T12:00:00.001Z"),
        (NOON_NS + 1, 9, "2026-01-31T12:00:00.000000001Z"),
        (0, 0, "1970-01-01T00:00:00Z"),
        (-1, 9, "1969-12-31T23:59:59.999999999Z"),
    ],
)
def test_a_time_is_printed_in_utc_and_cut_off_below_its_digits(time_ns: int, digits: int, text: str) -> None:
    """ISO 8601, which every option that takes a time reads again."""
    assert time_text(time_ns, digits) == text


def test_a_time_without_a_date_is_printed_as_the_number() -> None:
    """Other services may write any number into a record."""
    assert time_text(2**63 * 1_000, 3) == "9223372036854775808000"
