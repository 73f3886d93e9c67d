"""Reads records of a partition that stand here and there: nearby ones together."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from app.kafka.records import Recorded
from app.kafka.topic_reader import TopicReader

NEARBY_OFFSETS: Final = 2_000
"""Positions this close are read together: one fetch brings about as many records."""


def nearby(offsets: Iterable[int]) -> Iterator[list[int]]:
    """Cut offsets, in ascending order, where the next is far."""
    run: list[int] = []
    for offset in sorted(offsets):
        if run and offset - run[-1] > NEARBY_OFFSETS:
            yield run
            run = []
        run.append(offset)
    if run:
        yield run


def read_run(reader: TopicReader, topic: str, partition: int, run: Sequence[int]) -> dict[int, Recorded]:
    """The records at the offsets of one run, by offset; those that exist. Raises what reading the topic raises."""
    ends = reader.ends(topic, partition)
    there = [offset for offset in run if ends.first <= offset < ends.next]
    if not there:
        return {}
    wanted = frozenset(there)
    fetched = reader.read(topic, partition, there[0], there[-1])
    return {record.offset: record for taken in fetched for record in taken if record.offset in wanted}
