"""What each advisory means for each file of a store, and the same as rows that people and scripts read."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, assert_never

from agents.vulnerabilities.advisory import Advisory
from agents.vulnerabilities.probing import NoProbe, ProbePlaces, probe_places
from agents.vulnerabilities.verdicts import (
    FOLDED,
    Assessment,
    CannotTell,
    CodeAbsent,
    CodePresent,
    NoFunctionsNamed,
    NotAffected,
)
from app.vulnerabilities.advisory_files import VulnerabilityDatabase
from app.vulnerabilities.database_folder import DatabaseFolder, DatabaseFolderError
from app.vulnerabilities.programs import StoredProgram

NO_PLACES: Final = ProbePlaces((), ())

_MAX_SHOWN: Final = 4
"""Symbols that a line of a table spells out; --json has all."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What an advisory means for a file, and where the functions that it names can be probed there."""

    program: StoredProgram
    advisory: Advisory
    database: str
    assessment: Assessment

    @property
    def symbols(self) -> tuple[str, ...]:
        """The functions of the file that the advisory names, or may name."""
        match self.assessment:
            case CodePresent() | CannotTell():
                return self.assessment.symbols
            case NotAffected() | CodeAbsent() | NoFunctionsNamed():
                return ()
            case _:
                assert_never(self.assessment)

    def places(self) -> ProbePlaces:
        """Where these functions can be probed, as offsets into the file, and what no probe sees."""
        if not self.symbols:
            return NO_PLACES
        return probe_places(self.symbols, self.program.names, self.program.segments)


def databases_of(folder: DatabaseFolder, *, before: bool = False) -> list[VulnerabilityDatabase]:
    """The databases in use, or those before them. Raises DatabaseFolderError."""
    return [folder.read(one) for one in (folder.before() if before else folder.in_use())]


def chosen(databases: Iterable[VulnerabilityDatabase], wanted: Sequence[str]) -> list[tuple[Advisory, str]]:
    """Advisories with the digests of their databases: all, or those with these ids or aliases.

    Raises DatabaseFolderError if no database has one of them.
    """
    found = [(advisory, one.digest) for one in databases for _, advisory in sorted(one.advisories.items())]
    if not wanted:
        return found
    named = set(wanted)
    known = {name for advisory, _ in found for name in (advisory.advisory_id, *advisory.aliases)}
    if missing := [one for one in wanted if one not in known]:
        raise DatabaseFolderError(f"no database has {', '.join(missing)}; see `callstream vulnerabilities load`")
    return [(advisory, digest) for advisory, digest in found if named & {advisory.advisory_id, *advisory.aliases}]


def findings(program: StoredProgram, advisories: Iterable[tuple[Advisory, str]]) -> Iterator[Finding]:
    """What each advisory of the file's ecosystems means for it."""
    for advisory, digest in advisories:
        assessment = program.assess(advisory)
        if assessment is not None:
            yield Finding(program, advisory, digest, assessment)


def answer_word(assessment: Assessment) -> str:
    """The answer in one word, as JSON and tables have it."""
    match assessment:
        case NotAffected():
            return "not_affected"
        case CodeAbsent():
            return "code_absent"
        case CodePresent():
            return "code_present"
        case NoFunctionsNamed():
            return "no_functions_named"
        case CannotTell():
            return "cannot_tell"
        case _:
            assert_never(assessment)


def reasons_of(assessment: Assessment) -> list[str]:
    """Why it is so, in words."""
    match assessment:
        case NotAffected():
            return [one.value for one in assessment.reasons]
        case CodePresent() | CannotTell():
            return [one.value for one in assessment.doubts]
        case CodeAbsent():
            return [f"none of {len(assessment.looked_for):,} functions is in the file", FOLDED]
        case NoFunctionsNamed():
            return ["the version is affected, and the advisory names no functions"]
        case _:
            assert_never(assessment)


def finding_row(finding: Finding) -> dict[str, Any]:
    """A finding for scripts."""
    places = finding.places()
    offsets: dict[str, list[int]] = {}
    for place in places.places:
        offsets.setdefault(place.symbol, []).append(place.file_offset)
    unprobed = [
        {"symbol": one.symbol, "reason": one.reason.value, "inlined_into": list(one.hosts)} for one in places.unprobed
    ]
    assessment = finding.assessment
    return {
        "vulnerability": finding.advisory.advisory_id,
        "aliases": list(finding.advisory.aliases),
        "summary": finding.advisory.summary,
        "answer": answer_word(assessment),
        "reasons": reasons_of(assessment),
        "symbols": [{"symbol": one, "file_offsets": offsets.get(one, [])} for one in finding.symbols],
        "not_probed": unprobed,
        "looked_for": list(assessment.looked_for) if isinstance(assessment, CodeAbsent) else [],
        "database": finding.database,
    }


def table_lines(found: Sequence[Finding]) -> Iterator[str]:
    """The findings of a file for people. Those that have the same answer for the same reasons are one line."""
    alike: dict[tuple[str, ...], list[Finding]] = {}
    for one in found:
        if one.symbols:
            yield from finding_lines(one)
        else:
            alike.setdefault((answer_word(one.assessment), *_shown_reasons(one)), []).append(one)
    for several in alike.values():
        if len(several) == 1:
            yield from finding_lines(several[0])
            continue
        first = f"{several[0].advisory.advisory_id} and {len(several) - 1:,} more"
        yield f"  {first:<35} {answer_word(several[0].assessment):<18} {'; '.join(_shown_reasons(several[0]))}"


def _shown_reasons(finding: Finding) -> list[str]:
    """Without how many functions were looked for, which differs."""
    is_absent = isinstance(finding.assessment, CodeAbsent)
    return ["none of their functions is in the file", FOLDED] if is_absent else reasons_of(finding.assessment)


def finding_lines(finding: Finding) -> Iterator[str]:
    """A finding for people: the advisory, the answer, and the functions or reasons."""
    advisory = finding.advisory
    name = next((one for one in advisory.aliases if one.startswith("CVE-")), "")
    yield f"  {advisory.advisory_id:<18} {name:<16} {answer_word(finding.assessment):<18} {_said(finding)}"
    hosts = {one.symbol: one.hosts for one in finding.places().unprobed if one.reason is NoProbe.INLINED}
    for symbol, inlined in sorted(hosts.items())[:_MAX_SHOWN]:
        yield f"  {'':<54} {symbol} is inlined into {_shortened(inlined)}"


def _said(finding: Finding) -> str:
    if finding.symbols:
        doubts = reasons_of(finding.assessment)
        return _shortened(finding.symbols) + (f" ({'; '.join(doubts)})" if doubts else "")
    return "; ".join(reasons_of(finding.assessment))


def _shortened(names: Collection[str]) -> str:
    more = f" and {len(names) - _MAX_SHOWN:,} more" if len(names) > _MAX_SHOWN else ""
    return ", ".join(list(names)[:_MAX_SHOWN]) + more
