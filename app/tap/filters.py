"""Which records of a topic are shown: those whose namespace, binary, symbol or event id is the one that is wanted.

A filter works on each topic that has the field, and is refused for every other one: a filter that matched nothing
because it looked at nothing would read as "there is none".
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from posixpath import basename
from typing import Final

from agents.contract import UNREADABLE_BATCH
from agents.hot_symbols.table.query import fits, longest_literal
from app.operators.errors import OperatorError
from app.tap.decoding import UNDECODED, UNREADABLE, Document
from schemas import topics

_Texts = Callable[[Document], Iterable[str]]
"""The values of one field in a record."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordFilter:
    """The conditions on a record; None is not a condition. A record must meet all of them.

    Each is a text or a shell pattern. `binary` is a path or a file name.
    """

    namespace: str | None = None
    binary: str | None = None
    symbol: str | None = None
    event: str | None = None

    def conditions(self) -> dict[str, str]:
        """The conditions that there are, by the name of the field."""
        named = {"namespace": self.namespace, "binary": self.binary, "symbol": self.symbol, "event": self.event}
        return {name: wanted for name, wanted in named.items() if wanted is not None}

    def demand(self, topic: str) -> None:
        """Raise OperatorError if records of the topic, named without prefix, do not have a field that is wanted."""
        for name in self.conditions():
            if name not in _FIELDS.get(topic, {}):
                able = ", ".join(one for one, fields in _FIELDS.items() if name in fields)
                raise OperatorError(f"records of {topic} have no {_SAID[name]}; --{name} works on {able}")

    def may_match(self, topic: str, value: bytes | None) -> bool:
        """Whether a record can match, before it is decoded, which costs much more."""
        if value is None or value is UNREADABLE_BATCH or topic not in _TEXT_AS_IT_IS:
            return True
        return all(needle in value for needle in self._needles(topic))

    def matches(self, topic: str, document: Document | None) -> bool | None:
        """Whether a decoded record is meant; None if it was not decoded, so that nobody can tell."""
        if document is None:
            return False
        if document.keys() == {UNREADABLE} or UNDECODED in document:
            return None
        fields = _FIELDS[topic]
        return all(fits(wanted, *fields[name](document)) for name, wanted in self.conditions().items())

    def _needles(self, topic: str) -> Iterator[bytes]:
        for name, wanted in self.conditions().items():
            if name == "event" and topic == topics.CANONICAL:
                yield bytes.fromhex(wanted)
            else:
                yield longest_literal(wanted)


_SAID: Final = {"namespace": "namespace", "binary": "binary", "symbol": "symbol", "event": "event id"}

_TEXT_AS_IT_IS: Final = frozenset({topics.RAW, topics.CANONICAL, topics.CALLS})
"""Topics whose records have each text as one piece of UTF-8: protobuf and Avro without compression."""


def _binary(process: Document) -> Iterator[str]:
    if path := process.get("binary"):
        yield from (path, basename(path))


def _symbols(frames: Iterable[Document], *others: str | None) -> Iterator[str]:
    """Of frames, also where the name is only a hint, and of the probe."""
    for frame in frames:
        yield from filter(None, (frame.get("symbol"), frame.get("symbol_hint")))
    yield from filter(None, others)


def _call_symbols(document: Document) -> Iterator[str]:
    return _symbols(document["stack_frames"], (document.get("probe_target") or {}).get("symbol"))


def _canonical_symbols(document: Document) -> Iterator[str]:
    target = document.get("probe", {}).get("target", {})
    return _symbols(document.get("stack", {}).get("frames", ()), target.get("symbol"))


def _raw_body(document: Document) -> Document:
    """The one message that an event of Tetragon is."""
    return next((value for value in document.values() if isinstance(value, dict)), {})


def _raw_symbols(document: Document) -> Iterator[str]:
    body = _raw_body(document)
    frames = [frame for name in _RAW_STACKS for frame in body.get(name, ())]
    return _symbols(frames, body.get("function_name"), body.get("symbol"))


_RAW_STACKS: Final = ("stack_trace", "kernel_stack_trace", "user_stack_trace")


def _raw_namespace(document: Document) -> Iterator[str]:
    yield _raw_body(document).get("process", {}).get("pod", {}).get("namespace", "")


def _row_namespaces(row: Document) -> Iterator[str]:
    return (one["namespace"] for one in row.get("namespaces", ()))


def _cited(row: Document) -> Iterator[str]:
    return (one["event_id"] for one in row.get("events", ()))


def _symbol(row: Document) -> Iterator[str]:
    yield row["symbol"]


_ROW: Final[Mapping[str, _Texts]] = {"namespace": _row_namespaces, "symbol": _symbol, "event": _cited}


def _counted(texts: _Texts) -> _Texts:
    """Of a partial, or of a table's row. The offsets that a table keeps beside them have no such field."""
    return lambda document: texts(document["counted"]) if "counted" in document else ()


_COUNTED: Final = {name: _counted(texts) for name, texts in _ROW.items()}

_FIELDS: Final[Mapping[str, Mapping[str, _Texts]]] = {
    topics.RAW: {
        "namespace": _raw_namespace,
        "binary": lambda document: _binary(_raw_body(document).get("process", {})),
        "symbol": _raw_symbols,
    },
    topics.CANONICAL: {
        "namespace": lambda document: (document.get("workload", {}).get("namespace", ""),),
        "binary": lambda document: _binary(document.get("process", {})),
        "symbol": _canonical_symbols,
        "event": lambda document: (document["event_id"],),
    },
    topics.CALLS: {
        "namespace": lambda document: (document["namespace"] or "",),
        "binary": lambda document: _binary(document["process"]),
        "symbol": _call_symbols,
        "event": lambda document: (document["event_id"],),
    },
    topics.HOT_SYMBOLS: _ROW,
    topics.HOT_PARTIALS: _COUNTED,
    topics.WATCH: {"symbol": _symbol},
    topics.WATCHED: {"symbol": _symbol, "event": _cited},
    topics.changelog(topics.Stage.HOT_SYMBOLS, topics.PARTIAL_COUNTS_TABLE): _COUNTED,
    topics.changelog(topics.Stage.HOT_SYMBOLS, topics.HOT_SYMBOLS_TABLE): _COUNTED,
}
"""Where the records of each topic, named without prefix, have the fields that a filter can look at."""
