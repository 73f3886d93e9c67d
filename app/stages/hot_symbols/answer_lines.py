"""Answers to watches as lines for people."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from agents.hot_symbols.watch.answer_kind import AnswerKind
from agents.hot_symbols.watch.deciding import DecidedAnswer
from agents.hot_symbols.watch.reasons import ReasonKind
from app.operators.times import time_text
from schemas.node import NodeId
from schemas.units import NS_PER_SECOND

DOUBLED: Final = "hits may be counted twice: two ingests vouched for one node at once; see: callstream doctor"

_WORDS: Final = {
    "Hit": "HIT",
    "NeverHit": "never hit",
    "NeverEntered": "never entered",
    "NotSeen": "not seen",
    "Unknown": "no answer yet",
}


def watched_table(answers: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """A line for each answer, and below it why it is so."""
    yield f"{'ANSWER':13}  {'HITS':>10}  {'COMPLETE FOR':14}  {'WATCHED SINCE':20}  SYMBOL"
    for answer in answers:
        why = f"  {', '.join(answer['vulnerabilities'])}" if answer["vulnerabilities"] else ""
        yield (
            f"{_WORDS[answer['answer']]:13}  {answer['hits']:>10,}  {_length(answer['complete_ns']):14}  "
            f"{time_text(answer['since_ns']):20}  {answer['watch_id']}{why}"
        )
        for line in (*doubts(answer), *_evidence(answer)):
            yield f"{'':15}{line}"


def doubts(answer: Mapping[str, Any]) -> Iterator[str]:
    """Why the answer is what it is."""
    if answer["answer"] == "Hit" and answer["hits_may_be_doubled"]:
        yield DOUBLED
    if answer["answer"] == "Unknown":
        yield "no worker has answered; is one running? (callstream worker --stage hot-symbols)"
        return
    for reason in answer["reasons"]:
        if reason["reason"] != ReasonKind.GAP.value:
            yield reason["words"]
    if answer["reasons_more"]:
        yield f"and {answer['reasons_more']} reasons more"
    if answer["answer"] == "Hit":
        return
    for gap in answer["gaps"]:
        node = str(NodeId(gap["cluster"], gap["node"])) or "any node"
        lost = f", {gap['events_lost']:,} events" if gap["events_lost"] is not None else ""
        yield f"gap {time_text(gap['from_ns'])} to {time_text(gap['to_ns'])}: {gap['cause']} on {node}{lost}"
    if answer["gaps_more"]:
        yield f"and {answer['gaps_more']} gaps more"


def _evidence(answer: Mapping[str, Any]) -> Iterator[str]:
    """What the answer can be checked by: events that were hits, and the symbol store behind a "never"."""
    for event in answer["events"]:
        where = f"raw position {event['partition']}:{event['offset']}"
        yield f"event {event['event_id']} at {time_text(event['time_ns'])}, {where}"
    if answer["snapshot"] and answer["answer"] in {AnswerKind.NEVER_HIT.value, AnswerKind.NEVER_ENTERED.value}:
        yield f"by snapshot {answer['snapshot']} of the symbol store"


def best_lines(best: DecidedAnswer | None) -> Iterator[str]:
    """What can be answered at best where the function does not run, and why not more."""
    if best is None:
        yield "what can be answered is not known here: there is no symbol store (CALLSTREAM_SYMBOL_STORE_DIR)"
        return
    answer, reasons = best
    yield f"if it does not run, the best answer is: {_WORDS[answer.value]}"
    for reason in reasons:
        yield f"  {reason.words}"


def in_words(answer: Mapping[str, Any]) -> str:
    """One answer as a sentence."""
    if answer["answer"] == "Hit":
        twice = f" ({DOUBLED})" if answer["hits_may_be_doubled"] else ""
        return f"{answer['watch_id']} is watched and was hit {answer['hits']:,} times{twice}"
    less = ", which is less than never" if answer["answer"] == AnswerKind.NOT_SEEN.value else ""
    return (
        f"{answer['watch_id']} is watched since {time_text(answer['since_ns'])}: {_WORDS[answer['answer']]}{less}, "
        f"events complete for {_length(answer['complete_ns'])}"
    )


def _length(nanoseconds: int) -> str:
    minutes = nanoseconds // (60 * NS_PER_SECOND)
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours < 48 else f"{hours // 24} d {hours % 24} h"
