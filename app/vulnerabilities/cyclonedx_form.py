"""Entries as a CycloneDX document with vulnerabilities (specification 1.6).

The evidence of each is in its properties, by names that begin with `callstream:`.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from app.vulnerabilities.vex_editions import PreviousVex, Publisher, Statement, document_uuid, statement_uuid, without
from app.vulnerabilities.vex_entries import Justification, VexEntry, VexProduct, VexStatus

_STATES: Final = {
    VexStatus.AFFECTED: "exploitable",
    VexStatus.NOT_AFFECTED: "not_affected",
    VexStatus.FIXED: "resolved",
    VexStatus.UNDER_INVESTIGATION: "in_triage",
}
_JUSTIFICATIONS: Final = {
    Justification.COMPONENT_NOT_PRESENT: "code_not_present",
    Justification.CODE_NOT_PRESENT: "code_not_present",
    Justification.NOT_IN_PATH: "code_not_reachable",
}
_URN: Final = "urn:uuid:"


def cyclonedx_form(
    entries: Sequence[VexEntry], publisher: Publisher, now: str, previous: PreviousVex | None
) -> dict[str, Any]:
    """The document, as an edition of the one before. Raises PreviousVexError."""
    if previous is None:
        serial = _URN + document_uuid("cyclonedx", publisher.author, entries, now)
        before: dict[str, Statement] = {}
        version = 1
    else:
        serial, version = previous.at(str, "serialNumber"), previous.at(int, "version") + 1
        before = previous.by_id("bom-ref", "vulnerabilities")
    products = sorted({one.product for one in entries})
    document = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": serial,
        "version": version,
        "metadata": {
            "timestamp": now,
            "tools": {
                "components": [{"type": "application", "name": publisher.tool, "version": publisher.tool_version}]
            },
            "authors": [{"name": publisher.author}],
        },
        "components": [_component(one) for one in products],
        "vulnerabilities": [_edition(_vulnerability(one, serial), before, now) for one in entries],
    }
    if previous is not None and _content(document) == _content(previous.document):
        return dict(previous.document)
    return document


def cyclonedx_pairs(document: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Which vulnerabilities and products a document speaks of."""
    for one in document["vulnerabilities"]:
        for affected in one["affects"]:
            yield one["id"], affected["ref"]


def _content(document: Any) -> Any:
    metadata = document.get("metadata")
    found = without(document, ("version", "metadata"))
    return found, without(metadata, ("timestamp",)) if isinstance(metadata, dict) else None


def _component(product: VexProduct) -> dict[str, Any]:
    is_image = product.iri.startswith(("pkg:oci/", "pkg:docker/"))
    is_file = bool(product.sha256) and not is_image
    component: dict[str, Any] = {
        "type": "container" if is_image else "file" if is_file else "application",
        "bom-ref": product.iri,
        "name": product.name,
    }
    if product.package_url is not None:
        component["purl"] = product.package_url
    if product.sha256:
        component["hashes"] = [{"alg": "SHA-256", "content": product.sha256}]
    return component


def _edition(statement: Statement, before: dict[str, Statement], now: str) -> Statement:
    old = before.get(statement["bom-ref"])
    known = old.get("analysis") if old is not None else None
    if old is None or not isinstance(known, dict):
        return _dated(statement, now, now)
    times = ("firstIssued", "lastUpdated")
    if {**old, "analysis": without(known, times)} == statement:
        return old
    first = known.get("firstIssued")
    is_same = known.get("state") == statement["analysis"]["state"] and isinstance(first, str)
    return _dated(statement, first if is_same else now, now)


def _dated(statement: Statement, first: Any, last: str) -> Statement:
    return {**statement, "analysis": {**statement["analysis"], "firstIssued": first, "lastUpdated": last}}


def _vulnerability(entry: VexEntry, serial: str) -> Statement:
    analysis: dict[str, Any] = {"state": _STATES[entry.status], "detail": entry.words}
    if entry.justification is not None:
        analysis["justification"] = _JUSTIFICATIONS[entry.justification]
    found: Statement = {
        "bom-ref": _URN + statement_uuid(serial, entry.vulnerability, entry.product.iri),
        "id": entry.vulnerability,
        "description": entry.summary,
        "analysis": analysis,
        "affects": [{"ref": entry.product.iri}],
        "properties": [{"name": f"callstream:{name}", "value": value} for name, value in entry.evidence],
    }
    if entry.aliases:
        found["references"] = [{"id": one, "source": {"name": one.partition("-")[0]}} for one in entry.aliases]
    if entry.action:
        found["recommendation"] = entry.action
        analysis["response"] = ["update"]
    return found
