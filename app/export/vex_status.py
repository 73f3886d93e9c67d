"""The status of a product for a vulnerability, from the answers to the watches on its functions.

| what is known of the watched functions of a vulnerability | status |
| --- | --- |
| one ran in this product, its name is sure, and the author says what to do | `affected` |
| one ran, or may have, here or elsewhere | `under_investigation`: that it ran is not yet that it can be exploited |
| none ran, events complete for long enough, every call probed | `not_affected`, `vulnerable_code_not_in_execute_path` |
| the same, with as much of the node-time missing as the author accepts | the same, and the note says how much |
| anything else: gaps, too short, not probed, not watched | `under_investigation`, with the reasons |
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from agents.hot_symbols.watch.answer_kind import AnswerKind
from agents.hot_symbols.watch.reasons import ReasonKind
from agents.vulnerabilities.product_images import ProductImage, Whereabouts, hit_images
from app.export.vex_file import VexSubject
from app.operators.times import time_text
from schemas.node import NodeId
from schemas.units import NS_PER_SECOND

NOT_IN_PATH: Final = "vulnerable_code_not_in_execute_path"

MAX_SAID: Final = 8
"""Symbols and reasons that a note spells out; a note is for people."""

_DAY_NS: Final = 86_400 * NS_PER_SECOND

_WORDS_OF_NODES: Final = frozenset({ReasonKind.REPORTED_NODES, ReasonKind.RETIRED_NODES})
_NO_DOUBTS: Final = _WORDS_OF_NODES | {
    ReasonKind.AUTHORS_WORD,
    ReasonKind.HOOKS_LOADED,
    ReasonKind.SHARED_CODE,
    ReasonKind.SEVERAL_CODES,
}
_OTHER_FUNCTIONS: Final = frozenset({ReasonKind.SHARED_CODE.value, ReasonKind.SEVERAL_CODES.value})
"""Why what ran may have been another function than the vulnerable one."""

_OF_PROBES: Final = frozenset({ReasonKind.NOT_HOOKED, ReasonKind.UNHOOKED, ReasonKind.UNNAMED_CODE})
"""What does not matter where the author states that every call is probed."""

_SAID_OTHERWISE: Final = frozenset({ReasonKind.GAP, ReasonKind.NOT_VOUCHED, ReasonKind.MISSING})

WatchAnswer = Mapping[str, Any]
"""Fields of schemas/avro/watched_symbol.avsc."""

Status = dict[str, str]
"""Fields of a statement: status, justification, notes and action."""


def status_of(subject: VexSubject, product: str, answers: Sequence[WatchAnswer]) -> Status:
    """The status of one product; `answers` are those of the vulnerability."""
    hit = [one for one in answers if one["hits"] > 0]
    image = ProductImage.of_package_url(product)
    here = [one for one in hit if _where_it_ran(image, one) is Whereabouts.IN_IT]
    if any(_is_sure_in(image, one) for one in here) and subject.action:
        return {"status": "affected", "status_notes": _joined(map(_executed, here)), "action_statement": subject.action}
    doubts = [*(_executed_for(product, one) for one in hit), *_doubts(subject, answers)]
    if doubts:
        return {"status": "under_investigation", "status_notes": _joined(doubts)}
    words = [*map(_never, answers), *_authors_words(subject, answers)]
    return {"status": "not_affected", "justification": NOT_IN_PATH, "status_notes": _joined(words)}


def _executed(answer: WatchAnswer) -> str:
    sure = f"{answer['confirmed_hits']:,} of them sure" if answer["confirmed_hits"] else "none of them sure"
    shared = [one["words"] for one in answer["reasons"] if one["reason"] in _OTHER_FUNCTIONS]
    return (
        f"{answer['watch_id']} was executed: {answer['hits']:,} hits, {sure}, from "
        f"{time_text(answer['first_seen_ns'])} to {time_text(answer['last_seen_ns'])}"
        + "".join(f"; {words}" for words in shared)
        + ("; they may be counted twice" if answer["hits_may_be_doubled"] else "")
        + _cited(answer)
        + "."
    )


def _cited(answer: WatchAnswer) -> str:
    """The events that a reader can check it by (callstream replay --event), and the symbol store behind it."""
    events = [f"{one['event_id']} at {one['partition']}:{one['offset']}" for one in answer["events"]]
    store = f"; snapshot {answer['snapshot']} of the symbol store" if answer["snapshot"] else ""
    others = [one for one in answer["named_by"] if one != answer["snapshot"]]
    named = f", and names by {', '.join(others)}" if others else ""
    return (f"; events {', '.join(events)}" if events else "") + store + named


def _where_it_ran(image: ProductImage | None, answer: WatchAnswer) -> Whereabouts:
    if image is None:
        return Whereabouts.IN_IT
    return image.where(hit_images(answer["images"]), answer["images_more"])


def _is_sure_in(image: ProductImage | None, answer: WatchAnswer) -> bool:
    return bool(answer["confirmed_hits"]) if image is None else image.is_sure_in(hit_images(answer["images"]))


def _executed_for(product: str, answer: WatchAnswer) -> str:
    match _where_it_ran(ProductImage.of_package_url(product), answer):
        case Whereabouts.IN_IT:
            return _executed(answer)
        case Whereabouts.MAY_BE_IN_IT:
            return f"{_executed(answer)} Whether in {product} is not known: it ran in more images than are listed."
        case Whereabouts.IN_NO_KNOWN_IMAGE:
            return f"{_executed(answer)} Whether in {product} is not known: no event says in which image."
        case Whereabouts.ELSEWHERE:
            images = ", ".join(sorted(one["image_name"] or one["image_id"] for one in answer["images"]))
            return f"{_executed(answer)} In other images than {product}: {images}."


def _never(answer: WatchAnswer) -> str:
    said = "entered" if _has(answer, ReasonKind.UNKNOWN_COPIES) else "executed"
    store = f", by snapshot {answer['snapshot']} of the symbol store" if answer["snapshot"] else ""
    return (
        f"{answer['watch_id']} was never {said} from {time_text(answer['since_ns'])} to "
        f"{time_text(answer['complete_until_ns'])}, with the events of {_nodes(answer)} {_how_complete(answer)}{store}."
        f"{_whose_nodes(answer)}"
    )


def _how_complete(answer: WatchAnswer) -> str:
    """That they are complete, or exactly how much is missing and where most of it is."""
    if not _gap_count(answer):
        return "complete"
    whole = answer["placed_missing_ms"] + answer["placed_watched_ms"]
    return (
        f"complete but for {answer['placed_missing_ms']:,} ms of {whole:,} ms of node-time (a share of "
        f"{_share(answer):.9f} was watched), {_lost(answer)} events lost, {_gap_count(answer):,} gaps, the longest "
        f"{_longest(answer)}"
    )


def _lost(answer: WatchAnswer) -> str:
    return "an unknown number of" if answer["events_lost"] is None else f"{answer['events_lost']:,}"


def _whose_nodes(answer: WatchAnswer) -> str:
    """Who says which nodes there were."""
    known = (
        "" if answer["every_node_known"] else " Nobody says that there were no other nodes than those that reported."
    )
    gone = [f"{one['nodes']:,} by the word of {one['said_by'] or 'nobody in particular'}" for one in answer["retired"]]
    return known + (f" Nodes that are gone: {', '.join(gone)}." if gone else "")


def _share(answer: WatchAnswer) -> float:
    """How much of the node-time was watched, rounded down."""
    whole = answer["placed_watched_ms"] + answer["placed_missing_ms"]
    return answer["placed_watched_ms"] * 10**9 // whole / 10**9 if whole else 0.0


def _gap_count(answer: WatchAnswer) -> int:
    return len(answer["gaps"]) + int(answer["gaps_more"])


def _longest(answer: WatchAnswer) -> str:
    first = answer["gaps"][0]
    node = str(NodeId(first["cluster"], first["node"])) or "any node"
    return f"from {time_text(first['from_ns'])} to {time_text(first['to_ns'])} on {node} ({first['cause']})"


def _is_accepted(subject: VexSubject, answer: WatchAnswer) -> bool:
    """Whether the author accepts what is missing."""
    lost = answer["events_lost"]
    is_enough = lost is not None and lost <= subject.max_events_lost and _share(answer) >= subject.min_share
    return _accepts_gaps(subject) and is_enough


def _accepts_gaps(subject: VexSubject) -> bool:
    return subject.min_share < 1 or subject.max_events_lost > 0


def _authors_words(subject: VexSubject, answers: Sequence[WatchAnswer]) -> Iterator[str]:
    """Whose word it is that every call was probed: the agents', else that of a watch's author, else the statement's."""
    words: dict[str, list[str]] = {}
    for answer in answers:
        words.setdefault(_word_of(answer), []).append(answer["watch_id"])
    for word, of in words.items():
        yield word if len(words) == 1 else f"{word.removesuffix('.')}: {', '.join(of)}."
    if subject.accept_unknown_copies and any(_has(one, ReasonKind.UNKNOWN_COPIES) for one in answers):
        yield "Whether copies of the functions were inlined into others is not known, which the author accepts."


