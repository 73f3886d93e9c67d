"""A RustSec advisory is read from Markdown or TOML, or refused with the field that is wrong."""

import pytest

from agents.vulnerabilities.advisory import Advisory, AdvisoryFault, AdvisoryRefusal, Ecosystem
from agents.vulnerabilities.rustsec import read_rustsec
from agents.vulnerabilities.versions import Version

_TOML = """[advisory]
id = "RUSTSEC-0000-0001"
package = "a-crate"
date = "2026-01-01"
aliases = ["CVE-0000-2"]

[affected.functions]
"a_crate::inner::Type::f" = ["< 1.2.0", ">= 2.0.0, < 2.1.0"]

[versions]
patched = [">= 1.2.0, < 2.0.0", ">= 2.1.0"]
unaffected = ["< 0.3.0"]
"""
_MARKDOWN = f"```toml\n{_TOML}```\n\n# A fault in a crate\n\nWords.\n"


@pytest.mark.parametrize(("text", "summary"), [(_MARKDOWN, "A fault in a crate"), (_TOML, "")])
def test_an_advisory_has_its_crate_versions_and_functions(text: str, summary: str) -> None:
    """Whatever is neither patched nor unaffected is affected; the licence is RustSec's unless it says another."""
    advisory = read_rustsec(text)

    assert isinstance(advisory, Advisory)
    assert (advisory.advisory_id, advisory.summary, advisory.licence) == ("RUSTSEC-0000-0001", summary, "CC0-1.0")
    (affected,) = advisory.affected
    assert (affected.ecosystem, affected.name) == (Ecosystem.CARGO, "a-crate")
    assert [one.functions for one in affected.named] == [("a_crate::inner::Type::f",)]
    assert len(affected.named[0].versions) == 2
    versions = {text: Version.parse(text) for text in ("0.2.0", "1.1.0", "1.2.0", "2.0.5", "2.1.0")}
    assert affected.versions is not None
    assert {text: affected.versions.includes(one) for text, one in versions.items() if one is not None} == {
        "0.2.0": False, "1.1.0": True, "1.2.0": False, "2.0.5": True, "2.1.0": False,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "fault", "where"),
    [
        ("# Only words", AdvisoryFault.FIELD_MISSING, "advisory.package"),
        (_TOML.replace('package = "a-crate"\n', ""), AdvisoryFault.FIELD_MISSING, "advisory.package"),
        (_TOML.replace('"< 0.3.0"', '"before that"'), AdvisoryFault.VERSION, "versions.unaffected"),
        (_TOML.replace('"< 1.2.0"', '"x.y"'), AdvisoryFault.VERSION, "affected.functions.a_crate::inner::Type::f"),
    ],
)
def test_a_wrong_field_is_named(text: str, fault: AdvisoryFault, where: str) -> None:
    """The refusal says what is wrong, and where."""
    assert read_rustsec(text) == AdvisoryRefusal(fault, where)


def test_a_text_that_is_no_toml_is_refused() -> None:
    """With what the parser says."""
    refusal = read_rustsec("```toml\nid = \n```\n")

    assert isinstance(refusal, AdvisoryRefusal)
    assert refusal.fault is AdvisoryFault.NOT_A_DOCUMENT
