"""app/kafka/positions.py: what each word means, and which offsets it stands for in a partition."""

import pytest

from app.kafka.positions import (
    First,
    Last,
    Moment,
    PartitionOffsets,
    Position,
    PositionError,
    SameOffset,
    offset_in,
    parse,
    parse_time,
)
from app.kafka.records import OffsetRange

NOW_NS = 1_800_000_000_123_456_789
NOON_NS = 1_769_860_800 * 10**9
"""2026-01-31T12:00:00Z."""


@pytest.mark.parametrize(
    ("text", "position"),
    [
        ("first", First()),
        ("last", Last()),
        ("last-20", Last(20)),
        ("offset:1000", SameOffset(1000)),
        ("0:1000,3:77", PartitionOffsets({0: 1000, 3: 77})),
        ("now", Moment(NOW_NS)),
        ("30s", Moment(NOW_NS - 30 * 10**9)),
        ("90m", Moment(NOW_NS - 5_400 * 10**9)),
        ("2h", Moment(NOW_NS - 7_200 * 10**9)),
        ("7d", Moment(NOW_NS - 604_800 * 10**9)),
        ("2026-01-31T12:00:00Z", Moment(NOON_NS)),
        ("2026-01-31T13:00:00.250001+01:00", Moment(NOON_NS + 250_001_000)),
    ],
)
def test_a_word_has_one_meaning(text: str, position: Position) -> None:
    """Words, offsets and times are read as the module says."""
    assert parse(text, NOW_NS) == position


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("1000", "write offset:1000, or a time"),
        ("-20", "write last-20, or a time"),
        ("2026-01-31T12:00:00", "has no time zone: write 2026-01-31T12:00:00Z"),
        ("2026-01-31", "has no time zone: write 2026-01-31T00:00:00Z"),
        ("beginning", "is not a position: write first, last"),
        ("end", "is not a position: write first, last"),
        ("yesterday", "is not a position: write first, last"),
        ("", "is not a position"),
        ("offset:", "is not a position"),
        ("1h30m", "is not a position"),
        ("0:1,", "is not a position"),
        ("²h", "is not a position"),
    ],
)
def test_what_could_mean_two_things_is_refused_with_the_right_form(text: str, hint: str) -> None:
    """A bare number, a time without a zone, and words of other programs."""
    with pytest.raises(PositionError, match=hint.replace("+", r"\+")):
        parse(text, NOW_NS)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("first", "a place in a topic"),
        ("last", "a place in a topic"),
        ("last-20", "a place in a topic"),
        ("offset:1000", "an offset"),
        ("0:1000", "an offset"),
    ],
)
def test_where_only_a_time_makes_sense_a_place_is_refused_by_its_name(text: str, kind: str) -> None:
    """The message says what was written, and what is needed."""
    with pytest.raises(PositionError, match=f"'{text}' is {kind}, but a time is needed here"):
        parse_time(text, NOW_NS)
    assert parse_time("now", NOW_NS) == NOW_NS


def test_where_only_a_time_makes_sense_no_other_form_is_offered() -> None:
    """`first` would be refused in its turn."""
    with pytest.raises(PositionError, match=r"^'yesterday' is not a time: write now, 90m"):
        parse_time("yesterday", NOW_NS)


@pytest.mark.parametrize(
    ("position", "offset"),
    [
        (First(), 10),
        (Last(), 50),
        (Last(20), 30),
        (Last(1_000), 10),
        (SameOffset(5), 5),
        (PartitionOffsets({3: 44}), 44),
        (Moment(7_000_001), 28),
        (Moment(0), 10),
        (Moment(-5), 10),
    ],
)
def test_a_position_is_an_offset_in_a_partition(position: Position, offset: int) -> None:
    """A time means the first record that is not older: its milliseconds are rounded up, and never negative."""
    assert offset_in(position, OffsetRange(3, 10, 50), lambda time_ms: 20 + time_ms if time_ms else 0) == offset
