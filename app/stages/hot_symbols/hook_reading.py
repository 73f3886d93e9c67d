"""What agents told of hooks, as answers to watches need it: runtime.probes, the policy files and the symbol store.

The topic is read whole when there is a watch, and then followed. It is read again in memory alone: a window only grows,
so nothing is ever taken back.
"""

import logging
from collections.abc import Collection
from typing import Final

from agents.hot_symbols.watch.known_hooks import KnownHooks
from agents.probes.hook_windows import FileEntries, HookFinder, HookWindows
from agents.probes.probe_table import ProbeTable
from app.kafka.refused import RefusedRecords
from app.settings import Settings
from app.stages.hot_symbols.newest_records import NewestRecords
from app.symbols.known_files import StoreFiles
from app.tracing_policies.folder import NO_SUPPLIED_POLICIES, PolicyFolder
from schemas import probes, topics

log = logging.getLogger(__name__)

_MANY: Final = 100_000
"""Records that are looked at before the caller has its turn, at some 0.5 kB each."""


class HookReading:
    """Not locked; all methods but `known` block on Kafka and the registry, so a thread of its own calls them."""

    def __init__(self, settings: Settings, partitions: int, refused: RefusedRecords) -> None:
        self._records = NewestRecords(settings, topics.PROBES, partitions, refused)
        self._table = ProbeTable()
        folder = settings.tracing_policies_dir
        self._folder = None if folder is None else PolicyFolder(folder)
        self._finder = HookFinder({}, {})
        self._found_for: tuple[str, frozenset[str]] | None = None
        self._known = KnownHooks()
        self._placed_for: tuple[str, frozenset[str]] | None = None

    def follow(self) -> bool:
        """Take what has come; returns whether everything is taken that was there when reading began."""
        had_left_out = self._table.left_out
        for record in self._records.take(_MANY):
            self._table.take(probes.from_record(record))
        if self._table.left_out and not had_left_out:
            log.warning("runtime.probes has too many windows; hooks of some are taken for missing")
        return self._records.is_read

    def known(self, files: StoreFiles | None, build_ids: Collection[str]) -> KnownHooks:
        """What is known now, with the policies of today; `build_ids` are those of the watched files."""
        if files is None:
            return KnownHooks()
        policies = (self._folder.look() if self._folder else NO_SUPPLIED_POLICIES).by_digest
        found_for = files.digest, frozenset(policies)
        if found_for != self._found_for:
            named = {one for policy in policies.values() for hook in policy.hooks for one in hook.build_ids}
            self._finder = HookFinder(policies, _entries(files, named))
            self._found_for = found_for
        placed_for = files.digest, frozenset(build_ids)
        places = self._known.places if placed_for == self._placed_for else files.places(build_ids)
        self._placed_for = placed_for
        self._known = KnownHooks(HookWindows(self._table, self._finder), places)
        return self._known


def _entries(files: StoreFiles, build_ids: Collection[str]) -> dict[str, FileEntries]:
    found = {build_id: files.entries(build_id) for build_id in sorted(build_ids)}
    return {build_id: entries for build_id, entries in found.items() if entries is not None}
