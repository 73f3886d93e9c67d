"""Documents of records as lines for people: who did what, and where it came from, frame by frame.

A line never has control characters, whatever the data holds, because it goes to a terminal. The JSON form has
everything that the lines leave out. It also has symbols as they are stored, because lines may show them demangled.
"""

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from agents.canonicalize.frame_text import FrameText, format_frame_text, join_frame_text
from app.operators.escaping import escaped
from app.operators.times import time_text
from app.tap.decoding import UNDECODED, UNREADABLE, Document
from schemas import topics
from schemas.coverage import GapCause
from schemas.node import NodeId
from schemas.probes import WindowEnd

_INDENT: Final = "    "
_FRAME_WIDTH: Final = 84
_MAX_SHOWN_CHARS: Final = 400
"""Of one argument string, demangled name or undecoded record; the JSON form has all of it."""

Naming = Callable[[str], str]
"""Gives a symbol's name as people read it; empty stays empty."""


@dataclass(frozen=True, slots=True)
class Headline:
    """What every record has: where it is, and its key as text."""

    partition: int
    offset: int
    key: str | None

    def __str__(self) -> str:
        return f"{self.partition}@{self.offset}"


@dataclass(frozen=True, slots=True)
class _ShownCall:
    """A call, from a published call or from a canonical event."""

    time_ns: int
    probe_type: str
    what: str
    process: Document
    pod: str
    frames: list["_ShownFrame"] = field(default_factory=list)
    arguments: str = ""
    outcome: str = ""


@dataclass(frozen=True, slots=True)
class _ShownFrame:
    module: str
    symbol: str
    offset: int | None
    resolution: str
    hint: str
    line: str

    def text(self, naming: Naming) -> str:
        """The frame as `format_frame_text` writes it, but with its name as people read it."""
        shown = naming(self.symbol)
        if shown == self.symbol:
            text = format_frame_text(FrameText(self.module, self.symbol, self.offset))
        else:
            module = format_frame_text(FrameText(self.module, "", None))
            text = join_frame_text(module, _shortened(shown), self.offset)
        text += f"  ({_shortened(naming(self.hint))}?)" if self.hint else ""
        text += f"  {self.line}" if self.line else ""
        return f"{text:<{_FRAME_WIDTH}}  {self.resolution}"


def lines(
    topic: str, headline: Headline, document: Document | None, naming: Naming = lambda symbol: symbol
) -> Iterator[str]:
    """A record of the topic with this unprefixed name, as lines; `naming` gives symbols the names that people read."""
    if document is None:
        yield escaped(f"{headline}  {headline.key}  deleted")
    elif document.keys() == {UNREADABLE}:
        yield f"{headline}  not readable: its batch is damaged, or too large when it is inflated"
    elif UNDECODED in document:
        yield escaped(f"{headline}  {headline.key}  not decoded: {_shortened(document[UNDECODED])}")
    else:
        yield from map(escaped, _LINES.get(topic, _state)(headline, document, naming))


def _call(headline: Headline, document: Document, naming: Naming) -> Iterable[str]:
    arguments = [_argument(one) for one in document["call_arguments"]]
    returned = document["return_value"]
    frames = [
        _ShownFrame(
            module=frame["module"],
            symbol=frame["symbol"],
            offset=None if frame["offset_basis"] == "None" else frame["offset"],
            resolution=frame["resolution"],
            hint=frame["symbol_hint"] or "",
            line=f"{frame['source_file']}:{frame['line_number']}" if frame["source_file"] else "",
        )
        for frame in document["stack_frames"]
    ]
    call = _ShownCall(
        time_ns=document["timestamp_ns"],
        probe_type=document["probe_type"],
        what=document["syscall"],
        process=document["process"],
        pod="/".join(part for part in (document["namespace"], document["pod_name"]) if part),
        frames=frames,
        arguments=" ".join([*arguments, f"-> {returned['value']}"] if returned else arguments),
        outcome=document["exit_signal"] or _number("status", document["exit_status"]),
    )
    yield from _call_lines(headline, call, naming)
    if counts := document["redaction"]["counts"]:
        yield _INDENT + "redacted: " + ", ".join(f"{rule} {count}" for rule, count in sorted(counts.items()))


