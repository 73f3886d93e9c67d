"""Asking a symbol store: which function lies at a file offset, and which build of a file a process has mapped.

Everything that a stage needs from a store is here, as protocols; app/symbols has the stores. A store that cannot name
an offset says why (`Unresolved`), and never guesses.
"""

import enum
from typing import NamedTuple, Protocol

from schemas.node import NodeId


class InlinedCall(NamedTuple):
    """A function that was put into another, and the line that runs in it."""

    symbol: str
    source_file: str | None
    line_number: int | None


class Resolved(NamedTuple):
    """What an index knows of one file offset; `offset` counts bytes from `symbol`.

    `inlined` are the functions that were put into `symbol` there, innermost first; the line is then that of the call.
    """

    symbol: str
    offset: int
    source_file: str | None = None
    line_number: int | None = None
    inlined: tuple[InlinedCall, ...] = ()


class Unresolved(enum.Enum):
    """Why an index does not name an offset."""

    NO_INDEX = "no index of this build id"
    NO_SYMBOL_TABLE = "the indexed file has no symbols"
    NO_SYMBOL = "the offset lies between symbols"
    UNMAPPED = "the offset lies in no executable segment"
    AMBIGUOUS = "it may be one of several files"


class SymbolLookup(Protocol):
    """A snapshot of a symbol store: the same question gives the same answer for as long as it is open."""

    def lookup(self, build_id: str, file_offset: int, *, innermost: bool) -> Resolved | Unresolved:
        """The function at `file_offset` of the file `build_id`.

        `innermost`: the offset is the instruction itself; otherwise it is a return address, and may lie behind the
        function that made the call.
        """


class RootOwner(enum.StrEnum):
    """Whose file system a process sees, as far as its events say: a path means a file in that one."""

    HOST = "host"  # it is in the host's mount namespace
    CONTAINER = "container"
    UNKNOWN = "unknown"  # nothing says so, or what is said contradicts itself


class Scope(NamedTuple):
    """Where a process runs, as far as symbol sources tell modules apart by it; empty texts where it is not known.

    `architecture` is the node's, in Kubernetes' words: amd64, arm64.
    """

    image_id: str
    root: RootOwner
    node: NodeId
    architecture: str = ""


ScopeFields = tuple[str, RootOwner, NodeId, str]
"""The fields of a Scope as a plain tuple. It costs a tenth to make, and one is made for every event."""


class ScopeMaps(Protocol):
    """What a symbol source's maps say where a process runs; the same object wherever they say the same. Hashable."""

    def build_id(self, module: str) -> str | Unresolved | None:
        """The build id of `module` (normalized) by the maps of the image or the node; None where neither has it.

        `Unresolved.AMBIGUOUS` where they name several.
        """

    def kernel_module(self, symbol: str) -> str | None:
        """The node's kernel module that holds `symbol`; None where it is built in, ambiguous or not known."""

    def on(self, architecture: str) -> "ScopeMaps":
        """The same maps for a process whose kernel is of this architecture, where the scope did not say it."""


class TimedMaps(Protocol):
    """The maps of a scope over time."""

    def at(self, time_ns: int) -> ScopeMaps:
        """What they said at a moment, Unix epoch: a file that came later names no earlier event."""


class SymbolSource(SymbolLookup, Protocol):
    """A snapshot of a symbol store, with its module maps and kallsyms."""

    def maps(self, scope: Scope) -> TimedMaps:
        """The maps that hold for a process: its image's, or those of its node if it sees the host's files."""
