"""What a watch asks of the files that a symbol store knows, as protocols; app/symbols has the stores."""

import enum
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Protocol


class NamedCode(Protocol):
    """The code at one address of a file."""

    @property
    def address(self) -> int:
        """Where it begins, in the file's own addresses."""

    @property
    def names(self) -> Sequence[str]:
        """All of its names; the one that frames carry comes first."""

    @property
    def frame_symbol(self) -> str | None:
        """The symbol that a frame at its first byte carries; None where none does."""

    @property
    def is_resolver(self) -> bool:
        """Whether this code only chooses, when the file is loaded, the code that runs under the name (IFUNC)."""


class CodeCopy(Protocol):
    """A copy of a function that was inlined into another."""

    @property
    def host(self) -> str | None:
        """The function that it was inlined into; None where nothing names it."""


class CopyKnowledge(Protocol):
    """What is known of a file's inlined functions."""

    @property
    def is_whole(self) -> bool:
        """Whether it covers all code of the file."""


class FileNames(Protocol):
    """The index of one file, asked by name."""

    @property
    def inline_knowledge(self) -> CopyKnowledge:
        """What is known of copies."""

    def knows(self, name: str) -> bool:
        """Whether the file has this name, as a function of its own or inlined."""

    def codes(self, name: str) -> Sequence[NamedCode]:
        """Every code that a name means."""

    def copies(self, name: str) -> Sequence[CodeCopy]:
        """Every known copy of a function inside others."""

    def has_lost_copies(self, name: str) -> bool:
        """Whether a function was inlined somewhere, and nothing tells where."""

    def implementations(self, name: str) -> Sequence[str]:
        """Functions that may run under the name of an IFUNC, as far as the file names them."""

    def all_names(self) -> Iterable[str]:
        """Every name of the file."""

    def long_names(self, min_chars: int) -> Iterable[str]:
        """Every name of the file that has at least so many characters."""

    def names_with(self, word: str) -> Iterable[str]:
        """Every name of the file that has `word` in it; costs little where few have."""

    def nearest(self, name: str) -> Sequence[str]:
        """Names that are spelled like this one, the nearest first."""

    def spans(self, addresses: Iterable[int]) -> Sequence[tuple[int, int]]:
        """First byte, and the one behind the last, of the code at each of these addresses."""

    def names_over(self, spans: Sequence[tuple[int, int]]) -> Mapping[str, bool]:
        """Every name of code in these spans; true if all of the name's code lies there."""


class NoNames(enum.Enum):
    """Why a build id has no index that a name can be looked up in."""

    NO_INDEX = enum.auto()
    AMBIGUOUS = enum.auto()  # two different codes have this build id


class KnownFiles(Protocol):
    """A snapshot of a symbol store."""

    @property
    def digest(self) -> str:
        """The snapshot's."""

    def build_ids(self, modules: Collection[str]) -> Mapping[str, Collection[str]]:
        """The build ids that the maps of images and nodes have for each path or file name."""

    def names(self, build_id: str) -> FileNames | NoNames:
        """The index of a build id."""

    def names_before(self, build_id: str) -> Collection[FileNames]:
        """Other indexes of the same code that older snapshots have of a build id."""

    def names_then(self, build_id: str, snapshot: str) -> FileNames | NoNames:
        """The index that a build id had in this or another snapshot: what `names` gives if it is the same.

        NO_INDEX too if the snapshot is gone, or its index was of other code.
        """
