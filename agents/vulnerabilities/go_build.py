"""What a Go program was built from, as Go writes it into the file (runtime/debug.BuildInfo, its text form).

A line is a word, a tab and its values: `path`, `mod`, `dep` and, behind the module that it stands for, `=>`; `build`
has a setting as `KEY=value`. Go's own version stands beside the text.
"""

import enum
from dataclasses import dataclass
from typing import Final

from agents.vulnerabilities.versions import Version, go_release

STANDARD_LIBRARY: Final = "stdlib"
"""What Go's database calls the module of the standard library, and `toolchain` that of the `go` command and others."""
TOOLCHAIN: Final = "toolchain"

MAX_MODULES: Final = 20_000
"""Of one program. Kubernetes has some 300."""

_DEVELOPMENT: Final = frozenset(("(devel)", ""))
_NO_PACKAGE: Final = "command-line-arguments"


class UnknownVersion(enum.StrEnum):
    """Why it is not known which version of a module is in a file."""

    NO_BUILD_INFORMATION = "the file has no build information"
    DEVELOPMENT = "it was built from a folder, not from a version"
    DIRTY = "its files differed from the commit when it was built"
    LOCAL_FOLDER = "a folder replaced the module"
    OTHER_MODULE = "another module replaced it"
    UNREADABLE = "its version cannot be read"
    VENDORED = "the standard library has a copy of its own"


@dataclass(frozen=True, slots=True)
class GoModule:
    """A module of a program. Its packages keep the import path `path`, also where `replaced_by` gave the code."""

    path: str
    version: str
    replaced_by: tuple[str, str] | None = None

    def version_of(self, module: str) -> Version | UnknownVersion | None:
        """Which version of `module` this code is of; None if it belongs to another module."""
        if self.replaced_by is None:
            return _parsed(self.version) if module == self.path else None
        path, version = self.replaced_by
        if version in _DEVELOPMENT or path.startswith((".", "/")):
            return UnknownVersion.LOCAL_FOLDER if module == self.path else None
        if module == path:
            return _parsed(version)
        return UnknownVersion.OTHER_MODULE if module == self.path else None

    def package(self, module: str, path: str) -> str:
        """The import path under which this program has a package of `module`."""
        if module != self.path and (path == module or path.startswith(module + "/")):
            return self.path + path[len(module) :]
        return path


def _parsed(text: str) -> Version | UnknownVersion:
    if text in _DEVELOPMENT:
        return UnknownVersion.DEVELOPMENT
    version = Version.parse(text)
    if version is None:
        return UnknownVersion.UNREADABLE
    return UnknownVersion.DIRTY if version.is_dirty else version


@dataclass(frozen=True, slots=True)
class GoBuild:
    """Modules and settings of a program. `main_package` is what its package `main` is called where it is imported."""

    go_version: str
    main_package: str
    modules: tuple[GoModule, ...]
    settings: tuple[tuple[str, str], ...]

    def setting(self, name: str) -> str:
        """A setting of the build, such as GOOS; empty where it does not say it."""
        return next((value for key, value in self.settings if key == name), "")

    @property
    def knows_main_package(self) -> bool:
        """Whether the path of package `main` is known; it is not where files were built one by one."""
        return self.main_package not in {"", _NO_PACKAGE}

    @property
    def knows_modules(self) -> bool:
        """Whether it says what it was built from; other builders than `go` write the version of Go alone."""
        return bool(self.main_package or self.modules)

    @property
    def standard_library(self) -> Version | UnknownVersion:
        """The version of the standard library; a vendor's build of Go may have any fix in it."""
        return go_release(self.go_version) or UnknownVersion.UNREADABLE

    def found(self, module: str) -> list[tuple[GoModule, Version | UnknownVersion]]:
        """Where the code of a module is in this program, and in which version."""
        if module == STANDARD_LIBRARY or (module == TOOLCHAIN and self.main_package.startswith("cmd/")):
            return [(GoModule(module, self.go_version), self.standard_library)]
        found = [(one, one.version_of(module)) for one in self.modules]
        return [(one, version) for one, version in found if version is not None]


class GoBuildFault(enum.StrEnum):
    """Why a text is not build information."""

    NO_FIELDS = "a line has too few fields"
    NO_MODULE = "a replacement has no module before it"
    TOO_MANY = "it has more modules than a program may have"


@dataclass(frozen=True, slots=True)
class GoBuildRefusal:
    """A text that is not build information, and the line that is wrong, from 1."""

    fault: GoBuildFault
    line: int


def read_go_build(go_version: str, text: str) -> GoBuild | GoBuildRefusal:
    """The build that a text describes. Words that Go may add later are passed over, as Go does."""
    main_package = ""
    modules: list[GoModule] = []
    settings: list[tuple[str, str]] = []
    for number, line in enumerate(text.split("\n"), 1):
        word, *values = line.removesuffix("\r").split("\t")
        match word:
            case "path" if values:
                main_package = values[0]
            case "mod" | "dep":
                if len(values) < 2:
                    return GoBuildRefusal(GoBuildFault.NO_FIELDS, number)
                modules.append(GoModule(values[0], values[1]))
            case "=>":
                if len(values) < 2:
                    return GoBuildRefusal(GoBuildFault.NO_FIELDS, number)
                if not modules:
                    return GoBuildRefusal(GoBuildFault.NO_MODULE, number)
                modules[-1] = GoModule(modules[-1].path, modules[-1].version, (values[0], values[1]))
            case "build" if values:
                key, _, value = values[0].partition("=")
                settings.append((key, value.strip('"`')))
            case _:
                pass
        if len(modules) > MAX_MODULES:
            return GoBuildRefusal(GoBuildFault.TOO_MANY, number)
    return GoBuild(go_version, main_package, tuple(modules), tuple(settings))
