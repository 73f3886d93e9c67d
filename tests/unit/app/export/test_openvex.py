"""What may be said of a vulnerability because its code ran or never did, read back by the specification alone."""

from typing import Any

import pytest

from agents.hot_symbols.watch import reasons
from app.export.openvex import openvex_document, unnamed
from app.export.vex_file import VexFile
from schemas.node import NodeId
from tests.support.export_readers import read_openvex
from tests.support.vex_statements import DAY_NS, GAP, SINCE_NS, answer, hit, said, statement, subject


def test_code_that_never_ran_while_all_was_seen_is_not_affected() -> None:
    """With the justification for it, and the window in the notes."""
    found = statement([answer("png_read"), answer("png_write")], subcomponents=("pkg:deb/debian/libpng1.6",))

    assert found["status"] == "not_affected"
    assert found["justification"] == "vulnerable_code_not_in_execute_path"
    assert found["status_notes"] == (
        "/usr/lib/libpng16.so.16!png_read was never executed from 2026-01-01T00:00:00Z to "
        "2026-01-21T00:00:00Z, with the events of all 3 nodes complete. "
        "/usr/lib/libpng16.so.16!png_write was never executed from 2026-01-01T00:00:00Z to "
        "2026-01-21T00:00:00Z, with the events of all 3 nodes complete. "
        "The author states that a probe fires on every call."
    )
    assert found["timestamp"] == "2026-01-21T00:00:00.000000000Z"
    assert found["products"] == [
        {
            "@id": "pkg:oci/web@sha256:4f1b",
            "identifiers": {"purl": "pkg:oci/web@sha256:4f1b"},
            "subcomponents": [{"@id": "pkg:deb/debian/libpng1.6", "identifiers": {"purl": "pkg:deb/debian/libpng1.6"}}],
        },
        {
            "@id": "https://shop.example/web",
            "subcomponents": [{"@id": "pkg:deb/debian/libpng1.6", "identifiers": {"purl": "pkg:deb/debian/libpng1.6"}}],
        },
    ]


HOOKED = {"reasons": [{"reason": "HooksLoaded", "words": "hooks were loaded", "about": []}]}
UNHOOKED = {"reasons": [{"reason": "Unhooked", "words": "the agent of n did not tell", "about": ["n"]}]}


@pytest.mark.parametrize("probed", [False, True])
def test_a_statement_stands_on_the_word_of_the_agents_where_they_give_it(*, probed: bool) -> None:
    """Whatever the author says, and the notes tell whose word it is."""
    found = statement([answer("png_read", **HOOKED), answer("png_write", **HOOKED)], every_call_probed=probed)

    assert found["status"] == "not_affected"
    assert found["status_notes"].endswith(
        "The agents said all the time that hooks on all entries of the functions were loaded."
    )


def test_the_author_s_word_counts_where_the_agents_do_not_tell_of_all() -> None:
    """One function without hooks is enough."""
    answers = [answer("png_read", **HOOKED), answer("png_write", answer="NeverHit", **UNHOOKED)]

    assert statement(answers)["status_notes"].endswith(
        "The agents said all the time that hooks on all entries of the functions were loaded: "
        "/usr/lib/libpng16.so.16!png_read. "
        "The author states that a probe fires on every call: /usr/lib/libpng16.so.16!png_write."
    )
    doubtful = statement(answers, every_call_probed=False)
    assert doubtful["status"] == "under_investigation"
    assert "the agent of n did not tell" in doubtful["status_notes"]


def test_the_word_of_a_watch_s_author_counts_in_a_statement() -> None:
    """It is as good as that of the statement's author, who need not repeat it."""
    answers = [answer("png_read", **HOOKED), answer("png_write", every_call_probed=True)]
    found = statement(answers, every_call_probed=False)

    assert found["status"] == "not_affected"
    assert "The author of the watch states that a probe fires on every call: /usr/lib" in found["status_notes"]


def test_what_is_missing_may_be_accepted_by_the_word_of_the_agents() -> None:
    """Hooks were loaded all the time, and the author accepts the gap."""
    gap = {"node": "n", "cluster": "", "from_ns": SINCE_NS, "to_ns": SINCE_NS + 10**9, "cause": "Reconnect"}
    missing: dict[str, Any] = {"gaps": [gap | {"events_lost": 0}], "placed_missing_ms": 1000, "missing_ms": 1000}
    reasons = [{"reason": "Gap", "words": "events of n may be missing", "about": ["n"]}, *HOOKED["reasons"]]
    found = statement(
        [answer(answer="NotSeen", **missing | {"reasons": reasons})], every_call_probed=False, min_share=0.999
    )

    assert found["status"] == "not_affected"
    assert "1,000 ms of" in found["status_notes"]
    assert "The agents said" in found["status_notes"]


