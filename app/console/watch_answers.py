"""The watches with their answers, in words: what the answer is, why, and what would make it firm."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from agents.hot_symbols.watch.answer_kind import AnswerKind
from agents.hot_symbols.watch.reasons import ReasonKind
from agents.hot_symbols.watch.watch import Watch
from app.stages.hot_symbols.answer_lines import doubts, in_words
from app.stages.hot_symbols.answers_reading import answers_to

REMEDIES: Final[Mapping[ReasonKind, str]] = {
    ReasonKind.SHARED_CODE: "Nothing does: whoever runs one of these functions runs the other.",
    ReasonKind.SEVERAL_CODES: "Watch the function by a name that only it has, if it has one.",
    ReasonKind.AUTHORS_WORD: "Let the agent say it: keep a policy that hooks the function loaded all the time.",
    ReasonKind.UNKNOWN_COPIES: "Index a file with debug information: callstream symbols add --debug-dir.",
    ReasonKind.UNCONFIRMED: "Index the file whose code ran, so that its functions have sure names: "
    "callstream symbols add.",
    ReasonKind.MAY_BE_IT: "Index the images and nodes where it ran, so that each path means one file: "
    "callstream symbols add --image.",
    ReasonKind.UNNAMED_CODE: "Index this file with its debug information: callstream symbols add.",
    ReasonKind.UNNAMED_ENTRY: "Index this file, so that every probed address has a name: callstream symbols add.",
    ReasonKind.UNKNOWN_FILE: "Index the image that has the file: callstream symbols add --image.",
    ReasonKind.NOT_HOOKED: "Apply a Tetragon policy that hooks every entry of the function, then watch it again "
    "with --every-call-probed: what ran before is not known.",
    ReasonKind.HOOKS_LOADED: "Nothing: this is what makes the answer firm. Keep the policy loaded.",
    ReasonKind.UNHOOKED: "Load a policy that hooks the function on every node, and keep it loaded: "
    "callstream vulnerabilities policy writes one. What ran before is not known.",
    ReasonKind.NO_STORE: "Set CALLSTREAM_SYMBOL_STORE_DIR for the hot-symbols workers, and index the file.",
    ReasonKind.NO_FILE_NAMED: "Watch it with --build-id or --module: callstream watch add.",
    ReasonKind.NOT_PLACED: "Index the images or nodes that have the file: callstream symbols add --image.",
    ReasonKind.NO_INDEX: "Index this file: callstream symbols add.",
    ReasonKind.AMBIGUOUS_BUILD_ID: "Say which file is meant: callstream symbols resolve.",
    ReasonKind.NO_SUCH_NAME: "Remove the watch, and watch one of the names that the file has.",
    ReasonKind.INLINED_INTO: "Watch and hook the functions that it was inlined into.",
    ReasonKind.CHOSEN_AT_RUN_TIME: "Watch and hook each function that it may choose.",
    ReasonKind.OLDER_SNAPSHOT: "Wait until the older hits expire, or watch it again.",
    ReasonKind.NOT_VOUCHED: "Wait a minute; if it stays so, look whether ingest runs: callstream doctor coverage.",
    ReasonKind.GAP: "A gap does not close. Watch the function again to begin behind it.",
    ReasonKind.MISSING: "See Coverage for the nodes that miss most; what is missing stays so.",
    ReasonKind.REPORTED_NODES: "Let the cluster say which nodes there are: callstream nodes follow.",
    ReasonKind.RETIRED_NODES: "Nothing, if the word is right. If it is wrong: callstream nodes retire --undo.",
}
"""What can be done about each reason."""

UNKNOWN_REASON: Final = "This console is older than the workers: it does not know this reason."

NO_ANSWER: Final = "Start a worker that answers: callstream worker --stage hot-symbols."


class WatchAnswers:
    """All watches with their answers, at one moment."""

    def __init__(self, watches: Mapping[str, Watch], answers: Mapping[str, dict[str, Any]]) -> None:
        self._answers = answers_to(watches, answers)

    def listed(self, find: str, kind: str, first: int, count: int) -> dict[str, Any]:
        """Watches whose id or vulnerabilities hold `find`, and whose answer is `kind` if there is one."""
        wanted = find.lower()
        found = [one for one in self._answers if wanted in _words_of(one)]
        kinds = Counter(one["answer"] for one in found)
        chosen = [one for one in found if not kind or one["answer"] == kind]
        ordered = sorted(chosen, key=lambda one: (_PLACE.get(one["answer"], len(_PLACE)), one["watch_id"]))
        return {
            "watches": len(self._answers),
            "found": len(chosen),
            "kinds": dict(kinds),
            "rows": [_row(one) for one in ordered[first : first + count]],
        }

    def one(self, watch_id: str) -> dict[str, Any] | None:
        """One watch with all that is known of it; None if there is no such watch."""
        answer = next((one for one in self._answers if one["watch_id"] == watch_id), None)
        if answer is None:
            return None
        return {
            "answer": answer,
            "words": in_words(answer),
            "doubts": list(doubts(answer)),
            "reasons": [{**reason, "remedy": _remedy(reason["reason"])} for reason in answer["reasons"]],
            "advice": NO_ANSWER if answer["answer"] == AnswerKind.UNKNOWN.value else None,
        }

    def vulnerabilities(self, find: str) -> list[dict[str, Any]]:
        """Each vulnerability that functions are watched for, with the answers of its watches; the worst first."""
        by_name: dict[str, list[dict[str, Any]]] = {}
        for answer in self._answers:
            for name in answer["vulnerabilities"]:
                by_name.setdefault(name, []).append(answer)
        rows = [
            {"vulnerability": name, **_together(answers), "watches": [_named(one) for one in answers]}
            for name, answers in by_name.items()
            if find.lower() in name.lower()
        ]
        return sorted(rows, key=lambda row: (_PLACE.get(row["answer"], len(_PLACE)), row["vulnerability"]))


_PLACE: Final = {
    kind.value: place
    for place, kind in enumerate(
        (AnswerKind.HIT, AnswerKind.UNKNOWN, AnswerKind.NOT_SEEN, AnswerKind.NEVER_ENTERED, AnswerKind.NEVER_HIT)
    )
}
"""Answers from the one that matters most to the one that matters least: of several, the first is the whole's."""


