"""Which versions an advisory means, by OSV's events and by Cargo's requirements."""

import pytest

from agents.vulnerabilities.version_rules import CargoVersions, OsvRanges, RangeEvent, parse_requirement
from agents.vulnerabilities.versions import Version


def _version(text: str) -> Version:
    version = Version.parse(text)
    assert version is not None
    return version


def _ranges(*events: tuple[str, str]) -> OsvRanges:
    """One range; `0` is before all versions."""
    return OsvRanges((tuple(RangeEvent(kind, None if at == "0" else _version(at)) for kind, at in events),))


_GO_1_18_AND_1_19 = (("introduced", "0"), ("fixed", "1.18.6"), ("introduced", "1.19.0-0"), ("fixed", "1.19.1"))


@pytest.mark.parametrize(
    ("version", "is_affected"),
    [
        ("0.0.0-20160903044734-789a4c4bd4c1", True),
        ("1.18.5", True),
        ("1.18.6", False),
        ("1.18.9", False),
        ("1.19.0-rc.1", True),
        ("1.19.0", True),
        ("1.19.1", False),
        ("2.0.0", False),
    ],
)
@pytest.mark.parametrize("is_reversed", [False, True])
def test_events_hold_from_one_to_the_next(version: str, *, is_affected: bool, is_reversed: bool) -> None:
    """In the order of their versions, whatever order the document has."""
    events = _GO_1_18_AND_1_19[::-1] if is_reversed else _GO_1_18_AND_1_19

    assert _ranges(*events).includes(_version(version)) is is_affected


def test_a_last_affected_version_is_affected() -> None:
    """And the next one is not."""
    ranges = _ranges(("introduced", "1.0.0"), ("last_affected", "1.4.0"))

    assert [ranges.includes(_version(one)) for one in ("0.9.0", "1.0.0", "1.4.0", "1.4.1")] == [
        False,
        True,
        True,
        False,
    ]


def test_a_version_that_is_listed_is_affected() -> None:
    """Also where no range has it."""
    assert OsvRanges((), frozenset(("1.2.3",))).includes(_version("1.2.3"))


def test_a_range_that_ends_where_the_next_begins_goes_on() -> None:
    """The version is affected."""
    ranges = _ranges(("introduced", "1.0.0"), ("introduced", "2.0.0"), ("fixed", "2.0.0"))

    assert ranges.includes(_version("2.0.0"))


@pytest.mark.parametrize(
    ("requirement", "inside", "outside"),
    [
        (">= 0.10.0, < 0.10.3", ["0.10.0", "0.10.2"], ["0.10.3", "0.9.9"]),
        ("<= 0.0.7", ["0.0.7", "0.0.1"], ["0.0.8"]),
        ("<= 1.2", ["1.2.9"], ["1.3.0"]),
        ("> 1.2", ["1.3.0"], ["1.2.9", "1.2.0"]),
        ("> 1.2.0", ["1.2.1"], ["1.2.0"]),
        ("^1.2.3", ["1.2.3", "1.9.0"], ["2.0.0", "1.2.2"]),
        ("^0.2.3", ["0.2.9"], ["0.3.0"]),
        ("^0.0.3", ["0.0.3"], ["0.0.4"]),
        ("^0", ["0.9.9"], ["1.0.0"]),
        ("0.6.0", ["0.6.0"], ["0.7.0"]),
        ("~1.2.3", ["1.2.9"], ["1.3.0", "1.2.2"]),
        ("~1", ["1.9.0"], ["2.0.0"]),
        ("1.2.*", ["1.2.9"], ["1.3.0"]),
        ("1.*", ["1.9.0"], ["2.0.0"]),
        ("*", ["0.0.1", "9.9.9"], []),
        ("= 1.2.3", ["1.2.3"], ["1.2.4"]),
        ("= 1.2", ["1.2.4"], ["1.3.0"]),
        (">=0.8.0", ["0.8.0"], ["0.8.0-rc.1"]),
    ],
)
def test_a_requirement_means_what_cargo_means(requirement: str, inside: list[str], outside: list[str]) -> None:
    """For each operator, with versions that leave out numbers."""
    parsed = parse_requirement(requirement)

    assert parsed is not None
    assert [one for one in inside if not parsed.includes(_version(one))] == []
    assert [one for one in outside if parsed.includes(_version(one))] == []


@pytest.mark.parametrize("text", ["", ">= ", "1.2.3.4", "==1.2", ">= 1.0, ", "a" * 5_000])
def test_a_text_that_is_no_requirement_is_none(text: str) -> None:
    """It is never taken for one that holds."""
    assert parse_requirement(text) is None


def test_a_crate_is_affected_but_for_its_patched_versions() -> None:
    """Of no patched version, all are."""
    patched = parse_requirement(">= 1.4.1")
    assert patched is not None

    assert [CargoVersions((patched,)).includes(_version(one)) for one in ("1.4.0", "1.4.1")] == [True, False]
    assert CargoVersions(()).includes(_version("9.9.9"))
