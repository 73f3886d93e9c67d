"""Records that an attacker would write, by seed: of our own shape, but mutated field by field and byte by byte."""

import json
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from agents.coverage.covering import node_key
from agents.coverage.node_coverage import NodeCoverage
from schemas import avro_wire, records, topics
from schemas.coverage import CoverageGap, GapCause
from schemas.node import NodeId
from schemas.proto_wire import varint
from schemas.tetragon.events_pb2 import GetEventsResponse
from schemas.units import NS_PER_SECOND
from tests.support.hostile_text import HOSTILE, hostile_value

LONGS: Final = (0, 1, -1, 1 << 31, (1 << 63) - 1, -(1 << 63), 1_700_000_000_000_000_000)
KINDS: Final = (
    "process_exec",
    "process_exit",
    "process_kprobe",
    "process_tracepoint",
    "process_loader",
    "process_uprobe",
    "process_throttle",
    "process_lsm",
    "process_usdt",
)
ADDRESSES: Final = (
    "169.254.169.254:80",
    "127.0.0.1:22",
    "[::1]:9000",
    "[fe80::1]:80",
    "a:b:c",
    HOSTILE,
    "x" * 5_000,
    "h:99999999",
    "",
)
_NUMBERS: Final[dict[int, tuple[float, ...]]] = {
    FieldDescriptor.TYPE_BOOL: (True,),
    FieldDescriptor.TYPE_ENUM: (0, 1, 3),
    FieldDescriptor.TYPE_DOUBLE: (0.0, -1.0, float("inf"), float("nan")),
    FieldDescriptor.TYPE_FLOAT: (0.0, -1.0, float("inf"), float("nan")),
    FieldDescriptor.TYPE_INT32: (0, 1, -1, (1 << 31) - 1, -(1 << 31)),
    FieldDescriptor.TYPE_SINT32: (0, 1, -1, (1 << 31) - 1, -(1 << 31)),
    FieldDescriptor.TYPE_SFIXED32: (0, 1, -1, (1 << 31) - 1, -(1 << 31)),
    FieldDescriptor.TYPE_UINT32: (0, 1, (1 << 32) - 1),
    FieldDescriptor.TYPE_FIXED32: (0, 1, (1 << 32) - 1),
    FieldDescriptor.TYPE_UINT64: (0, 1, (1 << 64) - 1),
    FieldDescriptor.TYPE_FIXED64: (0, 1, (1 << 64) - 1),
}
"""By type of a field; all others take `LONGS`."""


def hostile_nodes(count: int, now_ns: int) -> list[tuple[bytes | None, bytes | None]]:
    """Rows of the workers' table of nodes, which somebody else wrote: names that forge, and values that are no rows."""
    known = NodeCoverage()
    heartbeat = CoverageGap(
        node=HOSTILE,
        cluster=HOSTILE,
        from_ns=now_ns - 3_600 * NS_PER_SECOND,
        to_ns=now_ns,
        cause=GapCause.HEARTBEAT,
        session=HOSTILE,
        ingest_version=HOSTILE,
    )
    known.add([heartbeat, replace(heartbeat, cause=GapCause.UNKNOWN)])
    nodes = [node_key(NodeId(HOSTILE, f"{HOSTILE} {number}")) for number in range(count)]
    return [(key, known.to_bytes() if number % 2 else HOSTILE.encode()) for number, key in enumerate(nodes)]


@dataclass(frozen=True, slots=True)
class HostileRecord:
    """One record for a topic, named without prefix."""

    topic: str
    key: bytes | None
    value: bytes | None
    timestamp_ms: int
    headers: tuple[tuple[str, bytes], ...] = ()


