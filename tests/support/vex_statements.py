"""Answers to watches on functions of one library, and the statement that an OpenVEX document makes of them."""

import json
from typing import Any

from agents.hot_symbols.watch.reasons import Reason
from app.export.openvex import openvex_document
from app.export.vex_file import VexFile, VexSubject
from schemas import records
from tests.support.export_readers import read_openvex

DAY_NS = 86_400 * 1_000_000_000
SINCE_NS = 1_767_225_600 * 1_000_000_000  # 2026-01-01T00:00:00Z
GAP = {"node": "quay-7", "cluster": "east", "from_ns": SINCE_NS, "to_ns": SINCE_NS + DAY_NS, "cause": "Overflow"}
SHOP = {"image_id": "sha256:4f1b" + "00" * 30, "image_name": "registry.example/shop/web:1", "last_seen_ns": SINCE_NS}


def answer(symbol: str = "png_read", **fields: Any) -> dict[str, Any]:
    """An answer that says "never hit for twenty days", but for what is given."""
    usual: dict[str, Any] = {
        "watch_id": f"/usr/lib/libpng16.so.16!{symbol}",
        "symbol": symbol,
        "module": "/usr/lib/libpng16.so.16",
        "build_id": None,
        "vulnerabilities": ["CVE-2026-0001"],
        "since_ns": SINCE_NS,
        "answer": "NeverHit",
        "hits": 0,
        "confirmed_hits": 0,
        "first_seen_ns": 0,
        "last_seen_ns": 0,
        "symbols": [],
        "symbols_more": 0,
        "ambiguous_hits": 0,
        "complete_ns": 20 * DAY_NS,
        "complete_until_ns": SINCE_NS + 20 * DAY_NS,
        "nodes": 3,
        "watched_ms": 60 * DAY_NS // 10**6,
        "placed_nodes": 3,
        "placed_watched_ms": 60 * DAY_NS // 10**6,
        "events_lost": 0,
        "every_node_known": True,
        "gaps": [],
        "gaps_more": 0,
    }
    # As it comes back, so that a field that is added has its default.
    return records.decode(records.WATCHED_SYMBOL, records.encode(records.WATCHED_SYMBOL, 1, usual | fields))


def said(*why: Reason) -> list[dict[str, Any]]:
    """Reasons as they stand in an answer."""
    return [reason.as_record() for reason in why]


def hit(symbol: str = "png_read", *, confirmed: int = 4, **fields: Any) -> dict[str, Any]:
    """An answer of a symbol that ran."""
    images = [SHOP | {"confirmed": bool(confirmed)}]
    seen = {"first_seen_ns": SINCE_NS + 5, "last_seen_ns": SINCE_NS + 21 * DAY_NS, "images": images}
    return answer(symbol, answer="Hit", hits=4, confirmed_hits=confirmed, **seen | fields)


def subject(**fields: Any) -> VexSubject:
    """What the author says."""
    usual: dict[str, Any] = {
        "vulnerability": "CVE-2026-0001",
        "products": ("pkg:oci/web@sha256:4f1b", "https://shop.example/web"),
        "every_call_probed": True,
    }
    return VexSubject(**usual | fields)


def statement(answers: list[dict[str, Any]], **fields: Any) -> dict[str, Any]:
    """The one statement of a document."""
    document = openvex_document(VexFile("Shop <a@shop.example>", (subject(**fields),)), answers, "callstream 1")
    assert document is not None
    return dict(read_openvex(json.loads(json.dumps(document)))["CVE-2026-0001"])
