"""The span lines of a run: for every span of a partition's raw offsets, what went in and what came out.

`calls-00000.spans` is such a file. Two runs are compared line by line, so a difference is located to 4,096 events.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Self

from app.evidence import span_files
from app.evidence.digests import Chain, CountedDigest
from app.evidence.span_files import StoredSpan
from app.kafka.records import DamagedError

OUTPUT_DOMAIN: Final = "callstream output 1"


@dataclass(frozen=True, slots=True)
class StageDigests:
    """What a stage made of a span: its records, and its dead letters."""

    written: CountedDigest
    refused: CountedDigest


@dataclass(frozen=True, slots=True, kw_only=True)
class SpanLine(StoredSpan):
    """Raw offsets of a span: what went in, and what each stage made of it. What is stored are the calls.

    Calls that went to a topic, or nowhere, are not stored.
    """

    records: CountedDigest
    canonical: StageDigests
    calls: StageDigests

    def facts(self) -> Self:
        """The same line without storage places: two runs over the same input have it in common."""
        return replace(self, begin=0, end=0, stored="")


def output_digest(partition: int, stage: str, stages: Iterable[tuple[int, StageDigests]]) -> str:
    """Digest of everything that a stage made of a partition, from its digests by span."""
    chain = Chain(f"{OUTPUT_DOMAIN} {stage} partition {partition}")
    for number, stage_digests in stages:
        chain.add(number, stage_digests.written.digest)
        chain.add(number, stage_digests.refused.digest)
    return chain.head


def total_digest(stage: str, heads: Iterable[tuple[int, str]]) -> str:
    """Digest over all partitions' digests; sorts them by partition."""
    chain = Chain(f"{OUTPUT_DOMAIN} {stage}")
    for partition, head in sorted(heads):
        chain.add(partition, head)
    return chain.head


def read_lines(path: Path, expected: str) -> list[SpanLine]:
    """The lines of a span file with digest `expected`. Raises DamagedError, which names the line if it can."""
    lines, digest = span_files.read_lines(path, SpanLine)
    if digest != expected:
        raise DamagedError(f"{path}: was changed, in a line that still reads as one")
    return lines


def first_difference(
    left: Sequence[SpanLine], right: Sequence[SpanLine]
) -> tuple[SpanLine | None, SpanLine | None] | None:
    """The first span whose facts differ between two runs."""
    by_number = {line.span: line for line in right}
    for line in left:
        other = by_number.pop(line.span, None)
        if other is None or line.facts() != other.facts():
            return line, other
    return (None, by_number[min(by_number)]) if by_number else None
