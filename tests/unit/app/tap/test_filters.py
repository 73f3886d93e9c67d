"""app/tap/filters.py: each filter finds a record on every topic that has the field, and is refused on all others."""

from collections.abc import Mapping
from typing import Any, Final, cast

import pytest

from agents.canonicalize.events import Canonicalizer
from agents.canonicalize.outcomes import Canonical
from agents.contract import UNREADABLE_BATCH
from app.kafka.records import Recorded
from app.kafka.registry import Fault, RegistryError, SchemaRegistry
from app.operators.errors import OperatorError
from app.progress import Progress
from app.settings import Settings
from app.tap.decoding import Decoder, Document
from app.tap.filters import RecordFilter
from app.tap.sifting import Sifted
from schemas import topics
from tests.support.calls import encode_call, frame
from tests.support.events import kprobe, pod_process, user_frame

EVENT: Final = "0123456789abcdef" * 2
BINARY: Final = "/opt/harbour/bin/tidewatch"
SYMBOL: Final = "_ZN7harbour4pollEv"

RAW_EVENT: Final = kprobe("tcp_connect", who=pod_process(binary=BINARY), user=[user_frame("/usr/lib/h.so", 16, SYMBOL)])
CALL: Final = {
    "event_id": EVENT,
    "namespace": "harbour",
    "process": {"process_id": "p", "binary": BINARY},
    "stack_frames": [frame("/usr/lib/h.so", SYMBOL)],
}
ROW: Final[Document] = {
    "symbol": SYMBOL,
    "namespaces": [{"namespace": "other"}, {"namespace": "harbour"}],
    "events": [{"event_id": "f" * 32}, {"event_id": EVENT}],
}

FOUND: Final[Mapping[str, Mapping[str, tuple[str, ...]]]] = {
    topics.RAW: {
        "namespace": ("harbour", "harb*"),
        "binary": (BINARY, "tidewatch", "/opt/*"),
        "symbol": (SYMBOL, "tcp_connect", "*poll*"),
    },
    topics.CANONICAL: {
        "namespace": ("harbour",),
        "binary": (BINARY, "tidewatch"),
        "symbol": (SYMBOL, "tcp_connect"),
        "event": (EVENT,),
    },
    topics.CALLS: {
        "namespace": ("harbour", "h?rbour"),
        "binary": (BINARY, "tide*"),
        "symbol": (SYMBOL, "*[p]oll*"),
        "event": (EVENT,),
    },
    topics.HOT_SYMBOLS: {"namespace": ("harbour",), "symbol": (SYMBOL,), "event": (EVENT,)},
    topics.HOT_PARTIALS: {"namespace": ("harbour",), "symbol": (SYMBOL,), "event": (EVENT,)},
    topics.changelog(topics.Stage.HOT_SYMBOLS, topics.PARTIAL_COUNTS_TABLE): {
        "namespace": ("harbour",),
        "symbol": (SYMBOL,),
        "event": (EVENT,),
    },
    topics.changelog(topics.Stage.HOT_SYMBOLS, topics.HOT_SYMBOLS_TABLE): {
        "namespace": ("harbour",),
        "symbol": (SYMBOL,),
        "event": (EVENT,),
    },
    topics.WATCH: {"symbol": (SYMBOL,)},
    topics.WATCHED: {"symbol": (SYMBOL,), "event": (EVENT,)},
}
"""What finds the record of each topic, by filter."""

FILTERS: Final = ("namespace", "binary", "symbol", "event")


class _Nobody:
    """A registry that does not answer."""

    def versions(self, _subject: str) -> list[int]:
        raise RegistryError(Fault.UNREACHABLE, "nobody there")


def _decoder(topic: str, said: list[str] | None = None) -> Decoder:
    registry = cast("SchemaRegistry", _Nobody())
    return Decoder(topics.TOPICS_BY_NAME[topic], registry, Settings(), ([] if said is None else said).append)


def _canonical_value() -> bytes:
    outcome = Canonicalizer({}).canonicalize(RAW_EVENT.SerializeToString(), 0, 0, 0)
    assert isinstance(outcome, Canonical)
    return outcome.value


