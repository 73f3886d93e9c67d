"""Finds the first event that differs inside of a span: one side from a file or a topic, the other made again.

This module refuses to know what a span's digests are for.
"""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from app.evidence import avro_container
from app.evidence.avro_container import ContainerError
from app.evidence.digests import Columns
from app.evidence.span_lines import SpanLine
from app.kafka.records import DamagedError
from app.replay import call_fields, call_file
from app.replay.engine import Work, build, restore
from app.replay.lanes import Lane
from app.replay.pipeline import Pipeline
from app.replay.verdict import EventDifference


class _Kept:
    """A sink that keeps the calls."""

    def __init__(self) -> None:
        self.found: list[bytes] = []
        self.refused: list[str] = []

    def calls(self, records: Columns, _framed: Sequence[bytes | None]) -> None:
        self.found += [body for body in records.bodies if body is not None]

    def end_span(self, refused: Sequence[str]) -> tuple[int, int, str]:
        self.refused += refused
        return 0, 0, ""


def made_again(work: Work, partition: int, first: int, last: int) -> tuple[list[dict[str, Any]], list[str]]:
    """The calls, and the dead letters as lines, of raw offsets `first` to `last`, made from the source."""
    whole = next(one for one in work.source.ranges() if one.partition == partition)
    steps = build(work)
    restore(steps, work.source, Lane(partition, 0, first, last + 1, whole.first))
    kept = _Kept()
    pipeline = Pipeline(steps, kept)
    for batch in work.source.batches(partition, first, last, work.batch_records):
        pipeline.take(batch)
    pipeline.finish()
    return [call_fields.decode(body) for body in kept.found], kept.refused


def in_file(path: Path, partition: int, line: SpanLine) -> list[dict[str, Any]]:
    """The calls of a span as they stand in a file. Raises DamagedError where they cannot be read."""
    calls: list[dict[str, Any]] = []
    sync = call_file.header(partition).sync
    try:
        with path.open("rb") as file:
            file.seek(line.begin)
            for block in avro_container.read_blocks(file, call_file.CODEC, sync, line.end):
                calls += call_fields.decode_block(block.records, block.payload)
    except (OSError, ContainerError, ValueError) as error:
        raise DamagedError(f"{path}, {call_file.place(partition, line)}: {error}") from None
    return calls


def first_difference(
    partition: int, then: Iterable[dict[str, Any]], now: Iterable[dict[str, Any]]
) -> EventDifference | None:
    """The first event, by raw offset, that is not the same on both sides; both are in that order."""
    for left, right in side_by_side(then, now):
        if left == right:
            continue
        if left is None or right is None:
            call = left or right
            assert call is not None
            matter = "was not there when it was recorded" if left is None else "is not made from its raw record"
            return _difference(partition, call, matter)
        fields = tuple(call_fields.field_differences(left, right))
        return EventDifference(
            partition, call_fields.position_of(right)[1], right["event_id"], "its fields differ", fields
        )
    return None


def _difference(partition: int, call: dict[str, Any], matter: str) -> EventDifference:
    return EventDifference(partition, call_fields.position_of(call)[1], call["event_id"], matter)


Pair = tuple[dict[str, Any] | None, dict[str, Any] | None]


def side_by_side(left: Iterable[dict[str, Any]], right: Iterable[dict[str, Any]]) -> Iterator[Pair]:
    """Calls of two runs over the same partition, paired by raw offset; None where one side has none."""
    lefts, rights = iter(left), iter(right)
    one, other = next(lefts, None), next(rights, None)
    while one is not None or other is not None:
        at_left = None if one is None else call_fields.position_of(one)[1]
        at_right = None if other is None else call_fields.position_of(other)[1]
        if at_right is None or (at_left is not None and at_left < at_right):
            yield one, None
            one = next(lefts, None)
        elif at_left is None or at_right < at_left:
            yield None, other
            other = next(rights, None)
        else:
            yield one, other
            one, other = next(lefts, None), next(rights, None)
