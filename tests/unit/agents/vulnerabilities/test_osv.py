"""An OSV document becomes an advisory, or a refusal that names the field."""

from typing import Any

import pytest

from agents.vulnerabilities.advisory import (
    Advisory,
    AdvisoryFault,
    AdvisoryRefusal,
    FaultyFunctions,
    UnreadableVersions,
)
from agents.vulnerabilities.osv import read_osv
from agents.vulnerabilities.version_rules import OsvRanges
from agents.vulnerabilities.versions import Version


def _document(**changes: Any) -> dict[str, Any]:
    """An entry for a made-up module, of the form that Go's database has."""
    affected = {
        "package": {"ecosystem": "Go", "name": "example.com/lib"},
        "ranges": [{"type": "SEMVER", "events": [{"introduced": "0"}, {"fixed": "1.2.3"}]}],
        "ecosystem_specific": {
            "imports": [
                {"path": "example.com/lib/parse", "symbols": ["Parse", "Reader.Next"], "goos": ["windows"]},
                {"path": "example.com/lib/all"},
            ]
        },
    }
    return {"id": "GO-0000-0001", "aliases": ["CVE-0000-1"], "summary": "s", "affected": [affected | changes]}


def test_an_entry_has_its_packages_versions_and_functions() -> None:
    """A package without functions stays there: all of it is meant."""
    advisory = read_osv(_document())

    assert isinstance(advisory, Advisory)
    assert (advisory.advisory_id, advisory.aliases) == ("GO-0000-0001", ("CVE-0000-1",))
    assert advisory.licence == "CC-BY-4.0"
    (affected,) = advisory.affected
    assert affected.named == (
        FaultyFunctions("example.com/lib/parse", ("Parse", "Reader.Next"), frozenset(("windows",))),
        FaultyFunctions("example.com/lib/all", ()),
    )
    version = Version.parse("1.2.2")
    assert version is not None
    assert affected.versions is not None
    assert affected.versions.includes(version)


def test_versions_in_a_projects_own_way_do_not_refuse_the_entry() -> None:
    """They are kept as what cannot be compared."""
    ranges = [{"type": "ECOSYSTEM", "events": [{"introduced": "19.03.0"}]}]
    advisory = read_osv(_document(ecosystem_specific={"custom_ranges": ranges}))

    assert isinstance(advisory, Advisory)
    assert isinstance(advisory.affected[0].custom, UnreadableVersions)


def test_a_distributions_versions_are_not_compared() -> None:
    """Their order is another one."""
    package = {"ecosystem": "Debian:12", "name": "openssl"}
    ranges = [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "3.0.11-1~deb12u2"}]}]
    advisory = read_osv(_document(package=package, ranges=ranges))

    assert isinstance(advisory, Advisory)
    assert advisory.affected[0].versions is None


def test_commits_alone_say_no_version() -> None:
    """A range of them needs the repository."""
    advisory = read_osv(_document(ranges=[{"type": "GIT", "events": [{"introduced": "0"}]}]))

    assert isinstance(advisory, Advisory)
    assert advisory.affected[0].versions is None


def test_functions_of_rustsecs_osv_are_read() -> None:
    """They stand under `affects`."""
    package = {"ecosystem": "crates.io", "name": "a-crate"}
    specific = {"affects": {"functions": ["a_crate::Type::f"], "os": [], "arch": []}, "affected_functions": None}
    advisory = read_osv(_document(package=package, ecosystem_specific=specific))

    assert isinstance(advisory, Advisory)
    assert advisory.affected[0].named == (FaultyFunctions("a-crate", ("a_crate::Type::f",)),)
    assert isinstance(advisory.affected[0].versions, OsvRanges)


@pytest.mark.parametrize(
    ("document", "fault", "where"),
    [
        ([], AdvisoryFault.FIELD_TYPE, "the document"),
        ({}, AdvisoryFault.FIELD_MISSING, "id"),
        ({"id": 1}, AdvisoryFault.FIELD_TYPE, "id"),
        ({"id": "a", "affected": {}}, AdvisoryFault.FIELD_TYPE, "affected"),
        ({"id": "a", "affected": [1]}, AdvisoryFault.FIELD_TYPE, "affected[0]"),
        (_document(package={"ecosystem": "Go"}), AdvisoryFault.FIELD_MISSING, "affected[0].package.name"),
        (
            _document(ranges=[{"type": "SEMVER", "events": [{"fixed": "one"}]}]),
            AdvisoryFault.VERSION,
            "affected[0].ranges[0].events[0].fixed",
        ),
        (
            _document(ecosystem_specific={"imports": [{"path": "a", "symbols": ["f"] * 30_000}]}),
            AdvisoryFault.TOO_LARGE,
            "affected[0].ecosystem_specific.imports[0].symbols",
        ),
        (
            _document(ecosystem_specific={"imports": [{"path": "a", "symbols": ["f"] * 15_000}] * 2}),
            AdvisoryFault.TOO_LARGE,
            "affected",
        ),
        (
            _document(ecosystem_specific={"imports": [{"path": "a" * 5_000}]}),
            AdvisoryFault.TOO_LARGE,
            "affected[0].ecosystem_specific.imports[0].path",
        ),
    ],
)
def test_a_wrong_field_is_named(document: Any, fault: AdvisoryFault, where: str) -> None:
    """The refusal says what is wrong, and where."""
    assert read_osv(document) == AdvisoryRefusal(fault, where)
