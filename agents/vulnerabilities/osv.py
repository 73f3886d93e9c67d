"""Reads an OSV document, with what Go's database and RustSec add to it (`ecosystem_specific`).

ossf.github.io/osv-schema; go.dev/doc/security/vuln/database; rustsec/src/osv/advisory.rs.
"""

from typing import Any, Final

from agents.vulnerabilities.advisory import (
    MAX_NAMED,
    Advisory,
    AdvisoryFault,
    AdvisoryRefusal,
    AffectedPackage,
    Ecosystem,
    FaultyFunctions,
    UnreadableVersions,
)
from agents.vulnerabilities.fields import Fields, RefusedFieldError
from agents.vulnerabilities.version_rules import MAX_EVENTS, OsvRanges, RangeEvent
from agents.vulnerabilities.versions import Version

_EVENTS: Final = ("introduced", "fixed", "last_affected")
_ORDERED: Final = frozenset((Ecosystem.GO.value, Ecosystem.CARGO.value))

_LICENCES: Final = {"GO-": "CC-BY-4.0", "GHSA-": "CC-BY-4.0", "RUSTSEC-": "CC0-1.0"}
"""Of the databases, by how their ids begin (google.github.io/osv.dev/data); an entry may say another one."""


def read_osv(document: Any) -> Advisory | AdvisoryRefusal:
    """The advisory of a parsed JSON document, or the field that is wrong."""
    try:
        fields = Fields(document, "")
        affected = tuple(_affected(one) for one in fields.objects("affected"))
        if sum(len(named.functions) for one in affected for named in one.named) > MAX_NAMED:
            return AdvisoryRefusal(AdvisoryFault.TOO_LARGE, "affected")
        return Advisory(
            fields.text("id"),
            fields.texts("aliases"),
            fields.summary("summary"),
            affected,
            is_withdrawn=fields.has("withdrawn"),
            licence=fields.inner("database_specific").text("license", "") or _licence(fields.text("id")),
            related=fields.texts("related"),
            dated=max(fields.text("modified", ""), fields.text("published", "")),
        )
    except RefusedFieldError as error:
        return error.refusal


def _licence(advisory_id: str) -> str:
    return next((licence for start, licence in _LICENCES.items() if advisory_id.startswith(start)), "")


def _affected(fields: Fields) -> AffectedPackage:
    package = fields.inner("package")
    ecosystem, name = package.text("ecosystem"), package.text("name")
    specific = fields.inner("ecosystem_specific")
    return AffectedPackage(
        ecosystem,
        name,
        _versions(fields, "ranges", ecosystem),
        _named_in_go(specific) if ecosystem == Ecosystem.GO else _named_in_rust(specific, name),
        _custom(specific),
    )


def _custom(specific: Fields) -> OsvRanges | UnreadableVersions | None:
    """The versions as the project writes them. That may be in a way of its own, so they need not be readable."""
    if not specific.has("custom_ranges"):
        return None
    try:
        return OsvRanges(tuple(_events(one) for one in specific.objects("custom_ranges")))
    except RefusedFieldError as error:
        if error.refusal.fault is AdvisoryFault.VERSION:
            return UnreadableVersions(error.refusal.where)
        raise


def _versions(fields: Fields, name: str, ecosystem: str) -> OsvRanges | None:
    """The versions that are affected; None where their order is not that of semantic versions, or only commits are."""
    ranges = []
    for one in fields.objects(name):
        kind = one.text("type")
        if kind == "SEMVER" or (kind == "ECOSYSTEM" and ecosystem in _ORDERED):
            ranges.append(_events(one))
    listed = frozenset(fields.texts("versions"))
    return OsvRanges(tuple(ranges), listed) if ranges or (listed and ecosystem in _ORDERED) else None


def _events(fields: Fields) -> tuple[RangeEvent, ...]:
    events = [
        _event(kind, one.text(kind), one.place(kind))
        for one in fields.objects("events")
        for kind in _EVENTS
        if one.has(kind)
    ]
    if len(events) > MAX_EVENTS:
        raise RefusedFieldError(AdvisoryFault.TOO_LARGE, fields.place("events"))
    return tuple(events)


def _event(kind: str, text: str, where: str) -> RangeEvent:
    if text == "0":
        return RangeEvent(kind, None)
    version = Version.parse(text)
    if version is None:
        raise RefusedFieldError(AdvisoryFault.VERSION, where)
    return RangeEvent(kind, version)


def _named_in_go(specific: Fields) -> tuple[FaultyFunctions, ...]:
    return tuple(
        FaultyFunctions(
            one.text("path"), one.texts("symbols"), frozenset(one.texts("goos")), frozenset(one.texts("goarch"))
        )
        for one in specific.objects("imports")
    )


def _named_in_rust(specific: Fields, crate: str) -> tuple[FaultyFunctions, ...]:
    functions = specific.inner("affects").texts("functions")
    return (FaultyFunctions(crate, functions),) if functions else ()
