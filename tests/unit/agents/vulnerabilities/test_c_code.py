"""Records and lists that name C functions, and what they mean for a file of a package."""

from typing import Any

import pytest

from agents.vulnerabilities.advisory import Advisory, AdvisoryFault, AdvisoryRefusal
from agents.vulnerabilities.c_code import CFile, assess_c, read_cve_record, read_functions
from agents.vulnerabilities.verdicts import (
    Assessment,
    CannotTell,
    CodeAbsent,
    CodePresent,
    Doubt,
    NoFunctionsNamed,
    NotAffected,
    NotAffectedBecause,
)

_LIST = """id = "CVE-2026-0001"
packages = ["pkg:deb/debian/libpng1.6@1.6.39-2"]
functions = ["png_read_chunk", "png_inline"]
"""
_OWNED = "pkg:deb/debian/libpng1.6@1.6.39-2?arch=amd64&distro=debian-12"


def _record(**affected: Any) -> dict[str, Any]:
    """A CVE record as a numbering authority writes it."""
    package = {"packageURL": "pkg:generic/libpng", "programRoutines": [{"name": "png_read_chunk"}], **affected}
    return {
        "dataType": "CVE_RECORD",
        "cveMetadata": {"cveId": "CVE-2026-0001", "state": "PUBLISHED"},
        "containers": {"cna": {"title": "png", "affected": [package, {"vendor": "x", "product": "y"}]}},
    }


def _assessed(advisory: Advisory | AdvisoryRefusal, url: str, *functions: str, whole: bool = False) -> Assessment:
    assert isinstance(advisory, Advisory), advisory
    gaps = frozenset[Doubt]() if whole else frozenset({Doubt.SYMBOL_TABLE})
    return assess_c(advisory, CFile((url,), functions.__contains__, gaps))


def test_the_very_version_that_is_listed_has_the_code() -> None:
    """Of any other one nobody can tell, because a distribution has fixes of its own."""
    other = _OWNED.replace("1.6.39-2", "1.6.39-2+deb12u1")
    functions = ("png_read_chunk", "main")

    assert _assessed(read_functions(_LIST), _OWNED, *functions) == CodePresent(("png_read_chunk",), ())
    unsure = CannotTell((Doubt.NO_VERSION,), ("png_read_chunk",))
    assert _assessed(read_functions(_LIST), other, *functions) == unsure
    assert _assessed(read_cve_record(_record()), "pkg:generic/libpng@1.6.39", *functions) == unsure
    nowhere = _assessed(read_functions(_LIST), "pkg:deb/ubuntu/libpng1.6@1.6.39-2", *functions)
    assert nowhere == NotAffected((NotAffectedBecause.NOT_IN_FILE,))


def test_code_is_absent_only_where_debug_information_covers_all() -> None:
    """Then the version does not matter."""
    absent = CodeAbsent(("png_inline", "png_read_chunk"))

    assert _assessed(read_functions(_LIST), _OWNED, "main") == CannotTell((Doubt.SYMBOL_TABLE,), ())
    assert _assessed(read_functions(_LIST), _OWNED, "main", whole=True) == absent
    assert _assessed(read_functions(_LIST), _OWNED.replace("39", "40"), "main", whole=True) == absent


def test_a_record_without_functions_says_so() -> None:
    """And one that was rejected says nothing."""
    named_none = read_cve_record(_record(packageURL="pkg:generic/libpng@1", programRoutines=[]))
    rejected = _record()
    rejected["cveMetadata"]["state"] = "REJECTED"

    assert _assessed(named_none, "pkg:generic/libpng@1") == NoFunctionsNamed()
    withdrawn = NotAffected((NotAffectedBecause.WITHDRAWN,))
    assert _assessed(read_cve_record(rejected), "pkg:generic/libpng@1") == withdrawn


@pytest.mark.parametrize(
    ("text", "fault", "where"),
    [
        (_LIST.replace("id =", "name ="), AdvisoryFault.FIELD_MISSING, "id"),
        (_LIST.replace("functions =", "routines ="), AdvisoryFault.FIELD_MISSING, "functions"),
        (_LIST.replace("packages =", "package ="), AdvisoryFault.FIELD_MISSING, "packages"),
        (_LIST.replace("pkg:deb", "deb"), AdvisoryFault.FIELD_TYPE, "packages"),
        (_LIST.replace('["png_read_chunk", "png_inline"]', "3"), AdvisoryFault.FIELD_TYPE, "functions"),
    ],
)
def test_a_list_that_is_wrong_is_refused_with_its_place(text: str, fault: AdvisoryFault, where: str) -> None:
    """So that its author can put it right."""
    assert read_functions(text) == AdvisoryRefusal(fault, where)


def test_text_that_is_no_toml_is_refused() -> None:
    """With the line."""
    refusal = read_functions("id = [")

    assert isinstance(refusal, AdvisoryRefusal)
    assert refusal.fault is AdvisoryFault.NOT_A_DOCUMENT
