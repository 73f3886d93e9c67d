"""Topics, tables, consumer groups and subjects: the only place where their names are spelled.

Names here carry no prefix; `Settings.name` puts the operator's prefix in front of each. A derived record goes to the
partition number of its raw record, and a stage owns the same partition of all that it reads and keeps, so every topic
marked `co_partitioned` has the same partition count. A version that reprocessing makes beside a live topic has the live
name and `.v2`, `.v3`, so whatever is granted or refused by the beginning of a name holds for all versions.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

RAW = "tetragon.raw"
CANONICAL = "runtime.canonical"
CALLS = "runtime.calls"
HOT_SYMBOLS = "runtime.hot-symbols"
COVERAGE = "runtime.coverage"
DEAD_LETTERS = "runtime.dead-letters"
HOT_PARTIALS = "runtime.hot-partials"
AUDIT = "runtime.audit"
WATCH = "runtime.watch"
WATCHED = "runtime.watched"
OWNERS = "runtime.hot-owners"
PROBES = "runtime.probes"
PLACEMENTS = "runtime.placements"


class Stage(StrEnum):
    """The three stages in data order; the value is the consumer group and Faust app id without `callstream-`."""

    CANONICALIZE = "canonicalize"
    PRIVACY = "privacy"
    HOT_SYMBOLS = "hot-symbols"

    @property
    def group(self) -> str:
        """Consumer group and Faust app id, without prefix."""
        return f"callstream-{self.value}"


RETRY_GROUP = "callstream-dead-letters-retry"
"""Group whose only member may send refused records again, without prefix."""

MODULES_TABLE = "process-modules"
PARTIAL_COUNTS_TABLE = "partial-counts"
HOT_SYMBOLS_TABLE = "hot-symbols"
NODE_COVERAGE_TABLE = "node-coverage"


FIRST_VERSION = 2
"""Of what is made beside the live topics, which are the first."""

_VERSION = re.compile(r"\.v([1-9][0-9]{0,5})(?=-|$)")


def versioned(name: str, version: int | None) -> str:
    """Name of a version of a topic or group; None is the live one."""
    return name if version is None else f"{name}.v{version}"


def changelog(stage: Stage, table: str, version: int | None = None) -> str:
    """Changelog topic of a Faust table, by Faust's own naming rule: `<app id>-<table>-changelog`."""
    return f"{versioned(stage.group, version)}-{table}-changelog"


def live_name(name: str) -> str:
    """The live topic's name for that of any version of it; other names stay as they are."""
    return _VERSION.sub("", name, count=1)


def is_version(name: str, live: str) -> bool:
    """Whether a topic is a version of the live one."""
    return name != live and live_name(name) == live


def version_of(name: str) -> int | None:
    """Version in a topic's name; None where it has none."""
    found = _VERSION.search(name)
    return None if found is None else int(found[1])


HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
MAX_EVENT_BYTES = 16 << 20
"""Largest raw event: ingest's gRPC receive limit, and so the limit of the restricted topics."""

RECORD_OVERHEAD_BYTES = 1 << 16
"""Room for a record's key, framing and batch header on top of the event itself."""

MAX_RECORD_BYTES = MAX_EVENT_BYTES + (1 << 20)
"""Largest record that our producers send, before compression: above what any topic takes, whose own limit decides."""

MAX_SMALL_VALUE_BYTES = 64 << 10
"""Of a watch, a coverage record, a window of a policy or a dead letter. With texts at their limits, the largest of them
has some 50 kB; a decoded value may take a hundred times its bytes in memory."""


