"""What is known of a file beside its functions: what it was built from, which packages own it, and its digests.

It is kept beside the file's index, by build id. Several files may have one build id, such as a program and its stripped
copy, so digests are a list, each with where that file has its code.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, Final, Self
from urllib.parse import unquote

from packageurl import PackageURL

from agents.symbols.build_ids import BuildIdKind
from agents.symbols.index_format import Segment
from agents.vulnerabilities.advisory import AdvisoryFault, AdvisoryRefusal
from agents.vulnerabilities.cargo_audit import REGISTRY, Crate
from agents.vulnerabilities.fields import Fields, RefusedFieldError
from agents.vulnerabilities.go_build import STANDARD_LIBRARY, GoBuild, GoModule
from agents.vulnerabilities.go_code import split_symbol

MAX_DIGESTS: Final = 64
"""Files of one build id that are counted apart; a program, its stripped copy, and some that a tool changed."""


LOCAL_FOLDER: Final = "."
"""What stands for a folder that replaced a module: its path may have somebody's name in it."""

_MAIN: Final = "main"
GO_DIFFERS: Final = "files of this build id have different build information"
CRATES_DIFFER: Final = "files of this build id have different crates"

_KEPT_SETTINGS: Final = frozenset(("GOOS", "GOARCH", "CGO_ENABLED"))
"""Others may have texts that were put into the program, such as `-ldflags`."""


def without_private(go: GoBuild) -> GoBuild:
    """A build as it may be kept: without folders of the machine on which it was made, and without free texts."""
    modules = tuple(
        replace(one, replaced_by=(LOCAL_FOLDER, ""))
        if one.replaced_by is not None and one.replaced_by[0].startswith((".", "/"))
        else one
        for one in go.modules
    )
    return replace(go, modules=modules, settings=tuple(one for one in go.settings if one[0] in _KEPT_SETTINGS))


@dataclass(frozen=True, slots=True, order=True)
class FileContent:
    """One file with a build id: SHA-256 of all of it, and its segments of code (file offset, bytes, address)."""

    sha256: str
    segments: tuple[tuple[int, int, int], ...]

    def layout(self) -> tuple[Segment, ...]:
        """Its segments as an index has them."""
        return tuple(Segment(*one) for one in self.segments)


@dataclass(frozen=True, slots=True)
class FilePackages:
    """What was found of the files of a build id.

    `owners` are packages of a distribution and `listed` those that a bill of materials has for the file, as package
    URLs. `unread` says what the file has and nobody could read, and `is_packed` that it unpacks its code when it runs.
    """

    build_id_kind: BuildIdKind
    contents: tuple[FileContent, ...] = ()
    go: GoBuild | None = None
    crates: tuple[Crate, ...] | None = None
    owners: tuple[str, ...] = ()
    listed: tuple[str, ...] = ()
    is_packed: bool = False
    unread: tuple[str, ...] = ()

    def joined(self, other: "FilePackages") -> "FilePackages":
        """What is known when another file of the build id was read, too, or the same one again.

        Where two files of one build id say something else, nothing is known.
        """
        segments = {one.sha256: one for one in (*other.contents, *self.contents)}
        unread = _sorted((*self.unread, *other.unread))
        if None not in (self.go, other.go) and self.go != other.go:
            unread = _sorted((*unread, GO_DIFFERS))
        if None not in (self.crates, other.crates) and self.crates != other.crates:
            unread = _sorted((*unread, CRATES_DIFFER))
        return replace(
            other,
            contents=tuple(sorted(segments.values()))[:MAX_DIGESTS],
            go=None if GO_DIFFERS in unread else other.go or self.go,
            crates=None if CRATES_DIFFER in unread else self.crates if other.crates is None else other.crates,
            unread=unread,
            owners=_sorted((*self.owners, *other.owners)),
            listed=_sorted((*self.listed, *other.listed)),
            is_packed=self.is_packed or other.is_packed,
        )

    def package_urls(self) -> tuple[str, ...]:
        """All packages as package URLs: those that it was built from, that own it, and that were listed for it."""
        built = [_go_url(one) for one in self.go.modules] if self.go is not None else []
        if self.go is not None and self.go.go_version:
            built.append(
                PackageURL("golang", None, STANDARD_LIBRARY, self.go.go_version.removeprefix("go")).to_string()
            )
        built += [_crate_url(one) for one in self.crates or () if one.name.strip("/")]
        return _sorted((*built, *self.owners, *self.listed))

    def module_of(self, symbol: str) -> str:
        """The package URL of the Go module that a function is of; empty where nothing says it for sure.

        A closure may be that of a function of another module, which was inlined around it.
        """
        name = split_symbol(symbol)
        if self.go is None or not name.package or name.is_closure:
            return ""
        path = unquote(name.package)
        if path == _MAIN:
            return _go_url(self.go.modules[0]) if self.go.knows_main_package and self.go.modules else ""
        holding = [one for one in self.go.modules if path == one.path or path.startswith(f"{one.path}/")]
        return _go_url(max(holding, key=lambda one: len(one.path))) if holding else ""

    def encoded(self) -> bytes:
        """As it is kept: the same bytes for the same packages."""
        go = self.go
        document = {
            "build_id_kind": self.build_id_kind.value,
            "contents": [
                {"sha256": one.sha256, "segments": [_numbers(part) for part in one.segments]} for one in self.contents
            ],
            "go": None if go is None else _go_document(go),
            "crates": None if self.crates is None else [_crate_document(one) for one in self.crates],
            "owners": list(self.owners),
            "listed": list(self.listed),
            "is_packed": self.is_packed,
            "unread": list(self.unread),
        }
        return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()

    @classmethod
    def decoded(cls, content: bytes) -> Self | AdvisoryRefusal:
        """What was kept so, or the field that is wrong."""
        try:
            fields = Fields(json.loads(content), "")
            return cls(
                build_id_kind=BuildIdKind(fields.text("build_id_kind")),
                contents=tuple(_content(one) for one in fields.objects("contents")),
                go=_go_build(fields.inner("go")) if fields.has("go") else None,
                crates=tuple(_crate(one) for one in fields.objects("crates")) if fields.has("crates") else None,
                owners=fields.texts("owners"),
                listed=fields.texts("listed"),
                is_packed=fields.flag("is_packed"),
                unread=fields.texts("unread"),
            )
        except RefusedFieldError as error:
            return error.refusal
        except (ValueError, RecursionError):
            return AdvisoryRefusal(AdvisoryFault.NOT_A_DOCUMENT, "the packages of a file")