VALUES: Final = {
    topics.RAW: RAW_EVENT.SerializeToString(),
    topics.CANONICAL: _canonical_value(),
    topics.CALLS: encode_call(CALL),
}


def _event_of(topic: str, text: str) -> str:
    """A canonical event has the id that it has."""
    if topic != topics.CANONICAL or text != EVENT:
        return text
    document = _decoder(topic).document(None, VALUES[topic])
    assert document is not None
    return str(document["event_id"])


def _document(topic: str) -> Document:
    if topic in VALUES:
        found = _decoder(topic).document(None, VALUES[topic])
        assert found is not None
        return found
    return ROW if topics.TOPICS_BY_NAME[topic].value_schema else {"counted": ROW}


@pytest.mark.parametrize(
    ("topic", "name", "text"),
    [(topic, name, text) for topic, fields in FOUND.items() for name, texts in fields.items() for text in texts],
)
def test_a_filter_finds_its_record_and_no_other(topic: str, name: str, text: str) -> None:
    """By the text itself or a pattern, also before the record is decoded."""
    text = _event_of(topic, text)
    wanted = _wanted(**{name: text})
    wanted.demand(topic)
    assert wanted.matches(topic, _document(topic)) is True
    assert wanted.may_match(topic, VALUES.get(topic, b""))
    other = "0" * 32 if name == "event" else "x" + text
    assert _wanted(**{name: other}).matches(topic, _document(topic)) is False


@pytest.mark.parametrize(
    ("topic", "name"),
    [(topic.name, name) for topic in topics.TOPICS for name in FILTERS if name not in FOUND.get(topic.name, {})],
)
def test_a_filter_is_refused_where_records_have_no_such_field(topic: str, name: str) -> None:
    """With the topics on which it works: an empty answer would read as "there is none"."""
    with pytest.raises(OperatorError, match=rf"records of {topic} have no .*--{name} works on .*runtime\.calls"):
        _wanted(**{name: "0" * 32}).demand(topic)


def test_all_conditions_hold_at_once() -> None:
    """A record that meets only one of two is not shown."""
    document = _document(topics.CALLS)
    assert _wanted(namespace="harbour", symbol=SYMBOL).matches(topics.CALLS, document) is True
    assert _wanted(namespace="harbour", symbol="other").matches(topics.CALLS, document) is False


def test_most_records_are_passed_over_undecoded() -> None:
    """A text that a record's bytes do not have cannot be in one of its fields."""
    for topic, value in VALUES.items():
        for name in FOUND[topic]:
            text = "0" * 32 if name == "event" else "no-such-text"
            assert not _wanted(**{name: text}).may_match(topic, value)


def test_records_are_sifted_and_what_cannot_be_told_is_counted() -> None:
    """A batch that cannot be read may hold what is searched for; a deleted key does not."""
    values = [VALUES[topics.CALLS], None, UNREADABLE_BATCH, encode_call(CALL | {"namespace": "other"}), b"harbour"]
    records = [Recorded(topics.CALLS, 0, offset, 0, b"key", value) for offset, value in enumerate(values)]
    sifted = Sifted(_wanted(namespace="harbour"), topics.CALLS, _decoder(topics.CALLS), Progress())
    assert [record.offset for record, _ in sifted.matching(records)] == [0]
    assert sifted.summary() == "1 of 5 records match; 2 cannot be decoded, so they may match"
    everything = Sifted(_wanted(), topics.CALLS, _decoder(topics.CALLS), Progress())
    assert len(list(everything.matching(records))) == 5
    assert everything.summary() == ""


def test_a_registry_that_is_away_is_said_once() -> None:
    """Records of another version would be shown wrong without a word."""
    said: list[str] = []
    decoder = _decoder(topics.CALLS, said)
    for _ in range(3):
        assert decoder.document(None, VALUES[topics.CALLS])
    assert len(said) == 1
    assert "nobody there; records are decoded by this program's own schema" in said[0]


def _wanted(**conditions: Any) -> RecordFilter:
    return RecordFilter(**conditions)
