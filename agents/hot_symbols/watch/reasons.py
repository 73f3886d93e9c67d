"""Why an answer to a watch is what it is, as an enum and in words."""

import enum
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any, Final, NamedTuple

from agents.coverage.share import NodeTime
from agents.probes.probe_table import AgentTold
from agents.probes.unhooked import Unhooked
from schemas.node import NodeId
from schemas.probes import AgentAnswer
from schemas.text_limits import cut_place, cut_text

MAX_REASONS: Final = 16
"""That an answer lists, at some 100 bytes each; the rest is counted."""

MAX_NAMES: Final = 8
"""Of functions or files in one reason."""

_REPEATED: Final = 4_096
"""Reasons of some hundred bytes that are kept: most watches name the same few long gaps."""

MAX_WORDS: Final = 2_000
"""Characters of one reason: eight names of usual length."""


class ReasonKind(enum.Enum):
    """Kinds of reasons; values are the Avro symbols."""

    SHARED_CODE = "SharedCode"
    SEVERAL_CODES = "SeveralCodes"
    AUTHORS_WORD = "AuthorsWord"
    UNKNOWN_COPIES = "UnknownCopies"
    UNCONFIRMED = "Unconfirmed"
    MAY_BE_IT = "MayBeIt"
    UNNAMED_CODE = "UnnamedCode"
    UNNAMED_ENTRY = "UnnamedEntry"
    UNKNOWN_FILE = "UnknownFile"
    NOT_HOOKED = "NotHooked"
    NO_STORE = "NoStore"
    NO_FILE_NAMED = "NoFileNamed"
    NOT_PLACED = "NotPlaced"
    NO_INDEX = "NoIndex"
    AMBIGUOUS_BUILD_ID = "AmbiguousBuildId"
    NO_SUCH_NAME = "NoSuchName"
    INLINED_INTO = "InlinedInto"
    CHOSEN_AT_RUN_TIME = "ChosenAtRunTime"
    OLDER_SNAPSHOT = "OlderSnapshot"
    NOT_VOUCHED = "NotVouched"
    GAP = "Gap"
    MISSING = "Missing"
    REPORTED_NODES = "ReportedNodes"
    RETIRED_NODES = "RetiredNodes"
    HOOKS_LOADED = "HooksLoaded"
    UNHOOKED = "Unhooked"


class Reason(NamedTuple):
    """One reason. `about` is the file, the node or the names that it is about, for machines; `words` are for people."""

    kind: ReasonKind
    words: str
    about: tuple[str, ...] = ()

    def as_record(self) -> dict[str, Any]:
        """Fields of WatchReason in schemas/avro/watched_symbol.avsc."""
        kind, words, about = _within_limits(self)
        return {"reason": kind, "words": words, "about": [*about]}


@lru_cache(maxsize=_REPEATED)
def _within_limits(reason: Reason) -> tuple[str, str, tuple[str, ...]]:
    """What a record has of a reason."""
    about = tuple(cut_place(one) for one in reason.about[:MAX_NAMES])
    return reason.kind.value, cut_text(reason.words, MAX_WORDS), about


def listed(names: Iterable[str]) -> str:
    """Names as a sentence lists them, not more than a few."""
    found = list(dict.fromkeys(names))
    more = f" and {len(found) - MAX_NAMES:,} more" if len(found) > MAX_NAMES else ""
    return ", ".join(found[:MAX_NAMES]) + more


def shared_code(others: Sequence[str]) -> Reason:
    """The function's code has names of other functions too."""
    return Reason(ReasonKind.SHARED_CODE, f"its code is also that of {listed(others)}", tuple(others))


def several_codes(build_id: str, count: int) -> Reason:
    """Different functions of one file have the name."""
    words = f"{count:,} functions of {build_id} have this name, and any of them counts"
    return Reason(ReasonKind.SEVERAL_CODES, words, (build_id,))


@lru_cache(maxsize=_REPEATED)
def gaps(found: tuple[tuple[NodeId | None, str], ...]) -> tuple[Reason, ...]:
    """Why events may be missing, each reason once."""
    return tuple(dict.fromkeys(gap(node, cause) for node, cause in found))


def gap(node: NodeId | None, cause: str) -> Reason:
    """Events may be missing, of this node or of any."""
    name = "" if node is None else str(node)
    return Reason(ReasonKind.GAP, f"events of {name or 'any node'} may be missing: {cause}", (name, cause))


def missing(watched_ms: int, missing_ms: int, sighted: NodeTime | None = None) -> Reason:
    """How much of the node-time is missing, of the nodes that decide, and of those on which the file was seen."""
    whole_ms = watched_ms + missing_ms
    words = f"{100 * missing_ms / whole_ms:.6f} % of the node-time is missing: {missing_ms:,} of {whole_ms:,} ms"
    if sighted is not None and sighted.nodes:
        words += f"; {sighted.missing_ms:,} ms of it where its file was seen (nodes: {sighted.nodes:,})"
    return Reason(ReasonKind.MISSING, words)


def reported_nodes(nodes: int) -> Reason:
    """Nobody says that there are no other nodes."""
    words = f"of the {nodes:,} nodes that reported; nobody says that there were no more"
    return Reason(ReasonKind.REPORTED_NODES, words)


def retired_nodes(said_by: str, nodes: int) -> Reason:
    """Nodes are gone for good, and who says so."""
    words = f"{nodes:,} nodes are gone, by the word of {said_by or 'nobody in particular'}"
    return Reason(ReasonKind.RETIRED_NODES, words, (said_by,))