def _canonical(headline: Headline, document: Document, naming: Naming) -> Iterable[str]:
    probe, workload = document.get("probe", {}), document.get("workload", {})
    frames = [
        _ShownFrame(
            module=frame.get("module", ""),
            symbol=frame.get("symbol", ""),
            offset=int(frame.get("offset", 0)) if "offset_basis" in frame else None,
            resolution=canonical_resolution(frame),
            hint=frame.get("symbol_hint", ""),
            line=f"{frame['source_file']}:{frame.get('line_number')}" if "source_file" in frame else "",
        )
        for frame in document.get("stack", {}).get("frames", [])
    ]
    ended = document.get("exit", {})
    call = _ShownCall(
        time_ns=int(document.get("timestamp_ns", 0)),
        probe_type=_camel(probe.get("probe_type", ""), "PROBE_TYPE_"),
        what=probe.get("syscall", ""),
        process=document.get("process", {}),
        pod="/".join(part for part in (workload.get("namespace"), workload.get("pod_name")) if part),
        frames=frames,
        arguments=" ".join(_atoms(one) for one in document.get("arguments", [])),
        outcome=ended.get("signal") or _number("status", ended.get("status")),
    )
    yield from _call_lines(headline, call, naming)


def canonical_resolution(frame: Document) -> str:
    """The grade of a canonical event's frame, spelled as calls spell it."""
    return _camel(frame.get("resolution", ""), "FRAME_RESOLUTION_")


def _call_lines(headline: Headline, call: _ShownCall, naming: Naming) -> Iterable[str]:
    process = call.process
    who = f"{process.get('binary') or '?'}[{process.get('pid', '?')}]"
    parts = [time_text(call.time_ns, 9), call.probe_type, call.what, call.pod, who, call.outcome, str(headline)]
    yield "  ".join(part for part in parts if part)
    if process.get("arguments"):
        yield _INDENT + _shortened(process["arguments"])
    if call.arguments:
        yield _INDENT + _shortened(call.arguments)
    for frame in call.frames:
        yield _INDENT + frame.text(naming)


def _raw(headline: Headline, document: Document, _naming: Naming) -> Iterable[str]:
    kind, body = next(((name, value) for name, value in document.items() if isinstance(value, dict)), ("?", {}))
    process = body.get("process", {})
    who = f"{process.get('binary', '')}[{process.get('pid', '?')}]" if process else ""
    parts = [document.get("time", "without time"), kind, document.get("node_name", ""), who, str(headline)]
    yield "  ".join(part for part in parts if part)
    if process.get("arguments"):
        yield _INDENT + _shortened(process["arguments"])


def _hot_symbol(headline: Headline, document: Document, naming: Naming) -> Iterable[str]:
    symbol = _shortened(naming(document["symbol"]))
    name = f"{document['module']}!{symbol}" if symbol else document["module"]
    seen = _window(document["first_seen_ns"], document["last_seen_ns"]) if document["hits"] else "probes only"
    yield f"{document['hits']:>10} hits  {name}  {document['evidence']}  {seen}  {headline}"


def _watch(headline: Headline, document: Document, _naming: Naming) -> Iterable[str]:
    since = time_text(document["since_ns"], 9) if document["since_ns"] else "the record's time"
    named = dict.fromkeys(filter(None, (document["vulnerability"], *document["vulnerabilities"])))
    why = f"  {', '.join(named)}" if named else ""
    yield f"{headline.key}  watched since {since}{why}  {headline}"


def _watched(headline: Headline, document: Document, _naming: Naming) -> Iterable[str]:
    hours = document["complete_ns"] / 3_600_000_000_000
    yield f"{document['answer']:<8}  {document['hits']} hits  {headline.key}  complete for {hours:.1f} h  {headline}"


