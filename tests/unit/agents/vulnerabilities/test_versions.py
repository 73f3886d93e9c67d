"""Versions are in the order of semantic versions, of Go's pseudo-versions and of Go's own releases."""

from itertools import pairwise

import pytest

from agents.vulnerabilities.versions import Version, go_release

_IN_ORDER = [
    "0.0.0-20160903044734-789a4c4bd4c1",
    "0.0.0-20220906165146-f3363e06e74c",
    "0.0.0",
    "v0.5.0-alpha.5.0.20200423152442-f4b650b51dc4",
    "1.0.0-rc9",
    "1.0.0-rc91",
    "1.0.0",
    "1.0.4-0.20180125103619-43913f2f4fbd",
    "1.0.4-alpha",
    "1.0.4-alpha.1",
    "1.0.4-alpha.beta",
    "1.0.4-beta.2",
    "1.0.4-beta.11",
    "1.0.4",
    "1.19.0-0",
    "1.19.0-beta.1",
    "1.19.0-rc.1",
    "1.19.0",
    "v20.10.0+incompatible",
    "v20.10.1",
]


def test_versions_come_in_their_order() -> None:
    """Each comes before all that follow it, with and without `v`."""
    versions = [one for text in _IN_ORDER if (one := Version.parse(text)) is not None]

    assert [one.text for one in versions] == _IN_ORDER
    assert [pair for pair in pairwise(versions) if not pair[0] < pair[1]] == []
    assert len(set(versions)) == len(versions)


def test_build_metadata_does_not_count() -> None:
    """`+incompatible` and `+dirty` are no other version, and Go's word that files differed is kept."""
    plain, dirty = Version.parse("v1.2.3"), Version.parse("v1.2.3+incompatible.dirty")

    assert plain is not None
    assert dirty is not None
    assert plain == dirty
    assert (plain.is_dirty, dirty.is_dirty) == (False, True)


@pytest.mark.parametrize(
    "text", ["", "v", "(devel)", "1.2.3.4", "01.2.3", "1.2.3-", "1.2.3-a..b", "1.2.3 ", "1" * 300, "1.٢.3"]
)
def test_a_text_that_is_no_version_is_none(text: str) -> None:
    """Nothing is guessed of it."""
    assert Version.parse(text) is None


@pytest.mark.parametrize(
    ("text", "is_pseudo"),
    [
        ("v0.0.0-20220906165146-f3363e06e74c", True),
        ("v1.2.4-0.20220906165146-f3363e06e74c", True),
        ("v1.2.4-pre.0.20220906165146-f3363e06e74c", True),
        ("v1.2.4-20220906165146", False),
        ("v1.2.4", False),
    ],
)
def test_a_pseudo_version_is_known_by_its_form(text: str, *, is_pseudo: bool) -> None:
    """By the time and the commit at its end."""
    version = Version.parse(text)

    assert version is not None
    assert version.is_pseudo is is_pseudo


@pytest.mark.parametrize(
    ("tag", "text"),
    [
        ("go1.18.6", "1.18.6"),
        ("go1.21", "1.21.0"),
        ("go1.19rc1", "1.19.0-rc.1"),
        ("go1.19beta2", "1.19.0-beta.2"),
        ("go1.22.1 X:boringcrypto", "1.22.1"),
    ],
)
def test_a_release_of_go_is_a_version(tag: str, text: str) -> None:
    """With what stands behind a space passed over."""
    assert go_release(tag) == Version.parse(text)


@pytest.mark.parametrize("tag", ["", "devel go1.27-3d4a", "go1.22.4-google", "go1.22.4-1ubuntu1", "1.22.4"])
def test_a_vendors_build_of_go_has_no_version(tag: str) -> None:
    """It may have any fix in it."""
    assert go_release(tag) is None
