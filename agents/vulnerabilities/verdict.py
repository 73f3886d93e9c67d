"""The verdict on a vulnerability and a product, from what its files say and what was seen: one state machine.

| what the file says | what was seen | verdict |
| --- | --- | --- |
| the package is not there, or of another platform, or the advisory was withdrawn | anything | `NotConcerned` |
| its version is not affected | anything | `FixedByVersion` |
| a complete list of its code has none of the functions | no hit | `CodeNotPresent` |
| the same | a hit | `UnderInvestigation`: one of the two is wrong |
| functions are there, in an affected version | a sure hit of one of them, in this product | `Affected` |
| the same, and there is no doubt | none of them entered, for as long as the author asks for | `NotInExecutePath` |
| anything else | anything | `UnderInvestigation`, with what is missing |

That nobody saw code run does not show that it cannot run. So observation alone never closes a vulnerability: only where
an author accepts it, until a day that he names, and a hit takes it back. Of the files of a product the worst decides.

A product may be a container image, and images share files. So a hit is a product's only if it was in its image: a hit
in other images, or in one that nobody knows, is a reason and no verdict.
"""

import enum
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final, Self, assert_never

from agents.hot_symbols.watch.answer_kind import AnswerKind
from agents.hot_symbols.watch.reasons import ReasonKind
from agents.vulnerabilities.product_images import HitImage, ProductImage, Whereabouts
from agents.vulnerabilities.verdicts import (
    Assessment,
    CannotTell,
    CodeAbsent,
    CodePresent,
    NoFunctionsNamed,
    NotAffected,
    NotAffectedBecause,
)
from schemas.probes import PolicyState, SeenHookState, WindowEnd
from schemas.units import NS_PER_SECOND

_DAY_NS: Final = 86_400 * NS_PER_SECOND
_NOT_ENTERED: Final = frozenset({AnswerKind.NEVER_HIT, AnswerKind.NEVER_ENTERED})
_OTHER_FUNCTION: Final = frozenset({ReasonKind.SHARED_CODE, ReasonKind.SEVERAL_CODES})
"""Why what ran may have been another function."""


_NO_DOUBTS: Final = frozenset(
    {
        ReasonKind.INLINED_INTO,  # said by `unprobed`
        ReasonKind.UNKNOWN_COPIES,
        ReasonKind.AUTHORS_WORD,
        ReasonKind.HOOKS_LOADED,
        ReasonKind.REPORTED_NODES,
        ReasonKind.RETIRED_NODES,
        *_OTHER_FUNCTION,
    }
)
"""Reasons that do not keep an answer from being that it was never entered."""

_OF_GAPS: Final = frozenset({ReasonKind.GAP, ReasonKind.MISSING})


class LackKind(enum.StrEnum):
    """What is missing for a better verdict."""

    CONTRADICTED = "code ran that the file does not have"
    STATIC_DOUBT = "the file alone does not say whether the code is there"
    NO_FUNCTIONS = "the advisory names no functions"
    NOT_WATCHED = "functions are not watched"
    NOT_ANSWERED = "a watch has no answer yet"
    NOT_PROBED = "functions were not probed all the time"
    NOT_PROBABLE = "copies of functions cannot be probed"
    INCOMPLETE = "events are missing"
    UNSURE_HITS = "code ran, and it is not sure that it was this function"
    UNKNOWN_IMAGE = "code ran, and it is not known in which image"
    OTHER_IMAGES = "code ran in other images, and whether it would be seen in this one is not known"
    NOT_ACCEPTED = "nobody accepts that what was not seen does not run"
    EXPIRED = "the word that accepted it has expired"
    TOO_SHORT = "it was observed for a shorter time than the author asks for"


