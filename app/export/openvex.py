"""OpenVEX statements from answers to watches: what may be said of a vulnerability because its code ran, or never did.

Each vulnerability has one statement for all products that have one status (`app/export/vex_status.py`).

Specification: OpenVEX 0.2.0. A document does not depend on a clock: its times are those up to which the answers hold,
and its id is a digest of its content. So the same answers give the same bytes.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from hashlib import sha256
from typing import Any, Final
from uuid import NAMESPACE_URL, uuid5

from app.export.vex_file import VexFile, VexSubject
from app.export.vex_status import WatchAnswer, status_of
from app.operators.times import time_text

CONTEXT: Final = "https://openvex.dev/ns/v0.2.0"
Statement = dict[str, Any]


def openvex_document(file: VexFile, answers: Iterable[WatchAnswer], tooling: str) -> dict[str, Any] | None:
    """The document; None if nothing in the file is watched, because then it would have no statements."""
    watched: dict[str, list[WatchAnswer]] = {subject.vulnerability: [] for subject in file.subjects}
    for answer in answers:
        for vulnerability in watched.keys() & set(answer["vulnerabilities"]):
            watched[vulnerability].append(answer)
    known_ns = [_known_ns(found) for found in watched.values() if found]
    if not known_ns:
        return None
    content = {
        "author": file.author,
        "timestamp": time_text(max(known_ns), 9),
        "version": 1,
        "tooling": tooling,
        "statements": [
            statement for subject in file.subjects for statement in _statements(subject, watched[subject.vulnerability])
        ],
    }
    name = "callstream openvex " + sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
    return {"@context": CONTEXT, "@id": uuid5(NAMESPACE_URL, name).urn, **content}


def unnamed(file: VexFile, answers: Iterable[WatchAnswer]) -> list[str]:
    """Vulnerabilities that are watched for and that the file does not name, so that no statement is made."""
    named = {subject.vulnerability for subject in file.subjects}
    return sorted({vulnerability for answer in answers for vulnerability in answer["vulnerabilities"]} - named)


def _known_ns(answers: Sequence[WatchAnswer]) -> int:
    """Up to when the answers hold."""
    moments: list[int] = [one[name] for one in answers for name in ("complete_until_ns", "last_seen_ns", "since_ns")]
    return max(moments)


def _statements(subject: VexSubject, answers: Sequence[WatchAnswer]) -> Iterator[Statement]:
    vulnerability: dict[str, Any] = {"name": subject.vulnerability}
    if subject.aliases:
        vulnerability["aliases"] = list(subject.aliases)
    ranked = sorted(answers, key=lambda one: one["watch_id"])
    products: dict[tuple[tuple[str, str], ...], list[str]] = {}
    for product in subject.products:
        products.setdefault(tuple(status_of(subject, product, ranked).items()), []).append(product)
    for status, named in products.items():
        statement: Statement = {"vulnerability": vulnerability, "products": [_product(one, subject) for one in named]}
        if answers:
            statement["timestamp"] = time_text(_known_ns(answers), 9)
        yield statement | dict(status)


def _product(iri: str, subject: VexSubject) -> dict[str, Any]:
    product = _component(iri)
    if subject.subcomponents:
        product["subcomponents"] = [_component(one) for one in subject.subcomponents]
    return product


def _component(iri: str) -> dict[str, Any]:
    return {"@id": iri, "identifiers": {"purl": iri}} if iri.startswith("pkg:") else {"@id": iri}