def _together(answers: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    answers = list(answers)
    weakest = min(answers, key=lambda one: _PLACE.get(one["answer"], 0))
    return {"answer": weakest["answer"], "hits": sum(one["hits"] for one in answers)}


def _named(answer: Mapping[str, Any]) -> dict[str, Any]:
    return {name: answer[name] for name in ("watch_id", "answer")}


def _row(answer: Mapping[str, Any]) -> dict[str, Any]:
    names = ("watch_id", "symbol", "module", "build_id", "answer", "hits", "since_ns", "complete_ns", "vulnerabilities")
    return {name: answer[name] for name in names} | {
        "last_seen_ns": answer["last_seen_ns"],
        "why": next(iter(_why(answer)), ""),
        "reasons_more": max(0, len(answer["reasons"]) - 1) + answer["reasons_more"],
    }


def _why(answer: Mapping[str, Any]) -> Iterator[str]:
    yield from (reason["words"] for reason in answer["reasons"])
    if answer["answer"] == AnswerKind.UNKNOWN.value:
        yield "no worker has answered"


def _words_of(answer: Mapping[str, Any]) -> str:
    return "\n".join([answer["watch_id"], answer["module"] or "", *answer["vulnerabilities"]]).lower()


def _remedy(kind: str) -> str:
    try:
        return REMEDIES[ReasonKind(kind)]
    except (ValueError, KeyError):
        return UNKNOWN_REASON