@dataclass(frozen=True, slots=True, order=True)
class Lack:
    """One thing that is missing, what exactly, and the command that would supply it; empty where none would."""

    kind: LackKind
    about: str = ""
    command: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenFunction:
    """What the answer to the watch on a function says.

    `events` are ids and places of events that are hits, `callers` the symbols that were the next outer frame, `reasons`
    those of the answer in words. `watched_ms` and `missing_ms` are node-time of the nodes that had the file, or may
    have had it. `snapshot` is that of the symbol store. `images` are those that it ran in, `images_more` how many there
    are besides. `whereabouts` and `is_sure_here` say of its hits whether they, and sure ones of them, were in the
    product that is looked at.
    """

    symbol: str
    watch_id: str
    answer: AnswerKind
    since_ns: int = 0
    until_ns: int = 0
    hits: int = 0
    confirmed_hits: int = 0
    first_seen_ns: int = 0
    last_seen_ns: int = 0
    events: tuple[str, ...] = ()
    callers: tuple[str, ...] = ()
    watched_ms: int = 0
    missing_ms: int = 0
    events_lost: int | None = None
    reasons: tuple[tuple[ReasonKind, str], ...] = ()
    snapshot: str = ""
    images: tuple[HitImage, ...] = ()
    images_more: int = 0
    whereabouts: Whereabouts = Whereabouts.IN_IT
    is_sure_here: bool = True

    def seen_from(self, image: ProductImage) -> Self:
        """The same, as seen from a product that is an image."""
        if not self.hits:
            return self
        where = image.where(self.images, self.images_more)
        return replace(self, whereabouts=where, is_sure_here=image.is_sure_in(self.images))

    def has(self, *kinds: ReasonKind) -> bool:
        """Whether its answer has a reason of one of these kinds."""
        return any(kind in kinds for kind, _ in self.reasons)

    @property
    def is_sure_hit(self) -> bool:
        """Whether it ran in the product, and nothing says that it may have been another function."""
        return self.confirmed_hits > 0 and self.is_sure_here and not self.has(*_OTHER_FUNCTION)


@dataclass(frozen=True, slots=True)
class Acceptance:
    """An author's word that code that was not seen for long enough counts as not run, until it expires.

    Where less than all of the node-time was watched, at least `min_share` must be, with so many events lost at most.
    """

    author: str
    expires_ns: int
    min_days: float = 14.0
    accepts_unprobed_copies: bool = False
    min_share: float = 1.0
    max_events_lost: int = 0

    def accepts_gaps_of(self, seen: SeenFunction) -> bool:
        """Whether what is missing of a function's time is little enough."""
        whole = seen.watched_ms + seen.missing_ms
        is_lossless = seen.events_lost is not None and seen.events_lost <= self.max_events_lost
        accepts_any = self.min_share < 1 or self.max_events_lost > 0
        return accepts_any and is_lossless and whole > 0 and seen.watched_ms >= self.min_share * whole


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class ProbeSeen:
    """What a node's agent said last of a policy that has a probe in a file; `hooks` are how many had which state."""

    policy: str
    node: str
    state: PolicyState
    hooks: tuple[tuple[SeenHookState, int], ...] = ()
    end: WindowEnd = WindowEnd.OPEN
    from_ns: int = 0
    until_ns: int = 0
    agent_version: str = ""

    @property
    def is_loaded(self) -> bool:
        """Whether all of its hooks are set, as far as the agent said."""
        is_on = self.state in {PolicyState.ENABLED, PolicyState.PARTIALLY_ENABLED} and self.end is WindowEnd.OPEN
        return is_on and {state for state, _ in self.hooks} == {SeenHookState.LOADED}

    @property
    def has_failed(self) -> bool:
        """Whether the agent has an error of it, in words that only the agent's own answer has."""
        return self.state in {PolicyState.LOAD_ERROR, PolicyState.ERROR}


@dataclass(frozen=True, slots=True, kw_only=True)
class FileEvidence:
    """All that is known of a vulnerability and one file.

    `symbols` are functions to watch, `unprobed` those of which some code cannot be probed, and `probes` what agents
    said last of policies with probes in the file. `database` is the digest of the vulnerability database, `snapshot`
    that of the symbol store, `sha256` those of the file's contents.
    """

    vulnerability: str
    build_id: str
    assessment: Assessment
    symbols: tuple[str, ...] = ()
    unprobed: tuple[str, ...] = ()
    seen: tuple[SeenFunction, ...] = ()
    probes: tuple[ProbeSeen, ...] = ()
    sha256: tuple[str, ...] = ()
    package_urls: tuple[str, ...] = ()
    database: str = ""
    snapshot: str = ""

    def seen_from(self, image: ProductImage | None) -> Self:
        """The same, as seen from a product that is an image; of what is none (None), all hits are the product's."""
        return self if image is None else replace(self, seen=tuple(one.seen_from(image) for one in self.seen))


