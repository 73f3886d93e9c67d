"""Runtime facts as NDJSON: one line a symbol that ran, with its hits summed up, for reachability scoring.

The shape is that of Stella Ops' runtime facts (docs/reachability/runtime-facts.md there): `symbolId, codeId, purl,
buildId, containerId, hitCount, observedAt, metadata`; unknown values are left out. `symbolId` is our row's key, or with
a symbol map the consumer's own id; `codeId` is there only from such a map, for its recipe leaves open how an address
and a block of code are written. `buildId` is there only if it is that of a GNU note; `metadata` has any build id, its
kind and the file's SHA-256. `purl` is that of the map, else of the function's Go module, else of the file.
`containerId` is set only if all hits are of one container, and its id is whole; calls do not say the runtime, so only
an operator's word puts it in front. The consumer adds hits up, so `hitsOf` says whether they are those of a window or
all that the table has, which must not be added. Values of `metadata` are texts, as the consumer's type wants them.
`names` are the other names of the code, where an index of the file is at hand; `hitsMayBeDoubled` is there if two
ingests read one agent. Lines are sorted by our symbol id. A symbol without a hit has no line.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from agents.hot_symbols.counting.recent import Recent
from app.export.fact_files import UNKNOWN_FILE, FactFile
from app.export.symbol_map import MappedSymbol, SymbolMap
from app.operators.escaping import escaped
from app.operators.times import time_text
from app.stages.hot_symbols.doubled_hits import FIELD

Fact = dict[str, Any]

_WHOLE_ID: Final = re.compile(r"[0-9a-f]{64}")
"""An agent without Kubernetes says only how an id begins."""


@dataclass(frozen=True, slots=True)
class FactOrder:
    """What is asked of facts: the consumer's ids, symbols of one build id only, and the runtime of containers."""

    symbols: SymbolMap | None = None
    build_id: str | None = None
    container_runtime: str = ""

    def has(self, row: Mapping[str, Any]) -> bool:
        """Whether a row is of the file that is meant."""
        return self.build_id is None or row["build_id"] == self.build_id


ALL: Final = FactOrder()

_DOUBLED: Final = {True: "true", False: "", None: "unknown"}
"""Whether two ingests may have counted the hits; rows of a window do not say it."""


def fact_line(
    row: Mapping[str, Any],
    display_name: str,
    containers: Recent | None = None,
    names: Iterable[str] = (),
    *,
    file: FactFile = UNKNOWN_FILE,
    order: FactOrder = ALL,
) -> str | None:
    """One line with its end; None for a symbol without a hit.

    `row` is a HotSymbol, `containers` those it ran in, None if they are not known, for the row is of the table then.
    `names` are other names of its code.
    """
    if row["hits"] <= 0 or not order.has(row):
        return None
    names = list(names)
    theirs = None if order.symbols is None else order.symbols.find(row["build_id"], row["symbol"], names)
    fact = fact_of(row, display_name, containers, file, (theirs, order.container_runtime))
    if others := ",".join(names):
        fact["metadata"]["names"] = others
    return escaped(json.dumps(fact, ensure_ascii=False, separators=(",", ":"))) + "\n"


def fact_of(
    row: Mapping[str, Any],
    display_name: str,
    containers: Recent | None,
    file: FactFile,
    said: tuple[MappedSymbol | None, str] = (None, ""),
) -> Fact:
    """The fact of a row with hits; `said` is the consumer's symbol, and the runtime of containers."""
    theirs, runtime = said
    fact: Fact = {"symbolId": row["symbol_id"] if theirs is None else theirs.symbol_id}
    if theirs is not None and theirs.code_id:
        fact["codeId"] = theirs.code_id
    if package_url := (theirs.package_url if theirs is not None else "") or file.package_of(row["symbol"]):
        fact["purl"] = package_url
    if build_id := file.build_id(row["build_id"] or ""):
        fact["buildId"] = build_id
    named = [] if containers is None else containers.newest()
    if containers is not None and len(named) == 1 and not containers.more() and _WHOLE_ID.fullmatch(named[0][0][0]):
        fact["containerId"] = (f"{runtime}://" if runtime else "") + named[0][0][0]
    fact["hitCount"] = row["hits"]
    fact["observedAt"] = time_text(row["last_seen_ns"], 9)
    fact["metadata"] = {name: text for name, text in _metadata(row, display_name, containers, file).items() if text}
    if theirs is not None:
        fact["metadata"]["callstreamSymbolId"] = row["symbol_id"]
    return fact


def _metadata(row: Mapping[str, Any], display_name: str, containers: Recent | None, file: FactFile) -> dict[str, str]:
    """Everything else that is known, as texts; empty ones are nothing."""
    known = {
        "source": "callstream",
        "evidence": row["evidence"],
        "hitsOf": "table" if containers is None else "window",
        "buildId": row["build_id"] or "",
        "buildIdKind": "" if not row["build_id"] else "unknown" if file.kind is None else file.kind.value,
        "fileSha256": file.sha256,
        "space": "kernel" if row["is_kernel_space"] else "user",
        "module": row["module"],
        "symbol": row["symbol"],
        "displayName": display_name if display_name != row["symbol"] else "",
        "confirmedHits": str(row["confirmed_hits"]),
        "probeHits": str(row["probe_hits"]),
        "hitsMayBeDoubled": _DOUBLED[row.get(FIELD, False)],
        "firstSeen": time_text(row["first_seen_ns"], 9),
        "imageId": row["image_id"] or "",
        "imageName": row["image_name"] or "",
        "images": str(len(row["images"]) + row["images_more"]),
        "namespaces": ",".join(sorted(entry["namespace"] for entry in row["namespaces"])),
        "workloads": ",".join(
            sorted(f"{entry['namespace']}/{entry['kind']}/{entry['name']}" for entry in row["workloads"])
        ),
    }
    if containers is not None:
        known["containers"] = str(len(containers.newest()) + containers.more())
    grades = {f"frames.{grade}": str(frames) for grade, frames in sorted(row["hits_by_resolution"].items())}
    return known | grades
