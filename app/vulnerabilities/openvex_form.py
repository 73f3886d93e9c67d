"""Entries as an OpenVEX document (specification 0.2.0, https://openvex.dev/ns/v0.2.0)."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from app.export.openvex import CONTEXT
from app.vulnerabilities.vex_editions import PreviousVex, Publisher, Statement, document_uuid, statement_uuid, without
from app.vulnerabilities.vex_entries import VexEntry

_TIMES: Final = ("timestamp", "last_updated", "version")


def openvex_form(
    entries: Sequence[VexEntry], publisher: Publisher, now: str, previous: PreviousVex | None
) -> dict[str, Any]:
    """The document, as an edition of the one before. Raises PreviousVexError."""
    if previous is None:
        name = f"urn:uuid:{document_uuid('openvex', publisher.author, entries, now)}"
        before: dict[str, Statement] = {}
        first, version = now, 1
    else:
        name, first = previous.at(str, "@id"), previous.at(str, "timestamp")
        version, before = previous.at(int, "version") + 1, previous.by_id("@id", "statements")
    statements = [_edition(_statement(one, name), before, now) for one in entries]
    document: dict[str, Any] = {
        "@context": CONTEXT,
        "@id": name,
        "author": publisher.author,
        "timestamp": first,
        "version": version,
        "tooling": f"{publisher.tool} {publisher.tool_version}",
        "statements": statements,
    }
    if previous is not None:
        if without(document, ("version",)) == without(previous.document, ("version", "last_updated")):
            return dict(previous.document)
        document["last_updated"] = now
    return document


def openvex_pairs(document: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Which vulnerabilities and products a document speaks of."""
    for one in document["statements"]:
        for product in one["products"]:
            yield one["vulnerability"]["name"], product["@id"]


def _edition(statement: Statement, before: dict[str, Statement], now: str) -> Statement:
    old = before.get(statement["@id"])
    if old is None:
        return {**statement, "version": 1, "timestamp": now}
    if without(old, _TIMES) == statement:
        return old
    is_same = old.get("status") == statement["status"] and isinstance(old.get("timestamp"), str)
    known = old.get("version")
    version = known + 1 if isinstance(known, int) else 2
    return {**statement, "version": version, "timestamp": old["timestamp"] if is_same else now, "last_updated": now}


def _statement(entry: VexEntry, document_id: str) -> Statement:
    product: dict[str, Any] = _component(entry.product.iri)
    if entry.product.sha256:
        product["hashes"] = {"sha-256": entry.product.sha256}
    if entry.subcomponents:
        product["subcomponents"] = [_component(one) for one in entry.subcomponents]
    vulnerability: dict[str, Any] = {"name": entry.vulnerability, "description": entry.summary}
    if entry.aliases:
        vulnerability["aliases"] = list(entry.aliases)
    statement: Statement = {
        "@id": f"urn:uuid:{statement_uuid(document_id, entry.vulnerability, entry.product.iri)}",
        "vulnerability": vulnerability,
        "products": [product],
        "status": entry.status.value,
        "status_notes": entry.notes(),
    }
    if entry.justification is not None:
        statement["justification"] = entry.justification.value
    elif entry.status == "not_affected":
        statement["impact_statement"] = entry.words
    if entry.action:
        statement["action_statement"] = entry.action
    return statement


def _component(iri: str) -> dict[str, Any]:
    return {"@id": iri, "identifiers": {"purl": iri}} if iri.startswith("pkg:") else {"@id": iri}