class Hostility:
    """Makes hostile records; the same seed makes the same ones."""

    def __init__(self, seed: int, schema_ids: dict[str, int], now_ms: int) -> None:
        """`schema_ids` has the registry's ids of the Avro topics, by unprefixed name."""
        self._random = random.Random(seed)
        self._schema_ids = schema_ids
        self._now_ms = now_ms

    def records(self, topic: str, count: int) -> Iterator[HostileRecord]:
        """So many records for one topic."""
        for _ in range(count):
            value = self._value(topic)
            key = self._key(topic)
            headers = self._random.choice(((), (("", b""),), ((HOSTILE, b"\xff" * 300),) * 9))
            yield HostileRecord(topic, key, value, self._timestamp(), headers)

    def _value(self, topic: str) -> bytes | None:
        shape = topics.TOPICS_BY_NAME[topic]
        make: Callable[[], bytes | None]
        if topic == topics.RAW:
            make = self.event
        elif topic == topics.OWNERS:
            make = self._owner
        else:
            assert shape.value_schema is not None
            make = lambda: self._avro(topic, str(shape.value_schema))  # noqa: E731 - one of three
        return self._random.choices((make, lambda: None, lambda: b"", self._noise), (90, 3, 2, 5))[0]()

    def _key(self, topic: str) -> bytes | None:
        keys = (b"k", b"", HOSTILE.encode(), b"\xff\xfe\0", b"%d" % self._random.randrange(40), b"k" * 3_000)
        key = self._random.choice(keys)
        return key if topics.TOPICS_BY_NAME[topic].compacted else self._random.choice((key, None))

    def _timestamp(self) -> int:
        return self._random.choice((0, 1, self._now_ms, self._now_ms, self._now_ms + 3_000_000, 1_000_000_000_000))

    def _noise(self) -> bytes:
        size = self._random.choice((1, 5, 6, 40, 1_000, 70_000))
        return self._random.choice((b"", b"\0", b"\0\0\0\0\1")) + self._random.randbytes(size)

    def text(self) -> str:
        """A text that is short, long, empty or not what it looks like."""
        size = self._random.choices((0, 1, 40, 600, 5_000, 30_000), (20, 20, 30, 20, 9, 1))[0]
        letters = self._random.choice(("a", "\u202e", "%\x01", "/..", "\U0001f980", "é"))
        return self._random.choice((HOSTILE, "", letters * (size // len(letters)), f"evil{self._random.random()}"))

    # Avro

    def _avro(self, topic: str, schema: str) -> bytes:
        shape = json.loads(records.schema_text(schema))
        document: dict[str, Any] = hostile_value(shape, self.text()[:2_000])
        for field in self._random.sample(shape["fields"], k=min(3, len(shape["fields"]))):
            document[field["name"]] = self._field(field["type"], document[field["name"]])
        schema_id = self._random.choices(
            (self._schema_ids[topic], self._random.choice(list(self._schema_ids.values())), 900_000, 0), (80, 10, 5, 5)
        )[0]
        try:
            value = records.encode(schema, schema_id, document)
        except (ValueError, TypeError, OverflowError, AttributeError):
            return avro_wire.schema_header(schema_id) + self._random.randbytes(60)
        return self._bytes_of(value, keep=avro_wire.SCHEMA_HEADER_BYTES)

    def _field(self, kind: Any, usual: Any) -> Any:
        branches = kind if isinstance(kind, list) else [kind]
        if "null" in branches and self._random.random() < 0.3:
            return None
        match next(one for one in branches if one != "null"):
            case "string":
                return self.text()
            case "long" | "int" | {"type": "long"}:
                return self._random.choice(LONGS)
            case {"type": "array"} if isinstance(usual, list):
                return usual * self._random.choice((0, 1, 30, 300))
            case _:
                return usual

    # Protobuf

    def event(self) -> bytes:
        """An event of any kind, as an agent would send it that means harm."""
        event = GetEventsResponse(node_name=self.text()[:600])
        event.time.seconds = self._random.choice((0, self._now_ms // 1_000, -(1 << 40), (1 << 62)))
        kind = getattr(event, self._random.choice(KINDS))
        kind.SetInParent()
        self._fill(kind, 5)
        if hasattr(kind, "process") and self._random.random() < 0.01:
            kind.process.arguments = self._random.choice(("x", "\u00e9 ")) * 300_000
        value = event.SerializeToString()
        tails = (
            b"",
            varint(1_000 << 3 | 2) + varint(1 << 60),
            varint(1 << 3 | 2) + varint(len(value)) + value,
            b"\x0b" * 50,
        )
        return self._bytes_of(value + self._random.choices(tails, (85, 5, 5, 5))[0], keep=0)

    def _fill(self, message: Message, depth: int) -> None:
        for field in message.DESCRIPTOR.fields:
            if self._random.random() < 0.4:
                continue
            if field.containing_oneof is not None and message.WhichOneof(field.containing_oneof.name) is not None:
                continue
            if field.message_type is not None and field.message_type.GetOptions().map_entry:
                continue
            for _ in range(self._random.choice((1, 1, 1, 3)) if field.is_repeated else 1):
                self._set(message, field, depth)

    def _event_text(self, depth: int) -> str:
        """Names of files and symbols are few, so that some repeat; one in ten is anything."""
        if depth < 5 and self._random.random() < 0.2:
            return self.text()
        return f"/opt/evil{self._random.randrange(30)}"

    def _set(self, message: Message, field: Any, depth: int) -> None:
        if field.message_type is not None:
            if depth:
                inner = getattr(message, field.name)
                if not field.is_repeated:
                    inner.SetInParent()
                self._fill(inner.add() if field.is_repeated else inner, depth - 1)
            return
        value: Any = self._random.choice(_NUMBERS.get(field.type, LONGS))
        if field.type == FieldDescriptor.TYPE_STRING:
            value = self._event_text(depth)
        elif field.type == FieldDescriptor.TYPE_BYTES:
            value = self._random.randbytes(self._random.choices((0, 8, 5_000, 70_000), (40, 40, 19, 1))[0])
        if field.is_repeated:
            getattr(message, field.name).append(value)
        else:
            setattr(message, field.name, value)

    # Owners

    def _owner(self) -> bytes:
        address = self._random.choice(ADDRESSES)
        document = self._random.choice(
            (
                {"http": address, "worker": self.text()[:700]},
                {"http": [address], "worker": 5},
                {"http": address},
                [[[address]]],
                {"worker": "w-0", "http": address, "more": "y" * 2_000},
            )
        )
        return self._bytes_of(json.dumps(document).encode() if self._random.random() < 0.9 else b"[" * 60_000, keep=0)

    # Bytes

    def _bytes_of(self, value: bytes, keep: int) -> bytes:
        """The bytes as they are, or with some flipped, cut off, put in or repeated behind the first `keep`."""
        head, rest = value[:keep], bytearray(value[keep:])
        for _ in range(self._random.choice((0, 0, 0, 1, 1, 4))):
            at = self._random.randrange(len(rest) + 1)
            match self._random.randrange(5):
                case 0 if at < len(rest):
                    rest[at] ^= 1 << self._random.randrange(8)
                case 1:
                    del rest[at:]
                case 2:
                    rest[at:at] = varint(self._random.choice((1 << 20, 1 << 40, (1 << 64) - 1)))
                case 3:
                    rest[at:at] = rest[at : at + self._random.choice((1, 30, 400))] * 3
                case _:
                    rest[at:at] = self._random.randbytes(7)
        return head + bytes(rest)
