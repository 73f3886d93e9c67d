"""What a commit says about the records before it survives the process that counted them."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.streaming.account import MAX_NOTE_CHARS, Account, BatchOutcome, read_note
from app.streaming.ledger import FetchLink, HandOut, Ledger
from app.streaming.skipped import DELETED, SkippedRange
from tests.support.fake_kafka import PARTITION, SOURCE, TIME_MS, FakeKafka, harness, log_of

TP = ("topic", 0)
NUMBERS = st.integers(0, 2**63 - 1)


IDS = st.one_of(st.just(""), st.from_regex(r"[A-Za-z0-9+/=_-]{22}", fullmatch=True))


@given(st.builds(Account, NUMBERS, NUMBERS, NUMBERS, NUMBERS, IDS, NUMBERS, NUMBERS, NUMBERS))
def test_an_account_comes_back_from_its_note(account: Account) -> None:
    """Whatever its numbers are."""
    assert read_note(account.note()) == account
    assert len(account.note()) < MAX_NOTE_CHARS


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


def test_offsets_that_hold_no_record_and_records_that_were_deleted_are_accounted_for_apart() -> None:
    """The first are not a loss; the second are, and the account says so for as long as the group lives."""
    ledger = Ledger()
    ledger.open(TP, 0, seek=1)
    outcomes = [
        ledger.admit(TP, 0, 9, FetchLink(1, 0), records=5, until_ms=70),
        ledger.admit(TP, 10, 19, FetchLink(1, 1), records=0, is_deleted=True),
        ledger.admit(TP, 20, 20, FetchLink(1, 2), records=0),
    ]
    for outcome in outcomes:
        assert isinstance(outcome, HandOut)
        outcome.finish()
    account = ledger.account(TP)
    assert account == Account(0, outputs=5, no_records=6, lost=10, until_ms=70)
    assert account.passed_over(21) == 0
    assert ledger.until_ms(TP) == 70


def test_a_restarted_worker_goes_on_with_the_account_of_the_one_before() -> None:
    """The account is committed with the offset and comes back with it."""

    async def scenario() -> None:
        kafka = FakeKafka(logs=log_of(*range(8)))
        async with harness(kafka, strict=True) as running:
            (event,) = await running.events(1)
            event.value.hand_out.finish(BatchOutcome(3, dead_letters=1))
            await running.commit()
        assert read_note(kafka.notes[PARTITION]) == Account(0, outputs=3, dead_letters=1, until_ms=TIME_MS)
        async with harness(kafka, strict=True) as running:
            (event,) = await running.events(1)
            event.value.hand_out.finish()
            await running.commit()
        assert read_note(kafka.notes[PARTITION]) == Account(0, outputs=7, dead_letters=1, until_ms=TIME_MS)
        assert kafka.committed_offsets == {PARTITION: 8}

    asyncio.run(scenario())


def test_a_group_whose_next_records_were_deleted_says_so_and_commits_at_once() -> None:
    """Nothing may be left to read, and then no later record would say it."""

    async def scenario() -> None:
        note = Account(0, outputs=4, until_ms=900).note()
        kafka = FakeKafka(logs=log_of(10, 11), committed_offsets={PARTITION: 4}, notes={PARTITION: note})
        async with harness(kafka, strict=True) as running:
            assert running.skipped == [SkippedRange(SOURCE, 0, 4, 10, 900, TIME_MS, DELETED)]
            await running.commit()
            assert kafka.committed_offsets == {PARTITION: 10}
            assert read_note(kafka.notes[PARTITION]) == Account(0, outputs=4, lost=6, until_ms=900)
            (event,) = await running.events(1)
            event.value.hand_out.finish()
            await running.commit()
        account = read_note(kafka.notes[PARTITION])
        assert account == Account(0, outputs=6, lost=6, until_ms=TIME_MS)
        assert account.passed_over(12) == 0

    asyncio.run(scenario())


def test_a_group_that_never_committed_lacks_what_was_deleted_before() -> None:
    """Its account begins at the first offset that there ever was."""

    async def scenario() -> None:
        kafka = FakeKafka(logs=log_of(10, 11))
        async with harness(kafka, strict=True) as running:
            assert running.skipped == [SkippedRange(SOURCE, 0, 0, 10, 0, TIME_MS, DELETED)]
            await running.commit()
            assert read_note(kafka.notes[PARTITION]) == Account(0, lost=10)

    asyncio.run(scenario())


def test_records_that_are_deleted_while_they_are_read_are_said_before_what_follows_them() -> None:
    """The reader goes on behind them, and the account has them in their place."""

    async def scenario() -> None:
        kafka = FakeKafka(logs=log_of(*range(4)), resets_nothing=True)
        async with harness(kafka, strict=True) as running:
            (event,) = await running.events(1)
            kafka.logs = log_of(20, 21)
            event.value.hand_out.finish()
            (event,) = await running.events(1)
            event.value.hand_out.finish()
            await running.commit()
            assert running.skipped == [SkippedRange(SOURCE, 0, 4, 20, TIME_MS, TIME_MS, DELETED)]
        assert read_note(kafka.notes[PARTITION]) == Account(0, outputs=6, lost=16, until_ms=TIME_MS)

    asyncio.run(scenario())


def test_what_an_aborted_transaction_wrote_is_passed_and_is_no_loss() -> None:
    """Also at the end of the log, where no record follows: what is committed reaches the end all the same."""

    async def scenario() -> None:
        kafka = FakeKafka(logs=log_of(*range(8)), passed_over={PARTITION: {2, 3, 6, 7}}, fetch_size=2)
        async with harness(kafka, strict=True) as running:
            for event in await running.events(2):
                event.value.hand_out.finish()
            while running.consumer.ledger.committable() != {PARTITION: 8}:  # noqa: ASYNC110 - nothing tells of it
                await asyncio.sleep(0.01)
            await running.commit()
            assert running.skipped == []
        account = read_note(kafka.notes[PARTITION])
        assert account == Account(0, outputs=4, no_records=4, until_ms=TIME_MS)
        assert kafka.committed_offsets == {PARTITION: 8}

    asyncio.run(scenario())


def test_a_group_whose_offsets_were_moved_begins_a_new_account_there() -> None:
    """Tools that reset offsets leave no account, and what lies before is then not accounted for."""

    async def scenario() -> None:
        kafka = FakeKafka(logs=log_of(*range(8)), committed_offsets={PARTITION: 4})
        async with harness(kafka, strict=True) as running:
            (event,) = await running.events(1)
            event.value.hand_out.finish()
            await running.commit()
        assert read_note(kafka.notes[PARTITION]) == Account(4, outputs=4, until_ms=TIME_MS)

    asyncio.run(scenario())


def _admit(ledger: Ledger, first: int, number: int) -> HandOut:
    outcome = ledger.admit(TP, first, first + 4, FetchLink(1, number))
    assert isinstance(outcome, HandOut)
    return outcome


def test_a_note_ends_where_a_reader_that_knows_no_length_stops() -> None:
    """In a zero byte, the only one; behind it may be bytes that are not text."""
    assert Account(1, 2, 3, 4).note().index("\0") == len(Account(1, 2, 3, 4).note()) - 1
