"""What a VEX document says of one vulnerability and one product, whatever its format, from verdicts on files.

A product is one that the author's VEX file names for the vulnerability; the verdict on it is that on its files, of
which the worst decides. A container image has the files that the symbol store has of it, and others that are of no
image, and the hits that were in it. Where the author names none, each file is a product by its SHA-256.
"""

import enum
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final, assert_never

from packageurl import PackageURL

from agents.vulnerabilities.product_images import ProductImage, Whereabouts
from agents.vulnerabilities.verdict import (
    Affected,
    CodeNotPresent,
    FixedByVersion,
    NotConcerned,
    NotInExecutePath,
    SeenFunction,
    UnderInvestigation,
    Verdict,
    product_verdict,
)
from agents.vulnerabilities.verdicts import FOLDED, NotAffectedBecause
from app.export.vex_file import VexFile, VexSubject
from app.operators.times import time_text
from app.vulnerabilities.watching import IMAGE_SCOPE, FileStatus, probe_words, where_words

DEFAULT_ACTION: Final = "Update the package to a version that is not affected."
_SHA256: Final = "sha256:"
_CVE: Final = re.compile(r"CVE-[0-9]{4}-[0-9]{4,}")


class VexStatus(enum.StrEnum):
    """In OpenVEX's words."""

    AFFECTED = "affected"
    NOT_AFFECTED = "not_affected"
    FIXED = "fixed"
    UNDER_INVESTIGATION = "under_investigation"


class Justification(enum.StrEnum):
    """Why a product is not affected, in OpenVEX's and CSAF's words."""

    COMPONENT_NOT_PRESENT = "component_not_present"
    CODE_NOT_PRESENT = "vulnerable_code_not_present"
    NOT_IN_PATH = "vulnerable_code_not_in_execute_path"


@dataclass(frozen=True, slots=True, order=True)
class VexProduct:
    """A product by its IRI, and by the SHA-256 of a file or an image where it has one."""

    iri: str
    name: str
    sha256: str = ""

    @property
    def package_url(self) -> str | None:
        """Its package URL, if its IRI is one."""
        return self.iri if self.iri.startswith("pkg:") else None


@dataclass(frozen=True, slots=True, kw_only=True)
class VexEntry:
    """What is said of a vulnerability and a product. `evidence` are names and values, in order; names repeat."""

    vulnerability: str
    aliases: tuple[str, ...]
    summary: str
    product: VexProduct
    subcomponents: tuple[str, ...] = ()
    status: VexStatus
    justification: Justification | None = None
    words: str
    evidence: tuple[tuple[str, str], ...]
    action: str = ""

    def notes(self) -> str:
        """The words and all evidence as one text."""
        return "\n".join((self.words, *(f"{name}: {value}" for name, value in self.evidence)))


def vex_entries(found: Iterable[FileStatus], file: VexFile) -> list[VexEntry]:
    """One for each vulnerability and product, in order. Advisories of one CVE are one vulnerability."""
    subjects = {name: one for one in file.subjects for name in (one.vulnerability, *one.aliases)}
    grouped: dict[str, list[FileStatus]] = defaultdict(list)
    for one in found:
        grouped[_name(one, subjects)].append(one)
    entries: list[VexEntry] = []
    for name, several in sorted(grouped.items()):
        subject = subjects.get(name)
        for product, files in _products(several, subject):
            entries.append(_entry(name, subject, product, files, several))
    return entries


def _name(one: FileStatus, subjects: Mapping[str, VexSubject]) -> str:
    """As the author calls it, or its only CVE, or the advisory's id."""
    names = (one.finding.advisory.advisory_id, *one.finding.advisory.aliases)
    for name in names:
        if name in subjects:
            return subjects[name].vulnerability
    numbers = [name for name in names if _CVE.fullmatch(name)]
    return numbers[0] if len(numbers) == 1 else names[0]


def _products(
    several: Sequence[FileStatus], subject: VexSubject | None
) -> Iterator[tuple[VexProduct, Sequence[FileStatus]]]:
    if subject is not None:
        for iri in subject.products:
            image = ProductImage.of_package_url(iri)
            digest = "" if image is None else image.digest.removeprefix(_SHA256)
            whole = digest if len(digest) == 64 else ""
            files = [one.seen_from(image) for one in several if _may_be_in(one, digest)]
            yield VexProduct(iri, iri, whole), files
        return
    by_product: dict[VexProduct, list[FileStatus]] = defaultdict(list)
    for one in several:
        for product in _files(one):
            by_product[product].append(one)
    yield from sorted(by_product.items(), key=lambda one: one[0])


def _may_be_in(one: FileStatus, digest: str) -> bool:
    """Whether a file may be of an image; a file that the store has of other images only is not."""
    places = one.finding.program.places
    if not digest or not places:
        return True
    return any(
        not place.scope.startswith(IMAGE_SCOPE) or place.scope.startswith(f"{IMAGE_SCOPE}{_SHA256}{digest}")
        for place in places
    )


