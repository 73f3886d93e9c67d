"""What a Go program says of the modules that it was built from."""

import pytest

from agents.vulnerabilities.go_build import (
    GoBuild,
    GoBuildFault,
    GoBuildRefusal,
    UnknownVersion,
    read_go_build,
)
from agents.vulnerabilities.versions import Version

_TEXT = """path\texample.com/app/cmd/tool
mod\texample.com/app\t(devel)\t
dep\texample.com/plain\tv1.2.3\th1:AAAA=
dep\texample.com/pinned\tv1.0.0
=>\texample.com/pinned\tv1.5.0\th1:BBBB=
dep\texample.com/forked\tv1.0.0
=>\texample.com/fork\tv2.0.0\th1:CCCC=
dep\texample.com/local\tv1.0.0
=>\t../local\t(devel)\t
dep\texample.com/odd\tmaster
dep\texample.com/dirty\tv1.0.0+dirty
build\tGOARCH=amd64
build\tGOOS=linux
build\t-ldflags="-s -w"
later\tsomething
"""


def _build(go_version: str = "go1.22.4") -> GoBuild:
    build = read_go_build(go_version, _TEXT)
    assert isinstance(build, GoBuild)
    return build


@pytest.mark.parametrize(
    ("module", "version"),
    [
        ("example.com/app", UnknownVersion.DEVELOPMENT),
        ("example.com/plain", Version.parse("v1.2.3")),
        ("example.com/pinned", Version.parse("v1.5.0")),
        ("example.com/forked", UnknownVersion.OTHER_MODULE),
        ("example.com/fork", Version.parse("v2.0.0")),
        ("example.com/local", UnknownVersion.LOCAL_FOLDER),
        ("example.com/odd", UnknownVersion.UNREADABLE),
        ("example.com/dirty", UnknownVersion.DIRTY),
        ("stdlib", Version.parse("1.22.4")),
    ],
)
def test_a_module_has_the_version_of_the_code_that_is_in_the_file(module: str, version: object) -> None:
    """A replacement gives the code, and a reason stands where nobody knows the version."""
    assert [one for _, one in _build().found(module)] == [version]


@pytest.mark.parametrize("module", ["example.com/none", "example.com/plain/v2", "toolchain"])
def test_a_module_that_is_not_in_the_file_is_not_found(module: str) -> None:
    """Nor is the toolchain, in a program that is none of it."""
    assert _build().found(module) == []


def test_gos_own_commands_are_of_the_toolchain() -> None:
    """Known by their path."""
    build = read_go_build("go1.22.4", "path\tcmd/go\n")

    assert isinstance(build, GoBuild)
    assert [version for _, version in build.found("toolchain")] == [Version.parse("1.22.4")]


def test_a_replaced_module_keeps_its_import_path() -> None:
    """Symbols have the path of the source, whoever gave the code."""
    ((module, _),) = _build().found("example.com/fork")

    assert module.package("example.com/fork", "example.com/fork/deep/p") == "example.com/forked/deep/p"
    assert module.package("example.com/fork", "example.com/forks/p") == "example.com/forks/p"


def test_settings_are_read_without_their_quotes() -> None:
    """And a setting that is not there is empty."""
    build = _build()

    assert [build.setting(name) for name in ("GOOS", "-ldflags", "CGO_ENABLED")] == ["linux", "-s -w", ""]


def test_files_that_were_built_one_by_one_have_no_path() -> None:
    """What Go writes then is not a path."""
    build = read_go_build("go1.22.4", "path\tcommand-line-arguments\n")

    assert isinstance(build, GoBuild)
    assert not build.knows_main_package


@pytest.mark.parametrize(
    ("text", "fault", "line"),
    [
        ("path\ta\ndep\tb\n", GoBuildFault.NO_FIELDS, 2),
        ("=>\ta\tv1.0.0\n", GoBuildFault.NO_MODULE, 1),
        ("dep\ta\tv1.0.0\n" * 20_001, GoBuildFault.TOO_MANY, 20_001),
    ],
)
def test_a_wrong_line_is_named(text: str, fault: GoBuildFault, line: int) -> None:
    """By its number."""
    assert read_go_build("go1.22.4", text) == GoBuildRefusal(fault, line)
