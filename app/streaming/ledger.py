"""The ledger of one consumer: which batches of a partition were handed out, which are finished, what may be committed.

The committable offset is the end of the longest run of finished batches, in hand-out order, from the position of the
last seek. A batch is accepted only if it follows its predecessor in the chain of fetches. A loss between the fetch
and the hand-out breaks the chain, and the caller must seek back. After a partition is closed or opened again,
finishing a batch that was handed out before changes nothing. With the committable offset goes an account of where the
records before it went.

Offsets are Kafka's: a position is the offset of the next record, so the position after offset 9 is 10.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from enum import Enum, auto
from typing import NamedTuple

from app.kafka.records import Partition
from app.streaming.account import Account, BatchOutcome


class FetchLink(NamedTuple):
    """Place of a fetched batch in the chain of its partition: the seek it was fetched after, and its number since."""

    seek: int
    number: int


class HandOutRefusal(Enum):
    """Why a fetched batch may not be handed out."""

    CLOSED = auto()  # the partition is not ours, or has not been positioned yet
    STALE = auto()  # fetched before the last seek: its records come again, or are not wanted
    BROKEN_CHAIN = auto()  # a batch before it never arrived: seek back to the position
    BACKWARDS = auto()  # starts before the position: the topic was recreated or truncated


@dataclass(slots=True, eq=False)
class _PartitionState:
    position: int
    committable: int
    committed: int
    seek: int
    account: Account
    opened_at: int
    repetitions: int
    """How many times in a row the partition was opened here although records from here on had been handed out."""
    until_ms: int
    next_number: int = 0
    closed: bool = False
    drains: bool = False
    hand_outs: "deque[HandOut]" = field(default_factory=deque)


@dataclass(slots=True, eq=False)
class HandOut:
    """One batch that was handed out: offsets `first` to `last`, both included."""

    first: int
    last: int
    records: int
    """How many there are; other offsets hold none."""
    until_ms: int
    """The Kafka timestamp of its last record; 0 where it has none."""
    is_deleted: bool
    """Its records were deleted before they were read."""

    _state: _PartitionState
    started: bool = False
    finished: bool = False
    outcome: BatchOutcome | None = None

    @property
    def current(self) -> bool:
        """Whether finishing it still counts: its partition was neither lost nor re-positioned since."""
        return not self._state.closed

    @property
    def assignment(self) -> object:
        """The same object for all batches since the partition was last opened, another one after that."""
        return self._state

    @property
    def committed(self) -> int:
        """Position that the broker has accepted for its partition: whoever reads it next begins there or later."""
        return self._state.committed

    def start(self) -> bool:
        """Note that work on it begins, so that a drain waits for it. False: do not begin, its partition is given up."""
        self.started = self.current and not self._state.drains
        return self.started

    def finish(self, outcome: BatchOutcome | None = None) -> None:
        """Note that everything that follows from it is safe elsewhere. Idempotent.

        `outcome` says where its records went; without one, all of them count as made into outputs.
        """
        if self.finished:
            return
        self.finished, self.outcome = True, outcome
        state = self._state
        while state.hand_outs and state.hand_outs[0].finished:
            done = state.hand_outs.popleft()
            state.committable = done.last + 1
            offsets = done.last + 1 - done.first
            if done.is_deleted:
                state.account = replace(state.account, lost=state.account.lost + offsets)
                continue
            state.account = state.account.plus(
                done.outcome or BatchOutcome(done.records),
                no_records=offsets - done.records,
                until_ms=done.until_ms,
            )


class Ledger:
    """Books for all partitions of one consumer.

    Bounded by the consumer's own limits: a hand-out is kept only until every batch before it is finished.
    """

    def __init__(self) -> None:
        self._partitions: dict[Partition, _PartitionState] = {}
        self._before: dict[Partition, _PartitionState] = {}
        """Partitions as they were when they were closed last."""

    def open(
        self,
        partition: Partition,
        position: int,
        *,
        seek: int,
        account: Account | None = None,
        committed: int | None = None,
    ) -> None:
        """Begin at `position`, after the seek number `seek`; whatever was handed out before no longer counts.

        `account` covers what lies before `position`; without one, a new account starts there. A `committed` offset
        before the position makes the position due for a commit at once.
        """
        self.close((partition,))
        before = self._before.get(partition)
        again = before is not None and before.opened_at == position < before.position
        self._partitions[partition] = _PartitionState(
            opened_at=position,
            repetitions=before.repetitions + 1 if before is not None and again else 0,
            position=position,
            committable=position,
            committed=position if committed is None else committed,
            seek=seek,
            account=account or Account(position),
            until_ms=account.until_ms if account else 0,
        )

    def resume(self, partition: Partition, *, seek: int) -> None:
        """Continue at the present position after a seek back to it; batches in progress keep counting.

        A later seek, or the loss of the partition, overtakes it: then nothing happens.
        """
        state = self._partitions.get(partition)
        if state is not None and seek > state.seek:
            state.seek, state.next_number = seek, 0

    def drain(self) -> None:
        """Let no more work begin on what was handed out, until its partition is opened again."""
        for state in self._partitions.values():
            state.drains = True

    def close(self, partitions: Iterable[Partition]) -> None:
        """Forget partitions: they were revoked, or are about to be re-positioned. Unknown ones are ignored."""
        for partition in partitions:
            state = self._partitions.pop(partition, None)
            if state is not None:
                state.closed = True
                self._before[partition] = state

    def close_all(self) -> None:
        """Forget every partition."""
        self.close(tuple(self._partitions))

    def admit(
        self,
        partition: Partition,
        first: int,
        last: int,
        link: FetchLink,
        records: int | None = None,
        *,
        until_ms: int = 0,
        is_deleted: bool = False,
    ) -> HandOut | HandOutRefusal:
        """Hand out offsets `first` to `last`, fetched as `link`, or say why not.

        `records` is their number where some of the offsets hold none.
        """
        state = self._partitions.get(partition)
        if state is None:
            return HandOutRefusal.CLOSED
        if link.seek != state.seek or link.number < state.next_number:
            return HandOutRefusal.STALE
        if link.number > state.next_number:
            return HandOutRefusal.BROKEN_CHAIN
        if first < state.position:
            return HandOutRefusal.BACKWARDS
        count = last - first + 1 if records is None else records
        hand_out = HandOut(first, last, count, until_ms, is_deleted, state)
        state.hand_outs.append(hand_out)
        state.position = last + 1
        state.until_ms = until_ms or state.until_ms
        state.next_number += 1
        return hand_out

    def position(self, partition: Partition) -> int | None:
        """Offset of the next record to hand out, or None for a partition that is not open."""
        state = self._partitions.get(partition)
        return None if state is None else state.position

    def until_ms(self, partition: Partition) -> int:
        """The Kafka timestamp of the last record that was handed out of a partition; 0 where it is unknown."""
        state = self._partitions.get(partition)
        return 0 if state is None else state.until_ms

    def committable(self) -> dict[Partition, int]:
        """Positions that may be committed now and are not committed yet."""
        return {p: state.committable for p, state in self._partitions.items() if state.committable > state.committed}

    def account(self, partition: Partition) -> Account:
        """The account that belongs to what may be committed now of an open partition."""
        return self._partitions[partition].account

    def committed(self) -> dict[Partition, int]:
        """What the broker has accepted, by open partition. May be called from another thread."""
        return {partition: state.committed for partition, state in list(self._partitions.items())}

    def repetitions(self) -> dict[Partition, int]:
        """How many times in a row each open partition began where it began before, after work that was not committed.

        May be called from another thread.
        """
        return {partition: state.repetitions for partition, state in list(self._partitions.items())}

    def note_committed(self, partition: Partition, position: int) -> None:
        """Note what the broker has accepted; a commit that failed is simply not noted, and so tried again."""
        state = self._partitions.get(partition)
        if state is not None:
            state.committed = max(state.committed, position)

    def unfinished(self) -> Iterator[HandOut]:
        """Batches on which work has begun and not ended, over all open partitions."""
        for state in self._partitions.values():
            yield from (hand_out for hand_out in state.hand_outs if hand_out.started and not hand_out.finished)
