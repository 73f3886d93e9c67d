"""The manifest of a run: what went in, what decided, what came out, all by digest, in one document.

    kind, format     "callstream run", 1
    program          version, code, python, dependencies: recorded, decides nothing
    configuration    policy, key id, hook map, symbols, schemas: what decided (configuration.py)
    input            where the raw records came from, and for each partition its offsets and rolling chain
    output           for each stage the digest of everything, and for each partition its own; files
    books            where every record went
    published        how what was really published compares, where it was compared

A verification computes everything in it again, and compares.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, Self

from app.evidence.configuration import Configuration
from app.evidence.documents import DocumentError
from app.evidence.span_files import lines_digest
from app.evidence.span_lines import SpanLine, output_digest, total_digest
from app.evidence.typed_fields import typed, what_is_wrong
from app.replay.pipeline import RunBooks

MANIFEST_FILE: Final = "manifest.json"
KIND: Final = "callstream run"
FORMAT: Final = 1


@dataclass(frozen=True, slots=True)
class InputPart:
    """One partition's input: its range, how many records, the head of the chain over its spans, and its start state.

    `state_from` is the raw offset from which loader events were read for the start state.
    """

    partition: int
    first: int
    next: int
    records: int
    chain: str
    state_from: int
    state: str


@dataclass(frozen=True, slots=True)
class OutputPart:
    """One partition's output: digests of what each stage made; of the span file, and of the dead letters' file."""

    partition: int
    canonical: str
    calls: str
    spans: str
    refused: str


@dataclass(frozen=True, slots=True)
class RunOrigin:
    """Where raw records came from: an archive with that digest, at a path relative to the manifest, or a topic."""

    kind: str
    topic: str
    archive: str | None = None
    path: str | None = None
    cluster: str | None = None


@dataclass(frozen=True, slots=True)
class Manifest:
    """Everything that a run's manifest says."""

    program: Mapping[str, Any]
    configuration: Configuration
    origin: RunOrigin
    input: tuple[InputPart, ...]
    canonical: str
    calls: str
    output: tuple[OutputPart, ...]
    output_topic: str | None
    books: Mapping[str, Any]
    published: Mapping[str, Any] | None = None

    def document(self) -> dict[str, Any]:
        """The document to seal, sign and write."""
        return {
            "kind": KIND,
            "format": FORMAT,
            "program": dict(self.program),
            "configuration": asdict(self.configuration),
            "input": {"source": asdict(self.origin), "partitions": [asdict(part) for part in self.input]},
            "output": {
                "topic": self.output_topic,
                "canonical": self.canonical,
                "calls": self.calls,
                "partitions": [asdict(part) for part in self.output],
            },
            "books": dict(self.books),
            "published": None if self.published is None else dict(self.published),
        }

    @classmethod
    def of_document(cls, document: Mapping[str, Any], name: str) -> Self:
        """Read a document; `name` is for the message. Raises DocumentError."""
        try:
            return cls._of_document(document)
        except (KeyError, TypeError, ValueError) as error:
            raise DocumentError(
                f"{name}: is not a manifest of a run in format {FORMAT}: {what_is_wrong(error)}"
            ) from None

    @classmethod
    def _of_document(cls, document: Mapping[str, Any]) -> Self:
        if (document["kind"], document["format"]) != (KIND, FORMAT):
            raise ValueError("its kind or format is another")
        source, output = document["input"], document["output"]
        found = typed(
            cls,
            {
                "program": document["program"],
                "configuration": document["configuration"],
                "origin": source["source"],
                "input": source["partitions"],
                "canonical": output["canonical"],
                "calls": output["calls"],
                "output": output["partitions"],
                "output_topic": output["topic"],
                "books": document["books"],
                "published": document["published"],
            },
        )
        partitions = [part.partition for part in found.input]
        if len(set(partitions)) < len(partitions) or partitions != [part.partition for part in found.output]:
            raise ValueError("a partition is there twice, or has no input or no output")
        return found


def books_of(books: RunBooks) -> dict[str, Any]:
    """Books in the manifest's form."""
    return {
        "records": books.records,
        "calls": books.calls,
        "not_calls": dict(books.not_calls),
        "dead_letters": dict(books.dead_letters),
        "inside": dict(books.inside),
    }


def output_part(partition: int, lines: Sequence[SpanLine], refused: str) -> OutputPart:
    """What came out of a partition; `refused` is the digest of its dead letters' file."""
    return OutputPart(
        partition=partition,
        canonical=output_digest(partition, "canonical", ((line.span, line.canonical) for line in lines)),
        calls=output_digest(partition, "calls", ((line.span, line.calls) for line in lines)),
        spans=lines_digest(lines),
        refused=refused,
    )


def totals(parts: Iterable[OutputPart]) -> tuple[str, str]:
    """Digests of everything that the two stages made."""
    parts = tuple(parts)
    return (
        total_digest("canonical", ((part.partition, part.canonical) for part in parts)),
        total_digest("calls", ((part.partition, part.calls) for part in parts)),
    )