@dataclass(frozen=True, slots=True)
class NotConcerned:
    """The advisory does not speak of the product."""

    reasons: tuple[NotAffectedBecause, ...]


@dataclass(frozen=True, slots=True)
class FixedByVersion:
    """The product has the package in a version that is not affected."""


@dataclass(frozen=True, slots=True)
class CodeNotPresent:
    """`vulnerable_code_not_present`: a complete list of the code has none of the functions."""

    looked_for: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class UnderInvestigation:
    """Nobody can tell yet: what was seen so far, and what is missing."""

    lacks: tuple[Lack, ...]
    seen: tuple[SeenFunction, ...] = ()


@dataclass(frozen=True, slots=True)
class NotInExecutePath:
    """`vulnerable_code_not_in_execute_path`: not entered, which the author accepts until then."""

    accepted: Acceptance
    seen: tuple[SeenFunction, ...]


@dataclass(frozen=True, slots=True)
class Affected:
    """Functions that the advisory names ran; `seen` are those with hits."""

    seen: tuple[SeenFunction, ...]


Verdict = Affected | UnderInvestigation | NotInExecutePath | CodeNotPresent | FixedByVersion | NotConcerned
"""From the worst to the best."""

_ORDER: Final = (Affected, UnderInvestigation, NotInExecutePath, CodeNotPresent, FixedByVersion, NotConcerned)


def file_verdict(evidence: FileEvidence, accepted: Acceptance | None, now_ns: int) -> Verdict:
    """The verdict on one file at a moment."""
    assessment = evidence.assessment
    match assessment:
        case NotAffected():
            is_fixed = NotAffectedBecause.VERSION in assessment.reasons
            return FixedByVersion() if is_fixed else NotConcerned(assessment.reasons)
        case CodeAbsent():
            if any(one.confirmed_hits for one in evidence.seen):
                return UnderInvestigation((Lack(LackKind.CONTRADICTED),), evidence.seen)
            return CodeNotPresent(assessment.looked_for)
        case CodePresent():
            hit = tuple(one for one in evidence.seen if one.is_sure_hit)
            if hit:
                return Affected(hit)
        case CannotTell() | NoFunctionsNamed():
            pass
        case _:
            assert_never(assessment)
    lacks = tuple(
        sorted(
            {*_static_lacks(evidence), *_observed_lacks(evidence, accepted), *_unaccepted(evidence, accepted, now_ns)}
        )
    )
    if lacks or accepted is None:
        return UnderInvestigation(lacks, evidence.seen)
    return NotInExecutePath(accepted, evidence.seen)


def product_verdict(verdicts: Iterable[Verdict]) -> Verdict:
    """The verdict on a product from those on its files: the worst, with all that files of this verdict say."""
    found = sorted(verdicts, key=lambda one: _ORDER.index(type(one)))
    if not found:
        return NotConcerned((NotAffectedBecause.NOT_IN_FILE,))
    alike = [one for one in found if type(one) is type(found[0])]
    return _joined(alike)


def _joined(alike: Sequence[Verdict]) -> Verdict:
    first = alike[0]
    match first:
        case Affected():
            return Affected(tuple(seen for one in alike if isinstance(one, Affected) for seen in one.seen))
        case UnderInvestigation():
            several = [one for one in alike if isinstance(one, UnderInvestigation)]
            lacks = tuple(sorted({lack for one in several for lack in one.lacks}))
            return UnderInvestigation(lacks, tuple(seen for one in several for seen in one.seen))
        case NotInExecutePath():
            paths = [one for one in alike if isinstance(one, NotInExecutePath)]
            soonest = min((one.accepted for one in paths), key=lambda one: one.expires_ns)
            return NotInExecutePath(soonest, tuple(seen for one in paths for seen in one.seen))
        case CodeNotPresent():
            looked = {name for one in alike if isinstance(one, CodeNotPresent) for name in one.looked_for}
            return CodeNotPresent(tuple(sorted(looked)))
        case FixedByVersion():
            return first
        case NotConcerned():
            reasons = {reason for one in alike if isinstance(one, NotConcerned) for reason in one.reasons}
            return NotConcerned(tuple(sorted(reasons)))
        case _:
            assert_never(first)


