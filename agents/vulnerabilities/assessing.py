"""Decides what an advisory means for one file, from its packages, their versions and the list of its code.

Of several packages, modules or functions the worst counts: code that is there, then doubts, then an advisory without
functions, then code that is absent, then a version that is not affected.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, Self

from agents.vulnerabilities.advisory import (
    Advisory,
    AffectedPackage,
    Ecosystem,
    FaultyFunctions,
    UnreadableVersions,
)
from agents.vulnerabilities.cargo_audit import REGISTRY, Crate
from agents.vulnerabilities.go_build import STANDARD_LIBRARY, TOOLCHAIN, GoBuild, GoModule, UnknownVersion
from agents.vulnerabilities.go_code import FoundFunctions, GoCode
from agents.vulnerabilities.rust_code import RustCode, named_path
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
from agents.vulnerabilities.versions import Version

_OTHER_CODE: Final = frozenset((UnknownVersion.LOCAL_FOLDER, UnknownVersion.OTHER_MODULE))


@dataclass(frozen=True, slots=True)
class GoProgram:
    """A Go program: how it was built (None if it does not say), its functions, and why their list is not complete."""

    build: GoBuild | None
    code: GoCode
    gaps: frozenset[Doubt] = frozenset()

    @classmethod
    def of(cls, build: GoBuild | None, names: Iterable[str], gaps: frozenset[Doubt] = frozenset()) -> Self:
        """A program by all names of its function table and inline trees.

        Tools that hide names (garble) take away the build information, or leave modules of which no function has its
        name. Which functions are absent from such a file nobody can tell.
        """
        code = GoCode(names, build.main_package if build is not None and build.knows_main_package else "")
        if build is None or not build.knows_modules:
            return cls(build, code, gaps | {Doubt.NO_BUILD_INFORMATION})
        dependencies = [one.path for one in build.modules[1:]]
        if dependencies and not any(map(code.has_module, dependencies)):
            return cls(build, code, gaps | {Doubt.OBFUSCATED})
        return cls(build, code, gaps)


@dataclass(frozen=True, slots=True)
class RustProgram:
    """A Rust program: its crates (None if nothing says them) and its functions, of which no list is complete.

    `listed` are crates that somebody else says, and they may not be all.
    """

    crates: tuple[Crate, ...] | None
    code: RustCode
    gaps: frozenset[Doubt] = frozenset()
    listed: tuple[Crate, ...] = ()


@dataclass(slots=True)
class _Findings:
    """What was found of all packages of an advisory."""

    not_affected: set[NotAffectedBecause] = field(default_factory=set)
    looked_for: set[str] = field(default_factory=set)
    symbols: set[str] = field(default_factory=set)
    maybe: set[str] = field(default_factory=set)
    doubts: set[Doubt] = field(default_factory=set)
    names_nothing: bool = False

    def add_symbols(self, found: FoundFunctions, why_maybe: Doubt, *, version_doubt: Doubt | None) -> None:
        """Take what was found of a function; in a version that may not be affected nothing is sure."""
        if version_doubt is not None and found.sure:
            self.doubts.add(version_doubt)
            self.maybe |= found.sure
        else:
            self.symbols |= found.sure
        if found.maybe and not found.sure:
            self.doubts.add(why_maybe)
            self.maybe |= found.maybe

    def assessment(self) -> Assessment:
        """The worst of it."""
        doubts = tuple(sorted(self.doubts))
        if self.symbols:
            return CodePresent(tuple(sorted(self.symbols)), doubts)
        if self.doubts:
            return CannotTell(doubts, tuple(sorted(self.maybe)))
        if self.names_nothing:
            return NoFunctionsNamed()
        if self.looked_for:
            return CodeAbsent(tuple(sorted(self.looked_for)))
        return NotAffected(tuple(sorted(self.not_affected or {NotAffectedBecause.NOT_IN_FILE})))


def assess_go(advisory: Advisory, program: GoProgram) -> Assessment:
    """What an advisory means for a Go program."""
    if advisory.is_withdrawn:
        return NotAffected((NotAffectedBecause.WITHDRAWN,))
    findings = _Findings()
    of_go = any(one.name == STANDARD_LIBRARY for one in advisory.affected)
    for affected in advisory.affected:
        if affected.ecosystem != Ecosystem.GO:
            continue
        for module, version in _modules(affected, program):
            doubt = _go_version_doubt(affected, version)
            if isinstance(doubt, NotAffectedBecause):
                findings.not_affected.add(doubt)
            else:
                _look_in_go(affected, module, doubt, program, findings)
                if version in _OTHER_CODE:
                    _look_in_replaced(affected, module, program, findings)
        if not of_go and affected.name not in {STANDARD_LIBRARY, TOOLCHAIN}:
            _look_in_vendored(affected, program, findings)
    return findings.assessment()


def _modules(affected: AffectedPackage, program: GoProgram) -> list[tuple[GoModule, Version | UnknownVersion]]:
    """Where the code of an affected module may be in a program: anywhere if nothing says what it was built from."""
    build = program.build
    if build is not None and (build.knows_modules or affected.name in {STANDARD_LIBRARY, TOOLCHAIN}):
        return build.found(affected.name)
    return [] if affected.name == TOOLCHAIN else [(GoModule(affected.name, ""), UnknownVersion.NO_BUILD_INFORMATION)]


def _go_version_doubt(
    affected: AffectedPackage, version: Version | UnknownVersion
) -> Doubt | NotAffectedBecause | None:
    """None if a version is affected for sure.

    A pseudo-version is none of the project's own, so `custom_ranges` say nothing to make it safe or unsafe alone.
    """
    if affected.versions is None:
        return Doubt.NO_VERSION
    if isinstance(version, UnknownVersion):
        is_unknown = version is UnknownVersion.NO_BUILD_INFORMATION
        return Doubt.NO_BUILD_INFORMATION if is_unknown else Doubt.VERSION_UNKNOWN
    is_affected, custom = affected.versions.includes(version), affected.custom
    if custom is None or (version.is_pseudo and not is_affected):
        return None if is_affected else NotAffectedBecause.VERSION
    if isinstance(custom, UnreadableVersions) or custom.includes(version) is not is_affected:
        return Doubt.CUSTOM_VERSIONS
    return None if is_affected else NotAffectedBecause.VERSION


def _look_in_go(
    affected: AffectedPackage, module: GoModule, doubt: Doubt | None, program: GoProgram, findings: _Findings
) -> None:
    if not affected.named:
        if doubt is None:
            findings.names_nothing = True
        else:
            findings.doubts.add(doubt)
        return
    here = [one for one in affected.named if _is_of_platform(one, program.build)]
    if not here:
        findings.not_affected.add(NotAffectedBecause.PLATFORM)
    of_go = affected.name == STANDARD_LIBRARY
    for named in here:
        path = module.package(affected.name, named.path)
        findings.looked_for |= {f"{path}.{one}" for one in named.functions} or {path}
        if not named.functions:
            found = program.code.whole_package(path, of_go=of_go)
            findings.add_symbols(found, Doubt.ONLY_TYPES, version_doubt=doubt)
        for function in named.functions:
            found = program.code.functions(path, function, of_go=of_go)
            findings.add_symbols(found, Doubt.CLOSURE, version_doubt=doubt)
        if not of_go and program.code.uses_c(path):
            findings.doubts.add(Doubt.USES_C)
    if here:
        findings.doubts |= program.gaps


def _look_in_replaced(affected: AffectedPackage, module: GoModule, program: GoProgram, findings: _Findings) -> None:
    """A copy that somebody changed may have the same code under other names, where it has the package at all."""
    for named in affected.named:
        found = program.code.whole_package(module.package(affected.name, named.path))
        if found.sure or found.maybe:
            findings.doubts.add(Doubt.REPLACED)


def _look_in_vendored(affected: AffectedPackage, program: GoProgram, findings: _Findings) -> None:
    """Look into the copies that the standard library has of some packages of golang.org/x."""
    for named in affected.named:
        if not program.code.vendored_by_go(named.path) or not _is_of_platform(named, program.build):
            continue
        found: set[str] = set()
        for function in named.functions:
            found |= program.code.functions(f"vendor/{named.path}", function).sure
        if not named.functions:
            found |= program.code.whole_package(f"vendor/{named.path}").sure
        if found:
            findings.doubts.add(Doubt.VENDORED)
            findings.maybe |= found


def _is_of_platform(named: FaultyFunctions, build: GoBuild | None) -> bool:
    if build is None:
        return True
    pairs = ((named.goos, build.setting("GOOS")), (named.goarch, build.setting("GOARCH")))
    return all(not meant or not built or built in meant for meant, built in pairs)


def assess_rust(advisory: Advisory, program: RustProgram) -> Assessment:
    """What an advisory means for a Rust program."""
    if advisory.is_withdrawn:
        return NotAffected((NotAffectedBecause.WITHDRAWN,))
    findings = _Findings()
    for affected in advisory.affected:
        if affected.ecosystem != Ecosystem.CARGO:
            continue
        for version in _crate_versions(affected.name, program):
            if affected.versions is None:
                _look_in_rust(affected, None, Doubt.NO_VERSION, program, findings)
            elif isinstance(version, Doubt):
                _look_in_rust(affected, None, version, program, findings)
            elif affected.versions.includes(version):
                _look_in_rust(affected, version, None, program, findings)
            else:
                findings.not_affected.add(NotAffectedBecause.VERSION)
    return findings.assessment()


def _crate_versions(name: str, program: RustProgram) -> list[Version | Doubt]:
    """The versions of a crate in a program, which may have several.

    A crate from a folder or a repository may have any code under its version.
    """
    crates = program.listed if program.crates is None else program.crates
    if program.crates is None and all(one.name != name for one in crates):
        return [Doubt.NO_BUILD_INFORMATION]
    return [
        (Version.parse(one.version) if one.source == REGISTRY else None) or Doubt.VERSION_UNKNOWN
        for one in crates
        if one.name == name
    ]


def _look_in_rust(
    affected: AffectedPackage, version: Version | None, doubt: Doubt | None, program: RustProgram, findings: _Findings
) -> None:
    named = [one for one in affected.named if _is_in_versions(one, version)]
    if not affected.named:
        if doubt is None:
            findings.names_nothing = True
        else:
            findings.doubts.add(doubt)
        return
    if not named:
        findings.not_affected.add(NotAffectedBecause.VERSION)
    for function in (function for one in named for function in one.functions):
        findings.looked_for.add(function)
        path = named_path(function)
        if path is None or program.code.is_trait(path):
            findings.doubts.add(Doubt.NOT_A_FUNCTION)
        if path is None:
            continue
        found = program.code.functions(path)
        findings.add_symbols(found, Doubt.OTHER_CRATE, version_doubt=doubt)
        findings.doubts.add(Doubt.MERGED_CODE)
    if named:
        findings.doubts |= program.gaps


def _is_in_versions(named: FaultyFunctions, version: Version | None) -> bool:
    return version is None or not named.versions or any(one.includes(version) for one in named.versions)
