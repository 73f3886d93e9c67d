"""Answers to watches as people read them."""

from typing import Any

import pytest

from agents.hot_symbols.watch import reasons
from agents.hot_symbols.watch.answer_kind import AnswerKind
from app.stages.hot_symbols.answer_lines import best_lines, in_words, watched_table

HOUR = 3_600_000_000_000
START = 1_700_000_000 * 1_000_000_000
SINCE = "2023-11-14T22:13:20Z"


def answer(word: str, **others: Any) -> dict[str, Any]:
    """An answer with what the lines show."""
    return {
        "watch_id": "libz.so.1!inflate",
        "vulnerabilities": [],
        "answer": word,
        "hits": 0,
        "hits_may_be_doubled": False,
        "since_ns": START,
        "events": [],
        "snapshot": None,
        "reasons": [],
        "reasons_more": 0,
        "complete_ns": 0,
        "complete_until_ns": START + HOUR,
        "gaps": [],
        "gaps_more": 0,
    } | others


@pytest.mark.parametrize(
    ("found", "line"),
    [
        (answer("NeverHit", complete_ns=14 * 24 * HOUR), f"never hit 0 14 d 0 h {SINCE} libz.so.1!inflate"),
        (answer("NeverHit", complete_ns=90 * HOUR // 60), f"never hit 0 1 h 30 min {SINCE} libz.so.1!inflate"),
        (
            answer("Hit", hits=1234, complete_ns=HOUR // 2, vulnerabilities=["CVE-1", "CVE-2"]),
            f"HIT 1,234 30 min {SINCE} libz.so.1!inflate CVE-1, CVE-2",
        ),
        (answer("NotSeen", since_ns=1 << 62), "not seen 0 0 min 2116-02-20T23:53:38Z libz.so.1!inflate"),
        (answer("NotSeen", since_ns=(1 << 63) * 10**9), f"not seen 0 0 min {(1 << 63) * 10**9} libz.so.1!inflate"),
    ],
)
def test_an_answer_is_a_line(found: dict[str, Any], line: str) -> None:
    """What it is, how often, for how long everything was complete, since when, and which symbol."""
    assert " ".join(list(watched_table([found]))[1].split()) == line


def test_not_seen_says_what_is_missing() -> None:
    """Every reason has a line of its own."""
    gaps = [
        {"node": "", "cluster": "", "from_ns": START, "to_ns": START, "cause": "Unvouched", "events_lost": None},
        {"node": "n", "cluster": "east", "from_ns": START, "to_ns": START, "cause": "VouchedTwice", "events_lost": 7},
    ]
    why = [reasons.UNNAMED_CODE, reasons.NOT_VOUCHED, reasons.gap(None, "Unvouched")]
    said = [reason.as_record() for reason in why]
    found = answer("NotSeen", complete_until_ns=0, gaps=gaps, gaps_more=2, reasons=said, reasons_more=1)

    assert [line.strip() for line in list(watched_table([found]))[2:]] == [
        "code of its file ran whose function nothing confirms",
        "no node has been vouched for since the watch began",
        "and 1 reasons more",
        f"gap {SINCE} to {SINCE}: Unvouched on any node",
        f"gap {SINCE} to {SINCE}: VouchedTwice on east/n, 7 events",
        "and 2 gaps more",
    ]
    [doubled] = list(watched_table([answer("Hit", hits=2, hits_may_be_doubled=True)]))[2:]
    assert "may be counted twice" in doubled
    assert "is one running?" in list(watched_table([answer("Unknown")]))[2]
    assert len(list(watched_table([answer("NeverHit"), answer("Hit")]))) == 3


def test_an_answer_shows_its_evidence() -> None:
    """Events that were hits, by id and raw position, and the snapshot behind a "never"."""
    event = {"event_id": "ab" * 16, "partition": 3, "offset": 4711, "time_ns": START}
    [line] = list(watched_table([answer("Hit", hits=1, events=[event])]))[2:]
    assert line.strip() == f"event {'ab' * 16} at {SINCE}, raw position 3:4711"
    [line] = list(watched_table([answer("NeverHit", snapshot="d1")]))[2:]
    assert line.strip() == "by snapshot d1 of the symbol store"


def test_whoever_adds_a_watch_learns_what_can_be_answered() -> None:
    """With the reasons, and also that nothing can be said here."""
    lines = list(best_lines((AnswerKind.NEVER_ENTERED, (reasons.unknown_copies("0123"), reasons.AUTHORS_WORD))))

    assert lines[0] == "if it does not run, the best answer is: never entered"
    assert [line.strip() for line in lines[1:]] == [reasons.unknown_copies("0123").words, reasons.AUTHORS_WORD.words]
    assert "CALLSTREAM_SYMBOL_STORE_DIR" in next(best_lines(None))


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (answer("Hit", hits=2), "libz.so.1!inflate is watched and was hit 2 times"),
        (answer("NeverHit", complete_ns=HOUR), f"{SINCE}: never hit, events complete for 1 h 0 min"),
        (answer("NeverEntered"), f"{SINCE}: never entered, events complete for 0 min"),
        (answer("NotSeen"), f"{SINCE}: not seen, which is less than never, events complete for 0 min"),
        (answer("Unknown"), f"{SINCE}: no answer yet, events complete for 0 min"),
    ],
)
def test_an_answer_is_a_sentence(found: dict[str, Any], words: str) -> None:
    """For whoever asked for a symbol that has no row."""
    assert in_words(found).endswith(words)
