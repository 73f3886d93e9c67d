"""Bills of materials: which packages they have for which file, by its digest or by the path that is their evidence.

CycloneDX and SPDX as JSON, by the libraries of either format. Runs only in the reading process (package_reader.py).

- CycloneDX: the digest is one of `hashes` of the component, or of a component of the type `file` inside or around it;
  the path is one of `evidence.occurrences`, a property `syft:location:N:path`, or the name of such a `file`.
- SPDX: the digest is one of `checksums` of the package, or of a file that it contains or that is evidence of it; the
  path is `fileName` of that file.

Only digests of 256 bits and more count; SHA-1 and MD5 can be made to fit another file.
"""

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from packageurl import PackageURL

from agents.symbols.module_paths import normalize_module
from app.operators.regular_files import read_regular

MAX_BILL_BYTES: Final = 256 << 20
"""syft's of a large image has some 50 MB."""

_LOCATION: Final = re.compile(r"syft:location:\d+:path")
_SHA256: Final = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class BillEntry:
    """A package, and the files that are evidence of it, by SHA-256 and by path."""

    package_url: str
    digests: frozenset[str]
    paths: frozenset[str]


class BillError(Exception):
    """The file is not a bill of materials; the message says why."""


def read_bill(path: Path) -> list[BillEntry]:
    """The packages of a bill of materials. Raises BillError."""
    try:
        document = json.loads(read_regular(path, MAX_BILL_BYTES))
    except OSError as error:
        raise BillError(error.strerror or str(error)) from None
    except (ValueError, RecursionError):
        raise BillError("it is not JSON") from None
    if not isinstance(document, dict):
        raise BillError("it is not a JSON object")
    if document.get("bomFormat") == "CycloneDX":
        return list(_joined(_of_cyclonedx(document)))
    if "spdxVersion" in document:
        return list(_joined(_of_spdx(document)))
    raise BillError("it is neither CycloneDX nor SPDX 2 as JSON")


def _joined(found: Iterable[BillEntry]) -> Iterator[BillEntry]:
    digests: dict[str, set[str]] = defaultdict(set)
    paths: dict[str, set[str]] = defaultdict(set)
    for one in found:
        digests[one.package_url] |= one.digests
        paths[one.package_url] |= {normalize_module("/" + path.lstrip("/")).path for path in one.paths if path}
    return (BillEntry(url, frozenset(digests[url]), frozenset(paths[url])) for url in sorted(digests))


def _of_cyclonedx(document: dict[str, Any]) -> Iterator[BillEntry]:
    from cyclonedx.model.bom import Bom  # noqa: PLC0415 - half a second, and most processes read no bill

    try:
        bom = Bom.from_json(document)  # type: ignore[attr-defined] # added by its serializer
    except Exception as error:  # noqa: BLE001 - the library raises what its converters raise
        raise BillError(f"it is not CycloneDX: {type(error).__name__}") from None
    top = list(bom.components)
    if bom.metadata.component is not None:
        top.append(bom.metadata.component)
    for component in top:
        yield from _of_component(component, None)


def _of_component(component: Any, around: "BillEntry | None") -> Iterator[BillEntry]:
    """A component and those inside it. A file speaks of the package that it is in, or that is in it."""
    inner = list(component.components)
    is_file = component.type.value == "file"
    parts = [component, *(one for one in inner if one.type.value == "file")]
    digests = {digest for part in parts for digest in _digests_of(part.hashes)}
    paths = {path for part in parts for path in _paths_of(part)}
    if around is not None and around.package_url == "":
        digests |= around.digests
        paths |= around.paths
    entry = BillEntry(
        "" if component.purl is None else component.purl.to_string(), frozenset(digests), frozenset(paths)
    )
    if entry.package_url:
        yield entry
    for one in inner:
        yield from _of_component(one, entry if is_file else None)


def _digests_of(hashes: Iterable[Any]) -> Iterator[str]:
    for one in hashes:
        content = str(one.content).lower()
        if one.alg.value == "SHA-256" and _SHA256.fullmatch(content):
            yield content


def _paths_of(component: Any) -> Iterator[str]:
    if component.type.value == "file":
        yield component.name
    yield from (one.value or "" for one in component.properties if _LOCATION.fullmatch(one.name))
    if component.evidence is not None:
        yield from (one.location for one in component.evidence.occurrences if one.location)


def _of_spdx(document: dict[str, Any]) -> Iterator[BillEntry]:
    from spdx_tools.spdx.model.relationship import RelationshipType  # noqa: PLC0415 - a second, and most processes read no bill
    from spdx_tools.spdx.parser.jsonlikedict.json_like_dict_parser import JsonLikeDictParser  # noqa: PLC0415

    try:
        bill = JsonLikeDictParser().parse(document)  # type: ignore[no-untyped-call]
    except Exception as error:  # noqa: BLE001 - as above
        raise BillError(f"it is not SPDX 2: {type(error).__name__}") from None
    files = {one.spdx_id: one for one in bill.files}
    evidence: dict[str, set[str]] = defaultdict(set)
    for one in bill.relationships:
        first, second = one.spdx_element_id, str(one.related_spdx_element_id)
        is_evidence = one.relationship_type is RelationshipType.OTHER and "evident-by" in (one.comment or "")
        if one.relationship_type is RelationshipType.CONTAINS or is_evidence:
            evidence[first].add(second)
        elif one.relationship_type is RelationshipType.CONTAINED_BY:
            evidence[second].add(first)
    for package in bill.packages:
        shown = [files[one] for one in sorted(evidence[package.spdx_id]) if one in files]
        sums = [*package.checksums, *(one for part in shown for one in part.checksums)]
        digests = frozenset(_checksums_of(sums))
        paths = {one.name.removeprefix(".") for one in shown} | {package.file_name or ""}
        for reference in package.external_references:
            url = _package_url(reference.locator) if reference.reference_type == "purl" else ""
            if url:
                yield BillEntry(url, digests, frozenset(paths - {""}))


def _package_url(text: str) -> str:
    """A package URL in its normal form; empty where it is none."""
    try:
        return PackageURL.from_string(text).to_string()
    except ValueError:
        return ""


def _checksums_of(checksums: Iterable[Any]) -> Iterator[str]:
    return (
        one.value.lower()
        for one in checksums
        if one.algorithm.name == "SHA256" and _SHA256.fullmatch(one.value.lower())
    )