@pytest.mark.parametrize(
    ("answers", "fields", "note"),
    [
        ([hit()], {}, "png_read was executed: 4 hits, 4 of them sure, from 2026-01-01T00:00:00Z"),
        ([hit(confirmed=0)], {"action": "Update."}, "4 hits, none of them sure"),
        ([answer(), hit("png_write")], {}, "png_write was executed"),
        ([answer()], {"every_call_probed": False}, "Not every call of the watched functions is probed"),
        ([answer()], {"min_complete_days": 30.0}, "not seen for 20.00 days of complete events, and 30 are asked for"),
        (
            [answer(answer="NotSeen", gaps=[GAP], gaps_more=2, complete_ns=19 * DAY_NS)],
            {},
            "3 gaps in the events since it is watched, the longest from 2026-01-01T00:00:00Z",
        ),
        (
            [answer(answer="NotSeen", reasons=[reasons.MAY_BE_IT.as_record()])],
            {},
            "code of this name ran in a file that may be the watched one",
        ),
        (
            [answer(answer="NotSeen", reasons=said(reasons.NOT_HOOKED, reasons.unknown_copies("0123")))],
            {},
            "whether the compiler put copies of it into other functions of 0123 is not known",
        ),
        (
            [answer(answer="NotSeen", reasons=said(reasons.no_such_name("0123", ["png_read_row"])))],
            {"accept_unknown_copies": True},
            "no function of 0123 has this name; the nearest are png_read_row",
        ),
        ([answer(answer="NotSeen", reasons=said(reasons.NOT_HOOKED), reasons_more=3)], {}, "3 more reasons"),
        ([answer(answer="NotSeen", complete_ns=0, complete_until_ns=0)], {}, "no node is vouched for"),
        ([answer(answer="Unknown")], {}, "nothing has answered the watch yet"),
        ([answer(answer="NotSeen")], {}, "its answer is not that it was never hit"),
        ([answer(), answer("png_write", answer="NotSeen", gaps=[GAP])], {}, "png_write: 1 gaps in the events"),
    ],
)
def test_whatever_is_not_sure_is_under_investigation(
    answers: list[dict[str, Any]], fields: dict[str, Any], note: str
) -> None:
    """Each reason is given, and one doubtful function of several is enough."""
    found = statement(answers, **fields)

    assert found["status"] == "under_investigation"
    assert note in found["status_notes"]
    assert "justification" not in found


def test_code_that_ran_is_affected_if_the_author_says_what_to_do() -> None:
    """The format wants an action, and no tool can invent it."""
    found = statement([answer(), hit("png_write")], action="Update to 1.6.44.")

    assert (found["status"], found["action_statement"]) == ("affected", "Update to 1.6.44.")
    assert "png_write was executed" in found["status_notes"]


@pytest.mark.parametrize(
    ("answers", "fields", "notes"),
    [
        ([answer(answer="NotSeen", reasons=said(reasons.NOT_HOOKED, reasons.UNNAMED_CODE))], {}, "was never executed"),
        ([answer(reasons=said(reasons.AUTHORS_WORD, reasons.shared_code(["png_old"])))], {}, "was never executed"),
        (
            [answer(answer="NeverEntered", reasons=said(reasons.unknown_copies("0123"), reasons.AUTHORS_WORD))],
            {"accept_unknown_copies": True},
            "png_read was never entered from",
        ),
        ([answer(snapshot="d1")], {}, "complete, by snapshot d1 of the symbol store."),
    ],
)
def test_what_the_author_answers_for_is_no_doubt(
    answers: list[dict[str, Any]], fields: dict[str, Any], notes: str
) -> None:
    """That every call is probed, and that copies are not known of; the statement says so."""
    found = statement(answers, **fields)

    assert found["status"] == "not_affected"
    assert notes in found["status_notes"]
    assert ("which the author accepts" in found["status_notes"]) is ("accept_unknown_copies" in fields)


def test_a_statement_names_the_snapshots_that_named_what_ran() -> None:
    """The one that says which code is meant, and others whose indexes named the hits."""
    found = statement([hit(snapshot="ab12", named_by=["ab12", "cd34"])], action="Update.")

    assert "; snapshot ab12 of the symbol store, and names by cd34." in found["status_notes"]


def test_a_statement_on_code_that_ran_says_which_other_functions_it_may_have_been() -> None:
    """Functions that share the code, and others of the same name."""
    why = said(reasons.shared_code(["png_old"]), reasons.several_codes("0123", 2))
    notes = statement([hit(reasons=why)], action="Update.")["status_notes"]

    assert "its code is also that of png_old" in notes
    assert "2 functions of 0123 have this name, and any of them counts" in notes


