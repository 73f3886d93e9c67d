"""Entries as a CSAF document of the profile VEX (OASIS CSAF 2.0, section 4.5)."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any, Final

from app.operators.errors import OperatorError
from app.vulnerabilities.vex_editions import PreviousVex, Publisher, document_uuid, without
from app.vulnerabilities.vex_entries import VexEntry, VexProduct, VexStatus

_STATUSES: Final = {
    VexStatus.AFFECTED: "known_affected",
    VexStatus.NOT_AFFECTED: "known_not_affected",
    VexStatus.FIXED: "fixed",
    VexStatus.UNDER_INVESTIGATION: "under_investigation",
}


class NoNamespaceError(OperatorError):
    """A CSAF document needs a URL of its author."""


def csaf_form(
    entries: Sequence[VexEntry], publisher: Publisher, now: str, previous: PreviousVex | None
) -> dict[str, Any]:
    """The document, as an edition of the one before. Raises PreviousVexError and NoNamespaceError."""
    if not publisher.namespace:
        raise NoNamespaceError('CSAF needs a URL of its author: write namespace = "https://..." into the VEX file')
    tracking = _tracking(entries, publisher, now, previous)
    products = sorted({one.product for one in entries})
    document = {
        "document": {
            "category": "csaf_vex",
            "csaf_version": "2.0",
            "lang": "en",
            "title": "Whether the code of vulnerabilities is in files, and whether it ran",
            "publisher": {"category": "vendor", "name": publisher.author, "namespace": publisher.namespace},
            "tracking": tracking,
        },
        "product_tree": {"full_product_names": [_product(one) for one in products]},
        "vulnerabilities": [
            _vulnerability(list(several)) for _, several in groupby(entries, key=lambda one: one.vulnerability)
        ],
    }
    if previous is not None and _content(document) == _content(previous.document):
        return dict(previous.document)
    return document


def csaf_pairs(document: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Which vulnerabilities and products a document speaks of."""
    names = {one["product_id"]: one["name"] for one in document["product_tree"]["full_product_names"]}
    for one in document["vulnerabilities"]:
        for products in one["product_status"].values():
            for product in products:
                yield one["cve"] if "cve" in one else one["ids"][0]["text"], names[product]


def _content(document: Any) -> Any:
    head = document.get("document")
    return without(document, ("document",)), without(head, ("tracking",)) if isinstance(head, dict) else None


def _tracking(
    entries: Sequence[VexEntry], publisher: Publisher, now: str, previous: PreviousVex | None
) -> dict[str, Any]:
    if previous is None:
        name = "callstream-" + document_uuid("csaf", publisher.author, entries, now)
        first, history, words = now, [], "First edition"
    else:
        name = previous.at(str, "document", "tracking", "id")
        first = previous.at(str, "document", "tracking", "initial_release_date")
        history = previous.at(list, "document", "tracking", "revision_history")
        words = "What is known changed"
    number = str(len(history) + 1)
    return {
        "id": name,
        "status": "final",
        "version": number,
        "initial_release_date": first,
        "current_release_date": now,
        "revision_history": [*history, {"number": number, "date": now, "summary": words}],
        "generator": {"date": now, "engine": {"name": publisher.tool, "version": publisher.tool_version}},
    }


def _product_id(product: VexProduct) -> str:
    return "P-" + hashlib.sha256(product.iri.encode()).hexdigest()[:32]


def _product(product: VexProduct) -> dict[str, Any]:
    helper: dict[str, Any] = {}
    if product.package_url is not None:
        helper["purl"] = product.package_url
    if product.sha256:
        hashed = {"filename": product.name, "file_hashes": [{"algorithm": "sha256", "value": product.sha256}]}
        helper["hashes"] = [hashed]
    if not helper:
        helper["x_generic_uris"] = [{"namespace": "https://callstream.invalid/product", "uri": product.iri}]
    return {"product_id": _product_id(product), "name": product.name, "product_identification_helper": helper}


def _vulnerability(entries: Sequence[VexEntry]) -> dict[str, Any]:
    """One vulnerability with all of its products."""
    first = entries[0]
    found: dict[str, Any] = {"notes": [{"category": "summary", "text": first.summary or first.vulnerability}]}
    names = [first.vulnerability, *first.aliases]
    if first.vulnerability.startswith("CVE-"):
        found["cve"], names = first.vulnerability, list(first.aliases)
    if names:
        found["ids"] = [{"system_name": one.partition("-")[0], "text": one} for one in names]
    statuses: dict[str, list[str]] = {}
    for one in entries:
        statuses.setdefault(_STATUSES[one.status], []).append(_product_id(one.product))
    found["product_status"] = statuses
    found["threats"] = [
        {"category": "impact", "details": one.notes(), "product_ids": [_product_id(one.product)]} for one in entries
    ]
    if flags := list(_flags(entries)):
        found["flags"] = flags
    affected = [one for one in entries if one.status is VexStatus.AFFECTED]
    if affected:
        found["remediations"] = [
            {"category": "vendor_fix", "details": one.action, "product_ids": [_product_id(one.product)]}
            for one in affected
        ]
    return found


def _flags(entries: Sequence[VexEntry]) -> Iterator[dict[str, Any]]:
    for one in entries:
        if one.justification is not None:
            yield {"label": one.justification.value, "product_ids": [_product_id(one.product)]}
