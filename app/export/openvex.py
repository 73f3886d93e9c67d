"""OpenVEX statements from answers to watches: what may be said of a vulnerability because its code ran, or never did.

| what is known of the watched functions of a vulnerability | status |
| --- | --- |
| one ran, its name is sure, and the author says what to do | `affected` |
| one ran, or may have | `under_investigation`: that it ran is not yet that it can be exploited |
| none ran, events complete for long enough, every call probed | `not_affected`, `vulnerable_code_not_in_execute_path` |
| anything else: gaps, too short, not probed, not watched | `under_investigation`, with the reasons |

Specification: OpenVEX 0.2.0. A document does not depend on a clock: its times are those up to which the answers hold,
and its id is a digest of its content. So the same answers give the same bytes.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from hashlib import sha256
from typing import Any, Final
from uuid import NAMESPACE_URL, uuid5

from app.export.vex_file import VexFile, VexSubject
from app.operators.times import time_text
from schemas.node import NodeId
from schemas.units import NS_PER_SECOND

CONTEXT: Final = "https://openvex.dev/ns/v0.2.0"
NOT_IN_PATH: Final = "vulnerable_code_not_in_execute_path"

MAX_SAID: Final = 8
"""Symbols and reasons that a note spells out; a note is for people."""

_DAY_NS: Final = 86_400 * NS_PER_SECOND

WatchAnswer = Mapping[str, Any]
"""Fields of schemas/avro/watched_symbol.avsc."""

Statement = dict[str, Any]


def openvex_document(file: VexFile, answers: Iterable[WatchAnswer], tooling: str) -> dict[str, Any] | None:
    """The document; None if nothing in the file is watched, because then it would have no statements."""
    watched: dict[str, list[WatchAnswer]] = {subject.vulnerability: [] for subject in file.subjects}
    for answer in answers:
        if answer["vulnerability"] in watched:
            watched[answer["vulnerability"]].append(answer)
    known_ns = [_known_ns(found) for found in watched.values() if found]
    if not known_ns:
        return None
    content = {
        "author": file.author,
        "timestamp": time_text(max(known_ns), 9),
        "version": 1,
        "tooling": tooling,
        "statements": [_statement(subject, watched[subject.vulnerability]) for subject in file.subjects],
    }
    name = "callstream openvex " + sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
    return {"@context": CONTEXT, "@id": uuid5(NAMESPACE_URL, name).urn, **content}


def unnamed(file: VexFile, answers: Iterable[WatchAnswer]) -> list[str]:
    """Vulnerabilities that are watched for and that the file does not name, so that no statement is made."""
    named = {subject.vulnerability for subject in file.subjects}
    return sorted({answer["vulnerability"] for answer in answers if answer["vulnerability"]} - named)


def _known_ns(answers: Sequence[WatchAnswer]) -> int:
    """Up to when the answers hold."""
    moments: list[int] = [one[name] for one in answers for name in ("complete_until_ns", "last_seen_ns", "since_ns")]
    return max(moments)


def _statement(subject: VexSubject, answers: Sequence[WatchAnswer]) -> Statement:
    vulnerability: dict[str, Any] = {"name": subject.vulnerability}
    if subject.aliases:
        vulnerability["aliases"] = list(subject.aliases)
    statement: Statement = {
        "vulnerability": vulnerability,
        "products": [_product(one, subject) for one in subject.products],
    }
    if answers:
        statement["timestamp"] = time_text(_known_ns(answers), 9)
    return statement | _status(subject, sorted(answers, key=lambda one: one["watch_id"]))


def _product(iri: str, subject: VexSubject) -> dict[str, Any]:
    product = _component(iri)
    if subject.subcomponents:
        product["subcomponents"] = [_component(one) for one in subject.subcomponents]
    return product


def _component(iri: str) -> dict[str, Any]:
    return {"@id": iri, "identifiers": {"purl": iri}} if iri.startswith("pkg:") else {"@id": iri}


def _status(subject: VexSubject, answers: Sequence[WatchAnswer]) -> Statement:
    hit = [one for one in answers if one["hits"] > 0]
    if any(one["confirmed_hits"] > 0 for one in hit) and subject.action:
        return {"status": "affected", "status_notes": _joined(map(_executed, hit)), "action_statement": subject.action}
    doubts = [*map(_executed, hit), *_doubts(subject, answers)]
    if doubts:
        return {"status": "under_investigation", "status_notes": _joined(doubts)}
    return {
        "status": "not_affected",
        "justification": NOT_IN_PATH,
        "impact_statement": _joined([*map(_never, answers), "The author states that a probe fires on every call."]),
    }


def _executed(answer: WatchAnswer) -> str:
    sure = f"{answer['confirmed_hits']:,} of them sure" if answer["confirmed_hits"] else "none of them sure"
    return (
        f"{answer['watch_id']} was executed: {answer['hits']:,} hits, {sure}, from "
        f"{time_text(answer['first_seen_ns'])} to {time_text(answer['last_seen_ns'])}."
    )


def _never(answer: WatchAnswer) -> str:
    return (
        f"{answer['watch_id']} was never executed from {time_text(answer['since_ns'])} to "
        f"{time_text(answer['complete_until_ns'])}, with the events of {_nodes(answer)} complete."
    )


def _doubts(subject: VexSubject, answers: Sequence[WatchAnswer]) -> Iterator[str]:
    """Why it is not sure that none of the functions ran; none if it is sure."""
    if not answers:
        yield "No symbol is watched for it."
    elif not subject.every_call_probed:
        yield "Not every call of the watched functions is probed, so they may run unseen."
    for answer in answers:
        if not answer["hits"]:
            yield from (f"{answer['watch_id']}: {doubt}." for doubt in _doubts_of(subject, answer))


def _doubts_of(subject: VexSubject, answer: WatchAnswer) -> Iterator[str]:
    if answer["answer"] == "Unknown":
        yield "nothing has answered the watch yet"
        return
    if answer["ambiguous_hits"]:
        yield f"{answer['ambiguous_hits']:,} hits may be of it and nothing can tell"
    if not answer["complete_until_ns"]:
        yield "no node is vouched for since it is watched"
        return
    gaps = len(answer["gaps"]) + answer["gaps_more"]
    if gaps:
        newest = answer["gaps"][0]
        node = str(NodeId(newest["cluster"], newest["node"])) or "any node"
        yield (
            f"{gaps:,} gaps in the events since it is watched, the newest from {time_text(newest['from_ns'])} to "
            f"{time_text(newest['to_ns'])} on {node} ({newest['cause']})"
        )
    if answer["complete_ns"] < subject.min_complete_days * _DAY_NS:
        days = answer["complete_ns"] / _DAY_NS
        yield f"not seen for {days:.2f} days of complete events, and {subject.min_complete_days:g} are asked for"
    if answer["answer"] != "NeverHit" and not gaps and not answer["ambiguous_hits"]:
        yield "its answer is not that it was never hit"


def _nodes(answer: WatchAnswer) -> str:
    return "one node" if answer["nodes"] == 1 else f"all {answer['nodes']:,} nodes"


def _joined(sentences: Iterable[str]) -> str:
    said = list(sentences)
    more = f" And {len(said) - MAX_SAID:,} more." if len(said) > MAX_SAID else ""
    return " ".join(said[:MAX_SAID]) + more
