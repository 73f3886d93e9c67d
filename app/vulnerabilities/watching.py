"""From findings to watches, and from the answers to the verdict of today."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, Self, assert_never

from agents.hot_symbols.watch.answer_kind import AnswerKind
from agents.hot_symbols.watch.reasons import ReasonKind
from agents.hot_symbols.watch.watch import MAX_CHARS, Watch
from agents.vulnerabilities.advisory import Advisory
from agents.vulnerabilities.product_images import ProductImage, Whereabouts, hit_images
from agents.vulnerabilities.verdict import (
    Acceptance,
    Affected,
    CodeNotPresent,
    FileEvidence,
    FixedByVersion,
    Lack,
    NotConcerned,
    NotInExecutePath,
    ProbeSeen,
    SeenFunction,
    UnderInvestigation,
    Verdict,
    file_verdict,
)
from agents.vulnerabilities.verdicts import FOLDED
from app.export.vex_file import VexFile
from app.operators.times import time_text
from app.stages.hot_symbols.watch_list import in_canonical_form
from app.vulnerabilities.findings import Finding
from schemas.probes import WindowEnd

_REASONS: Final = {one.value: one for one in ReasonKind}
_ANSWERS: Final = {one.value: one for one in AnswerKind}
_MAX_SHOWN: Final = 5
IMAGE_SCOPE: Final = "image:"
_ERROR_COMMAND: Final = "callstream doctor tetragon"
"""Where the agent can be reached, it shows the agent's error; no topic has that text, which may name private files."""


def watches_of(found: Iterable[Finding], since_ns: int) -> dict[str, Watch]:
    """The watches on the functions of findings, by id: by build id, each with all its vulnerabilities and aliases."""
    watches: dict[str, Watch] = {}
    for finding in found:
        advisory = finding.advisory
        named = tuple(
            one for one in (advisory.advisory_id, *advisory.aliases) if len(one) <= MAX_CHARS["vulnerability"]
        )
        for symbol in finding.symbols:
            watch = _watch(finding, symbol, since_ns, named)
            known = watches.get(watch.watch_id)
            watches[watch.watch_id] = watch if known is None else known.joined(watch)
    return watches


def _watch(finding: Finding, symbol: str, since_ns: int = 0, vulnerabilities: tuple[str, ...] = ()) -> Watch:
    """A file's path says which files of unknown build it may be, where it has one path only."""
    paths = {one.path for one in finding.program.places}
    return in_canonical_form(
        Watch(
            symbol=symbol,
            module=next(iter(paths)) if len(paths) == 1 else None,
            build_id=finding.program.build_id,
            since_ns=since_ns,
            vulnerabilities=vulnerabilities,
        )
    )


def acceptances(file: VexFile | None) -> dict[str, Acceptance]:
    """What an author accepts, by vulnerability and alias."""
    found: dict[str, Acceptance] = {}
    for subject in file.subjects if file is not None else ():
        if subject.accepted_until_ns:
            accepted = Acceptance(
                file.author if file is not None else "",
                subject.accepted_until_ns,
                subject.min_complete_days,
                accepts_unprobed_copies=subject.accept_unknown_copies,
                min_share=subject.min_share,
                max_events_lost=subject.max_events_lost,
            )
            found |= dict.fromkeys((subject.vulnerability, *subject.aliases), accepted)
    return found


def callers_of(rows: Iterable[Mapping[str, Any]]) -> dict[str, tuple[str, ...]]:
    """The callers of symbols by id, the most frequent first."""
    return {
        row["symbol_id"]: tuple(one["symbol_id"] for one in sorted(row["callers"], key=lambda one: -one["hits"]))
        for row in rows
        if row["callers"]
    }


@dataclass(frozen=True, slots=True)
class FileStatus:
    """A vulnerability and a file: what is known, and the verdict at a moment, with what the author accepts."""

    finding: Finding
    evidence: FileEvidence
    accepted: Acceptance | None
    now_ns: int
    verdict: Verdict

    @classmethod
    def of(cls, finding: Finding, evidence: FileEvidence, accepted: Acceptance | None, now_ns: int) -> Self:
        """The status that follows from the evidence."""
        return cls(finding, evidence, accepted, now_ns, file_verdict(evidence, accepted, now_ns))

    def seen_from(self, image: ProductImage | None) -> Self:
        """The same, as seen from a product that is an image; None is a product that is none."""
        evidence = self.evidence.seen_from(image)
        return replace(self, evidence=evidence, verdict=file_verdict(evidence, self.accepted, self.now_ns))

    def by_image(self) -> dict[str, Verdict]:
        """The verdict for each image that has the file, by the image's digest or name."""
        scopes = {one.scope for one in self.finding.program.places if one.scope.startswith(IMAGE_SCOPE)}
        names = sorted(one.removeprefix(IMAGE_SCOPE) for one in scopes)
        return {one: self.seen_from(ProductImage.of_name(one)).verdict for one in names}


