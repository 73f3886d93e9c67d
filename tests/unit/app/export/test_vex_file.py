"""The file in which the author of statements says what they are about."""

from pathlib import Path

import pytest

from app.export.vex_file import VexFile, VexFileError, VexSubject, read_vex_file

GOOD = """
author = "Shop security"
[[statement]]
vulnerability = "CVE-2026-0001"
products = ["pkg:oci/web@1"]
every_call_probed = true
aliases = ["GHSA-1"]
action = "Update."
min_complete_days = 7
accept_not_seen_until = 2027-01-31
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
                accepted_until_ns=1_801_353_600_000_000_000,
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
        ("action", "actions", "actions is not a key; the keys are accept_not_seen_until"),
        ("= 2027-01-31", '= "2027-01-31"', "accept_not_seen_until: '2027-01-31' is not a day"),
        ("= 2027-01-31", "= 2027-01-31T00:00:00Z", "is not a day; write it as 2027-01-31"),
        ("= 7", "= 0", "min_complete_days: 0 is not a number above 0"),
        ("= 7", "= 7\naccept_unknown_copies = 1", "accept_unknown_copies: write true or false"),
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