def _dead_letter(headline: Headline, document: Document, _naming: Naming) -> Iterable[str]:
    position = f"{document['source_topic']} {document['source_partition']}@{document['source_offset']}"
    error = f" ({document['error_class']})" if document["error_class"] else ""
    yield f"{document['stage']}  {document['reason']}{error}  {position}  {headline}"


_SAID: Final = {
    GapCause.HEARTBEAT.value: "events complete",
    GapCause.FILTERED.value: "a filter leaves events out",
    GapCause.LOSSES_UNREAD.value: "the agent's losses were not read",
    GapCause.FAREWELL.value: "ingest ended in good order",
    GapCause.CREATED.value: "the node was made",
    GapCause.BOOTED.value: "the node started",
    GapCause.RETIRED.value: "the node is gone",
    GapCause.RETIREMENT_UNDONE.value: "the node is not gone",
    GapCause.FOLLOWED.value: "all nodes of the cluster were known",
}
"""What is said of a record that is not a gap."""


def _coverage(headline: Headline, document: Document, _naming: Naming) -> Iterable[str]:
    lost = "an unknown number of" if document["events_lost"] is None else str(document["events_lost"])
    said = _SAID.get(document["cause"], f"{lost} events lost")
    window = _window(document["from_ns"], document["to_ns"])
    node = str(NodeId(document["cluster"], document["node"])) or "?"
    yield f"{node}  {document['cause']}  {window}  {said}  {headline}"


def _probes(headline: Headline, document: Document, _naming: Naming) -> Iterable[str]:
    node = str(NodeId(document["cluster"], document["node"])) or "?"
    window = _window(document["from_ns"], document["to_ns"])
    name = "/".join(filter(None, (document["namespace"], document["policy"])))
    said = f"{name}  {document['state']}" if name else f"agent  {document['answer']}"
    end = "" if document["end"] == WindowEnd.OPEN else f"  {document['end']}"
    yield f"{node}  {said}  {window}{end}  {headline}"


def _placement(headline: Headline, document: Document, _naming: Naming) -> Iterable[str]:
    node = str(NodeId(document["cluster"], document["node"])) or "?"
    yield f"{node}  {document['build_id']}  {_window(document['from_ns'], document['to_ns'])}  {headline}"


def _state(headline: Headline, document: Document, _naming: Naming) -> Iterable[str]:
    yield f"{headline.key}  {_shortened(json.dumps(document, ensure_ascii=False))}  {headline}"


_LINES: Final[dict[str, Callable[[Headline, Document, Naming], Iterable[str]]]] = {
    topics.RAW: _raw,
    topics.CANONICAL: _canonical,
    topics.CALLS: _call,
    topics.HOT_SYMBOLS: _hot_symbol,
    topics.WATCH: _watch,
    topics.WATCHED: _watched,
    topics.DEAD_LETTERS: _dead_letter,
    topics.COVERAGE: _coverage,
    topics.PROBES: _probes,
    topics.PLACEMENTS: _placement,
}


def _argument(argument: Document) -> str:
    value = "(nothing)" if argument["value"] is None else argument["value"]
    return f"{argument['label'] or argument['type']}={value}"


def _atoms(argument: Document) -> str:
    values = [atom.get("text", atom.get("buffer", "")) for atom in argument.get("atoms", [])]
    return f"{argument.get('label') or argument.get('type')}={','.join(values)}"


def _number(name: str, value: Any) -> str:
    return "" if value is None else f"{name} {value}"


def _window(from_ns: int, to_ns: int) -> str:
    """Two moments to the millisecond."""
    return f"{time_text(from_ns, 3)} to {time_text(to_ns, 3)}"


def _camel(enum_value: str, prefix: str) -> str:
    return "".join(word.capitalize() for word in enum_value.removeprefix(prefix).split("_"))


def _shortened(text: str) -> str:
    return text if len(text) <= _MAX_SHOWN_CHARS else f"{text[:_MAX_SHOWN_CHARS]}… ({len(text)} characters)"
