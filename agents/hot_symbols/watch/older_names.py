"""What names of rows meant in the index that gave them, where another index of the file is in use now.

The code of one build id lies at the same addresses in every index of it. So a name that an older index gave is resolved
through them: to the functions that the index in use has at the addresses that the name stood for.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from agents.hot_symbols.identity import SymbolIdentity, within_limits
from agents.hot_symbols.watch.files import FileNames, NamedCode, NoNames
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

NamesBySnapshot = Mapping[str, NamesThen | None]
"""By snapshot; None if it, or the index that it had, is gone or of other code."""


def names_by_snapshot(
    function: str,
    codes: Collection[NamedCode],
    now: tuple[FileNames, NamesThen],
    then: Iterable[tuple[str, FileNames | NoNames]],
) -> NamesBySnapshot:
    """What each of these snapshots named the watched codes of a file.

    `now` is the index in use, with what it names them. `function` is the watched name without what compilers add.
    """
    in_use, names = now
    found: dict[str, NamesThen | None] = {}
    for snapshot, index in then:
        if isinstance(index, NoNames):
            found[snapshot] = None
        elif index is in_use:
            found[snapshot] = names
        else:
            found[snapshot] = _names_in(index, function, in_use.spans(code.address for code in codes))
    return found


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