def _static_lacks(evidence: FileEvidence) -> Iterable[Lack]:
    assessment = evidence.assessment
    if isinstance(assessment, NoFunctionsNamed):
        yield Lack(LackKind.NO_FUNCTIONS)
    elif isinstance(assessment, CannotTell | CodePresent):
        # code that is there may have further code that is not found, so its doubts count as well
        yield from (Lack(LackKind.STATIC_DOUBT, doubt.value) for doubt in assessment.doubts)


def _observed_lacks(evidence: FileEvidence, accepted: Acceptance | None) -> Iterable[Lack]:
    watched = {one.symbol for one in evidence.seen}
    vulnerability = evidence.vulnerability
    if missing := [one for one in evidence.symbols if one not in watched]:
        about = f"{len(missing):,} of {len(evidence.symbols):,}"
        yield Lack(LackKind.NOT_WATCHED, about, f"callstream vulnerabilities watch {vulnerability}")
    for one in evidence.seen:
        if one.hits or one.has(ReasonKind.UNCONFIRMED, ReasonKind.MAY_BE_IT):
            yield _of_hits(one)
        elif one.answer is AnswerKind.UNKNOWN:
            yield Lack(LackKind.NOT_ANSWERED, one.symbol)
        elif one.has(ReasonKind.NOT_HOOKED, ReasonKind.UNHOOKED):
            yield Lack(LackKind.NOT_PROBED, one.symbol, _policy_command(evidence))
        elif one.answer not in _NOT_ENTERED:
            said = _NO_DOUBTS | (_OF_GAPS if accepted is not None and accepted.accepts_gaps_of(one) else set())
            doubts = [words for kind, words in one.reasons if kind not in said]
            if doubts or not one.reasons:
                yield Lack(
                    LackKind.INCOMPLETE, f"{one.symbol}: {'; '.join(doubts[:1])}", "callstream hot-symbols --watched"
                )


def _policy_command(evidence: FileEvidence) -> str:
    """Writes the probes, for the agents' version where all that spoke have one."""
    versions = {one.agent_version for one in evidence.probes if one.agent_version}
    version = next(iter(versions)) if len(versions) == 1 else "VERSION"
    return f"callstream vulnerabilities policy {evidence.vulnerability} --agent-version {version}"


def _of_hits(seen: SeenFunction) -> Lack:
    """What is missing where code ran, and not for sure in this product."""
    match seen.whereabouts:
        case Whereabouts.IN_IT:
            return Lack(LackKind.UNSURE_HITS, seen.symbol)
        case Whereabouts.MAY_BE_IN_IT | Whereabouts.IN_NO_KNOWN_IMAGE:
            return Lack(LackKind.UNKNOWN_IMAGE, seen.symbol)
        case Whereabouts.ELSEWHERE:
            return Lack(LackKind.OTHER_IMAGES, seen.symbol)
        case _:
            assert_never(seen.whereabouts)


def _unaccepted(evidence: FileEvidence, accepted: Acceptance | None, now_ns: int) -> Iterable[Lack]:
    if accepted is None or not accepted.accepts_unprobed_copies:
        inlined = (one.symbol for one in evidence.seen if one.has(ReasonKind.INLINED_INTO))
        yield from (Lack(LackKind.NOT_PROBABLE, symbol) for symbol in (*evidence.unprobed, *inlined))
    if accepted is None:
        yield Lack(LackKind.NOT_ACCEPTED)
        return
    if accepted.expires_ns <= now_ns:
        yield Lack(LackKind.EXPIRED, accepted.author)
    if any(one.until_ns - one.since_ns < accepted.min_days * _DAY_NS for one in evidence.seen):
        yield Lack(LackKind.TOO_SHORT, f"{accepted.min_days:g} days")
