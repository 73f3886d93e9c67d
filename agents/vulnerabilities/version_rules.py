"""Which versions an advisory means: OSV's ranges of events, and RustSec's requirements as Cargo writes them."""

import re
from dataclasses import dataclass
from typing import Final, NamedTuple

from agents.vulnerabilities.versions import Version

MAX_EVENTS: Final = 4_096
"""Of one package in one advisory. Go's database has at most some 60."""


class RangeEvent(NamedTuple):
    """At a version an advisory begins to hold, or ends. `version` is None for OSV's `0`, which is before all others."""

    kind: str
    version: Version | None


@dataclass(frozen=True, slots=True)
class OsvRanges:
    """Versions by events in their order, and versions that are listed one by one (ossf.github.io/osv-schema)."""

    ranges: tuple[tuple[RangeEvent, ...], ...]
    listed: frozenset[str] = frozenset()

    def includes(self, version: Version) -> bool:
        """Whether a version is one of these."""
        return version.text in self.listed or any(_holds(events, version) for events in self.ranges)


def _holds(events: tuple[RangeEvent, ...], version: Version) -> bool:
    held = False
    for event in sorted(events, key=_order):
        at = event.version
        if event.kind == "introduced":
            held = held or at is None or version >= at
        elif at is None or version > at or (event.kind == "fixed" and version == at):
            held = False
    return held


def _order(event: RangeEvent) -> tuple[bool, Version, bool]:
    """By version; where one ends at the version at which the next begins, the end first."""
    version = event.version
    return version is not None, version or _ZERO, event.kind == "introduced"


_ZERO: Final = Version("0", (0, 0, 0), "", "")
_COMPARATOR: Final = re.compile(r"\s*(?P<operator>[<>]=?|=|\^|~)?\s*(?P<version>[0-9A-Za-z.+*-]+)\s*", re.ASCII)


class _Bounds(NamedTuple):
    """From `low` on, and before `high`; both ends count where their flag says it."""

    low: Version | None
    has_low: bool
    high: Version | None
    has_high: bool

    def include(self, version: Version) -> bool:
        """Whether a version lies between them."""
        is_above = self.low is None or version > self.low or (self.has_low and version == self.low)
        return is_above and (self.high is None or version < self.high or (self.has_high and version == self.high))


@dataclass(frozen=True, slots=True)
class CargoRequirement:
    """Versions for which all of its comparators hold, such as `>= 0.8.26, < 1.0.0`.

    Versions are compared in their plain order. Cargo leaves out most pre-releases when it chooses one; RustSec does not
    when it asks which are affected (rustsec/src/osv/ranges_for_advisory.rs).
    """

    text: str
    bounds: tuple[_Bounds, ...]

    def includes(self, version: Version) -> bool:
        """Whether a version is one of these."""
        return all(one.include(version) for one in self.bounds)


def parse_requirement(text: str) -> CargoRequirement | None:
    """The requirement in a text; None if the text is not one."""
    if len(text) > MAX_EVENTS:
        return None
    if text.strip() == "*":
        return CargoRequirement(text, ())
    bounds = [_bounds(one) for one in text.split(",")]
    kept = tuple(one for one in bounds if one is not None)
    return CargoRequirement(text, kept) if len(kept) == len(bounds) else None


def _bounds(comparator: str) -> _Bounds | None:
    found = _COMPARATOR.fullmatch(comparator)
    if found is None:
        return None
    text = found["version"].removesuffix(".*").removesuffix(".*")
    version = Version.parse(text)
    if version is None:
        return None
    return _between(found["operator"] or ("~" if text != found["version"] else "^"), version, text)


def _between(operator: str, version: Version, text: str) -> _Bounds:
    """What an operator says; of a version that leaves out its last numbers it means all that begin with it."""
    given = 3 if version.pre_release else text.split("+", maxsplit=1)[0].count(".") + 1
    match operator:
        case ">=":
            return _Bounds(version, has_low=True, high=None, has_high=False)
        case ">":
            low = version if given == 3 else _next(version, given)
            return _Bounds(low, has_low=given < 3, high=None, has_high=False)
        case "<":
            return _Bounds(None, has_low=False, high=version, has_high=False)
        case "<=":
            high = version if given == 3 else _next(version, given)
            return _Bounds(None, has_low=False, high=high, has_high=given == 3)
        case "=":
            high = version if given == 3 else _next(version, given)
            return _Bounds(version, has_low=True, high=high, has_high=given == 3)
        case "~":
            return _Bounds(version, has_low=True, high=_next(version, min(given, 2)), has_high=False)
        case _:
            first = next((at for at, number in enumerate(version.numbers, 1) if number), 3)
            return _Bounds(version, has_low=True, high=_next(version, min(first, given)), has_high=False)


def _next(version: Version, part: int) -> Version:
    """The version after all that agree with this one in their first `part` numbers."""
    major, minor, patch = version.numbers
    match part:
        case 1:
            numbers = (major + 1, 0, 0)
        case 2:
            numbers = (major, minor + 1, 0)
        case _:
            numbers = (major, minor, patch + 1)
    return Version(".".join(map(str, numbers)), numbers, "", "")


@dataclass(frozen=True, slots=True)
class CargoVersions:
    """All versions of a crate, but for those that are patched or never had the fault."""

    excluded: tuple[CargoRequirement, ...]

    def includes(self, version: Version) -> bool:
        """Whether a version is affected."""
        return not any(one.includes(version) for one in self.excluded)


VersionRule = OsvRanges | CargoVersions