def _sorted(texts: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(set(texts)))


def _numbers(segment: tuple[int, int, int]) -> str:
    return ":".join(map(str, segment))


def _content(fields: Fields) -> FileContent:
    segments = tuple(tuple(map(int, one.split(":"))) for one in fields.texts("segments"))
    if any(len(one) != 3 for one in segments):
        raise RefusedFieldError(AdvisoryFault.FIELD_TYPE, fields.place("segments"))
    return FileContent(fields.text("sha256"), tuple((first, size, address) for first, size, address in segments))


def _go_document(go: GoBuild) -> dict[str, Any]:
    modules = []
    for one in go.modules:
        path, version = one.replaced_by or ("", "")
        modules.append({"path": one.path, "version": one.version, "new_path": path, "new_version": version})
    settings = [{"name": name, "value": value} for name, value in go.settings]
    return {"version": go.go_version, "main": go.main_package, "modules": modules, "settings": settings}


def _go_build(fields: Fields) -> GoBuild:
    modules = []
    for one in fields.objects("modules"):
        new = one.text("new_path"), one.text("new_version")
        modules.append(GoModule(one.text("path"), one.text("version"), new if any(new) else None))
    settings = tuple((one.text("name"), one.text("value")) for one in fields.objects("settings"))
    return GoBuild(fields.text("version"), fields.text("main"), tuple(modules), settings)


def _crate_document(crate: Crate) -> dict[str, str]:
    return {"name": crate.name, "version": crate.version, "source": crate.source}


def _crate(fields: Fields) -> Crate:
    return Crate(fields.text("name"), fields.text("version"), fields.text("source"))


def _go_url(module: GoModule) -> str:
    """A module that a folder replaced has no version that others could look up."""
    path, version = module.replaced_by or (module.path, module.version)
    if path == LOCAL_FOLDER:
        path, version = module.path, ""
    namespace, _, name = path.strip("/").rpartition("/")
    return PackageURL("golang", namespace or None, name or "unnamed", version or None).to_string()


def _crate_url(crate: Crate) -> str:
    """A crate that is not from the registry says where it is from."""
    qualifiers = {} if crate.source == REGISTRY or not crate.source else {"repository_url": crate.source}
    return PackageURL("cargo", None, crate.name, crate.version or None, qualifiers).to_string()
