"""Readers of exported files that share no code with their writers: from the formats' public descriptions alone.

Each checks everything that its format asks for, and gives stacks as (frames from the outside in, events).
"""

import gzip
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from html.parser import HTMLParser
from typing import Any, Final

Stacks = dict[tuple[str, ...], int]

# flamegraph.pl: everything before the last blank is the stack, and the rest a number
_FOLDED: Final = re.compile(r"\A(.*)\s+?(\d+(?:\.\d*)?)\Z")


def read_folded(text: str) -> Stacks:
    """Folded stacks, as flamegraph.pl reads them."""
    stacks: Stacks = {}
    assert text.endswith("\n")
    for line in text[:-1].split("\n"):
        match = _FOLDED.match(line)
        assert match is not None, line
        frames = tuple(match[1].split(";"))
        assert all(frames), line
        stacks[frames] = stacks.get(frames, 0) + int(match[2])
    return stacks


def read_speedscope(document: Mapping[str, Any]) -> Stacks:
    """The file format of speedscope: its TypeScript declarations, `FileFormat.File`, for sampled profiles."""
    _has(document, {"$schema", "shared", "profiles"}, {"name", "activeProfileIndex", "exporter"})
    assert document["$schema"] == "https://www.speedscope.app/file-format-schema.json"
    _has(document["shared"], {"frames"}, set())
    for frame in document["shared"]["frames"]:
        _has(frame, {"name"}, {"file", "line", "col"})
        assert isinstance(frame["name"], str)
        assert isinstance(frame.get("file", ""), str)
    profiles = document["profiles"]
    assert 0 <= document.get("activeProfileIndex", 0) < len(profiles)
    stacks: Stacks = {}
    for profile in profiles:
        _has(profile, {"type", "name", "unit", "startValue", "endValue", "samples", "weights"}, set())
        assert profile["type"] == "sampled"
        assert profile["unit"] in {"bytes", "microseconds", "milliseconds", "nanoseconds", "none", "seconds"}
        assert profile["endValue"] - profile["startValue"] == sum(profile["weights"])
        for sample, weight in zip(profile["samples"], profile["weights"], strict=True):
            assert sample
            frames = tuple(document["shared"]["frames"][number]["name"] for number in sample)
            stacks[frames] = stacks.get(frames, 0) + weight
    return stacks


def _has(found: Mapping[str, Any], needed: set[str], allowed: set[str]) -> None:
    assert needed <= found.keys() <= needed | allowed, found.keys()


@dataclass
class Pprof:
    """A decoded profile: stacks by function name, from the outside in."""

    stacks: Stacks = field(default_factory=dict)
    labels: dict[tuple[str, ...], dict[str, str]] = field(default_factory=dict)
    sample_types: list[tuple[str, str]] = field(default_factory=list)
    system_names: dict[str, str] = field(default_factory=dict)
    mappings: dict[str, str] = field(default_factory=dict)
    """Build id by file name."""
    time_ns: int = 0
    duration_ns: int = 0
    comments: list[str] = field(default_factory=list)


def read_pprof(compressed: bytes) -> Pprof:
    """Pprof files by the description in google/pprof, proto/profile.proto; checks what `CheckValid` does there."""
    profile = _fields(gzip.decompress(compressed))
    texts: list[str] = [text.decode() for text in profile.get(6, [])]
    assert texts[0] == ""
    assert len(set(texts)) == len(texts)

    def named(message: Mapping[int, list[Any]], number: int) -> str:
        return texts[int(message.get(number, [0])[0])]

    mappings = {one[1][0]: one for one in map(_fields, profile.get(3, []))}
    functions = {one[1][0]: one for one in map(_fields, profile.get(5, []))}
    locations = {one[1][0]: one for one in map(_fields, profile.get(4, []))}
    for table, number in ((mappings, 3), (functions, 5), (locations, 4)):
        assert len(table) == len(profile.get(number, []))
        assert 0 not in table
    found = Pprof(
        sample_types=[(named(one, 1), named(one, 2)) for one in map(_fields, profile[1])],
        system_names={named(one, 2): named(one, 3) for one in functions.values()},
        mappings={named(one, 5): named(one, 6) for one in mappings.values()},
        time_ns=profile.get(9, [0])[0],
        duration_ns=profile.get(10, [0])[0],
        comments=[texts[number] for number in _packed(profile, 13)],
    )
    for sample in map(_fields, profile.get(2, [])):
        frames: list[str] = []
        for number in _packed(sample, 1):
            location = locations[number]
            assert location[2][0] in mappings
            (line,) = map(_fields, location[4])
            frames.insert(0, named(functions[line[1][0]], 2))
        (value,) = _packed(sample, 2)
        assert len(found.sample_types) == 1
        labels = {named(one, 1): named(one, 2) for one in map(_fields, sample.get(3, []))}
        key = tuple(frames)
        found.stacks[key] = found.stacks.get(key, 0) + value
        found.labels[key] = labels
    return found


def _fields(message: bytes) -> dict[int, list[Any]]:
    """The fields of a protobuf message: numbers for varints, bytes for everything with a length."""
    fields: dict[int, list[Any]] = {}
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        if tag & 7 == 0:
            value, at = _varint(message, at)
            fields.setdefault(tag >> 3, []).append(value)
        else:
            assert tag & 7 == 2, tag
            size, at = _varint(message, at)
            assert at + size <= len(message)
            fields.setdefault(tag >> 3, []).append(message[at : at + size])
            at += size
    return fields


def _packed(message: Mapping[int, list[Any]], number: int) -> list[int]:
    """A repeated number, packed or not."""
    values: list[int] = []
    for entry in message.get(number, []):
        if isinstance(entry, int):
            values.append(entry)
            continue
        at = 0
        while at < len(entry):
            value, at = _varint(entry, at)
            values.append(value)
    return values