def _word_of(answer: WatchAnswer) -> str:
    if _has(answer, ReasonKind.HOOKS_LOADED):
        return "The agents said all the time that hooks on all entries of the functions were loaded."
    if answer["every_call_probed"]:
        return "The author of the watch states that a probe fires on every call."
    return "The author states that a probe fires on every call."


def _doubts(subject: VexSubject, answers: Sequence[WatchAnswer]) -> Iterator[str]:
    """Why it is not sure that none of the functions ran; none if it is sure."""
    if not answers:
        yield "No symbol is watched for it."
    elif not subject.every_call_probed and not all(map(_is_probed, answers)):
        yield "Not every call of the watched functions is probed, so they may run unseen."
    for answer in answers:
        if not answer["hits"]:
            yield from (f"{answer['watch_id']}: {doubt}." for doubt in _doubts_of(subject, answer))


def _doubts_of(subject: VexSubject, answer: WatchAnswer) -> Iterator[str]:
    if answer["answer"] == AnswerKind.UNKNOWN.value:
        yield "nothing has answered the watch yet"
        return
    doubtful = list(_doubtful(subject, answer))
    yield from (reason["words"] for reason in doubtful)
    if answer["reasons_more"]:
        yield f"{answer['reasons_more']:,} more reasons"
    if not answer["complete_until_ns"]:
        yield "no node is vouched for since it is watched"
        return
    gaps = _gap_count(answer)
    watched_ns = answer["complete_ns"]
    if gaps and _is_accepted(subject, answer):
        watched_ns = answer["complete_until_ns"] - answer["since_ns"]
    elif gaps:
        more = _not_accepted(subject, answer) if _accepts_gaps(subject) else ""
        yield f"{gaps:,} gaps in the events since it is watched, the longest {_longest(answer)}{more}"
    if watched_ns < subject.min_complete_days * _DAY_NS:
        days = watched_ns / _DAY_NS
        yield f"not seen for {days:.2f} days of complete events, and {subject.min_complete_days:g} are asked for"
    if not answer["reasons"] and answer["answer"] != AnswerKind.NEVER_HIT.value and not gaps:
        yield "its answer is not that it was never hit"