def test_a_watch_for_two_vulnerabilities_speaks_for_both() -> None:
    """A function may have more than one."""
    file = VexFile("Shop", (subject(), subject(vulnerability="CVE-2026-0002")))
    found = read_openvex(
        openvex_document(file, [answer(vulnerabilities=["CVE-2026-0002", "CVE-2026-0001"])], "callstream 1") or {}
    )

    assert [one["status"] for one in found.values()] == ["not_affected", "not_affected"]


def test_a_vulnerability_without_a_watch_is_under_investigation_beside_others() -> None:
    """And without any watch there is no document."""
    file = VexFile("Shop", (subject(), subject(vulnerability="CVE-2026-0002")))
    document = openvex_document(file, [answer()], "callstream 1")

    assert document is not None
    assert read_openvex(document)["CVE-2026-0002"]["status_notes"] == "No symbol is watched for it."
    assert (
        openvex_document(file, [answer(vulnerabilities=[]), answer(vulnerabilities=["CVE-1"])], "callstream 1") is None
    )
    assert unnamed(file, [answer(vulnerabilities=[]), answer(vulnerabilities=["CVE-1"])]) == ["CVE-1"]


def test_the_same_answers_in_any_order_give_the_same_document_and_others_another_id() -> None:
    """The id is a digest of what is said."""
    file = VexFile("Shop", (subject(),))
    answers = [answer("png_read"), answer("png_write"), hit("png_info")]
    document = openvex_document(file, answers, "callstream 1")
    changed = openvex_document(file, answers[:2], "callstream 1")

    assert document is not None
    assert changed is not None
    assert document == openvex_document(file, answers[::-1], "callstream 1")
    assert document["@id"] != changed["@id"]


def test_a_note_for_people_stays_short() -> None:
    """A vulnerability may have a hundred functions."""
    found = statement([hit(f"f{number:03}") for number in range(100)])

    assert found["status_notes"].count("was executed") == 8
    assert found["status_notes"].endswith(" And 92 more.")


def test_a_share_that_the_author_accepts_is_said_exactly() -> None:
    """Node-time, events, where most of it is, and whose word it is which nodes there were."""
    missing = answer(
        answer="NotSeen",
        reasons=said(reasons.gap(NodeId("east", "quay-7"), "Overflow"), reasons.missing(60 * DAY_NS // 10**6 - 5, 5)),
        gaps=[GAP],
        gaps_more=2,
        complete_ns=DAY_NS,
        placed_watched_ms=60 * DAY_NS // 10**6 - 5,
        placed_missing_ms=5,
        events_lost=7,
        every_node_known=False,
        retired=[{"said_by": "kubernetes", "nodes": 4}],
    )
    found = statement([missing], min_share=0.9999, max_events_lost=7)

    assert found["status"] == "not_affected"
    assert found["status_notes"] == (
        "/usr/lib/libpng16.so.16!png_read was never executed from 2026-01-01T00:00:00Z to 2026-01-21T00:00:00Z, with "
        "the events of all 3 nodes complete but for 5 ms of 5,184,000,000 ms of node-time (a share of 0.999999999 was "
        "watched), 7 events lost, 3 gaps, the longest from 2026-01-01T00:00:00Z to 2026-01-02T00:00:00Z on east/quay-7 "
        "(Overflow). Nobody says that there were no other nodes than those that reported. Nodes that are gone: 4 by "
        "the word of kubernetes. The author states that a probe fires on every call."
    )


@pytest.mark.parametrize(
    ("fields", "accepted", "note"),
    [
        ({"events_lost": 8}, {"min_share": 0.9, "max_events_lost": 7}, "8 events were lost and 7 are accepted"),
        ({"events_lost": None}, {"min_share": 0.9, "max_events_lost": 7}, "an unknown number of events were lost"),
        ({"placed_missing_ms": 60 * DAY_NS}, {"min_share": 0.9}, "and 0.9 is asked for"),
        ({}, {"max_events_lost": 7}, "a share of 0.999999999 was watched and 1 is asked for"),
        ({}, {"min_share": 0.9, "min_complete_days": 30.0}, "not seen for 20.00 days"),
        ({"reasons": said(reasons.MAY_BE_IT)}, {"min_share": 0.9}, "may be the watched one"),
    ],
)
def test_what_is_missing_beyond_what_the_author_accepts_stays_a_doubt(
    fields: dict[str, Any], accepted: dict[str, Any], note: str
) -> None:
    """Each of the two limits by itself; a share says nothing of hits that may be of it."""
    missing = answer(answer="NotSeen", gaps=[GAP], **{"placed_missing_ms": 5} | fields)
    found = statement([missing], **accepted)
    assert found["status"] == "under_investigation"
    assert note in found["status_notes"]
