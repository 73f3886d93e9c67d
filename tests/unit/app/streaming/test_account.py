"""What a commit says about the records before it survives the process that counted them."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.streaming.account import Account, BatchOutcome, read_note
from app.streaming.ledger import FetchLink, HandOut, Ledger
from tests.support.fake_kafka import PARTITION, FakeKafka, harness, log_of

TP = ("topic", 0)
NUMBERS = st.integers(0, 2**63 - 1)


IDS = st.one_of(st.just(""), st.from_regex(r"[A-Za-z0-9+/=_-]{22}", fullmatch=True))


@given(st.builds(Account, NUMBERS, NUMBERS, NUMBERS, NUMBERS, IDS))
def test_an_account_comes_back_from_its_note(account: Account) -> None:
    """Whatever its numbers are."""
    assert read_note(account.note()) == account
    assert len(account.note()) < 256


def test_an_account_is_read_although_other_bytes_follow_it() -> None:
    """The admin client reads metadata beyond its end, so what follows the semicolon is not part of it."""
    account = Account(1, 2, 3, 4)

    assert read_note(account.note() + "7=0") == account
    assert read_note(account.note() + "x" * 10_000) == account


@pytest.mark.parametrize("note", [None, "", "leader", Account(1, 2, 3, 4).note().rstrip(";\0"), "x" * 10_000])
def test_another_programs_metadata_is_no_account(note: str | None) -> None:
    """A group that somebody else moved begins a new account."""
    assert read_note(note) is None


def test_what_was_passed_over_is_the_difference() -> None:
    """Every offset before the committed one is accounted for, or was passed over."""
    account = Account(100, outputs=40, not_calls=5, dead_letters=5)
    assert account.passed_over(150) == 0
    assert account.passed_over(170) == 20


def test_the_account_follows_what_may_be_committed_and_not_what_is_finished() -> None:
    """What is finished behind an unfinished batch is not accounted for yet; finishing twice counts once."""
    ledger = Ledger()
    ledger.open(TP, 10, seek=1, account=Account(0, outputs=10))
    first, second = (_admit(ledger, 10 + 5 * n, n) for n in range(2))
    second.finish(BatchOutcome(3, not_calls=1, dead_letters=1))
    second.finish(BatchOutcome(5))
    assert ledger.account(TP) == Account(0, outputs=10)
    first.finish()
    assert ledger.committable() == {TP: 20}
    assert ledger.account(TP) == Account(0, outputs=18, not_calls=1, dead_letters=1)
    assert ledger.account(TP).passed_over(20) == 0


def test_offsets_that_do_not_exist_are_not_accounted_for() -> None:
    """Records that expired before they were read leave a difference that `books` can tell."""
    ledger = Ledger()
    ledger.open(TP, 0, seek=1)
    hand_out = ledger.admit(TP, 4, 9, FetchLink(1, 0), records=5)
    assert isinstance(hand_out, HandOut)
    hand_out.finish()
    assert ledger.account(TP).passed_over(10) == 5


def test_a_restarted_worker_goes_on_with_the_account_of_the_one_before() -> None:
    """The account is committed with the offset and comes back with it."""

    async def scenario() -> None:
        kafka = FakeKafka(logs=log_of(*range(8)))
        async with harness(kafka, strict=True) as running:
            (event,) = await running.events(1)
            event.value.hand_out.finish(BatchOutcome(3, dead_letters=1))
            await running.commit()
        assert read_note(kafka.notes[PARTITION]) == Account(0, outputs=3, dead_letters=1)
        async with harness(kafka, strict=True) as running:
            (event,) = await running.events(1)
            event.value.hand_out.finish()
            await running.commit()
        assert read_note(kafka.notes[PARTITION]) == Account(0, outputs=7, dead_letters=1)
        assert kafka.committed_offsets == {PARTITION: 8}

    asyncio.run(scenario())


def test_a_group_whose_next_records_have_expired_goes_on_behind_them_and_its_account_shows_them() -> None:
    """Nothing is left to read of a quiet topic then, so its lag is none and nobody waits for a commit."""

    async def scenario() -> None:
        note = Account(0, outputs=4).note()
        kafka = FakeKafka(logs=log_of(10, 11), committed_offsets={PARTITION: 4}, notes={PARTITION: note})
        async with harness(kafka, strict=True) as running:
            assert running.consumer.ledger.committed() == {PARTITION: 10}
            (event,) = await running.events(1)
            event.value.hand_out.finish()
            await running.commit()
        account = read_note(kafka.notes[PARTITION])
        assert account == Account(0, outputs=6)
        assert account.passed_over(12) == 6

    asyncio.run(scenario())


def test_a_group_whose_offsets_were_moved_begins_a_new_account_there() -> None:
    """Tools that reset offsets leave no account, and what lies before is then not accounted for."""

    async def scenario() -> None:
        kafka = FakeKafka(logs=log_of(*range(8)), committed_offsets={PARTITION: 4})
        async with harness(kafka, strict=True) as running:
            (event,) = await running.events(1)
            event.value.hand_out.finish()
            await running.commit()
        assert read_note(kafka.notes[PARTITION]) == Account(4, outputs=4)

    asyncio.run(scenario())


def _admit(ledger: Ledger, first: int, number: int) -> HandOut:
    outcome = ledger.admit(TP, first, first + 4, FetchLink(1, number))
    assert isinstance(outcome, HandOut)
    return outcome


def test_a_note_ends_where_a_reader_that_knows_no_length_stops() -> None:
    """In a zero byte, the only one; behind it may be bytes that are no text."""
    assert Account(1, 2, 3, 4).note().index("\0") == len(Account(1, 2, 3, 4).note()) - 1