class Access(StrEnum):
    """Who may read a topic's records; `deploy/kafka/acls.toml` gives the rights."""

    PUBLIC = "public"
    """Everybody whom the operator lets read calls."""
    INTERNAL = "internal"
    """The stage that keeps it for itself."""
    RESTRICTED = "restricted"
    """Those who may see what has not passed the filter."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Topic:
    """One topic as `callstream topics apply` creates it.

    `retention_ms` None means that records never expire. A compacted topic keeps the newest record of each key, one with
    a retention only until it expires. `segment_bytes` is how much of it waits to be compacted at most.
    `value_schema` names a file of schemas/avro; None means that the value is not Avro. With `shared`, readers' commands
    need it all the same. `max_value_bytes` is what a reader takes: the broker's limit is of compressed batches, and a
    record that it lets through may be any size.
    """

    name: str
    compacted: bool = False
    retention_ms: int | None = None
    max_message_bytes: int = 1 << 20
    max_value_bytes: int = 1 << 20
    co_partitioned: bool = True
    restricted: bool = False
    segment_bytes: int = 64 << 20
    shared: bool = False
    value_schema: str | None = None

    @property
    def access(self) -> Access:
        """Who may read it."""
        if self.restricted:
            return Access.RESTRICTED
        return Access.PUBLIC if self.shared or self.value_schema else Access.INTERNAL


TOPICS: tuple[Topic, ...] = (
    Topic(
        name=RAW,
        retention_ms=7 * DAY_MS,
        max_message_bytes=MAX_EVENT_BYTES + RECORD_OVERHEAD_BYTES,
        max_value_bytes=MAX_RECORD_BYTES,
        restricted=True,
    ),
    Topic(
        name=CANONICAL,
        retention_ms=DAY_MS,
        max_message_bytes=MAX_EVENT_BYTES + RECORD_OVERHEAD_BYTES,
        max_value_bytes=MAX_RECORD_BYTES,
        restricted=True,
    ),
    Topic(
        name=CALLS,
        retention_ms=7 * DAY_MS,
        max_message_bytes=8 << 20,
        max_value_bytes=MAX_RECORD_BYTES,
        value_schema="runtime_call_event",
    ),
    Topic(name=HOT_PARTIALS, compacted=True),
    Topic(name=HOT_SYMBOLS, compacted=True, value_schema="hot_symbol"),
    Topic(
        name=COVERAGE,
        compacted=True,  # one growing record for each stretch of time that a node was watched, and one for each gap
        retention_ms=30 * DAY_MS,
        segment_bytes=4 << 20,  # whoever asks about one node reads what is not compacted yet of its partition
        max_value_bytes=MAX_SMALL_VALUE_BYTES,
        value_schema="coverage_gap",
    ),
    Topic(
        name=PROBES,
        compacted=True,  # one growing record for each stretch of time in which an agent said the same of a policy
        retention_ms=30 * DAY_MS,
        segment_bytes=4 << 20,
        max_value_bytes=MAX_SMALL_VALUE_BYTES,
        value_schema="probe_window",
    ),
    Topic(
        name=PLACEMENTS,
        compacted=True,  # one growing record for each file on a node; what one ingest saw outlasts it by the retention
        retention_ms=30 * DAY_MS,
        max_value_bytes=MAX_SMALL_VALUE_BYTES,
        value_schema="file_placement",
    ),
    Topic(name=WATCH, compacted=True, max_value_bytes=MAX_SMALL_VALUE_BYTES, value_schema="watch"),
    Topic(name=WATCHED, compacted=True, value_schema="watched_symbol"),
    Topic(name=OWNERS, compacted=True),
    Topic(
        name=DEAD_LETTERS,
        retention_ms=30 * DAY_MS,
        max_value_bytes=MAX_SMALL_VALUE_BYTES,
        value_schema="dead_letter",
    ),
    Topic(name=AUDIT, compacted=True, value_schema="audit_record"),
    # its rows name files by digests without a key, so whoever may read it can try paths
    Topic(name=changelog(Stage.CANONICALIZE, MODULES_TABLE), compacted=True, restricted=True),
    Topic(name=changelog(Stage.HOT_SYMBOLS, PARTIAL_COUNTS_TABLE), compacted=True),
    Topic(name=changelog(Stage.HOT_SYMBOLS, HOT_SYMBOLS_TABLE), compacted=True),
    Topic(name=changelog(Stage.HOT_SYMBOLS, NODE_COVERAGE_TABLE), compacted=True, shared=True),
)


TOPICS_BY_NAME: Final[Mapping[str, Topic]] = {topic.name: topic for topic in TOPICS}


def subject(topic: str) -> str:
    """Registry subject of a topic's values, by Confluent's TopicNameStrategy."""
    return f"{topic}-value"
