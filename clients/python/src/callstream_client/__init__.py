"""Typed reader of callstream's topics.

`CallStream` gives calls, each once. `newest` gives the rows of hot symbols and the answers to watches as they stand.
`window_of` says whether a node's events of a window of time are complete. `RecordStream` reads any of the topics.
"""

from callstream_client.calls import CallStream, SeenSources
from callstream_client.connection import Connection
from callstream_client.coverage import Interval, Trust, WindowJudge, WindowVerdict, window_of
from callstream_client.decoding import CALLS, COVERAGE, HOT_SYMBOLS, PLACEMENTS, PROBES, WATCHED, TopicKind
from callstream_client.errors import ClientError, RegistryError, UnreachableError
from callstream_client.records import (
    CoverageGap,
    FilePlacement,
    HotSymbol,
    ProbeWindow,
    RuntimeCallEvent,
    WatchedSymbol,
)
from callstream_client.stream import Batch, LostRecords, Received, RecordStream, RefusedRecord
from callstream_client.table import Table, newest

__all__ = [
    "CALLS",
    "COVERAGE",
    "HOT_SYMBOLS",
    "PLACEMENTS",
    "PROBES",
    "WATCHED",
    "Batch",
    "CallStream",
    "ClientError",
    "Connection",
    "CoverageGap",
    "FilePlacement",
    "HotSymbol",
    "Interval",
    "LostRecords",
    "ProbeWindow",
    "Received",
    "RecordStream",
    "RefusedRecord",
    "RegistryError",
    "RuntimeCallEvent",
    "SeenSources",
    "Table",
    "TopicKind",
    "Trust",
    "UnreachableError",
    "WatchedSymbol",
    "WindowJudge",
    "WindowVerdict",
    "newest",
    "window_of",
]
