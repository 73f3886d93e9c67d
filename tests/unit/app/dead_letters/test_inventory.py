"""Dead letters as an operator sees them: one for each event, open until it has a call or was sent again."""

from typing import Any

from agents.dead_letters import RETRY, SENDING
from app.dead_letters.inventory import (
    ALL_LETTERS,
    DeadLetterChoice,
    DeadLetterGroup,
    Inventory,
    LetterState,
    RefusalKind,
    RefusedPosition,
    StoredDeadLetter,
    counted,
    grouped,
)

RAW = "tetragon.raw"


def _record(
    offset: int, *, stage: str = "privacy", reason: str = "field_too_long", raw_offset: int | None = None
) -> Any:
    """A dead letter of the canonical record at `offset`; its raw record is at 100 times that, if not given."""
    return {
        "source_topic": "runtime.canonical",
        "source_partition": 1,
        "source_offset": offset,
        "stage": stage,
        "reason": reason,
        "error_class": None,
        "raw_partition": 1,
        "raw_offset": 100 * offset if raw_offset is None else raw_offset,
    }


def _note(raw_offset: int, reason: str = RETRY, *, copy: int = 9_999) -> Any:
    """A note beside the dead letters of a raw record."""
    note = _record(raw_offset, stage=RETRY, reason=reason, raw_offset=copy)
    return note | {"source_topic": RAW}


def _letters(*records: Any) -> Inventory:
    letters = Inventory(RAW)
    for number, record in enumerate(records):
        letters.add(record, 1_000 + number)
    return letters


def _open(letters: Inventory) -> list[StoredDeadLetter]:
    return letters.chosen(ALL_LETTERS, LetterState.OPEN)


def test_a_letter_that_came_twice_is_one() -> None:
    """After a crash a stage refuses the same record again."""
    assert len(_open(_letters(_record(3), _record(3), _record(4)))) == 2


def test_letters_of_one_raw_record_are_one_and_the_last_one_stands() -> None:
    """Canonicalize was killed before its commit, and privacy refused both copies; before, canonicalize refused it."""
    first = _record(300, stage="canonicalize", reason="malformed") | {"source_topic": RAW, "raw_offset": 300}
    letters = _letters(first, _record(3), _record(8, raw_offset=300, reason="too_deep"), _record(4))
    assert [(one.source.offset, one.reason) for one in _open(letters)] == [(8, "too_deep"), (4, "field_too_long")]
    assert letters.chosen(DeadLetterChoice(stages=["canonicalize"])) == []


def test_an_event_that_was_sent_again_is_not_open_and_its_new_place_is_known() -> None:
    """The note stands under the raw position of the refused record, whichever comes first."""
    note = _note(300, copy=99)
    for letters in (_letters(_record(3), _record(4), note), _letters(note, _record(3), _record(4))):
        (left,) = _open(letters)
        assert left.source.offset == 4
        assert list(letters.sent_again.values()) == [(1, 99)]


def test_a_letter_that_comes_after_the_note_of_its_raw_record_is_not_open() -> None:
    """A late repetition of a record that was sent again must not send it once more."""
    assert _open(_letters(_record(3), _note(300), _record(8, raw_offset=300))) == []


def test_an_event_whose_sending_was_cut_short_is_open_and_says_where_its_copy_may_be() -> None:
    """From the first such note on: the copy is behind the raw topic's end of that moment."""
    letters = _letters(_record(3), _note(300, SENDING, copy=500), _note(300, SENDING, copy=700))
    assert len(_open(letters)) == 1
    assert letters.sending == {RefusedPosition(RAW, 1, 300): 500}
    assert _letters(_record(3), _note(300, SENDING, copy=500), _note(300)).sending == {}


def test_an_event_that_has_a_call_is_not_open_whatever_else_is_known() -> None:
    """A later pass over its record published it."""
    letters = _letters(_record(3), _record(4), _record(5))
    letters.published, letters.waiting = {(1, 300)}, {(1, 300), (1, 400)}
    states = [letters.state(one) for one in letters.chosen(ALL_LETTERS)]
    assert states == [LetterState.PUBLISHED, LetterState.WAITING, LetterState.OPEN]
    (group,) = grouped(letters, ALL_LETTERS).values()
    assert (group.open, group.published, group.waiting) == (1, 1, 1)


def test_letters_are_chosen_by_stage_and_reason() -> None:
    """Both have to fit where both are given."""
    letters = _letters(_record(1), _record(2, stage="canonicalize"), _record(3, reason="unknown_kind"))
    assert len(letters.chosen(DeadLetterChoice(stages=["privacy"]))) == 2
    assert len(letters.chosen(DeadLetterChoice(stages=["privacy"], reasons=["unknown_kind"]))) == 1
    assert letters.chosen(DeadLetterChoice(stages=["hot-symbols"])) == []


def test_groups_say_how_many_are_open_and_since_when() -> None:
    """The largest first."""
    groups = grouped(_letters(_record(9, reason="empty"), _record(3), _record(4), _note(300)), ALL_LETTERS)
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
    (letter,) = _open(_letters(_record(1, raw_offset=-1)))
    assert letter.raw is None


def test_records_of_others_are_counted_and_left_alone() -> None:
    """A shared topic may hold anything."""
    letters = _letters(None, _record(1))
    assert (letters.strangers, len(_open(letters))) == (1, 1)


def test_kinds_are_counted_by_stage_and_reason() -> None:
    """The most frequent first."""
    kinds = [
        RefusalKind("privacy", "empty", None),
        RefusalKind("privacy", "empty", "X"),
        RefusalKind("canonicalize", "empty", None),
    ]
    assert list(counted(kinds).items()) == [("privacy/empty", 2), ("canonicalize/empty", 1)]