def _files(one: FileStatus) -> Iterator[VexProduct]:
    """A file as products: one for each content with its build id."""
    names = sorted({PurePosixPath(place.path).name for place in one.finding.program.places})
    name = names[0] if names else one.evidence.build_id
    for digest in one.evidence.sha256:
        url = PackageURL("generic", name=name, qualifiers={"checksum": f"sha256:{digest}"}).to_string()
        yield VexProduct(url, name, digest)
    if not one.evidence.sha256:
        yield VexProduct(f"urn:build-id:{one.evidence.build_id}", name)


def _entry(
    name: str,
    subject: VexSubject | None,
    product: VexProduct,
    files: Sequence[FileStatus],
    several: Sequence[FileStatus],
) -> VexEntry:
    advisories = sorted({one.finding.advisory.advisory_id: one.finding.advisory for one in several}.items())
    known = {alias for _, one in advisories for alias in (one.advisory_id, *one.aliases)} - {name}
    if files:
        verdict = product_verdict(one.verdict for one in files)
        status, justification, words = _said(verdict)
    else:
        status, justification = VexStatus.UNDER_INVESTIGATION, None
        words = "The symbol store has no file of this image."
    action = (subject.action if subject is not None else "") or DEFAULT_ACTION
    return VexEntry(
        vulnerability=name,
        aliases=tuple(sorted(known | set(subject.aliases if subject is not None else ()))),
        summary=advisories[0][1].summary,
        product=product,
        subcomponents=() if subject is None else subject.subcomponents,
        status=status,
        justification=justification,
        words=words,
        evidence=tuple(dict.fromkeys(pair for one in files for pair in _evidence(one) if pair[1])),
        action=action if status is VexStatus.AFFECTED else "",
    )


def _said(verdict: Verdict) -> tuple[VexStatus, Justification | None, str]:
    """A verdict in the words of VEX; only what closes a vulnerability has a justification."""
    match verdict:
        case Affected():
            return VexStatus.AFFECTED, None, "Functions that the advisory names ran."
        case UnderInvestigation():
            missing = "; ".join(dict.fromkeys(one.kind.value for one in verdict.lacks))
            return VexStatus.UNDER_INVESTIGATION, None, f"Nobody can tell yet. Missing: {missing}."
        case NotInExecutePath():
            until = time_text(verdict.accepted.expires_ns)
            words = f"Not entered while it was watched, which {verdict.accepted.author} accepts until {until}."
            return VexStatus.NOT_AFFECTED, Justification.NOT_IN_PATH, words
        case CodeNotPresent():
            words = f"A complete list of the code has none of {len(verdict.looked_for):,} functions; {FOLDED}."
            return VexStatus.NOT_AFFECTED, Justification.CODE_NOT_PRESENT, words
        case FixedByVersion():
            return VexStatus.FIXED, None, "The version is not affected."
        case NotConcerned():
            is_absent = set(verdict.reasons) == {NotAffectedBecause.NOT_IN_FILE}
            reasons = "; ".join(one.value for one in verdict.reasons)
            words = f"The advisory does not mean it: {reasons}."
            return VexStatus.NOT_AFFECTED, Justification.COMPONENT_NOT_PRESENT if is_absent else None, words
        case _:
            assert_never(verdict)


def _evidence(one: FileStatus) -> Iterator[tuple[str, str]]:
    """All that the verdict on a file rests on; what is empty is left out by the caller."""
    evidence = one.evidence
    yield "advisory", evidence.vulnerability
    yield "advisory-dated", one.finding.advisory.dated
    yield "vulnerability-database-sha256", evidence.database
    yield "build-id", evidence.build_id
    for digest in evidence.sha256:
        yield "file-sha256", digest
    yield "symbol-store-sha256", evidence.snapshot
    if isinstance(one.verdict, CodeNotPresent):
        for name in one.verdict.looked_for:
            yield "function-absent", name
    for seen in evidence.seen:
        yield from _of_function(seen)
    for probe in evidence.probes:
        yield "probe", probe_words(probe)
    if isinstance(one.verdict, UnderInvestigation):
        for lack in one.verdict.lacks:
            yield "missing", f"{lack.kind.value}: {lack.about}" if lack.about else lack.kind.value


def _of_function(seen: SeenFunction) -> Iterator[tuple[str, str]]:
    lost = "an unknown number of" if seen.events_lost is None else f"{seen.events_lost:,}"
    until = f" to {time_text(seen.until_ns)}" if seen.until_ns else ""
    words = (
        f"{seen.symbol}: {seen.answer.value}, watched from {time_text(seen.since_ns)}{until}; {seen.hits:,} hits or "
        f"more, {seen.confirmed_hits:,} sure; node-time {seen.watched_ms:,} ms watched, {seen.missing_ms:,} ms "
        f"missing; {lost} events lost"
    )
    yield "function", words
    if seen.hits:
        yield "ran", f"{seen.symbol}: {where_words(seen)}"
    if seen.whereabouts is not Whereabouts.ELSEWHERE:  # events and callers of other images are not evidence here
        for event in seen.events:
            yield "event", event
        for caller in seen.callers:
            yield "called-by", f"{seen.symbol}: {caller}"
    for _, words in seen.reasons:
        yield "reason", f"{seen.symbol}: {words}"
    yield "answered-with-symbol-store-sha256", seen.snapshot
