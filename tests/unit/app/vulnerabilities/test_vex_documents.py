"""A second export updates the first: ids stay, versions and times follow what changed, and nothing goes unsaid."""

from pathlib import Path
from typing import Any

import pytest

from app.vulnerabilities.vex_documents import VexFormat
from app.vulnerabilities.vex_editions import PreviousVexError
from tests.support.vex_scene import DATABASE, SNAPSHOT, VexScene, answer, image, read, vex_scene
from tests.support.vulnerable_files import BUILD_ID, CVE, GROW

FORMS = tuple(VexFormat)


@pytest.fixture
def scene(tmp_path: Path) -> VexScene:
    """One file, and three advisories."""
    return vex_scene(tmp_path)


def _statements(document: dict[str, Any], form: VexFormat) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = document["statements" if form is VexFormat.OPENVEX else "vulnerabilities"]
    return found


@pytest.mark.parametrize("form", FORMS)
def test_an_export_of_the_same_verdicts_is_the_same_document(scene: VexScene, form: VexFormat) -> None:
    """A day later, byte for byte, because only time has gone by."""
    first, _ = scene.write(form, answer())
    second, written = scene.write(form, answer(), days=1, previous=first)

    assert second.read_bytes() == first.read_bytes()
    assert not written.is_changed


def test_an_openvex_statement_keeps_its_id_and_the_time_of_its_status(scene: VexScene) -> None:
    """What changed has a new version; a changed status has a new time; what did not change stays as it was."""
    first, _ = scene.write(VexFormat.OPENVEX, answer())
    more, _ = scene.write(VexFormat.OPENVEX, answer(hits=2), days=1, previous=first)
    other, _ = scene.write(VexFormat.OPENVEX, days=2, previous=more)
    a, b, c = (read(one)["statements"] for one in (first, more, other))

    assert [one["@id"] for one in a] == [one["@id"] for one in b] == [one["@id"] for one in c]
    assert a[2:] == b[2:] == c[2:]
    assert [one[0]["version"] for one in (a, b, c)] == [1, 2, 3]
    assert a[0]["timestamp"] == b[0]["timestamp"] < b[0]["last_updated"] < c[0]["timestamp"]
    assert [read(one)["version"] for one in (first, more, other)] == [1, 2, 3]


def test_cyclonedx_and_csaf_count_editions(scene: VexScene) -> None:
    """By serial number and version, and by the history of revisions."""
    first, _ = scene.write(VexFormat.CYCLONEDX, answer())
    second, _ = scene.write(VexFormat.CYCLONEDX, days=1, previous=first)
    a, b = read(first), read(second)
    assert (a["serialNumber"], a["version"], b["version"]) == (b["serialNumber"], 1, 2)
    assert [one["bom-ref"] for one in a["vulnerabilities"]] == [one["bom-ref"] for one in b["vulnerabilities"]]

    first, _ = scene.write(VexFormat.CSAF, answer())
    second, _ = scene.write(VexFormat.CSAF, days=1, previous=first)
    before, after = (read(one)["document"]["tracking"] for one in (first, second))
    assert after["id"] == before["id"]
    assert [one["number"] for one in after["revision_history"]] == ["1", "2"]
    assert after["initial_release_date"] == before["initial_release_date"] < after["current_release_date"]


@pytest.mark.parametrize("form", FORMS)
def test_a_statement_has_its_evidence(scene: VexScene, form: VexFormat) -> None:
    """Event ids, function, node-time, and the digests of database, store and file."""
    path, _ = scene.write(form, answer())
    said = str([one for one in _statements(read(path), form) if CVE in str(one)])

    for evidence in ("e1 at 2:7", GROW, "9,000 ms watched, 1 ms missing", DATABASE, SNAPSHOT, BUILD_ID):
        assert evidence in said


WEB, CART = "sha256:" + "ab" * 32, "sha256:" + "cd" * 32


def _said(document: dict[str, Any], form: VexFormat) -> dict[str, str]:
    """The state of each image for the vulnerability, by the image's name in its package URL."""
    [one] = [one for one in _statements(document, form) if CVE in str(one)] if form is VexFormat.CSAF else [None]
    if one is not None:
        names = {product["product_id"]: product["name"] for product in document["product_tree"]["full_product_names"]}
        return {names[product]: state for state, several in one["product_status"].items() for product in several}
    several = [one for one in _statements(document, form) if CVE in str(one)]
    if form is VexFormat.OPENVEX:
        return {product["@id"]: one["status"] for one in several for product in one["products"]}
    return {affected["ref"]: one["analysis"]["state"] for one in several for affected in one["affects"]}


@pytest.mark.parametrize(
    ("form", "affected", "unsure"),
    [
        (VexFormat.OPENVEX, "affected", "under_investigation"),
        (VexFormat.CYCLONEDX, "exploitable", "in_triage"),
        (VexFormat.CSAF, "known_affected", "under_investigation"),
    ],
)
def test_images_that_share_a_file_have_their_own_hits(
    tmp_path: Path, form: VexFormat, affected: str, unsure: str
) -> None:
    """One team's hit is not the other's, and where nobody knows the image, it is nobody's."""
    scene = vex_scene(tmp_path, f"image:{WEB}", f"image:{CART}")
    web, cart = scene.published.subjects[0].products

    in_web, _ = scene.write(form, answer(images=[image(WEB)]))
    assert _said(read(in_web), form) == {web: affected, cart: unsure}
    in_both, _ = scene.write(form, answer(images=[image(WEB), image(CART)]), days=1)
    assert _said(read(in_both), form) == {web: affected, cart: affected}
    on_a_host, _ = scene.write(form, answer(images=[]), days=2)
    assert _said(read(on_a_host), form) == {web: unsure, cart: unsure}


def test_a_statement_has_no_events_of_another_image(tmp_path: Path) -> None:
    """It says in which images the code ran."""
    scene = vex_scene(tmp_path, f"image:{WEB}", f"image:{CART}")
    path, _ = scene.write(VexFormat.OPENVEX, answer(images=[image(WEB)]))
    notes = {one["products"][0]["@id"]: one["status_notes"] for one in read(path)["statements"] if CVE in str(one)}
    web, cart = scene.published.subjects[0].products

    assert "event: e1 at 2:7" in notes[web]
    assert "event: e1" not in notes[cart]
    assert f"in other images: registry.example/any@{WEB}" in notes[cart]


@pytest.mark.parametrize("form", FORMS)
def test_what_only_the_document_before_says_is_named(scene: VexScene, form: VexFormat) -> None:
    """A product that is gone would otherwise be gone in silence."""
    first, _ = scene.write(form, answer())
    text = first.read_text().replace("pkg:generic/shop@1.0", "pkg:generic/shop@0.9")
    first.write_text(text)
    _, written = scene.write(form, answer(), days=1, previous=first)

    assert written.no_longer_said == ((CVE, "pkg:generic/shop@0.9"),)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("text", ["{}", "[]", "nothing", '{"statements": [3], "@id": "x", "version": 1}'])
def test_a_previous_document_that_is_none_is_named(scene: VexScene, form: VexFormat, text: str) -> None:
    """Nothing is written."""
    other = scene.folder / "other.json"
    other.write_text(text)
    with pytest.raises(PreviousVexError, match=r"other\.json"):
        scene.write(form, days=3, previous=other)
    assert not (scene.folder / f"{form}-3.json").exists()
