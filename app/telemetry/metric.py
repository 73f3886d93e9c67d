"""What a metric is, and the closed sets that its labels may have.

A label never carries event data: its values are a closed set, or words of the program and of its policy files, which
`Label` limits in form and number.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from schemas import topics
from schemas.coverage import GapCause


class MetricKind(StrEnum):
    """Prometheus metric types in use."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


class Process(StrEnum):
    """Which processes have a metric: one that cannot count it does not show it as zero."""

    INGEST = "ingest"
    STAGE = "stage"
    ANY = "any"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Label:
    """A label and the values it may have.

    Where `values` is empty, a value is a word of the program or of a policy file (ASCII letters, digits, `_ . : -`, at
    most 64), and after `limit` different ones further ones are counted as `other`.
    """

    name: str
    values: tuple[str, ...] = ()
    limit: int = 128


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Metric:
    """One metric family. `bad` says which value or trend wants a human, and why. Compared and hashed by identity."""

    name: str
    process: Process
    kind: MetricKind
    unit: str
    help: str
    bad: str
    labels: tuple[Label, ...] = ()
    bounds: tuple[float, ...] = ()
    is_zero_at_start: bool = True
    """False where zero would say something that nobody knows yet: then a series begins with its first value."""


class QueryOutcome(StrEnum):
    """What became of a question to /hot-symbols."""

    ANSWERED = "answered"
    MALFORMED = "malformed"
    """The question was not one."""
    INCOMPLETE = "incomplete"
    """A partition was missing, or the answer took too long."""
    BUSY = "busy"
    """Too many questions were under way."""
    HOST = "host"
    """The request named a Host that is not served."""
    TOKEN = "token"  # noqa: S105 - the word, not a token
    """The request did not show the token."""


class HttpPort(StrEnum):
    """What a port of a process serves."""

    TELEMETRY = "telemetry"
    HOT_SYMBOLS = "hot-symbols"


class DropReason(StrEnum):
    """Why ingest gave up an event that it had received."""

    OVERFLOW = "overflow"
    """Kafka stayed slow for longer than the grace time; the oldest went."""
    SPILL = "spill"
    """Events in the spill folder could not be read back."""
    SPILL_FULL = "spill_full"
    """The spill folder took no more; the oldest events in it went."""
    OVERSIZED = "oversized"
    """Larger than a record of the raw topic may be."""
    REJECTED = "rejected"
    """The broker, or the client on its behalf, refused the record for good."""
    SHUTDOWN = "shutdown"
    """Still unwritten when the time for draining was over."""


class BufferPlace(StrEnum):
    """Where an event that is received and not yet written waits."""

    MEMORY = "memory"
    DISK = "disk"
    PRODUCER = "producer"


TOPIC: Final = Label(name="topic", values=tuple(topic.name for topic in topics.TOPICS))
STAGE: Final = Label(name="stage", values=tuple(stage.value for stage in topics.Stage))
REASON: Final = Label(name="reason")
CAUSE: Final = Label(name="cause", values=tuple(cause.value for cause in GapCause))
PARTITION: Final = Label(name="partition", limit=1024)
