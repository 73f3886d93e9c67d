"""The ledger decides alone what may be committed; everything about them can be tried without Faust."""

from hypothesis import given
from hypothesis import strategies as st

from app.streaming.ledger import FetchLink, HandOut, HandOutRefusal, Ledger

TP = ("topic", 0)
OTHER = ("topic", 1)


def _admit(ledger: Ledger, first: int, last: int, number: int, *, seek: int = 1) -> HandOut:
    outcome = ledger.admit(TP, first, last, FetchLink(seek, number))
    assert isinstance(outcome, HandOut)
    return outcome


def _opened(position: int = 0) -> Ledger:
    ledger = Ledger()
    ledger.open(TP, position, seek=1)
    return ledger


def test_nothing_is_committable_while_the_first_batch_is_unfinished() -> None:
    """Later batches wait for the one before them, however many are finished."""
    ledger = _opened()
    first, second, third = (_admit(ledger, 10 * n, 10 * n + 9, n) for n in range(3))
    third.finish()
    second.finish()
    assert ledger.committable() == {}
    first.finish()
    assert ledger.committable() == {TP: 30}


def test_a_noted_commit_is_due_no_more_and_a_refused_one_stays_due() -> None:
    """What the broker did not accept is offered again."""
    ledger = _opened()
    _admit(ledger, 0, 4, 0).finish()
    assert ledger.committable() == {TP: 5}
    assert ledger.committable() == {TP: 5}
    ledger.note_committed(TP, 5)
    assert ledger.committable() == {}
    assert ledger.committed() == {TP: 5}


def test_a_batch_after_a_lost_one_breaks_the_chain_until_the_consumer_has_sought_back() -> None:
    """Batches in progress keep counting across the seek back."""
    ledger = _opened()
    first = _admit(ledger, 0, 4, 0)
    assert ledger.admit(TP, 10, 14, FetchLink(1, 2)) is HandOutRefusal.BROKEN_CHAIN
    ledger.resume(TP, seek=2)
    _admit(ledger, 5, 9, 0, seek=2).finish()
    first.finish()
    assert ledger.committable() == {TP: 10}


def test_a_seek_back_that_was_overtaken_changes_nothing() -> None:
    """A partition that was positioned again in the meantime keeps the newer seek."""
    ledger = _opened()
    ledger.open(TP, 100, seek=7)
    ledger.resume(TP, seek=6)
    assert ledger.admit(TP, 100, 100, FetchLink(6, 0)) is HandOutRefusal.STALE
    assert isinstance(ledger.admit(TP, 100, 100, FetchLink(7, 0)), HandOut)


def test_batches_fetched_before_the_last_seek_are_stale() -> None:
    """Whatever their offsets are."""
    ledger = _opened()
    assert ledger.admit(TP, 0, 4, FetchLink(0, 0)) is HandOutRefusal.STALE


def test_a_partition_that_is_not_open_takes_no_batch() -> None:
    """Before the first seek, and after it was revoked."""
    ledger = _opened()
    assert ledger.admit(OTHER, 0, 4, FetchLink(1, 0)) is HandOutRefusal.CLOSED
    ledger.close([TP, OTHER])
    assert ledger.admit(TP, 0, 4, FetchLink(1, 0)) is HandOutRefusal.CLOSED
    assert ledger.position(TP) is None


def test_a_batch_that_begins_before_the_position_is_told_from_a_gap() -> None:
    """Going back means another topic; going forward means records that no longer exist."""
    ledger = _opened(position=50)
    assert ledger.admit(TP, 49, 60, FetchLink(1, 0)) is HandOutRefusal.BACKWARDS
    _admit(ledger, 53, 60, 0).finish()
    assert ledger.committable() == {TP: 61}


def test_finishing_after_the_partition_was_lost_counts_for_nobody() -> None:
    """Neither in the closed ledger nor in what is opened later for the same partition."""
    ledger = _opened()
    late = _admit(ledger, 0, 4, 0)
    ledger.open(TP, 0, seek=2)
    assert not late.current
    assert not late.start()
    late.finish()
    assert ledger.committable() == {}


def test_unfinished_are_the_batches_on_which_work_began() -> None:
    """A batch that waits in a queue need not be waited for."""
    ledger = _opened()
    begun, waiting = _admit(ledger, 0, 4, 0), _admit(ledger, 5, 9, 1)
    assert begun.start()
    assert list(ledger.unfinished()) == [begun]
    begun.finish()
    assert list(ledger.unfinished()) == []
    assert not waiting.started


def test_finishing_twice_is_finishing_once() -> None:
    """A second finish of the same batch does not finish the next."""
    ledger = _opened()
    first, _second = _admit(ledger, 0, 4, 0), _admit(ledger, 5, 9, 1)
    first.finish()
    first.finish()
    assert ledger.committable() == {TP: 5}


@given(st.permutations(range(12)), st.integers(0, 12))
def test_committable_is_the_end_of_the_finished_prefix_in_any_order(order: list[int], finished: int) -> None:
    """The one rule, for every order of finishing."""
    ledger = _opened()
    batches = [_admit(ledger, 2 * n, 2 * n + 1, n) for n in range(12)]
    done = set(order[:finished])
    for n in order[:finished]:
        batches[n].finish()
    prefix = next((n for n in range(12) if n not in done), 12)
    assert ledger.committable() == ({TP: 2 * prefix} if prefix else {})


def test_a_partition_that_begins_again_at_the_same_offset_after_work_counts_repetitions() -> None:
    """A commit ends the row, and so does a time without work."""
    ledger = _opened(10)
    for seek in (2, 3):
        _admit(ledger, 10, 19, 0, seek=seek - 1)
        ledger.close_all()
        ledger.open(TP, 10, seek=seek)
    assert ledger.repetitions() == {TP: 2}
    _admit(ledger, 10, 19, 0, seek=3).finish()
    ledger.close_all()
    ledger.open(TP, 20, seek=4)
    assert ledger.repetitions() == {TP: 0}
    ledger.open(TP, 20, seek=5)
    assert ledger.repetitions() == {TP: 0}
