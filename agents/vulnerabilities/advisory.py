"""An advisory as all databases have it here: the packages, their versions, and the functions that it names."""

import enum
from dataclasses import dataclass
from typing import Final

from agents.vulnerabilities.version_rules import CargoRequirement, OsvRanges, VersionRule

MAX_NAMED: Final = 20_000
"""Functions that one advisory may name. The longest list in Go's database has some 1,500."""

MAX_TEXT_CHARS: Final = 4_096
"""Of a name or a path."""


class Ecosystem(enum.StrEnum):
    """Whose names and versions a package has, in OSV's words; distributions keep theirs as text."""

    GO = "Go"
    CARGO = "crates.io"
    C = "C"
    """Not one of OSV's: code that a record or a list of somebody's own names by package URL."""


@dataclass(frozen=True, slots=True)
class FaultyFunctions:
    """Functions of one Go package, crate or library that an advisory names; none of them means all of it.

    `goos` and `goarch` say where the fault exists; empty is everywhere. `versions` are those of the crate in which the
    functions have it; empty is all that the advisory means.
    """

    path: str
    functions: tuple[str, ...]
    goos: frozenset[str] = frozenset()
    goarch: frozenset[str] = frozenset()
    versions: tuple[CargoRequirement, ...] = ()


@dataclass(frozen=True, slots=True)
class UnreadableVersions:
    """Versions that nothing here can compare, and where the advisory has them."""

    where: str


@dataclass(frozen=True, slots=True)
class AffectedPackage:
    """A package with its affected versions. `named` is empty where the advisory says nothing of its code.

    `custom` are versions that the project has and Go does not know, from Go's `custom_ranges`.
    """

    ecosystem: str
    name: str
    versions: VersionRule | None
    named: tuple[FaultyFunctions, ...] = ()
    custom: OsvRanges | UnreadableVersions | None = None


@dataclass(frozen=True, slots=True)
class Advisory:
    """An advisory; `is_withdrawn` says that its authors took it back, `dated` when it was last changed, as it says."""

    advisory_id: str
    aliases: tuple[str, ...]
    summary: str
    affected: tuple[AffectedPackage, ...]
    is_withdrawn: bool = False
    licence: str = ""
    related: tuple[str, ...] = ()
    dated: str = ""


class AdvisoryFault(enum.StrEnum):
    """Why a text is not an advisory."""

    NOT_A_DOCUMENT = "it is not a document of this kind"
    FIELD_MISSING = "a field is missing"
    FIELD_TYPE = "a field has the wrong type"
    VERSION = "a version cannot be read"
    TOO_LARGE = "it names more than an advisory may"


@dataclass(frozen=True, slots=True)
class AdvisoryRefusal:
    """A text that cannot be used, with the field that is wrong."""

    fault: AdvisoryFault
    where: str
