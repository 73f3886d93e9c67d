"""What can become of a raw event, and the limits beyond which it is refused.

Every event is exactly one member of the union `Outcome`.
"""

from enum import StrEnum
from typing import Final, NamedTuple

MAX_CALL_BYTES: Final = 1 << 20
"""Largest raw event that becomes a call. Tetragon's are single-digit kB; it reads at most some 100 kB of arguments."""

MAX_STACK_FRAMES: Final = 1_024
"""Frames in both lists together. A BPF stack map holds 127 (PERF_MAX_STACK_DEPTH) in each."""

MAX_REPEATED_PARTS: Final = 256
"""Arguments, data and ancestors, each. Tetragon's hooks take 5 arguments; ancestries end at init."""


class EventRefusalReason(StrEnum):
    """Why an event cannot become a call; the closed set of this stage's dead-letter reasons."""

    EMPTY = "empty"  # a record without a value
    MALFORMED = "malformed_protobuf"
    INVALID_UTF8 = "invalid_utf8"
    NO_KNOWN_KIND = "no_known_kind"  # the oneof is unset, or a newer Tetragon's
    MISSING_PROCESS = "missing_process"
    TIME_OUT_OF_RANGE = "time_out_of_range"
    OVERSIZED = "oversized"  # larger than MAX_CALL_BYTES
    TOO_MANY_FRAMES = "too_many_frames"
    TOO_MANY_PARTS = "too_many_parts"


class NotACall(StrEnum):
    """Kinds of event that are not calls: each is counted, and nothing is published."""

    LOADER = "loader"  # carries a build id
    THROTTLE = "throttle"  # coverage; ingest publishes it as a gap
    RATE_LIMIT = "rate_limit_info"  # coverage
    TEST = "test"


class EventRefusal(NamedTuple):
    """A refused event. `error_class` is the name of an exception class where one was the cause."""

    reason: EventRefusalReason
    error_class: str | None


Resolutions = tuple[tuple[str, int], ...]
"""How many frames of a stack have each resolution, by its name."""


class Canonical(NamedTuple):
    """A canonical event. `value` is an encoded callstream.CanonicalEvent."""

    value: bytes
    event_id: bytes
    probe_type: int
    resolutions: Resolutions


Outcome = Canonical | NotACall | EventRefusal
