"""Parts of what an event costs, and which frames and threads belong to which.

A stack belongs to the part of its innermost frame that is known here, so what an allocator or a dictionary does counts
for whom it does it. Frames are as py-spy writes them: `function (file:line)`, or `function (library)` in C. Functions
of a wheel that mypyc has compiled have C names with the module in them.
"""

import re
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Final

BROKER: Final = "broker"
OTHER: Final = "all else"
SENDING: Final = "produce: librdkafka's threads"
RECEIVING: Final = "receive: gRPC"
WAKING: Final = "hand-over between threads and tasks"
STORING: Final = "table on disk"

_FRAMES: Final[Mapping[str, Sequence[str]]] = {
    "decompress": ("cramjam", "LZ4", "lz4_", "inflating"),
    "hashing": ("blake2", "_hashopenssl", "EVP_", "sha256", "SHA256", "crc32c", "evidence/digests", "identity[_.]"),
    "copying and encoding": ("memcpy", "memmove", "bytes_join", "bytes_concat", "assemble", "avro_wire"),
    "produce: calls": ("confluent_kafka", "cimpl", "rd_kafka", "Producer_", "streaming/delivery", "ingest/writer"),
    RECEIVING: ("grpc", "ingest/message_loop", "ingest/client"),
    "fetch": ("aiokafka", "kafka/fetched", "consumer_thread", "kafka/log_fetcher", "_read_ready"),
    STORING: ("rocksdict", "rocksdb", "streaming/store", "streaming/table"),
    WAKING: (
        *("faust/", "mode/", "asyncio/", r"selectors\.py", r"threading\.py", "concurrent/", r"queue\.py"),
        *(r"streaming/(consumer|ledger|transport)\.py", "ingest/(buffer|handover|spiller)"),
    ),
    "look-ups": ("agents[/_]+memo", "fragments", "repeat(s|ed)", "contexts"),
    "cutting": (
        *("[Pp]lain_?[Kk]probe", r"(canonicalize/|CPyDef_)(events|stage)(\.py|_)", "proto_wire", r"_message\.", "upb"),
        *(
            "call_layout",
            "hot_symbols[/_]+reading",
            "CPyDef_(regular_calls|call_reader)",
            "privacy/calls",
            "ingest/keys",
        ),
    ),
    "metrics and logs": ("telemetry", "metering", "prometheus", "logging/"),
    "the step, all else": ("agents", "CPyDef", "CPyPy"),
    "the stage around it": ("app/",),
}
_THREADS: Final = ((SENDING, r"rdk:"), (STORING, r"rocksdb"), (RECEIVING, r"grpc|event_engine|resolver|timer"))

PARTS: Final = (*dict.fromkeys((*_FRAMES, *(part for part, _ in _THREADS))), BROKER, OTHER)
"""In the order of tables."""


def part_of_thread(name: str) -> str | None:
    """Of a thread that a C library has made; None for one of Python's."""
    return next((part for part, names in _THREADS if re.match(names, name)), None)


def part_of_stack(stack: Sequence[str]) -> str:
    """Of a stack, outermost frame first."""
    return next((part for frame in reversed(stack) if (part := _part_of_frame(frame)) is not None), OTHER)


@cache
def _part_of_frame(frame: str) -> str | None:
    return next((part for part, names in _FRAMES.items() if re.search("|".join(names), frame)), None)
