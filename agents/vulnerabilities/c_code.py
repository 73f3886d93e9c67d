"""Vulnerabilities of C code: records that name functions, and what they mean for a file.

- A CVE record has `programRoutines` and, since 5.2, `packageURL` (CVEProject/cve-schema, CVE_Record_Format).
- A list of somebody's own is TOML: `id`, `packages` (package URLs, with a version or without) and `functions`.

Which versions are affected nobody can compare: a distribution has its own fixes under the old number.
So a file is affected for sure only where the list has the very version of a package that owns it.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final

from packageurl import PackageURL

from agents.toml_text import TomlTextError, parse_toml
from agents.vulnerabilities.advisory import (
    Advisory,
    AdvisoryFault,
    AdvisoryRefusal,
    AffectedPackage,
    Ecosystem,
    FaultyFunctions,
)
from agents.vulnerabilities.fields import Fields, RefusedFieldError
from agents.vulnerabilities.verdicts import (
    Assessment,
    CannotTell,
    CodeAbsent,
    CodePresent,
    Doubt,
    NoFunctionsNamed,
    NotAffected,
    NotAffectedBecause,
)

CVE_RECORD: Final = "CVE_RECORD"
"""What such a document says of itself in `dataType`."""

_LICENCE: Final = "CVE Terms of Use"


@dataclass(frozen=True, slots=True)
class CFile:
    """A file of C code: the packages that it is of, its functions, and why their list is not complete."""

    package_urls: tuple[str, ...]
    has_function: Callable[[str], bool]
    gaps: frozenset[Doubt] = frozenset()


def read_cve_record(document: Any) -> Advisory | AdvisoryRefusal:
    """The advisory of a CVE record, or the field that is wrong."""
    try:
        fields = Fields(document, "")
        authority = fields.inner("containers").inner("cna")
        affected = [_of_record(one) for one in authority.objects("affected") if one.has("packageURL")]
        return Advisory(
            fields.inner("cveMetadata").text("cveId"),
            (),
            authority.summary("title"),
            tuple(affected),
            is_withdrawn=fields.inner("cveMetadata").text("state", "") == "REJECTED",
            licence=_LICENCE,
            dated=fields.inner("cveMetadata").text("dateUpdated", ""),
        )
    except RefusedFieldError as error:
        return error.refusal


def _of_record(fields: Fields) -> AffectedPackage:
    url = fields.text("packageURL")
    return _affected(url, fields.place("packageURL"), [one.text("name") for one in fields.objects("programRoutines")])


def read_functions(text: str) -> Advisory | AdvisoryRefusal:
    """The advisory of a list of somebody's own, or the field that is wrong."""
    try:
        fields = Fields(parse_toml(text), "")
        functions = fields.texts("functions")
        if not functions:
            return AdvisoryRefusal(AdvisoryFault.FIELD_MISSING, "functions")
        affected = tuple(_affected(one, "packages", functions) for one in fields.texts("packages"))
        if not affected:
            return AdvisoryRefusal(AdvisoryFault.FIELD_MISSING, "packages")
        return Advisory(fields.text("id"), fields.texts("aliases"), fields.summary("summary"), affected)
    except TomlTextError as error:
        return AdvisoryRefusal(AdvisoryFault.NOT_A_DOCUMENT, str(error))
    except RefusedFieldError as error:
        return error.refusal


def _affected(url: str, where: str, functions: Iterable[str]) -> AffectedPackage:
    try:
        PackageURL.from_string(url)
    except ValueError:
        raise RefusedFieldError(AdvisoryFault.FIELD_TYPE, where) from None
    named = tuple(functions)
    return AffectedPackage(Ecosystem.C, url, None, (FaultyFunctions(url, named),) if named else ())


def assess_c(advisory: Advisory, file: CFile) -> Assessment:
    """What an advisory means for a file of C code."""
    if advisory.is_withdrawn:
        return NotAffected((NotAffectedBecause.WITHDRAWN,))
    doubts: set[Doubt] = set()
    looked_for: set[str] = set()
    is_here = is_sure = False
    for affected in advisory.affected:
        versions = _versions(affected, file)
        if versions is None:
            continue
        is_here = True
        is_sure |= versions
        looked_for |= {function for named in affected.named for function in named.functions}
    if not is_here:
        return NotAffected((NotAffectedBecause.NOT_IN_FILE,))
    if not is_sure:
        doubts.add(Doubt.NO_VERSION)
    if not looked_for:
        return NoFunctionsNamed() if is_sure else CannotTell(tuple(sorted(doubts)), ())
    found = tuple(sorted(function for function in looked_for if file.has_function(function)))
    if found:
        return CodePresent(found, ()) if is_sure else CannotTell(tuple(sorted(doubts)), found)
    doubts = set(file.gaps)  # code that is not there is not there in any version
    return CannotTell(tuple(sorted(doubts)), ()) if doubts else CodeAbsent(tuple(sorted(looked_for)))


def _versions(affected: AffectedPackage, file: CFile) -> bool | None:
    """Whether the file is of the very version that is listed; None where it is of another package."""
    if affected.ecosystem != Ecosystem.C:
        return None
    meant = PackageURL.from_string(affected.name)
    alike = [one for one in map(PackageURL.from_string, file.package_urls) if _name(one) == _name(meant)]
    return any(one.version == meant.version for one in alike if meant.version) if alike else None


def _name(url: PackageURL) -> tuple[str, str, str]:
    return url.type, url.namespace or "", url.name
