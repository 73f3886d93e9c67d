"""Kinds of event by their public names: probe types, and messages of the stream that are not calls."""

from typing import Final

from schemas import records

PROBE_TYPES: Final[tuple[str, ...]] = tuple(
    records.parsed_schema(records.CALL)["__named_schemas"]["callstream.ProbeType"]["symbols"]
)
"""Symbols of the Avro enum ProbeType. An index is also the number in canonical.proto (a test compares)."""

UNKNOWN: Final = "Unknown"

KRETPROBE: Final = "Kretprobe"
"""A kprobe event whose `return` is set; fentry, fexit and uretprobe look like others on Tetragon's wire."""

EVENT_LABELS: Final = {
    "process_exec": "ProcessExec",
    "process_exit": "ProcessExit",
    "process_kprobe": "Kprobe",
    "process_tracepoint": "Tracepoint",
    "process_loader": "Loader",
    "process_uprobe": "Uprobe",
    "process_throttle": "Throttle",
    "process_lsm": "Lsm",
    "process_usdt": "USDT",
    "test": "Test",
    "rate_limit_info": "RateLimitInfo",
}
"""Field of the oneof `event` of GetEventsResponse to the name that its events are counted under."""

NOT_CALL_TYPES: Final = ("Loader", "Throttle", "RateLimitInfo", "Test")
"""Messages of the stream that are not calls, as they are counted beside the probe types."""
