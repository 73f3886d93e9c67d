"""Finds the first event that differs within a span: one side from a file or a topic, the other replayed again."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from app.evidence.digests import Columns
from app.evidence.span_lines import SpanLine
from app.replay import call_file, diff
from app.replay.diff import ChangedEvent
from app.replay.engine import CallsNowhere, Lane, build_steps, restore
from app.replay.pipeline import Pipeline
from app.replay.request import ReplayRequest
from app.replay.sources import ReplaySource


class _KeepingSink(CallsNowhere):
    """A sink that keeps calls and dead letters in memory."""

    def __init__(self) -> None:
        super().__init__()
        self.bodies: list[bytes] = []
        self.refused: list[str] = []

    def calls(self, records: Columns, _values: Sequence[bytes | None]) -> None:
        self.bodies += [body for body in records.bodies if body is not None]

    def end_span(self, refused: Sequence[str]) -> tuple[int, int, str]:
        self.refused += refused
        return super().end_span(refused)


@dataclass(frozen=True, slots=True)
class ReplayedRange:
    """What raw offsets give: calls, dead letters as lines, and the lines of the spans."""

    calls: list[dict[str, Any]]
    refused: list[str]
    lines: list[SpanLine]


def replay_range(request: ReplayRequest, source: ReplaySource, partition: int, first: int, last: int) -> ReplayedRange:
    """What the source gives for raw offsets `first` to `last`."""
    whole = next(one for one in source.ranges() if one.partition == partition)
    steps = build_steps(request)
    restore(steps, source, Lane(partition, 0, first, last + 1, whole.first))
    kept = _KeepingSink()
    pipeline = Pipeline(steps, kept)
    lines = [pipeline.take(batch) for batch in source.batches(partition, first, last, request.batch_records)]
    lines.append(pipeline.finish())
    return ReplayedRange(
        [call_file.decode(body, request.call_schema) for body in kept.bodies], kept.refused, [*filter(None, lines)]
    )


def first_difference(
    partition: int, then: Iterable[dict[str, Any]], now: Iterable[dict[str, Any]]
) -> ChangedEvent | None:
    """The first event, by raw offset, that the two sides do not have alike; both are in that order."""
    for left, right in diff.side_by_side(then, now):
        if left == right:
            continue
        if left is None or right is None:
            call = left or right
            assert call is not None
            matter = "was not there when it was recorded" if left is None else "is not made from its raw record"
            return ChangedEvent(call["event_id"], partition, diff.position_of(call)[1], matter)
        fields = diff.field_differences(left, right)
        return ChangedEvent(right["event_id"], partition, diff.position_of(right)[1], "its fields differ", fields)
    return None
