"""Records of every topic of the pipeline as JSON documents.

The topic decides how a record is decoded: as Tetragon's protobuf, as a canonical event, as Avro by the registry's id
(or by the packaged schema, if the registry does not answer), or as a row of a table. No record stops the reading. What
cannot be decoded becomes a document that says so, with its bytes in hex, because strange records are what people look
for in a topic.
"""

import json
from collections.abc import Callable
from typing import Any, Final

from google.protobuf import json_format
from google.protobuf.message import DecodeError, Message

from agents.canonicalize.process_modules import decode_row
from agents.contract import UNREADABLE_BATCH, UNREADABLE_BATCH_REASON
from agents.coverage.node_coverage import NodeCoverage
from agents.hot_symbols.counting.partial import Partial
from agents.hot_symbols.table.published import published_record
from agents.hot_symbols.table.symbol_row import SymbolRow
from agents.packing import StateError
from app.kafka.registry import Fault, RegistryError, SchemaRegistry
from app.kafka.schemas import RecordDecoder, RecordFault
from app.settings import Settings
from schemas import records, topics
from schemas.canonical_pb2 import CanonicalEvent
from schemas.tetragon.events_pb2 import GetEventsResponse

Document = dict[str, Any]

UNDECODED: Final = "undecoded_hex"
"""Member of a document whose record could not be decoded."""

UNREADABLE: Final = "unreadable"
"""Member of a document whose record could not be read: its batch is damaged, or too large when it is inflated."""

_BOOKKEEPING: Final = (b"\x00", b"\x01")
"""First byte of the keys under which a table and its stage keep an offset beside the rows; no other key begins so."""


class Decoder:
    """Decodes the values of one topic; schemas of Avro topics come from `registry`.

    `say` gets one sentence if the registry does not answer, and records are decoded by the packaged schema instead.
    """

    def __init__(
        self,
        topic: topics.Topic,
        registry: SchemaRegistry,
        settings: Settings,
        say: Callable[[str], None] = lambda _sentence: None,
    ) -> None:
        self._decode = _decoder_of(topic, registry, settings, say)

    def document(self, key: bytes | None, value: bytes | None) -> Document | None:
        """The value of a record; None for a tombstone."""
        if value is None:
            return None
        if value is UNREADABLE_BATCH:
            return {UNREADABLE: UNREADABLE_BATCH_REASON}
        try:
            found = self._decode(key or b"", value)
        except (DecodeError, ValueError, UnicodeError, StateError, IndexError):
            found = None
        return {UNDECODED: value.hex()} if found is None else found


def key_text(key: bytes | None) -> str | None:
    """A record's key: as text if it is UTF-8, otherwise in hex after `0x`."""
    if key is None:
        return None
    try:
        return key.decode()
    except UnicodeDecodeError:
        return "0x" + key.hex()


_Decode = Callable[[bytes, bytes], Document | None]


def _decoder_of(
    topic: topics.Topic, registry: SchemaRegistry, settings: Settings, say: Callable[[str], None]
) -> _Decode:
    if topic.value_schema is not None:
        return _Avro(topic.value_schema, RecordDecoder(settings, registry, topic.name, follows=True), say).decode
    return _BY_NAME.get(topic.name, _nothing_known)


class _Avro:
    """Decodes one schema's records, whichever version wrote them; without a registry, with the packaged schema."""

    def __init__(self, schema: str, writers: RecordDecoder, say: Callable[[str], None]) -> None:
        self._schema = schema
        self._writers = writers
        self._say = say
        self._has_registry = True

    def decode(self, _key: bytes, value: bytes) -> Document | None:
        if self._has_registry:
            try:
                found = self._writers.decode(value)
                return None if isinstance(found, RecordFault) else found
            except RegistryError as error:
                if error.fault is not Fault.UNREACHABLE:
                    raise
                self._has_registry = False  # one attempt: each further one would take seconds
                self._say(
                    f"{error}; records are decoded by this program's own schema, so those that another version wrote "
                    "may be wrong or not decoded"
                )
        return records.decode(self._schema, value)


def _protobuf(message_class: type[Message]) -> _Decode:
    return lambda _key, value: _fields(message_class.FromString(value))


def _fields(message: Message) -> Document:
    found: Document = json_format.MessageToDict(message, preserving_proto_field_name=True)
    return found


def _canonical(_key: bytes, value: bytes) -> Document:
    event = CanonicalEvent.FromString(value)
    return _fields(event) | {"event_id": event.event_id.hex()}


def _partial(key: bytes, value: bytes) -> Document:
    """A partial count: a table's row, or a record of its topic, whose key has a partition's number behind a zero."""
    partial = Partial.from_bytes(value)
    counted = published_record(key.partition(b"\x00")[0].decode(), partial.tally)
    return {"first_offset": partial.first_offset, "last_offset": partial.last_offset, "counted": counted}


def _symbol_row(key: bytes, value: bytes) -> Document:
    return {"counted": published_record(key.decode(), SymbolRow.from_bytes(value).tally())}


def _node_coverage(_key: bytes, value: bytes) -> Document:
    known = NodeCoverage.from_bytes(value)
    vouched = [one._asdict() for one in known.by_session]
    gaps = [{"from_ns": one.from_ns, "to_ns": one.to_ns, "cause": one.cause} for one in known.gaps]
    return {"known_from_ns": known.known_from_ns, "vouched": vouched, "gaps": gaps}


def _json(_key: bytes, value: bytes) -> Document:
    found = json.loads(value)
    if not isinstance(found, dict):
        raise ValueError("not a JSON object")  # noqa: TRY004 - of a record's content, as whatever cannot be decoded
    return found


def _modules(_key: bytes, value: bytes) -> Document:
    process = decode_row(value)
    return {"ended": process.ended, "loaded": [entry._asdict() for entry in process.loaded]}


def _row(decode: _Decode) -> _Decode:
    """A table's changelog: rows, and the offsets that its books consist of."""

    def decode_row(key: bytes, value: bytes) -> Document | None:
        if key[:1] in _BOOKKEEPING:
            return {"offset": int.from_bytes(value, "big", signed=True)}
        return decode(key, value)

    return decode_row


def _nothing_known(_key: bytes, _value: bytes) -> None:
    return None


_BY_NAME: Final[dict[str, _Decode]] = {
    topics.RAW: _protobuf(GetEventsResponse),
    topics.CANONICAL: _canonical,
    topics.HOT_PARTIALS: _partial,
    topics.OWNERS: _json,
    topics.changelog(topics.Stage.CANONICALIZE, topics.MODULES_TABLE): _row(_modules),
    topics.changelog(topics.Stage.HOT_SYMBOLS, topics.PARTIAL_COUNTS_TABLE): _row(_partial),
    topics.changelog(topics.Stage.HOT_SYMBOLS, topics.HOT_SYMBOLS_TABLE): _row(_symbol_row),
    topics.changelog(topics.Stage.HOT_SYMBOLS, topics.NODE_COVERAGE_TABLE): _row(_node_coverage),
}
