"""Runtime facts as NDJSON: one line a symbol that ran, with its hits summed up, for reachability scoring.

The shape is that of Stella Ops' runtime facts (docs/reachability/runtime-facts.md there): `symbolId, codeId, buildId,
containerId, hitCount, observedAt, metadata`; unknown values are left out. `symbolId` is our row's key. `codeId` is the
file by itself: its build id, else its path. `containerId` is set only if all hits are of one container. Values of
`metadata` are texts, as the consumer's type wants them. `names` are the other names of the code, where an index of the
file is at hand, so that a function is found by any of them; `hitsMayBeDoubled` is there if two ingests read one agent.
Lines are sorted by symbol id. A symbol without a hit has no line.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final

from agents.hot_symbols.counting.recent import Recent
from app.operators.escaping import escaped
from app.operators.times import time_text
from app.stages.hot_symbols.doubled_hits import FIELD

Fact = dict[str, Any]

_DOUBLED: Final = {True: "true", False: "", None: "unknown"}
"""Whether two ingests may have counted the hits; rows of a window do not say it."""


def fact_line(
    row: Mapping[str, Any], display_name: str, containers: Recent | None = None, names: Iterable[str] = ()
) -> str | None:
    """One line with its end; None for a symbol without a hit.

    `row` is a HotSymbol, `containers` those it ran in, None if they are not known, and `names` other names of its code.
    """
    if row["hits"] <= 0:
        return None
    fact = fact_of(row, display_name, containers)
    if others := ",".join(names):
        fact["metadata"]["names"] = others
    return escaped(json.dumps(fact, ensure_ascii=False, separators=(",", ":"))) + "\n"


def fact_of(row: Mapping[str, Any], display_name: str, containers: Recent | None) -> Fact:
    """The fact of a row with hits."""
    fact: Fact = {"symbolId": row["symbol_id"], "codeId": row["build_id"] or row["module"]}
    if row["build_id"]:
        fact["buildId"] = row["build_id"]
    named = [] if containers is None else containers.newest()
    if containers is not None and len(named) == 1 and not containers.more():
        fact["containerId"] = named[0][0][0]
    fact["hitCount"] = row["hits"]
    fact["observedAt"] = time_text(row["last_seen_ns"], 9)
    fact["metadata"] = {name: text for name, text in _metadata(row, display_name, containers).items() if text}
    return fact


def _metadata(row: Mapping[str, Any], display_name: str, containers: Recent | None) -> dict[str, str]:
    """Everything else that is known, as texts; empty ones are nothing."""
    known = {
        "source": "callstream",
        "evidence": row["evidence"],
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
