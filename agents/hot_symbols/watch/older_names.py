"""What names of rows meant in the index that gave them, where another index of the file is in use now.

The code of one build id lies at the same addresses in every index of it. So a name that an older index gave is resolved
through them: to the functions that the index in use has at the addresses that the name stood for.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from agents.hot_symbols.identity import SymbolIdentity, within_limits
from agents.hot_symbols.watch.files import FileNames, KnownFiles, NamedCode, NoNames
from agents.symbols.compiler_clones import common_word, symbols_of
from schemas.text_limits import MAX_PLACE_CHARS


@dataclass(frozen=True, slots=True)
class NamesThen:
    """Names under which an index gave hits of the watched code: of `sure` ones all hits are, of `unsure` ones some."""

    sure: frozenset[str]
    unsure: frozenset[str]
    index: FileNames = field(compare=False)

    @property
    def all(self) -> frozenset[str]:
        """Names of rows that may be of the code."""
        return self.sure | self.unsure

    def has(self, symbol: str) -> bool:
        """Whether the index has a row's name. It may have been the agent's, which finds names in the file itself."""
        if symbol in self.sure or symbol in self.unsure or self.index.knows(symbol):
            return True
        return len(symbol) >= MAX_PLACE_CHARS and symbol in in_rows(self.index.long_names(MAX_PLACE_CHARS))


class NamedBy(NamedTuple):
    """What named the hits of a row."""

    snapshots: tuple[str, ...] = ()
    """An empty one stands for others that are not listed; none at all: its calls do not say it."""
    has_probes: bool = False
    """Some may have been named by the agent, which finds a probe's function by name in the file itself."""


UNSAID: Final = NamedBy()


class IndexesThen(NamedTuple):
    """The indexes that a file had in snapshots which named rows: the one in use, or others; the rest is gone."""

    same: frozenset[str] = frozenset()
    others: tuple[tuple[str, FileNames], ...] = ()


def indexes_then(files: KnownFiles, build_ids: Iterable[str], snapshots: Iterable[str]) -> Mapping[str, IndexesThen]:
    """Those of each file; one snapshot is looked into after the other, because each is large."""
    named = sorted({*snapshots, files.digest})
    in_use = {build_id: names for build_id in build_ids if not isinstance(names := files.names(build_id), NoNames)}
    found: dict[str, list[tuple[str, FileNames]]] = {build_id: [] for build_id in in_use}
    for snapshot in named:
        for build_id, several in found.items():
            if not isinstance(index := files.names_then(build_id, snapshot), NoNames):
                several.append((snapshot, index))
    return {
        build_id: IndexesThen(
            frozenset(snapshot for snapshot, index in several if index is in_use[build_id]),
            tuple((snapshot, index) for snapshot, index in several if index is not in_use[build_id]),
        )
        for build_id, several in found.items()
    }


def names_by_snapshot(
    function: str, codes: Collection[NamedCode], in_use: FileNames, others: Iterable[tuple[str, FileNames]]
) -> Mapping[str, NamesThen]:
    """What the indexes of other snapshots named the watched codes of a file.

    `function` is the watched name without what compilers add.
    """
    spans = in_use.spans(code.address for code in codes)
    return {snapshot: _names_in(index, function, spans) for snapshot, index in others}


def _names_in(index: FileNames, function: str, spans: Sequence[tuple[int, int]]) -> NamesThen:
    over = index.names_over(spans)
    own = symbols_of(function, index.names_with(common_word(function)))
    copied = {name for name in own if index.copies(name)}  # where lines are known, a copy that runs has its own frame
    unsure = {name for name, is_whole in over.items() if not is_whole}
    return NamesThen(in_rows({*over, *copied} - unsure), in_rows(unsure), index)


def in_rows(names: Iterable[str]) -> frozenset[str]:
    """The names as rows have them, in which the longest are cut."""
    return frozenset(map(_in_row, names))


def _in_row(name: str) -> str:
    if len(name) <= MAX_PLACE_CHARS:
        return name
    return within_limits(SymbolIdentity("00" * 20, None, name)).symbol or name
