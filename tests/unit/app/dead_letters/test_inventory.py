"""Dead letters as an operator sees them: each once, open until its event was sent again."""

from typing import Any

from app.dead_letters.inventory import (
    RETRY,
    DeadLetterChoice,
    DeadLetterGroup,
    Inventory,
    RefusalKind,
    counted,
    grouped,
)
from app.dead_letters.resend import _runs

ALL = DeadLetterChoice()


def _record(offset: int, *, stage: str = "privacy", reason: str = "field_too_long", raw_offset: int = 7) -> Any:
    return {
        "source_topic": "runtime.canonical",
        "source_partition": 1,
        "source_offset": offset,
        "stage": stage,
        "reason": reason,
        "error_class": None,
        "raw_partition": 1,
        "raw_offset": raw_offset,
    }


def _letters(*records: Any) -> Inventory:
    letters = Inventory()
    for number, record in enumerate(records):
        letters.add(record, 1_000 + number)
    return letters


def test_a_letter_that_came_twice_is_one() -> None:
    """After a crash a stage refuses the same record again."""
    assert len(_letters(_record(3), _record(3), _record(4)).open(ALL)) == 2


def test_an_event_that_was_sent_again_is_not_open_and_its_new_place_is_known() -> None:
    """The note stands under the letter's own source position, whichever comes first."""
    note = _record(3, stage=RETRY, reason=RETRY, raw_offset=99)
    for letters in (_letters(_record(3), _record(4), note), _letters(note, _record(3), _record(4))):
        (left,) = letters.open(ALL)
        assert left.source.offset == 4
        assert list(letters.sent_again.values()) == [(1, 99)]


def test_letters_are_chosen_by_stage_and_reason() -> None:
    """Both have to fit where both are given."""
    letters = _letters(_record(1), _record(2, stage="canonicalize"), _record(3, reason="unknown_kind"))
    assert len(letters.chosen(DeadLetterChoice(stages=["privacy"]))) == 2
    assert len(letters.chosen(DeadLetterChoice(stages=["privacy"], reasons=["unknown_kind"]))) == 1
    assert letters.chosen(DeadLetterChoice(stages=["hot-symbols"])) == []


def test_groups_say_how_many_are_open_and_since_when() -> None:
    """The largest first."""
    note = _record(3, stage=RETRY, reason=RETRY)
    groups = grouped(_letters(_record(9, reason="empty"), _record(3), _record(4), note), ALL)
    assert list(groups.items()) == [
        (
            RefusalKind("privacy", "field_too_long", None),
            DeadLetterGroup(letters=2, sent_again=1, first_ms=1_001, last_ms=1_002),
        ),
        (
            RefusalKind("privacy", "empty", None),
            DeadLetterGroup(letters=1, sent_again=0, first_ms=1_000, last_ms=1_000),
        ),
    ]


def test_a_letter_without_a_raw_position_has_none() -> None:
    """It cannot be sent again, and nothing else must be in its place."""
    (letter,) = _letters(_record(1, raw_offset=-1)).open(ALL)
    assert letter.raw is None


def test_records_of_others_are_counted_and_left_alone() -> None:
    """A shared topic may hold anything."""
    letters = _letters(None, _record(1))
    assert (letters.strangers, len(letters.open(ALL))) == (1, 1)


def test_kinds_are_counted_by_stage_and_reason() -> None:
    """The most frequent first."""
    kinds = [
        RefusalKind("privacy", "empty", None),
        RefusalKind("privacy", "empty", "X"),
        RefusalKind("canonicalize", "empty", None),
    ]
    assert list(counted(kinds).items()) == [("privacy/empty", 2), ("canonicalize/empty", 1)]


def test_positions_that_are_close_are_read_in_one_run() -> None:
    """A letter a million records away does not make the reader fetch what lies between."""
    assert list(_runs([1, 2, 900, 1_000_000, 1_000_001])) == [[1, 2, 900], [1_000_000, 1_000_001]]
    assert list(_runs([])) == []
