"""The span lines of a run: for every span of a partition's raw offsets, what went in and what came out.

`calls-00000.spans` is such a file. Two runs are compared line by line, so a difference is located to 4,096 events.
"""

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Final, Self

from app.evidence.digests import Chain
from app.evidence.documents import MAX_SPANS_BYTES, canonical_text
from app.evidence.typed_fields import typed
from app.kafka.records import DamagedError
from app.operators.regular_files import read_regular

OUTPUT_DOMAIN: Final = "callstream output 1"


@dataclass(frozen=True, slots=True)
class CountedDigest:
    """How many records or dead letters, and the digest over them."""

    count: int
    digest: str


@dataclass(frozen=True, slots=True)
class StageDigests:
    """What a stage made of a span: its records, and its dead letters."""

    written: CountedDigest
    refused: CountedDigest


@dataclass(frozen=True, slots=True)
class SpanLine:
    """Raw offsets `first` to `last` of a span: what went in, and what each stage made of it.

    Bytes `begin` to before `end` of the partition's file hold the calls, and `stored` is the digest of these bytes; 0,
    0 and "" if the calls went to a topic or nowhere.
    """

    span: int
    first: int
    last: int
    records: CountedDigest
    canonical: StageDigests
    calls: StageDigests
    begin: int = 0
    end: int = 0
    stored: str = ""

    def line(self) -> str:
        """The line in a span file, with its end."""
        return canonical_text(asdict(self)) + "\n"

    def facts(self) -> Self:
        """The same line without storage places: two runs over the same input have it in common."""
        return replace(self, begin=0, end=0, stored="")

    @classmethod
    def of_line(cls, line: str) -> Self:
        """Read a line. Raises ValueError."""
        found = typed(cls, json.loads(line))
        if found.line() != line:
            raise ValueError
        return found


def lines_digest(lines: Iterable[SpanLine]) -> str:
    """Digest of a span file's bytes."""
    return hashlib.sha256("".join(line.line() for line in lines).encode()).hexdigest()


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
    try:
        content = read_regular(path, MAX_SPANS_BYTES)
    except OSError as error:
        raise DamagedError(f"{path}: {error.strerror or error}") from None
    lines: list[SpanLine] = []
    for number, text in enumerate(content.decode("utf-8", errors="replace").splitlines(keepends=True), start=1):
        try:
            lines.append(SpanLine.of_line(text))
        except (ValueError, RecursionError):
            raise DamagedError(f"{path}, line {number}: was changed") from None
    if hashlib.sha256(content).hexdigest() != expected:
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
