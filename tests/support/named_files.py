"""Files with names, as a watch asks a symbol store for them, without a store."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import NamedTuple

from agents.hot_symbols.watch.files import FileNames, NoNames
from agents.hot_symbols.watch.watch import Watch
from agents.hot_symbols.watch.watched_code import WatchedCode, watched_codes


class ListedCode(NamedTuple):
    """Code at an address, and its names."""

    address: int
    names: tuple[str, ...]
    frame_symbol: str | None
    is_resolver: bool = False


class ListedCopy(NamedTuple):
    """A copy inside another function."""

    host: str | None


class Copies(NamedTuple):
    """Whether all copies are known."""

    is_whole: bool


ALL_KNOWN = Copies(is_whole=True)


@dataclass(frozen=True)
class ListedNames:
    """The names of one file: of each code, those of IFUNCs with what they choose among, and where functions went."""

    listed: Sequence[Sequence[str]] = ()
    chosen: Mapping[str, Sequence[str]] = field(default_factory=dict)
    inlined: Mapping[str, Sequence[str]] = field(default_factory=dict)
    inline_knowledge: Copies = ALL_KNOWN

    def knows(self, name: str) -> bool:
        """Whether it is listed."""
        return name in self.all_names()

    def codes(self, name: str) -> Sequence[ListedCode]:
        """Addresses are numbers of the list."""
        own = [
            ListedCode(address, tuple(names), names[0]) for address, names in enumerate(self.listed) if name in names
        ]
        return [*own, *([ListedCode(-1, (name,), name, is_resolver=True)] if name in self.chosen else [])]

    def copies(self, name: str) -> Sequence[ListedCopy]:
        """As listed."""
        return [ListedCopy(host) for host in self.inlined.get(name, ())]

    def has_lost_copies(self, _name: str) -> bool:
        """None here."""
        return False

    def implementations(self, name: str) -> Sequence[str]:
        """As listed."""
        return self.chosen.get(name, ())

    def all_names(self) -> Iterable[str]:
        """Of all kinds."""
        return sorted({*(name for names in self.listed for name in names), *self.chosen, *self.inlined})

    def long_names(self, min_chars: int) -> Iterable[str]:
        """Of all kinds."""
        return [name for name in self.all_names() if len(name) >= min_chars]

    def names_with(self, word: str) -> Iterable[str]:
        """Of all kinds."""
        return [name for name in self.all_names() if word in name]

    def spans(self, addresses: Iterable[int]) -> Sequence[tuple[int, int]]:
        """One byte each."""
        return [(address, address + 1) for address in addresses]

    def names_over(self, spans: Sequence[tuple[int, int]]) -> Mapping[str, bool]:
        """Names that are listed at these addresses."""
        addresses = {first for first, _ in spans}
        names = {name for at, several in enumerate(self.listed) if at in addresses for name in several}
        return {name: all(code.address in addresses for code in self.codes(name)) for name in names}

    def nearest(self, name: str) -> Sequence[str]:
        """By spelling."""
        return get_close_matches(name, list(self.all_names()))


@dataclass(frozen=True)
class ListedFiles:
    """A snapshot of these files, and where they are."""

    files: Mapping[str, FileNames | NoNames]
    places: Mapping[str, Collection[str]] = field(default_factory=dict)
    digest: str = "d1"
    then: Mapping[str, Mapping[str, FileNames | NoNames]] = field(default_factory=dict)
    """The files of other snapshots."""

    def build_ids(self, modules: Collection[str]) -> Mapping[str, Collection[str]]:
        """As listed."""
        return {module: self.places[module] for module in modules if module in self.places}

    def names(self, build_id: str) -> FileNames | NoNames:
        """As listed; no other file is known."""
        return self.files.get(build_id, NoNames.NO_INDEX)

    def names_before(self, build_id: str) -> Sequence[FileNames]:
        """None: its snapshots are asked one by one."""
        del build_id
        return ()

    def names_then(self, build_id: str, snapshot: str) -> FileNames | NoNames:
        """As listed."""
        files = self.files if snapshot == self.digest else self.then.get(snapshot, {})
        return files.get(build_id, NoNames.NO_INDEX)


def code_of(watch: Watch, files: ListedFiles | None) -> WatchedCode:
    """The code of one watch."""
    return watched_codes([watch], files, {})[watch.watch_id]
