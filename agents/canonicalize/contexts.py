"""Contexts: the distinct views of modules and symbols that events have, numbered for caches to key on.

Processes with the same files on nodes or in images with the same maps share a context, so a fleet of equal processes
shares what was worked out for one of them. Numbers mean nothing outside of this process.
"""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from agents.canonicalize.process_modules import ANOTHER, ModuleSet, deleted, path_digest
from agents.symbols.lookup import Resolved, ScopeMaps, SymbolSource, Unresolved

MAX_CONTEXTS: Final = 16_384
"""Contexts that are numbered at a time, and sets of files; a fleet has some thousands."""

NO_CONTEXT: Final = 0
"""Context of an event of which nothing is known: no loader event, and no symbol source to ask."""

NO_MODULES: Final = ModuleSet({})


@dataclass(frozen=True, slots=True)
class ContextResolver:
    """A symbol source as the events of one context see it; a `FrameResolver`."""

    source: SymbolSource | None
    modules: ModuleSet
    maps: ScopeMaps | None
    maps_before: ScopeMaps | None = None
    """What the maps said when the process may have mapped its files, where that is something else."""

    def lookup(self, build_id: str, file_offset: int, *, innermost: bool) -> Resolved | Unresolved:
        """As the source answers."""
        if self.source is None:
            return Unresolved.NO_INDEX
        return self.source.lookup(build_id, file_offset, innermost=innermost)

    def build_id(self, module: str, *, is_deleted: bool = False) -> str | Unresolved | None:
        """By loader events of the process, then by the maps of its image or node.

        A map says what lies at a path, and an unlinked file lies there no more: only the process can name it.
        """
        loaded = self.modules.build_ids
        name = path_digest(module) if loaded else ""
        known = loaded.get(name)
        if not is_deleted:
            if known is not None:
                return known.removesuffix(ANOTHER)
            return None if self.maps is None else self.maps.build_id(module)
        builds = {known, loaded.get(deleted(name))} - {None}
        if len(builds) > 1 or any(build.endswith(ANOTHER) for build in builds if build):
            return Unresolved.AMBIGUOUS
        return next(iter(builds), None)

    def probed_build_id(self, module: str) -> str | Unresolved | None:
        """As `build_id`, but a map counts only if it said the same ever since the process may have mapped the file.

        A probe stays on the file that lay at its path when its policy was loaded, and goes on firing there in processes
        that have mapped it after another file took the path.
        """
        found = self.build_id(module)
        if self.maps_before is None or path_digest(module) in self.modules.build_ids:
            return found
        return found if self.maps_before.build_id(module) == found else Unresolved.AMBIGUOUS

    def kernel_module(self, symbol: str) -> str | None:
        """By the node's kallsyms."""
        return None if self.maps is None else self.maps.kernel_module(symbol)


def _set_of(build_ids: frozenset[tuple[str, str]]) -> ModuleSet:
    return ModuleSet(dict(build_ids))


class Contexts:
    """Numbers contexts, and resolves for each."""

    def __init__(self, source: SymbolSource | None) -> None:
        self._source = source
        self._set_of = lru_cache(maxsize=MAX_CONTEXTS)(_set_of)
        self._numbers: OrderedDict[tuple[ModuleSet, ScopeMaps | None, ScopeMaps | None], int] = OrderedDict()
        self._resolvers = {NO_CONTEXT: ContextResolver(source, NO_MODULES, None)}
        self._next_number = NO_CONTEXT + 1

    def module_set(self, build_ids: Mapping[str, str]) -> ModuleSet:
        """The one set of these modules."""
        return self._set_of(frozenset(build_ids.items())) if build_ids else NO_MODULES

    def number(self, modules: ModuleSet, maps: ScopeMaps | None, before: ScopeMaps | None = None) -> int:
        """Number of the context with these modules and maps, and with maps that said something else before."""
        if modules is NO_MODULES and maps is None:
            return NO_CONTEXT
        key = (modules, maps, before)
        number = self._numbers.get(key)
        if number is None:
            number = self._next_number
            self._next_number += 1
            self._numbers[key] = number
            self._resolvers[number] = ContextResolver(self._source, modules, maps, before)
            if len(self._numbers) > MAX_CONTEXTS:
                _, forgotten = self._numbers.popitem(last=False)
                del self._resolvers[forgotten]
        return number

    def on(self, number: int, architecture: str) -> int:
        """Number of the same context on an architecture; ask right after `number`."""
        resolver = self._resolvers[number]
        maps = None if resolver.maps is None else resolver.maps.on(architecture)
        return number if maps is resolver.maps else self.number(resolver.modules, maps)

    def before(self, number: int, maps: ScopeMaps) -> int:
        """Number of the same context with maps that said something else before; ask right after `number`."""
        resolver = self._resolvers[number]
        return number if maps is resolver.maps else self.number(resolver.modules, resolver.maps, maps)

    def resolver(self, number: int) -> ContextResolver:
        """The resolver of a context; ask right after `number`, before it can be forgotten."""
        return self._resolvers[number]
