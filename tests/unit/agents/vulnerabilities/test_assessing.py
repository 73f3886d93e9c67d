"""What an advisory means for a file: five answers, and never `absent` where a doubt is left."""

import dataclasses

import pytest

from agents.vulnerabilities.advisory import Advisory, AffectedPackage, Ecosystem, FaultyFunctions, UnreadableVersions
from agents.vulnerabilities.assessing import GoProgram, RustProgram, assess_go, assess_rust
from agents.vulnerabilities.cargo_audit import Crate
from agents.vulnerabilities.go_build import GoBuild, read_go_build
from agents.vulnerabilities.rust_code import RustCode
from agents.vulnerabilities.verdicts import (
    CannotTell,
    CodeAbsent,
    CodePresent,
    Doubt,
    NoFunctionsNamed,
    NotAffected,
    NotAffectedBecause,
)
from agents.vulnerabilities.version_rules import CargoVersions, OsvRanges, RangeEvent, parse_requirement
from agents.vulnerabilities.versions import Version

_PARSE = FaultyFunctions("example.com/lib/parse", ("Parse", "Reader.Next"))
_NAMES = ("main.main", "example.com/lib/parse.Parse", "example.com/lib/other.F", "runtime.main")
_WITHOUT = ("main.main", "example.com/lib/parse.Other", "runtime.main")


def _before(fixed: str) -> OsvRanges:
    return OsvRanges(((RangeEvent("introduced", None), RangeEvent("fixed", Version.parse(fixed))),))


def _advisory(*named: FaultyFunctions, name: str = "example.com/lib", fixed: str = "1.2.3") -> Advisory:
    return Advisory("GO-0000-0001", (), "", (AffectedPackage(Ecosystem.GO, name, _before(fixed), named),))


def _build(line: str = "dep\texample.com/lib\tv1.0.0", go_version: str = "go1.22.4") -> GoBuild:
    text = f"path\texample.com/app\nmod\texample.com/app\tv1.0.0\n{line}\nbuild\tGOOS=linux\nbuild\tGOARCH=amd64\n"
    build = read_go_build(go_version, text)
    assert isinstance(build, GoBuild)
    return build


def test_code_that_is_there_is_present() -> None:
    """With the symbols that are it."""
    answer = assess_go(_advisory(_PARSE), GoProgram.of(_build(), _NAMES))

    assert answer == CodePresent(("example.com/lib/parse.Parse",), ())


def test_code_that_a_complete_list_does_not_have_is_absent() -> None:
    """With the functions that were looked for."""
    answer = assess_go(_advisory(_PARSE), GoProgram.of(_build(), _WITHOUT))

    assert answer == CodeAbsent(("example.com/lib/parse.Parse", "example.com/lib/parse.Reader.Next"))


@pytest.mark.parametrize("gap", [Doubt.SYMBOL_TABLE, Doubt.PACKED, Doubt.NO_INDEX])
def test_a_list_of_code_that_is_not_complete_says_nothing(gap: Doubt) -> None:
    """But what it has is there."""
    gaps = frozenset((gap,))

    assert assess_go(_advisory(_PARSE), GoProgram.of(_build(), _WITHOUT, gaps)) == CannotTell((gap,), ())
    assert isinstance(assess_go(_advisory(_PARSE), GoProgram.of(_build(), _NAMES, gaps)), CodePresent)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("dep\texample.com/lib\tv1.2.3", NotAffectedBecause.VERSION),
        ("dep\texample.com/lib\tv1.0.0\n=>\texample.com/lib\tv1.4.0", NotAffectedBecause.VERSION),
        ("dep\texample.com/else\tv1.0.0", NotAffectedBecause.NOT_IN_FILE),
    ],
)
def test_another_version_or_module_is_not_affected(line: str, reason: NotAffectedBecause) -> None:
    """Whatever functions the file has."""
    names = (*_NAMES, "example.com/else.F")

    assert assess_go(_advisory(_PARSE), GoProgram.of(_build(line), names)) == NotAffected((reason,))


def test_a_withdrawn_advisory_affects_nobody() -> None:
    """Its authors took it back."""
    advisory = dataclasses.replace(_advisory(_PARSE), is_withdrawn=True)

    assert assess_go(advisory, GoProgram.of(_build(), _NAMES)) == NotAffected((NotAffectedBecause.WITHDRAWN,))


@pytest.mark.parametrize(
    ("field", "value", "is_there"),
    [("goos", "windows", False), ("goos", "linux", True), ("goarch", "386", False), ("goarch", "amd64", True)],
)
def test_a_fault_of_another_platform_is_not_there(field: str, value: str, *, is_there: bool) -> None:
    """The build says for which it was."""
    goos, goarch = (frozenset((value,)) if field == one else frozenset[str]() for one in ("goos", "goarch"))
    answer = assess_go(_advisory(dataclasses.replace(_PARSE, goos=goos, goarch=goarch)), GoProgram.of(_build(), _NAMES))

    assert isinstance(answer, CodePresent) is is_there
    assert is_there or answer == NotAffected((NotAffectedBecause.PLATFORM,))


