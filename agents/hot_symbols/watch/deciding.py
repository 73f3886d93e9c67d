"""Decides the answer to a watch from what its code is, which rows bear on it, and for how long events are complete.

- `Hit`: a row of its code has a confirmed hit.
- `NeverHit`: no row is or may be it, an index of every file concerned has the name, every call is probed, events are
  complete, and no copy of it lives in another function.
- `NeverEntered`: the same, but whether copies were inlined is not known.
- `NotSeen`: everything else.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from agents.coverage.completeness import Completeness
from agents.hot_symbols.watch import reasons
from agents.hot_symbols.watch.answer_kind import AnswerKind
from agents.hot_symbols.watch.bearing_rows import NO_UNSURE_HITS, UnsureHits
from agents.hot_symbols.watch.reasons import Reason
from agents.hot_symbols.watch.watch import Watch
from agents.hot_symbols.watch.watched_code import WatchedCode
from agents.probes.probe_table import UNTOLD, AgentTold
from agents.probes.unhooked import ALL_HOOKED, Unhooked


@dataclass(frozen=True, slots=True, kw_only=True)
class HitsFound:
    """What the rows say: hits of the code, those of them that are sure, and those that may be of it."""

    hits: int = 0
    confirmed: int = 0
    has_others: bool = False
    """Some of the hits may be of other code, which an older index called the same."""
    may_be: int = 0
    older: int = 0
    """Under a name that an index gave which is not in use any more, and that may have meant this code."""
    unsure: UnsureHits = NO_UNSURE_HITS
    """Of code whose function or file is unknown, or only hinted at."""


NO_HITS: Final = HitsFound()

DecidedAnswer = tuple[AnswerKind, tuple[Reason, ...]]
"""An answer and its reasons."""


@dataclass(frozen=True, slots=True)
class HooksKnown:
    """What agents say of hooks on the watched code: on how many nodes they were not loaded all the time.

    None where nobody asked the agents, or where it is not known at which paths of nodes the file `unplaced` lies.
    `told` is what the agent of the example told of itself. `are_brief`: after an event the hooks post none for a while;
    `may_hide`: such an event may have been lost just before the watch began, and hide calls after it.
    """

    unhooked: Unhooked | None = None
    told: AgentTold = UNTOLD
    unplaced: str = ""
    is_in_images: bool = False
    are_brief: bool = False
    may_hide: bool = False

    @property
    def are_loaded(self) -> bool:
        """Whether every call was probed on all nodes, by the word of the agents."""
        return self.unhooked == ALL_HOOKED and not self.may_hide


NO_HOOKS_KNOWN: Final = HooksKnown()


def decided(
    watch: Watch,
    code: WatchedCode,
    found: HitsFound,
    covered: Completeness,
    hooks: HooksKnown = NO_HOOKS_KNOWN,
) -> DecidedAnswer:
    """The answer and its reasons. The word of the watch's author counts where the agents do not say it."""
    if found.confirmed:
        return AnswerKind.HIT, (*code.notes, *((reasons.OLDER_SNAPSHOT,) if found.has_others else ()))
    is_probed = hooks.are_loaded or watch.every_call_probed
    doubts = (*_doubts_of_rows(watch, found, is_probed=is_probed), *code.all_doubts, *_doubts_of_coverage(covered))
    if not is_probed:
        doubts = (*doubts, *_doubts_of_hooks(hooks))
    if doubts:
        # whoever accepts what is missing asks whose word it is that every call was probed
        loaded = (reasons.HOOKS_LOADED,) if hooks.are_loaded else ()
        return AnswerKind.NOT_SEEN, (*doubts, *code.unknown_copies, *loaded)
    answer = AnswerKind.NEVER_ENTERED if code.unknown_copies else AnswerKind.NEVER_HIT
    word = reasons.HOOKS_LOADED if hooks.are_loaded else reasons.AUTHORS_WORD
    return answer, (*code.unknown_copies, word, *code.notes, *_notes_of_coverage(covered))


def best_possible(watch: Watch, code: WatchedCode) -> DecidedAnswer:
    """The best answer that a watch can have without a hit: that of complete events and no doubtful row."""
    return decided(watch, code, NO_HITS, Completeness(until_ns=1, is_every_node_known=True))


def _doubts_of_hooks(hooks: HooksKnown) -> Iterator[Reason]:
    if hooks.may_hide:
        yield reasons.MAY_HIDE
    elif hooks.unhooked is not None:
        yield reasons.unhooked(hooks.unhooked, hooks.told)
    elif hooks.unplaced:
        yield reasons.no_place_for_hooks(hooks.unplaced, is_in_images=hooks.is_in_images)
    else:
        yield reasons.NOT_HOOKED


def _doubts_of_rows(watch: Watch, found: HitsFound, *, is_probed: bool) -> Iterator[Reason]:
    if found.hits:
        yield reasons.UNCONFIRMED
    if found.may_be:
        yield reasons.MAY_BE_IT
    if found.older or found.unsure.renamed:
        yield reasons.OLDER_SNAPSHOT
    if found.unsure.of_unknown_files:
        yield reasons.unknown_file(watch.module or "")
    if found.unsure.entries:
        yield reasons.UNNAMED_ENTRY
    elif found.unsure.hits and not is_probed:  # a probe fires on entry, whatever stacks can say
        yield reasons.UNNAMED_CODE


def _doubts_of_coverage(covered: Completeness) -> Iterator[Reason]:
    if not covered.until_ns:
        yield reasons.NOT_VOUCHED
    yield from reasons.gaps(tuple([(one.node, one.cause) for one in covered.gaps]))
    if covered.share.missing_ms:
        yield reasons.missing(covered.share.watched_ms, covered.share.missing_ms, covered.sighted)


def _notes_of_coverage(covered: Completeness) -> Iterator[Reason]:
    """Whose word it is which nodes there were."""
    if not covered.until_ns:
        return
    if not covered.is_every_node_known:
        yield reasons.reported_nodes(covered.share.nodes)
    for said_by, nodes in covered.retired:
        yield reasons.retired_nodes(said_by, nodes)
