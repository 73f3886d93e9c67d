"""What may be said of a vulnerability because its code ran or never did, read back by the specification alone."""

import json
from pathlib import Path
from typing import Any

import pytest

from app.export.openvex import openvex_document, unnamed
from app.export.vex_file import VexFile, VexFileError, VexSubject, read_vex_file
from schemas import records
from tests.support.export_readers import read_openvex

DAY_NS = 86_400 * 1_000_000_000
SINCE_NS = 1_767_225_600 * 1_000_000_000  # 2026-01-01T00:00:00Z
GAP = {"node": "quay-7", "cluster": "east", "from_ns": SINCE_NS, "to_ns": SINCE_NS + DAY_NS, "cause": "Overflow"}


def answer(symbol: str = "png_read", **fields: Any) -> dict[str, Any]:
    """An answer that says "never hit for twenty days", but for what is given."""
    usual: dict[str, Any] = {
        "watch_id": f"/usr/lib/libpng16.so.16!{symbol}",
        "symbol": symbol,
        "module": "/usr/lib/libpng16.so.16",
        "build_id": None,
        "vulnerability": "CVE-2026-0001",
        "since_ns": SINCE_NS,
        "answer": "NeverHit",
        "hits": 0,
        "confirmed_hits": 0,
        "first_seen_ns": 0,
        "last_seen_ns": 0,
        "symbols": [],
        "symbols_more": 0,
        "ambiguous_hits": 0,
        "complete_ns": 20 * DAY_NS,
        "complete_until_ns": SINCE_NS + 20 * DAY_NS,
        "nodes": 3,
        "gaps": [],
        "gaps_more": 0,
    }
    # As it comes back, so that a field that is added has its default.
    return records.decode(records.WATCHED_SYMBOL, records.encode(records.WATCHED_SYMBOL, 1, usual | fields))


def hit(symbol: str = "png_read", *, confirmed: int = 4) -> dict[str, Any]:
    """An answer of a symbol that ran."""
    seen = {"first_seen_ns": SINCE_NS + 5, "last_seen_ns": SINCE_NS + 21 * DAY_NS}
    return answer(symbol, answer="Hit", hits=4, confirmed_hits=confirmed, **seen)


def subject(**fields: Any) -> VexSubject:
    """What the author says."""
    usual: dict[str, Any] = {
        "vulnerability": "CVE-2026-0001",
        "products": ("pkg:oci/web@sha256:4f1b", "https://shop.example/web"),
        "every_call_probed": True,
    }
    return VexSubject(**usual | fields)


def statement(answers: list[dict[str, Any]], **fields: Any) -> dict[str, Any]:
    """The one statement of a document."""
    document = openvex_document(VexFile("Shop <a@shop.example>", (subject(**fields),)), answers, "callstream 1")
    assert document is not None
    return dict(read_openvex(json.loads(json.dumps(document)))["CVE-2026-0001"])


def test_code_that_never_ran_while_all_was_seen_is_not_affected() -> None:
    """With the justification for it, and the window in the impact statement."""
    found = statement([answer("png_read"), answer("png_write")], subcomponents=("pkg:deb/debian/libpng1.6",))

    assert found["status"] == "not_affected"
    assert found["justification"] == "vulnerable_code_not_in_execute_path"
    assert found["impact_statement"] == (
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
            "3 gaps in the events since it is watched, the newest from 2026-01-01T00:00:00Z",
        ),
        ([answer(answer="NotSeen", ambiguous_hits=7)], {}, "7 hits may be of it and nothing can tell"),
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


def test_a_vulnerability_without_a_watch_is_under_investigation_beside_others() -> None:
    """And without any watch there is no document."""
    file = VexFile("Shop", (subject(), subject(vulnerability="CVE-2026-0002")))
    document = openvex_document(file, [answer()], "callstream 1")

    assert document is not None
    assert read_openvex(document)["CVE-2026-0002"]["status_notes"] == "No symbol is watched for it."
    assert openvex_document(file, [answer(vulnerability=None), answer(vulnerability="CVE-1")], "callstream 1") is None
    assert unnamed(file, [answer(vulnerability=None), answer(vulnerability="CVE-1")]) == ["CVE-1"]


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


GOOD = """
author = "Shop security"
[[statement]]
vulnerability = "CVE-2026-0001"
products = ["pkg:oci/web@1"]
every_call_probed = true
aliases = ["GHSA-1"]
action = "Update."
min_complete_days = 7
"""


def test_a_file_is_read_as_it_is_written(tmp_path: Path) -> None:
    """Every key of the file."""
    path = tmp_path / "vex.toml"
    path.write_text(GOOD)

    assert read_vex_file(path) == VexFile(
        "Shop security",
        (
            VexSubject(
                vulnerability="CVE-2026-0001",
                products=("pkg:oci/web@1",),
                every_call_probed=True,
                aliases=("GHSA-1",),
                action="Update.",
                min_complete_days=7.0,
            ),
        ),
    )


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ('author = "Shop security"', "", "author is missing"),
        ("every_call_probed = true", "", "statement 1: every_call_probed is missing"),
        ("every_call_probed = true", 'every_call_probed = "yes"', "every_call_probed: write true or false"),
        ("pkg:oci/web@1", "web", "'web' is not an IRI; write a package URL"),
        ('["pkg:oci/web@1"]', "[]", "products: name at least one"),
        ('["pkg:oci/web@1"]', '"pkg:oci/web@1"', "is not a list of texts"),
        ("action", "actions", "actions is not a key; the keys are action, aliases"),
        ("= 7", "= 0", "min_complete_days: 0 is not a number above 0"),
        ("[[statement]]", "[statement]", "write at least one [[statement]]"),
        ('"CVE-2026-0001"', '""', "vulnerability: '' is not a text"),
        (GOOD, GOOD + GOOD.partition('security"')[2], "CVE-2026-0001 has more than one statement"),
        ("author =", "author", "vex.toml: "),
    ],
)
def test_what_is_wrong_in_a_file_is_named(tmp_path: Path, old: str, new: str, problem: str) -> None:
    """File, place and key."""
    path = tmp_path / "vex.toml"
    path.write_text(GOOD.replace(old, new))

    with pytest.raises(VexFileError) as raised:
        read_vex_file(path)
    assert str(raised.value).startswith(f"{path}: ")
    assert problem in str(raised.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    """With the system's reason."""
    with pytest.raises(VexFileError, match=r"nothing\.toml: No such file"):
        read_vex_file(tmp_path / "nothing.toml")
