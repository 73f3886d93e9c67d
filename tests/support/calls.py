"""Encoded `RuntimeCallEvent`s for tests: as the privacy stage lays them out, and as any other Avro writer may."""

import io
import json
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import fastavro
from hypothesis import strategies as st

from schemas import avro_wire, records

EVOLVED = (
    "event_id",
    "timestamp_ns",
    "probe_type",
    "stack_frames",
    "symbol_snapshot",
    "workload_kind",
    "workload",
    "namespace",
    "image_name",
    "image_id",
    "policy_name",
    "probe_target",
    "process",
)
"""Another order of fields that is regular too: other fields in other places among those of the workload."""


def call_schema(first: Sequence[str] = ()) -> dict[str, Any]:
    """The packaged schema, with the named fields moved to the front."""
    schema: dict[str, Any] = json.loads(records.schema_text(records.CALL))
    by_name = {field["name"]: field for field in schema["fields"]}
    order = [*first, *(name for name in by_name if name not in first)]
    return schema | {"fields": [by_name[name] for name in order]}


def with_defaults(call: Mapping[str, Any]) -> dict[str, Any]:
    """A whole call from the fields that matter to a test."""
    empty = {
        "event_id": "0" * 32,
        "timestamp_ns": 1_700_000_000_000_000_000,
        "probe_type": "Kprobe",
        "process": {"process_id": "a" * 32},
        "syscall": "sys_read",
        "stack_frames": [],
    }
    return empty | dict(call)


def frame(module: str, symbol: str = "", **others: Any) -> dict[str, Any]:
    """A stack frame: in the kernel if `module` says so."""
    is_kernel = module == "kernel" or module.startswith("[k")
    resolution = "Kernel" if is_kernel else "Exact" if symbol else "ModuleOnly"
    return {
        "module": module,
        "symbol": symbol,
        "offset": 0,
        "is_kernel_space": is_kernel,
        "resolution": resolution,
    } | others


def encode_call(
    call: Mapping[str, Any], *, schema_id: int = 7, schema: Mapping[str, Any] | None = None, sized: bool = True
) -> bytes:
    """A framed call. `sized`: arrays in one block with its size, as the privacy stage writes them."""
    parsed = _parsed(json.dumps(schema or call_schema()))
    call = with_defaults(call)
    if not sized:
        out = io.BytesIO()
        fastavro.schemaless_writer(out, parsed, call)
        return avro_wire.schema_header(schema_id) + out.getvalue()
    encoded = [_sized_field(field, call, parsed["__named_schemas"]) for field in parsed["fields"]]
    return avro_wire.schema_header(schema_id) + b"".join(encoded)


@cache
def _parsed(schema_text: str) -> Any:
    return fastavro.parse_schema(json.loads(schema_text))


def _sized_field(field: Mapping[str, Any], call: Mapping[str, Any], named: Mapping[str, Any]) -> bytes:
    value = call.get(field["name"], field.get("default"))
    kind = field["type"]
    if isinstance(kind, dict) and kind["type"] == "array":
        return avro_wire.sized_array([_encoded(kind["items"], item, named) for item in value])
    return _encoded(kind, value, named)


def _encoded(kind: Any, value: Any, named: Mapping[str, Any]) -> bytes:
    out = io.BytesIO()
    wrapped = {"type": "record", "name": "Wrapped", "fields": [{"name": "value", "type": _inlined(kind, named, set())}]}
    fastavro.schemaless_writer(out, _parsed(json.dumps(wrapped)), {"value": value})
    return out.getvalue()


def _inlined(kind: Any, named: Mapping[str, Any], seen: set[str]) -> Any:
    """The type with the definitions that it refers to, each at its first place."""
    if isinstance(kind, list):
        return [_inlined(branch, named, seen) for branch in kind]
    if isinstance(kind, str):
        return _inlined(named[kind], named, seen) if kind in named and kind not in seen else kind
    if "name" in kind:
        if kind["name"] in seen:
            return kind["name"]
        seen.add(kind["name"])
    fields = [field | {"type": _inlined(field["type"], named, seen)} for field in kind.get("fields", ())]
    inner = {key: _inlined(kind[key], named, seen) for key in ("items", "values") if key in kind}
    return kind | inner | ({"fields": fields} if fields else {})


def avro_values(kind: Any, named: Mapping[str, Any], texts: st.SearchStrategy[str]) -> st.SearchStrategy[Any]:
    """Any value of an Avro type; strings come from `texts`."""
    if isinstance(kind, list):
        return st.one_of(*(avro_values(branch, named, texts) for branch in kind))
    simple = {
        "null": st.none(),
        "boolean": st.booleans(),
        "int": st.integers(-(2**31), 2**31 - 1),
        "long": st.integers(-(2**63), 2**63 - 1) | st.integers(0, 2**40),
        "string": texts,
    }
    name = kind if isinstance(kind, str) else kind["type"]
    match name:
        case "enum":
            return st.sampled_from(kind["symbols"])
        case "array":
            return st.lists(avro_values(kind["items"], named, texts), max_size=3)
        case "map":
            return st.dictionaries(texts, avro_values(kind["values"], named, texts), max_size=3)
        case "record":
            return st.fixed_dictionaries(
                {field["name"]: avro_values(field["type"], named, texts) for field in kind["fields"]}
            )
        case _:
            return simple[name] if name in simple else avro_values(named[name], named, texts)


def calls(texts: st.SearchStrategy[str] | None = None) -> st.SearchStrategy[dict[str, Any]]:
    """Any calls; few different texts, so that equal parts are common."""
    parsed: Any = records.parsed_schema(records.CALL)
    texts = texts or st.sampled_from(["", "a", "kernel", "/usr/lib/libc.so.6", "sys_read", "é" * 40, "x" * 200])
    anything = avro_values(parsed, parsed["__named_schemas"], texts)
    ids = st.sampled_from(["a" * 32, "b" * 32, "short", ""])
    times = st.integers(2**55, 2**62 - 1) | st.integers(-(2**63), 2**63 - 1)
    usual = st.fixed_dictionaries({"event_id": ids, "timestamp_ns": times, "process_id": ids})

    def merged(call: dict[str, Any], head: dict[str, Any]) -> dict[str, Any]:
        process = call["process"] | {"process_id": head["process_id"]}
        return call | {"event_id": head["event_id"], "timestamp_ns": head["timestamp_ns"], "process": process}

    return st.builds(merged, anything, usual)
