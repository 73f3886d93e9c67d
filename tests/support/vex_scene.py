"""Verdicts on a file of a store that was made here, and the VEX documents that are written of them."""

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from agents.vulnerabilities.advisory import Advisory
from agents.vulnerabilities.osv import read_osv
from app.export.vex_file import VexFile, VexSubject
from app.symbols.adding import AddOptions
from app.symbols.store import SymbolStore
from app.vulnerabilities.findings import findings
from app.vulnerabilities.programs import programs
from app.vulnerabilities.vex_documents import VexFormat, VexOrder, VexWritten, write_verdicts
from app.vulnerabilities.watching import FileStatus, Observed, acceptances, statuses
from schemas.units import NS_PER_SECOND
from tests.support.indexed_files import add_to
from tests.support.vulnerable_files import BUILD_ID, CVE, GROW, advisory, vulnerable_program

DATABASE: Final = "d" * 64
SNAPSHOT: Final = "5" * 64
NOW_NS: Final = 1_800_000_000 * NS_PER_SECOND
FIXED: Final = "GHSA-aaaa-bbbb-cccc"
WITHDRAWN: Final = "RUSTSEC-2019-0001"
SHOP: Final = "sha256:" + "4f" * 32
PRODUCTS: Final = (f"pkg:oci/shop@{SHOP.replace(':', '%3A')}", "pkg:generic/shop@1.0")
PUBLISHED: Final = VexFile(
    "Shop security <security@shop.example>",
    (VexSubject(vulnerability=CVE, products=PRODUCTS, every_call_probed=False, action="Update smallvec."),),
    "https://shop.example",
)


def _advisories() -> list[tuple[Advisory, str]]:
    """One that the file has, one that is fixed in it, and one that was withdrawn."""
    package = {"ecosystem": "crates.io", "name": "smallvec"}
    old = {"package": package, "ranges": [{"type": "SEMVER", "events": [{"introduced": "0"}, {"fixed": "0.1.0"}]}]}
    documents = (
        advisory(),
        {"id": FIXED, "summary": "Old", "affected": [old]},
        advisory(id=WITHDRAWN, aliases=[], withdrawn="2020-01-01T00:00:00Z"),
    )
    read = [read_osv(one) for one in documents]
    return [(one, DATABASE) for one in read if isinstance(one, Advisory)]


def image(digest: str) -> dict[str, Any]:
    """An image in which the function ran for sure."""
    return {"image_id": f"registry.example/any@{digest}", "image_name": "", "last_seen_ns": 1, "confirmed": True}


def answer(**changes: Any) -> dict[str, Any]:
    """What a worker says of the watch on the function: it ran once, unless changed."""
    said = {
        "watch_id": f"{BUILD_ID}!{GROW}", "answer": "Hit", "since_ns": NOW_NS - 10**15, "complete_until_ns": NOW_NS,
        "hits": 1, "confirmed_hits": 1, "first_seen_ns": NOW_NS - 5, "last_seen_ns": NOW_NS - 5,
        "events": [{"event_id": "e1", "partition": 2, "offset": 7}], "symbols": [], "reasons": [],
        "placed_watched_ms": 9_000, "placed_missing_ms": 1, "events_lost": 0, "snapshot": SNAPSHOT,
        "images": [image(SHOP)], "images_more": 0,
    }  # fmt: skip
    return said | changes


@dataclass(frozen=True, slots=True)
class VexScene:
    """A store with one file, the folder in which documents are written, and what the author publishes."""

    folder: Path
    published: VexFile = PUBLISHED

    def statuses(self, *answers: dict[str, Any]) -> list[FileStatus]:
        """What is known of each advisory and the file."""
        store = SymbolStore.open(self.folder / "store")
        found = [one for program in programs(store) for one in findings(program, _advisories())]
        observed = Observed({one["watch_id"]: one for one in answers}, {}, SNAPSHOT)
        return list(statuses(found, observed, acceptances(self.published), NOW_NS))

    def write(
        self,
        form: VexFormat,
        *answers: dict[str, Any],
        days: int = 0,
        previous: Path | None = None,
        key: Path | None = None,
    ) -> tuple[Path, VexWritten]:
        """Write a document of that day."""
        to = self.folder / f"{form}-{days}.json"
        now_ns = NOW_NS + days * 86_400 * NS_PER_SECOND
        written = write_verdicts(VexOrder(form, to, previous, key), self.published, self.statuses(*answers), now_ns)
        assert written is not None
        return to, written


def vex_scene(folder: Path, *scopes: str) -> VexScene:
    """A scene in an empty folder, with a file of these images or nodes; products are the images, if there are any."""
    path = vulnerable_program(folder / "usr/bin/app")
    for scope in scopes or ("node:n1",):
        add_to(folder / "store", [path.resolve()], AddOptions(root=folder, scope=scope))
    if not scopes:
        return VexScene(folder)
    products = tuple(f"pkg:oci/any@{one.removeprefix('image:')}" for one in scopes)
    [subject] = PUBLISHED.subjects
    return VexScene(folder, replace(PUBLISHED, subjects=(replace(subject, products=products),)))


def read(path: Path) -> dict[str, Any]:
    """A document."""
    found: dict[str, Any] = json.loads(path.read_text())
    return found