def _varint(message: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at


_FACT: Final = {"symbolId", "hitCount"}
_FACT_OPTIONAL: Final = {"codeId", "purl", "buildId", "loaderBase", "processId", "processName", "socketAddress"} | {
    "containerId",
    "evidenceUri",
    "observedAt",
    "metadata",
}


def read_runtime_facts(text: str) -> dict[str, dict[str, Any]]:
    """Stella Ops' runtime facts by its docs/reachability/runtime-facts.md: by symbol id, each symbol once, in order."""
    assert text.endswith("\n")
    facts = [json.loads(line) for line in text[:-1].split("\n")]
    for fact in facts:
        _has(fact, _FACT, _FACT_OPTIONAL)
        assert type(fact["hitCount"]) is int
        assert fact["hitCount"] > 0
        assert all(
            isinstance(value, str) and value for name, value in fact.items() if name not in {"hitCount", "metadata"}
        )
        assert all(isinstance(value, str) for value in fact["metadata"].values())
        assert fact["observedAt"].endswith("Z")
        datetime.fromisoformat(fact["observedAt"])
    names = [fact["symbolId"] for fact in facts]
    assert names == sorted(set(names))
    return dict(zip(names, facts, strict=True))


_VEX_TIME: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")
_VEX_IRI: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:\S+")
_VEX_STATUSES: Final = {"not_affected", "affected", "fixed", "under_investigation"}
_VEX_JUSTIFICATIONS: Final = {
    "component_not_present",
    "vulnerable_code_not_present",
    "vulnerable_code_not_in_execute_path",
    "vulnerable_code_cannot_be_controlled_by_adversary",
    "inline_mitigations_already_exist",
}


def read_openvex(document: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """OpenVEX 0.2.0 by its specification and JSON schema: statements by name of the vulnerability."""
    needed = {"@context", "@id", "author", "timestamp", "version", "statements"}
    _has(document, needed, {"role", "last_updated", "tooling"})
    assert document["@context"].startswith("https://openvex.dev/ns")
    assert _VEX_IRI.fullmatch(document["@id"])
    assert document["author"]
    assert _VEX_TIME.fullmatch(document["timestamp"])
    assert type(document["version"]) is int
    assert document["version"] >= 1
    assert document["statements"]
    found = {}
    for statement in document["statements"]:
        _check_statement(statement)
        found[statement["vulnerability"]["name"]] = statement
    assert len(found) == len(document["statements"])
    return found


def _check_statement(statement: Mapping[str, Any]) -> None:
    optional = {"@id", "version", "timestamp", "last_updated", "supplier", "status_notes", "justification"}
    texts = {"impact_statement", "action_statement", "action_statement_timestamp"}
    _has(statement, {"vulnerability", "products", "status"}, optional | texts)
    _has(statement["vulnerability"], {"name"}, {"@id", "description", "aliases"})
    assert statement["status"] in _VEX_STATUSES
    assert _VEX_TIME.fullmatch(statement.get("timestamp", "2026-01-01T00:00:00Z"))
    assert statement["products"]
    for product in statement["products"]:
        for component in (product, *product.get("subcomponents", [])):
            _has(component, {"@id"}, {"identifiers", "hashes"} | ({"subcomponents"} if component is product else set()))
            assert _VEX_IRI.fullmatch(component["@id"])
            _has(component.get("identifiers", {}), set(), {"purl", "cpe22", "cpe23"})
    if statement["status"] == "not_affected":
        assert statement.get("justification") or statement.get("impact_statement")
    if statement["status"] == "affected":
        assert statement["action_statement"]
    assert statement.get("justification") in {None, *_VEX_JUSTIFICATIONS}


class _Page(HTMLParser):
    """Notes every element with its attributes, and the texts of scripts and styles."""

    def __init__(self) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {"script": [], "style": []}
        self._inside = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._inside = tag

    def handle_endtag(self, tag: str) -> None:
        self._inside = "" if tag == self._inside else self._inside

    def handle_data(self, data: str) -> None:
        if self._inside in self.texts:
            self.texts[self._inside].append(data)


_LINKING: Final = frozenset({"src", "href", "srcset", "action", "formaction", "poster", "data", "background", "ping"})
_CALLING: Final = re.compile(
    r"fetch\(|XMLHttpRequest|WebSocket|EventSource|sendBeacon|import\(|importScripts|new Image|@import|url\(|://"
)


_SVG_NAMESPACE: Final = '"http://www.w3.org/2000/svg"'
"""A name and no address: nothing asks for it."""


def network_references(page: str) -> Iterator[str]:
    """Everything in a page that could ask a network for something."""
    parser = _Page()
    parser.feed(page)
    for tag, attributes in parser.elements:
        if tag in {"link", "iframe", "img", "object", "embed", "base", "audio", "video", "source", "form"}:
            yield tag
        yield from (f"{tag} {name}" for name in attributes.keys() & _LINKING)
    data = next(text for text in parser.texts["script"])
    for text in (*parser.texts["script"], *parser.texts["style"]):
        if text is not data:
            yield from _CALLING.findall(text.replace(_SVG_NAMESPACE, ""))


def page_data(page: str) -> str:
    """The JSON that a page carries."""
    parser = _Page()
    parser.feed(page)
    return parser.texts["script"][0]


def page_policy(page: str) -> dict[str, str]:
    """The directives of the page's content security policy."""
    parser = _Page()
    parser.feed(page)
    (policy,) = [
        attributes["content"] or ""
        for tag, attributes in parser.elements
        if tag == "meta" and attributes.get("http-equiv") == "Content-Security-Policy"
    ]
    directives = [directive.split(maxsplit=1) for directive in policy.split(";")]
    return dict(directives)