@dataclass(frozen=True, slots=True)
class Observed:
    """Answers to all watches by id, callers of symbols by id, and the digest of the symbol store's snapshot.

    `probes` are what agents said last of policies, by the build id of the file.
    """

    answers: Mapping[str, Mapping[str, Any]]
    callers: Mapping[str, tuple[str, ...]]
    snapshot: str
    probes: Mapping[str, tuple[ProbeSeen, ...]] = field(default_factory=dict)


def statuses(
    found: Iterable[Finding], observed: Observed, accepted: Mapping[str, Acceptance], now_ns: int
) -> Iterator[FileStatus]:
    """The status of each finding."""
    for finding in found:
        evidence = _evidence(finding, observed)
        yield FileStatus.of(finding, evidence, _acceptance(finding.advisory, accepted), now_ns)


def _acceptance(advisory: Advisory, accepted: Mapping[str, Acceptance]) -> Acceptance | None:
    return next((accepted[one] for one in (advisory.advisory_id, *advisory.aliases) if one in accepted), None)


def _evidence(finding: Finding, observed: Observed) -> FileEvidence:
    program = finding.program
    asked = [(symbol, observed.answers.get(_watch(finding, symbol).watch_id)) for symbol in finding.symbols]
    return FileEvidence(
        vulnerability=finding.advisory.advisory_id,
        build_id=program.build_id,
        assessment=finding.assessment,
        symbols=finding.symbols,
        unprobed=tuple(sorted({one.symbol for one in finding.places().unprobed})),
        seen=tuple(_seen(symbol, answer, observed.callers) for symbol, answer in asked if answer is not None),
        probes=observed.probes.get(program.build_id, ()),
        sha256=() if program.packages is None else tuple(one.sha256 for one in program.packages.contents),
        package_urls=() if program.packages is None else program.packages.package_urls(),
        database=finding.database,
        snapshot=observed.snapshot,
    )


def _seen(symbol: str, answer: Mapping[str, Any], callers: Mapping[str, tuple[str, ...]]) -> SeenFunction:
    """An answer of a newer worker may have words that are not known here; they count as doubts."""
    return SeenFunction(
        symbol=symbol,
        watch_id=answer["watch_id"],
        answer=_ANSWERS.get(answer["answer"], AnswerKind.UNKNOWN),
        since_ns=answer["since_ns"],
        until_ns=answer["complete_until_ns"],
        hits=answer["hits"],
        confirmed_hits=answer["confirmed_hits"],
        first_seen_ns=answer["first_seen_ns"],
        last_seen_ns=answer["last_seen_ns"],
        events=tuple(f"{one['event_id']} at {one['partition']}:{one['offset']}" for one in answer["events"]),
        callers=tuple(dict.fromkeys(one for row in answer["symbols"] for one in callers.get(row["symbol_id"], ()))),
        watched_ms=answer["placed_watched_ms"],
        missing_ms=answer["placed_missing_ms"],
        events_lost=answer["events_lost"],
        reasons=tuple((_REASONS.get(one["reason"], ReasonKind.MAY_BE_IT), one["words"]) for one in answer["reasons"]),
        snapshot=answer["snapshot"] or "",
        images=hit_images(answer["images"]),
        images_more=answer["images_more"],
    )


def verdict_word(verdict: Verdict) -> str:
    """The verdict in one word, as JSON and tables have it."""
    match verdict:
        case Affected():
            return "affected"
        case UnderInvestigation():
            return "under_investigation"
        case NotInExecutePath():
            return "vulnerable_code_not_in_execute_path"
        case CodeNotPresent():
            return "vulnerable_code_not_present"
        case FixedByVersion():
            return "fixed_by_version"
        case NotConcerned():
            return "not_concerned"
        case _:
            assert_never(verdict)


def verdict_row(verdict: Verdict) -> dict[str, Any]:
    """A verdict for scripts, with its evidence and what is missing."""
    row: dict[str, Any] = {"verdict": verdict_word(verdict)}
    match verdict:
        case Affected():
            row["seen"] = [_seen_row(one) for one in verdict.seen]
        case UnderInvestigation():
            row["lacks"] = [_lack_row(one) for one in verdict.lacks]
            row["seen"] = [_seen_row(one) for one in verdict.seen]
        case NotInExecutePath():
            row["accepted_by"], row["expires_ns"] = verdict.accepted.author, verdict.accepted.expires_ns
            row["seen"] = [_seen_row(one) for one in verdict.seen]
        case CodeNotPresent():
            row["looked_for"], row["reasons"] = list(verdict.looked_for), [FOLDED]
        case NotConcerned():
            row["reasons"] = [one.value for one in verdict.reasons]
        case FixedByVersion():
            pass
        case _:
            assert_never(verdict)
    return row


def _lack_row(lack: Lack) -> dict[str, str]:
    return {"lack": lack.kind.name, "words": lack.kind.value, "about": lack.about, "command": lack.command}