def test_a_whole_package_is_there_with_any_of_its_functions() -> None:
    """An entry without functions means all of it."""
    whole = FaultyFunctions("example.com/lib/parse", ())
    there, gone = (GoProgram.of(_build(), names) for names in (_WITHOUT, ("example.com/lib/other.F",)))

    assert assess_go(_advisory(whole), there) == CodePresent(("example.com/lib/parse.Other",), ())
    assert assess_go(_advisory(whole), gone) == CodeAbsent(("example.com/lib/parse",))


def test_an_advisory_without_packages_names_nothing() -> None:
    """The version is all that is known."""
    assert assess_go(_advisory(), GoProgram.of(_build(), _NAMES)) == NoFunctionsNamed()


@pytest.mark.parametrize(
    "line",
    ["dep\texample.com/lib\t(devel)", "dep\texample.com/lib\tv1.2.3+dirty", "dep\texample.com/lib\tmaster"],
)
def test_in_an_unknown_version_functions_may_be_harmless(line: str) -> None:
    """They are shown; functions that are not there are absent all the same."""
    build = _build(line)

    assert assess_go(_advisory(_PARSE), GoProgram.of(build, _NAMES)) == CannotTell(
        (Doubt.VERSION_UNKNOWN,), ("example.com/lib/parse.Parse",)
    )
    assert isinstance(assess_go(_advisory(_PARSE), GoProgram.of(build, _WITHOUT)), CodeAbsent)


@pytest.mark.parametrize("replacement", ["../lib\t(devel)", "./lib\t", "example.com/fork\tv1.0.0"])
def test_changed_code_may_have_other_names(replacement: str) -> None:
    """It is absent only where the file has nothing of the package."""
    build = _build(f"dep\texample.com/lib\tv1.0.0\n=>\t{replacement}")
    answer = assess_go(_advisory(_PARSE), GoProgram.of(build, _WITHOUT))

    assert answer == CannotTell((Doubt.REPLACED,), ())
    assert isinstance(assess_go(_advisory(_PARSE), GoProgram.of(build, ("example.com/lib/other.F",))), CodeAbsent)


def test_an_advisory_of_a_fork_finds_the_path_that_it_replaced() -> None:
    """Its packages are in the file under the import path of the source."""
    named = FaultyFunctions("example.com/fork/parse", ("Parse",))
    build = _build("dep\texample.com/lib\tv1.0.0\n=>\texample.com/fork\tv1.0.0")
    answer = assess_go(_advisory(named, name="example.com/fork"), GoProgram.of(build, _NAMES))

    assert answer == CodePresent(("example.com/lib/parse.Parse",), ())


def test_without_build_information_nothing_is_absent() -> None:
    """Who hides names takes it away, too."""
    program = GoProgram.of(None, _WITHOUT)

    assert assess_go(_advisory(_PARSE), program) == CannotTell((Doubt.NO_BUILD_INFORMATION,), ())


def test_a_build_that_lists_no_modules_may_have_any() -> None:
    """Other builders than `go` write the version of Go alone, so that of the standard library is known."""
    build = read_go_build("go1.19.1", "")
    assert isinstance(build, GoBuild)
    program = GoProgram.of(build, (*_NAMES, "net/http.Serve"))
    of_go = _advisory(FaultyFunctions("net/http", ("Serve",)), name="stdlib", fixed="1.20.0")

    assert assess_go(_advisory(_PARSE), program) == CannotTell(
        (Doubt.NO_BUILD_INFORMATION,), ("example.com/lib/parse.Parse",)
    )
    assert isinstance(assess_go(of_go, program), CodePresent)


def test_modules_without_any_function_are_hidden_ones() -> None:
    """No name of theirs is in the file, though it was built from them."""
    answer = assess_go(_advisory(_PARSE), GoProgram.of(_build(), ("main.main", "a1b2c3.D4")))

    assert answer == CannotTell((Doubt.OBFUSCATED,), ())


def test_a_package_that_calls_c_has_code_that_go_does_not_list() -> None:
    """So a function that is not in Go's table may be C."""
    program = GoProgram.of(_build(), ("example.com/lib/parse._Cfunc_parse",))

    assert assess_go(_advisory(_PARSE), program) == CannotTell((Doubt.USES_C,), ())


def test_a_closure_without_its_package_is_a_doubt() -> None:
    """It may be all that is left of the function."""
    closure = "example.com/app.Run.Parse.func1"
    program = GoProgram.of(_build(), (*_WITHOUT, "example.com/app.Run", closure))

    assert assess_go(_advisory(_PARSE), program) == CannotTell((Doubt.CLOSURE,), (closure,))


def test_the_standard_librarys_own_copy_is_a_doubt() -> None:
    """Unless the advisory speaks of the standard library, too."""
    copy = "vendor/golang.org/x/net/idna.ToASCII"
    named = FaultyFunctions("golang.org/x/net/idna", ("ToASCII",))
    advisory = _advisory(named, name="golang.org/x/net")
    program = GoProgram.of(_build(), (*_NAMES, copy))
    of_go = AffectedPackage(Ecosystem.GO, "stdlib", _before("1.20.0"), (FaultyFunctions("net/http", ("F",)),))

    assert assess_go(advisory, program) == CannotTell((Doubt.VENDORED,), (copy,))
    both = dataclasses.replace(advisory, affected=(*advisory.affected, of_go))
    assert assess_go(both, program) == NotAffected((NotAffectedBecause.VERSION,))


