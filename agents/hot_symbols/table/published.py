"""The public form of a row: an Avro `HotSymbol` from a symbol id and its tally.

Equal tallies are equal bytes.
"""

from typing import Any

from agents.hot_symbols.counting.tally import Tally
from agents.hot_symbols.identity import parse_symbol_id
from agents.hot_symbols.reading.evidence import RESOLUTIONS
from schemas import avro_wire, records
from schemas.call_layout import read_long


def published_value(schema_id: int, symbol_id: str, tally: Tally) -> bytes:
    """The record with its schema header. Raises SymbolIdError where the id is not one."""
    return records.encode(records.HOT_SYMBOL, schema_id, published_record(symbol_id, tally))


def module_in(value: bytes, schema_id: int) -> str | None:
    """The module in a record, without decoding the rest; None where another schema wrote it."""
    if value[: avro_wire.SCHEMA_HEADER_BYTES] != avro_wire.schema_header(schema_id):
        return None
    size, at = read_long(value, avro_wire.SCHEMA_HEADER_BYTES)  # the symbol id comes first
    size, at = read_long(value, at + size)
    return value[at : at + size].decode("utf-8", "surrogatepass")


def published_record(symbol_id: str, tally: Tally) -> dict[str, Any]:
    """The record as fields of schemas/avro/hot_symbol.avsc."""
    identity = parse_symbol_id(symbol_id)
    images = tally.images.newest()
    (image_id, image_name), _ = images[0] if images else (("", ""), 0)
    return {
        "symbol_id": symbol_id,
        "module": tally.module,
        "build_id": identity.build_id,
        "symbol": identity.symbol or "",
        "is_kernel_space": identity.is_kernel_space,
        "hits": tally.hits,
        "confirmed_hits": tally.confirmed_hits,
        "first_seen_ns": tally.first_ns if tally.hits else 0,
        "last_seen_ns": tally.last_ns if tally.hits else 0,
        "hourly_hits": [{"hour": hour, "hits": hits} for hour, hits in sorted(tally.hours.items())],
        "image_name": image_name or None,
        "image_id": image_id or None,
        "evidence": identity.evidence.value,
        "probe_hits": tally.probe_hits,
        "hits_by_resolution": {RESOLUTIONS[grade]: frames for grade, frames in sorted(tally.grades.items())},
        "images": [{"image_id": name[0], "image_name": name[1], "last_seen_ns": when} for name, when in images],
        "images_more": tally.images.more(),
        "namespaces": [{"namespace": name[0], "last_seen_ns": when} for name, when in tally.namespaces.newest()],
        "namespaces_more": tally.namespaces.more(),
        "workloads": [
            {"namespace": name[0], "kind": name[1], "name": name[2], "last_seen_ns": when}
            for name, when in tally.workloads.newest()
        ],
        "workloads_more": tally.workloads.more(),
        "callers": [{"symbol_id": caller, "hits": calls} for caller, calls in tally.callers.top()],
        "callers_shortfall": tally.callers.shortfall,
        "events": [one.as_record() for one in tally.citations.listed()],
        "snapshots": [{"snapshot": name[0], "last_seen_ns": when} for name, when in tally.snapshots.newest()],
        "snapshots_more": tally.snapshots.more(),
    }
