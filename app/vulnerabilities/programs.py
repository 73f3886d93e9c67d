"""The files of a symbol store as an assessment needs them: what they were built from, and their functions."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from packageurl import PackageURL

from agents.symbols.function_names import FunctionNames
from agents.symbols.index import SymbolIndex
from agents.symbols.index_format import Segment, SymbolOrigin
from agents.vulnerabilities.advisory import Advisory, Ecosystem
from agents.vulnerabilities.assessing import GoProgram, RustProgram, assess_go, assess_rust
from agents.vulnerabilities.c_code import CFile, assess_c
from agents.vulnerabilities.cargo_audit import REGISTRY, Crate
from agents.vulnerabilities.file_packages import FilePackages
from agents.vulnerabilities.rust_code import RustCode
from agents.vulnerabilities.verdicts import Assessment, Doubt
from app.symbols.limited_process import LimitedProcess, NoAnswer
from app.symbols.snapshot import ObjectKind
from app.symbols.store import SymbolStore

_GO_LIST: Final = SymbolOrigin.GOPCLNTAB | SymbolOrigin.GO_INLINE_TREE
_V0: Final = "_R"
_LEGACY: Final = "17h"
_RUST: Final = re.compile(r"_R[0-9]*[CMXYNIB].+|_ZN.*17h[0-9a-f]{16}E(?:\..*)?", re.DOTALL)
"""RFC 2603, and the form before it: a name of C++ with a hash at its end."""
_DEMANGLE_SECONDS: Final = 5.0
_MAX_NAMES: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class PlacedFile:
    """Where a map has a file: its scope (`image:ID` or `node:NAME`) and its path there."""

    scope: str
    path: str


class StoredProgram:
    """A file of the store, by build id, that may be a Go or a Rust program."""

    def __init__(self, store: SymbolStore, build_id: str, places: tuple[PlacedFile, ...]) -> None:
        """Raises SymbolStoreError if its index or what is kept beside it is damaged."""
        self.build_id = build_id
        self.places = places
        self.is_ambiguous = build_id in store.ambiguous
        self.layouts = store.layouts(build_id)
        self.packages = store.packages(build_id)
        index = store.index(build_id)
        assert index is not None  # programs() asks for build ids of indexes only
        self.index: SymbolIndex = index
        self.names = FunctionNames(index)

    @property
    def segments(self) -> tuple[Segment, ...]:
        """Its segments of code, as its index has them."""
        return self.index.segments

    def assess(self, advisory: Advisory) -> Assessment | None:
        """What an advisory means for it; None where it is of an ecosystem that the file has nothing of."""
        ecosystems = {one.ecosystem for one in advisory.affected}
        if Ecosystem.GO in ecosystems and self.go is not None:
            return assess_go(advisory, self.go)
        if Ecosystem.CARGO in ecosystems and self.rust is not None:
            return assess_rust(advisory, self.rust)
        if Ecosystem.C in ecosystems:
            return assess_c(advisory, self.c)
        return None

    @cached_property
    def go(self) -> GoProgram | None:
        """The file as a Go program; None if it is not one."""
        build = None if self.packages is None else self.packages.go
        if build is None and SymbolOrigin.GOPCLNTAB not in self.index.origins:
            return None
        gaps = set(self._gaps())
        if self.index.origins & _GO_LIST != _GO_LIST:
            gaps.add(Doubt.SYMBOL_TABLE)
        return GoProgram.of(build, self.names.all_names(), frozenset(gaps))

    @cached_property
    def rust(self) -> RustProgram | None:
        """The file as a Rust program; None if it is not one. No debug information makes a list of its code complete."""
        packages = self.packages
        crates = None if packages is None else packages.crates
        names = list(_demangled([*self.names.names_with(_LEGACY), *self.names.names_starting_with(_V0)]))
        if not names and crates is None:
            return None
        listed = () if packages is None else tuple(_listed_crates(packages))
        return RustProgram(crates, RustCode(names), frozenset(self._gaps()), listed)

    @cached_property
    def c(self) -> CFile:
        """The file as one of C code. Only DWARF of all of its code makes the list of its functions complete."""
        urls = () if self.packages is None else (*self.packages.owners, *self.packages.listed)
        gaps = set(self._gaps())
        if not self.names.inline_knowledge.is_whole:
            gaps.add(Doubt.SYMBOL_TABLE)
        return CFile(urls, self.names.knows, frozenset(gaps))

    def _gaps(self) -> Iterator[Doubt]:
        if self.is_ambiguous:
            yield Doubt.NO_INDEX
        if self.packages is not None and self.packages.is_packed:
            yield Doubt.PACKED


def programs(store: SymbolStore, build_ids: Iterable[str] = ()) -> Iterator[StoredProgram]:
    """The files of a store, or those of these build ids, in order of their build ids. Raises SymbolStoreError."""
    wanted = set(build_ids)
    places = _places(store)
    for build_id in sorted(store.snapshot.of_kind(ObjectKind.INDEX)):
        if not wanted or build_id in wanted:
            yield StoredProgram(store, build_id, tuple(sorted(places.get(build_id, ()), key=_by_place)))


def _by_place(place: PlacedFile) -> tuple[str, str]:
    return place.scope, place.path


def _places(store: SymbolStore) -> Mapping[str, set[PlacedFile]]:
    """Where maps have files today, by build id."""
    found: dict[str, set[PlacedFile]] = {}
    for scope, digest in store.snapshot.of_kind(ObjectKind.MODULES).items():
        for path, files in store.read_module_map(digest).items():
            found.setdefault(files[-1].build_id, set()).add(PlacedFile(scope, path))
    return found


def _listed_crates(packages: FilePackages) -> Iterator[Crate]:
    """Crates that a bill of materials has for a file. They may not be all, so none is absent."""
    for text in packages.listed:
        if text.startswith("pkg:cargo/"):
            url = PackageURL.from_string(text)
            yield Crate(url.name, url.version or "", REGISTRY)


def _demangled(names: list[str]) -> Iterator[tuple[str, str]]:
    """Those of the names that are Rust's, with their demangled forms.

    In a process of its own, because a name may be made to take all memory. A name that takes too much of it stays.
    """
    process = LimitedProcess("app.symbols.demangler", seconds=_DEMANGLE_SECONDS, max_requests=_MAX_NAMES)
    try:
        for name in filter(_RUST.fullmatch, names):
            answer = process.ask({"symbol": name})
            if isinstance(answer, NoAnswer):
                yield name, name
            elif answer["name"]:
                yield name, answer["name"]
    finally:
        process.end()
