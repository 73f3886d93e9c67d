"""app/tap/decoding.py: every topic's records become documents, and no record stops the reading."""

import json
from typing import Any, cast

import pytest

from agents.canonicalize.process_modules import Loaded, ProcessModules, encode_row
from agents.hot_symbols.counting.partial import Partial
from agents.hot_symbols.counting.tally import Tally
from agents.hot_symbols.table.symbol_row import SymbolRow
from app.kafka.registry import Fault, RegistryError, SchemaRegistry
from app.settings import Settings
from app.tap.decoding import UNDECODED, Decoder, Document, key_text
from schemas import avro_wire, records, topics
from schemas.canonical_pb2 import CanonicalEvent
from tests.support.events import kprobe

GAP = {
    "node": "quay-7",
    "from_ns": 1,
    "to_ns": 2,
    "cause": "Overflow",
    "events_lost": 5,
    "detail": None,
    "cluster": "",
    "session": "",
    "skipped": None,
    "boot_id": None,
    "boot_ns": None,
    "ingest_version": "",
    "said_by": "",
}


class _Registry:
    """A registry that has these schemas by id, or that does not answer."""

    def __init__(self, schemas: dict[int, str] | None) -> None:
        self.schemas = schemas
        self.asked: list[str] = []

    def versions(self, subject: str) -> list[int]:
        self.asked.append(subject)
        if self.schemas is None:
            raise RegistryError(Fault.UNREACHABLE, "nobody there")
        return list(self.schemas)

    def version(self, _subject: str, number: int) -> tuple[int, str]:
        assert self.schemas is not None
        return number, self.schemas[number]


def _decoder(topic: str, registry: _Registry | None = None) -> Decoder:
    shape = next(shape for shape in topics.TOPICS if shape.name == topic)
    return Decoder(shape, cast("SchemaRegistry", registry or _Registry({})), Settings())


def _partial(symbol: str) -> Partial:
    tally = Tally("/usr/lib/libharbour.so.2")
    tally.hits = 7
    assert symbol
    return Partial(tally, 3, 9)


def test_raw_events_are_shown_by_the_names_of_their_fields() -> None:
    """A raw record becomes Tetragon's own JSON form."""
    document = _decoder(topics.RAW).document(b"key", kprobe("tcp_connect").SerializeToString())

    assert document is not None
    assert document["process_kprobe"]["function_name"] == "tcp_connect"


def test_canonical_events_have_their_id_in_hex() -> None:
    """The id is readable and can be searched for in the calls."""
    value = CanonicalEvent(event_id=bytes(range(16))).SerializeToString()

    assert (_decoder(topics.CANONICAL).document(None, value) or {})["event_id"] == bytes(range(16)).hex()


def test_avro_records_are_read_by_the_schema_that_wrote_them() -> None:
    """A record of an older version is resolved by the registry's schema of its id, asked once."""
    older = json.loads(records.schema_text(records.COVERAGE_GAP))
    newer = {"session", "skipped", "boot_id", "boot_ns", "ingest_version", "said_by"}
    older["fields"] = [field for field in older["fields"] if field["name"] not in newer]
    registry = _Registry({9: json.dumps(older)})
    value = records.encode(records.COVERAGE_GAP, 9, GAP)
    without_session = value[: len(value) - len(newer)]
    decoder = _decoder(topics.COVERAGE, registry)

    assert decoder.document(None, without_session) == GAP
    assert decoder.document(None, without_session) == GAP
    assert registry.asked == ["runtime.coverage-value"]


def test_avro_records_are_read_by_our_schema_when_no_registry_answers() -> None:
    """Without a registry the packaged schema is used, and the registry is not asked again."""
    registry = _Registry(None)
    decoder = _decoder(topics.COVERAGE, registry)

    assert [decoder.document(None, records.encode(records.COVERAGE_GAP, 3, GAP)) for _ in range(2)] == [GAP, GAP]
    assert registry.asked == ["runtime.coverage-value"]


@pytest.mark.parametrize(
    ("topic", "value"),
    [
        (topics.RAW, b"\xff\xff"),
        (topics.CANONICAL, b"\x0a\xff"),
        (topics.CALLS, b"no framing"),
        (topics.CALLS, avro_wire.schema_header(404) + b"x"),
        (topics.HOT_PARTIALS, b"\x09\x00\x00"),
        (topics.changelog(topics.Stage.HOT_SYMBOLS, topics.HOT_SYMBOLS_TABLE), b""),
        (topics.changelog(topics.Stage.CANONICALIZE, topics.MODULES_TABLE), b"[["),
    ],
)
def test_record_is_shown_in_hex_when_it_cannot_be_decoded(topic: str, value: bytes) -> None:
    """What others put on a topic is shown as it is, and the next record is read."""
    assert _decoder(topic).document(b"kernel!f\x003", value) == {UNDECODED: value.hex()}


def test_tombstones_have_no_document() -> None:
    """A deleted key is told from a value that cannot be decoded."""
    assert _decoder(topics.HOT_SYMBOLS).document(b"kernel!f", None) is None


def test_table_rows_are_decoded_on_changelogs_and_on_the_internal_topic() -> None:
    """Partial counts, merged rows and loaded modules are readable; a table's own offsets are numbers."""
    symbol, partial = "/usr/lib/libharbour.so.2!gauge_poll", _partial("gauge_poll")
    row = SymbolRow()
    row.take(3, partial.to_bytes())
    partials = topics.changelog(topics.Stage.HOT_SYMBOLS, topics.PARTIAL_COUNTS_TABLE)
    rows = topics.changelog(topics.Stage.HOT_SYMBOLS, topics.HOT_SYMBOLS_TABLE)
    modules = topics.changelog(topics.Stage.CANONICALIZE, topics.MODULES_TABLE)

    on_topic = _decoder(topics.HOT_PARTIALS).document(symbol.encode() + b"\x003", partial.to_bytes())
    assert on_topic == _decoder(partials).document(symbol.encode(), partial.to_bytes())
    assert _counted(on_topic) == _counted(_decoder(rows).document(symbol.encode(), row.to_bytes())) == 7
    loaded = {"offset": 4, "path_digest": "ca7f3ba672fd057c", "build_id": "93ac61ec", "until": None}
    row_of_process = encode_row(ProcessModules([Loaded(4, "ca7f3ba672fd057c", "93ac61ec")], ended=9))
    assert _decoder(modules).document(b"process", row_of_process) == {"ended": 9, "loaded": [loaded]}
    for topic in (partials, rows, modules):
        key = b"\x00callstream\x00position"
        assert _decoder(topic).document(key, (41).to_bytes(8, "big")) == {"offset": 41}


def _counted(document: Document | None) -> Any:
    assert document is not None
    return document["counted"]["hits"]


@pytest.mark.parametrize(
    ("key", "expected"), [(None, None), (b"kernel!f", "kernel!f"), (b"f\x003", "f\x003"), (b"\xff\x01", "0xff01")]
)
def test_keys_are_text_where_they_are_text(key: bytes | None, expected: str | None) -> None:
    """A key that is not text is shown in hex."""
    assert key_text(key) == expected