@pytest.mark.parametrize(("go_version", "answer"), [("go1.19.9", CodePresent), ("go1.22-vendor", CannotTell)])
def test_the_standard_library_has_the_version_of_go(go_version: str, answer: type) -> None:
    """A vendor's build may have the fix."""
    advisory = _advisory(FaultyFunctions("net/http", ("Serve",)), name="stdlib", fixed="1.20.0")
    program = GoProgram.of(_build(go_version=go_version), (*_NAMES, "net/http.Serve"))

    assert isinstance(assess_go(advisory, program), answer)


@pytest.mark.parametrize(
    ("version", "custom", "expected"),
    [
        ("v1.0.0", _before("1.1.0"), CodePresent),
        ("v1.2.0", _before("1.1.0"), CannotTell),
        ("v1.2.0", UnreadableVersions("affected"), CannotTell),
        ("v1.2.4", _before("2.0.0"), CannotTell),
        ("v1.2.4", _before("1.1.0"), NotAffected),
        ("v1.2.4-0.20250101000000-0123456789ab", _before("4.0.0"), NotAffected),
        ("v1.1.1-0.20250101000000-0123456789ab", _before("1.1.0"), CannotTell),
    ],
)
def test_a_projects_own_versions_and_gos_must_agree(
    version: str, custom: OsvRanges | UnreadableVersions, expected: type
) -> None:
    """Where they do not, nobody can tell; a version that Go made is none of the project's."""
    affected = AffectedPackage(Ecosystem.GO, "example.com/lib", _before("1.2.3"), (_PARSE,), custom)
    advisory = Advisory("GO-0000-0001", (), "", (affected,))
    program = GoProgram.of(_build(f"dep\texample.com/lib\t{version}"), _NAMES)

    assert isinstance(assess_go(advisory, program), expected)


def _rust(function: str, *versions: str) -> Advisory:
    patched, *of_function = [parse_requirement(one) for one in (">= 1.2.0", *versions)]
    assert patched is not None
    named = FaultyFunctions("a-crate", (function,), versions=tuple(one for one in of_function if one is not None))
    affected = AffectedPackage(Ecosystem.CARGO, "a-crate", CargoVersions((patched,)), (named,))
    return Advisory("RUSTSEC-0000-0001", (), "", (affected,))


_RUST_NAMES = (("m1", "<a_crate::inner::Type<u8>>::f"), ("m2", "<x::Y as a_crate::Trait>::g"))


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        ("a_crate::Type::f", CodePresent(("m1",), (Doubt.MERGED_CODE,))),
        ("a_crate::Type::h", CannotTell((Doubt.MERGED_CODE,), ())),
        ("a_crate::Type", CannotTell((Doubt.NOT_A_FUNCTION,), ())),
        ("a_crate::mac!", CannotTell((Doubt.NOT_A_FUNCTION,), ())),
        ("a_crate::Trait::h", CannotTell((Doubt.MERGED_CODE, Doubt.NOT_A_FUNCTION), ())),
    ],
)
def test_a_crates_function_is_never_absent_from_an_affected_version(function: str, expected: object) -> None:
    """Code may have been merged into that of others, and a trait's function may be any type's."""
    program = RustProgram((Crate("a-crate", "1.0.0", "crates.io"),), RustCode(_RUST_NAMES))

    assert assess_rust(_rust(function), program) == expected


@pytest.mark.parametrize(
    ("versions", "expected"),
    [
        (("1.0.0",), CodePresent),
        (("1.2.0",), NotAffected),
        (("1.2.0", "1.1.0"), CodePresent),
        (("0.9.0",), NotAffected),
        (("?",), CannotTell),
        ((), NotAffected),
    ],
)
def test_each_version_of_a_crate_counts(versions: tuple[str, ...], expected: type) -> None:
    """A program may have several, and a function may be at fault in some only."""
    program = RustProgram(tuple(Crate("a-crate", one, "crates.io") for one in versions), RustCode(_RUST_NAMES))

    assert isinstance(assess_rust(_rust("a_crate::Type::f", ">= 1.0.0"), program), expected)


@pytest.mark.parametrize(
    ("crates", "doubt"),
    [
        (None, Doubt.NO_BUILD_INFORMATION),
        ((Crate("a-crate", "1.2.0", "git"),), Doubt.VERSION_UNKNOWN),
        ((Crate("a-crate", "1.2.0", "local"),), Doubt.VERSION_UNKNOWN),
    ],
)
def test_a_crate_of_unknown_code_is_never_out_of_question(crates: tuple[Crate, ...] | None, doubt: Doubt) -> None:
    """Most programs do not say their crates, and a repository may have any code under a version."""
    program = RustProgram(crates, RustCode(_RUST_NAMES))

    assert assess_rust(_rust("a_crate::Type::f"), program) == CannotTell((Doubt.MERGED_CODE, doubt), ("m1",))