def _not_accepted(subject: VexSubject, answer: WatchAnswer) -> str:
    """By how much it misses what the author accepts."""
    return (
        f"; a share of {_share(answer):.9f} was watched and {subject.min_share:g} is asked for; {_lost(answer)} events "
        f"were lost and {subject.max_events_lost:,} are accepted"
    )


def _doubtful(subject: VexSubject, answer: WatchAnswer) -> Iterator[Mapping[str, Any]]:
    """Reasons of an answer that the author's words do not take away."""
    said = _NO_DOUBTS | _SAID_OTHERWISE
    if subject.every_call_probed:
        said |= _OF_PROBES
    if subject.accept_unknown_copies:
        said |= {ReasonKind.UNKNOWN_COPIES}
    names = {kind.value for kind in said}
    return (reason for reason in answer["reasons"] if reason["reason"] not in names)


def _is_probed(answer: WatchAnswer) -> bool:
    """By the word of the agents or of the watch's author."""
    return answer["every_call_probed"] or _has(answer, ReasonKind.HOOKS_LOADED)


def _has(answer: WatchAnswer, kind: ReasonKind) -> bool:
    return any(reason["reason"] == kind.value for reason in answer["reasons"])


def _nodes(answer: WatchAnswer) -> str:
    """The nodes on which the file was placed, or may have been."""
    if answer["placed_nodes"] == answer["nodes"]:
        return "one node" if answer["nodes"] == 1 else f"all {answer['nodes']:,} nodes"
    return f"the {answer['placed_nodes']:,} of {answer['nodes']:,} nodes that had the file, or may have had it,"


def _joined(sentences: Iterable[str]) -> str:
    said = list(sentences)
    more = f" And {len(said) - MAX_SAID:,} more." if len(said) > MAX_SAID else ""
    return " ".join(said[:MAX_SAID]) + more