def unhooked(found: Unhooked, told: AgentTold) -> Reason:
    """No hook on it was known to be loaded on a node, and perhaps on others, for some of the time."""
    node = str(found.example or "")
    agent = f"the agent of {node or 'a node'}{f' ({told.version})' if told.version else ''}"
    match told.answer:
        case None if not told.at_ns:
            words = f"nobody asked {agent} for its policies"
        case AgentAnswer.UNIMPLEMENTED:
            words = f"{agent} is too old to tell of its policies"
        case AgentAnswer.REFUSED:
            words = f"{agent} refuses to tell of its policies"
        case _ if not told.tells_hooks:
            words = f"{agent} told of no hook; one before 1.8 cannot"
        case _:
            words = f"{agent} did not tell all the time that hooks on all of its entries are loaded"
    others = found.nodes - 1
    more = f"; and so on {others:,} more {'node' if others == 1 else 'nodes'}" if others else ""
    return Reason(ReasonKind.UNHOOKED, words + more, (node,))


def no_place_for_hooks(build_id: str, *, is_in_images: bool) -> Reason:
    """Nobody can tell whether a policy's hook is on the file, or on all copies of it."""
    words = (
        f"{build_id} is in images, and a hook on a path of a node is not on their files"
        if is_in_images
        else f"no map says at which paths of nodes {build_id} lies; see callstream symbols add --node"
    )
    return Reason(ReasonKind.NOT_HOOKED, f"nothing says that every call of it is probed: {words}", (build_id,))


def unknown_copies(build_id: str) -> Reason:
    """No debug information tells where the compiler put copies of it."""
    words = f"whether the compiler put copies of it into other functions of {build_id} is not known"
    return Reason(ReasonKind.UNKNOWN_COPIES, words, (build_id,))


def no_such_name(build_id: str, nearest: Sequence[str]) -> Reason:
    """An index has the file, and the file has no such function."""
    hint = f"; the nearest are {listed(nearest)}" if nearest else ""
    return Reason(ReasonKind.NO_SUCH_NAME, f"no function of {build_id} has this name{hint}", (build_id, *nearest))


def inlined_into(build_id: str, hosts: Sequence[str]) -> Reason:
    """Copies of it run as parts of other functions."""
    words = f"it was inlined into {listed(hosts)} in {build_id}"
    return Reason(ReasonKind.INLINED_INTO, words, (build_id, *hosts))


def chosen_at_run_time(build_id: str, among: Sequence[str]) -> Reason:
    """An IFUNC."""
    known = f" among {listed(among)}" if among else ""
    words = f"{build_id} chooses the code of this name when it is loaded{known}"
    return Reason(ReasonKind.CHOSEN_AT_RUN_TIME, words, (build_id, *among))


def no_index(build_id: str) -> Reason:
    """A file concerned is not in the store."""
    return Reason(ReasonKind.NO_INDEX, f"no index of {build_id}; see callstream symbols add", (build_id,))


def no_index_of_kernel(module: str) -> Reason:
    """Kernels have no index, so nothing tells what was inlined in one."""
    return Reason(ReasonKind.NO_INDEX, f"no index tells which code of the kernel the name means ({module})", (module,))


def ambiguous_build_id(build_id: str) -> Reason:
    """Two codes have the build id of a file concerned."""
    words = f"two different files have the build id {build_id}; see callstream symbols resolve"
    return Reason(ReasonKind.AMBIGUOUS_BUILD_ID, words, (build_id,))


def not_placed(module: str) -> Reason:
    """No map says which file is under the watched path."""
    words = f"no map of an image or a node has a file {module}; see callstream symbols add --image"
    return Reason(ReasonKind.NOT_PLACED, words, (module,))


def unknown_file(module: str) -> Reason:
    """Code ran in a file of which nothing says whether any index describes it."""
    words = f"code ran in a file at {module} whose build id is not known; see callstream symbols add --image"
    return Reason(ReasonKind.UNKNOWN_FILE, words, (module,))


NO_STORE: Final = Reason(
    ReasonKind.NO_STORE, "the worker has no symbol store, so nothing says which code the name means"
)
NO_FILE_NAMED: Final = Reason(
    ReasonKind.NO_FILE_NAMED, "the watch names no file, so any file may have the function; name a build id or a path"
)
NOT_HOOKED: Final = Reason(ReasonKind.NOT_HOOKED, "nothing says that every call of it is probed")
MAY_HIDE: Final = Reason(
    ReasonKind.NOT_HOOKED,
    "nothing says that every call of it is probed: its probes post one event and then none for up to a minute, and "
    "events just before the watch began may be missing",
)
AUTHORS_WORD: Final = Reason(
    ReasonKind.AUTHORS_WORD, "that every call of it is probed since the watch began is the word of the watch's author"
)
HOOKS_LOADED: Final = Reason(
    ReasonKind.HOOKS_LOADED, "hooks on all of its entries were loaded since the watch began, by the word of the agents"
)
NOT_VOUCHED: Final = Reason(ReasonKind.NOT_VOUCHED, "no node has been vouched for since the watch began")
UNCONFIRMED: Final = Reason(ReasonKind.UNCONFIRMED, "code ran that is called so, and nothing confirms the name")
MAY_BE_IT: Final = Reason(ReasonKind.MAY_BE_IT, "code of this name ran in a file that may be the watched one")
UNNAMED_ENTRY: Final = Reason(
    ReasonKind.UNNAMED_ENTRY, "a probe in its file fired on a function that nothing names, which may be this one"
)
UNNAMED_CODE: Final = Reason(ReasonKind.UNNAMED_CODE, "code of its file ran whose function nothing confirms")
OLDER_SNAPSHOT: Final = Reason(
    ReasonKind.OLDER_SNAPSHOT,
    "an older index of its file named code that ran, which may be this function or another one",
)