def _seen_row(seen: SeenFunction) -> dict[str, Any]:
    return {
        "symbol": seen.symbol,
        "watch_id": seen.watch_id,
        "answer": seen.answer.value,
        "since_ns": seen.since_ns,
        "until_ns": seen.until_ns,
        "hits": seen.hits,
        "confirmed_hits": seen.confirmed_hits,
        "first_seen_ns": seen.first_seen_ns,
        "last_seen_ns": seen.last_seen_ns,
        "events": list(seen.events),
        "callers": list(seen.callers),
        "placed_watched_ms": seen.watched_ms,
        "placed_missing_ms": seen.missing_ms,
        "events_lost": seen.events_lost,
        "reasons": [words for _, words in seen.reasons],
        "snapshot": seen.snapshot,
        "images": [
            {"image_id": one.image_id, "image_name": one.image_name, "is_sure": one.is_sure} for one in seen.images
        ],
        "images_more": seen.images_more,
        "whereabouts": seen.whereabouts.name,
    }


def probe_row(probe: ProbeSeen) -> dict[str, Any]:
    """What an agent said last of a policy, for scripts."""
    return {
        "policy": probe.policy,
        "node": probe.node,
        "state": probe.state.value,
        "hooks": {state.value: count for state, count in probe.hooks},
        "end": probe.end.value,
        "from_ns": probe.from_ns,
        "until_ns": probe.until_ns,
        "agent_version": probe.agent_version,
        "command": _ERROR_COMMAND if probe.has_failed else "",
    }


def probe_words(probe: ProbeSeen) -> str:
    """The same for people."""
    hooks = ", ".join(f"{count:,} {state.value}" for state, count in probe.hooks) or "no hooks"
    ended = "" if probe.end is WindowEnd.OPEN else f", then {probe.end.value}"
    return f"{probe.policy} on {probe.node}: {probe.state.value}, {hooks}, until {time_text(probe.until_ns)}{ended}"


def verdict_lines(verdict: Verdict) -> Iterator[str]:
    """Evidence, and what is missing, for people."""
    match verdict:
        case Affected():
            yield from _shown([_hit_words(one) for one in verdict.seen])
        case UnderInvestigation():
            yield from _shown([_hit_words(one) for one in verdict.seen if one.hits])
            yield from _shown([_quiet_words(one) for one in verdict.seen if not one.hits and one.until_ns])
            yield from _lack_lines(verdict.lacks)
        case NotInExecutePath():
            yield f"accepted by {verdict.accepted.author} until {time_text(verdict.accepted.expires_ns)}"
            yield from _shown([_quiet_words(one) for one in verdict.seen])
        case CodeNotPresent():
            yield f"looked for {len(verdict.looked_for):,} functions in a complete list of the code; {FOLDED}"
        case NotConcerned():
            yield "; ".join(one.value for one in verdict.reasons)
        case FixedByVersion():
            yield "its version is not affected"
        case _:
            assert_never(verdict)


def _lack_lines(lacks: Sequence[Lack]) -> Iterator[str]:
    """Each kind once, with the first that it is about, and the command."""
    for kind in dict.fromkeys(one.kind for one in lacks):
        several = [one for one in lacks if one.kind is kind]
        about = [one.about for one in several if one.about]
        more = f" and {len(about) - 1:,} more" if len(about) > 1 else ""
        yield f"missing: {kind.value}" + (f": {about[0]}{more}" if about else "")
        if several[0].command:
            yield f"  try: {several[0].command}"


def _shown(lines: Sequence[str]) -> Iterator[str]:
    yield from lines[:_MAX_SHOWN]
    if len(lines) > _MAX_SHOWN:
        yield f"... and {len(lines) - _MAX_SHOWN:,} more functions; --json has all"


def _hit_words(seen: SeenFunction) -> str:
    events = f"; event {seen.events[0]}" if seen.events else ""
    where = f"; {where_words(seen)}"
    called = f"; called by {', '.join(seen.callers[:_MAX_SHOWN])}" if seen.callers else ""
    return (
        f"{seen.symbol} ran: {seen.hits:,} hits or more, {seen.confirmed_hits:,} sure, last "
        f"{time_text(seen.last_seen_ns)}{where}{events}{called}"
    )


def where_words(seen: SeenFunction) -> str:
    """In which images code ran, and whether that is the product that is looked at."""
    if not seen.images:
        return "in no known image: on a host, or in a container whose image the agent did not say"
    more = seen.images_more + max(len(seen.images) - _MAX_SHOWN, 0)
    named = ", ".join(one.name for one in seen.images[:_MAX_SHOWN]) + (f" and {more:,} more" if more else "")
    return f"in other images: {named}" if seen.whereabouts is Whereabouts.ELSEWHERE else f"in {named}"


def _quiet_words(seen: SeenFunction) -> str:
    whole = seen.watched_ms + seen.missing_ms
    share = f", {100 * seen.watched_ms / whole:.4f} % of the node-time watched" if whole else ""
    hooks = ", hooks loaded" if seen.has(ReasonKind.HOOKS_LOADED) else ""
    return f"{seen.symbol} not seen from {time_text(seen.since_ns)} to {time_text(seen.until_ns)}{share}{hooks}"
