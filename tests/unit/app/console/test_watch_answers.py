"""Watches with their answers, as the console shows them."""

from typing import Any

from agents.hot_symbols.watch.reasons import ReasonKind
from agents.hot_symbols.watch.watch import Watch
from app.console.watch_answers import NO_ANSWER, REMEDIES, UNKNOWN_REASON, WatchAnswers
from app.stages.hot_symbols.answers_reading import answers_to


def _watch(symbol: str, *vulnerabilities: str) -> Watch:
    return Watch(symbol=symbol, module="/lib/a.so", build_id=None, since_ns=1, vulnerabilities=vulnerabilities)


def _answers(**answers: dict[str, Any]) -> WatchAnswers:
    """Watches by symbol, each with some fields of its answer, for CVE-1, and for one of its own."""
    watches = {one.watch_id: one for one in (_watch(symbol, "CVE-1", f"CVE-{symbol}") for symbol in answers)}
    bare = {one["symbol"]: one for one in answers_to(watches, {})}
    return WatchAnswers(watches, {one["watch_id"]: one | answers[symbol] for symbol, one in bare.items()})


def test_every_reason_has_a_remedy() -> None:
    """Whoever reads why an answer is not firm also reads what to do."""
    assert REMEDIES.keys() == set(ReasonKind)


def test_a_watch_is_shown_with_its_reasons_and_what_to_do() -> None:
    """A reason of a newer worker is shown, too."""
    reasons = [
        {"reason": "NotHooked", "words": "nothing says that every call of it is probed", "about": []},
        {"reason": "NewOne", "words": "something new", "about": []},
    ]
    answers = _answers(f={"answer": "NotSeen", "reasons": reasons})
    found = answers.one(answers.listed("", "", 0, 10)["rows"][0]["watch_id"])
    assert found is not None
    assert "not seen" in found["words"]
    assert [one["remedy"] for one in found["reasons"]] == [REMEDIES[ReasonKind.NOT_HOOKED], UNKNOWN_REASON]
    assert found["advice"] is None
    assert answers.one("another") is None


def test_a_watch_that_nobody_answered_says_what_to_start() -> None:
    """Not what is wrong with the function."""
    answers = _answers(f={})
    found = answers.one(answers.listed("", "", 0, 10)["rows"][0]["watch_id"])
    assert found is not None
    assert found["advice"] == NO_ANSWER


def test_what_matters_most_stands_first_and_can_be_chosen() -> None:
    """Hits, then what is not known, then what never ran."""
    answers = _answers(a={"answer": "NeverHit"}, b={"answer": "Hit", "hits": 3}, c={"answer": "NotSeen"}, d={})
    listed = answers.listed("", "", 0, 10)
    assert [row["answer"] for row in listed["rows"]] == ["Hit", "Unknown", "NotSeen", "NeverHit"]
    assert listed["kinds"] == {"Hit": 1, "Unknown": 1, "NotSeen": 1, "NeverHit": 1}
    assert [row["symbol"] for row in answers.listed("cve-c", "", 0, 10)["rows"]] == ["c"]
    assert [row["symbol"] for row in answers.listed("", "NeverHit", 0, 10)["rows"]] == ["a"]
    assert [row["symbol"] for row in answers.listed("", "", 1, 2)["rows"]] == ["d", "c"]


def test_a_vulnerability_has_the_answer_that_matters_most() -> None:
    """One hit is a hit, and "never" holds only if it holds for all functions."""
    answers = _answers(a={"answer": "NeverHit"}, b={"answer": "Hit", "hits": 3}, c={"answer": "NeverEntered"})
    found = {one["vulnerability"]: (one["answer"], one["hits"]) for one in answers.vulnerabilities("")}
    assert found == {
        "CVE-1": ("Hit", 3),
        "CVE-a": ("NeverHit", 0),
        "CVE-b": ("Hit", 3),
        "CVE-c": ("NeverEntered", 0),
    }
    assert answers.vulnerabilities("cve-")[0]["answer"] == "Hit"
