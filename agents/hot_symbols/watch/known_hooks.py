"""Whether agents had hooks on all entries of a watched function, on all nodes that may have had its files."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Final

from agents.coverage.completeness import FleetAccount
from agents.coverage.interval import Interval, join
from agents.hot_symbols.watch.deciding import NO_HOOKS_KNOWN, HooksKnown
from agents.hot_symbols.watch.watch import Watch
from agents.hot_symbols.watch.watched_code import WatchedCode
from agents.probes.hook_windows import HookWindows, WantedEntries
from agents.probes.unhooked import unhooked


@dataclass(frozen=True, slots=True)
class KnownHooks:
    """The windows of all agents, and all paths under which files are known to be, by build id."""

    windows: HookWindows = field(default_factory=HookWindows)
    paths: Mapping[str, Collection[str]] = field(default_factory=dict)

    def of_watch(self, watch: Watch, code: WatchedCode, fleet: FleetAccount) -> HooksKnown:
        """What is known of hooks on a watch's code, up to the end of the fleet's account."""
        if not self.windows:
            return NO_HOOKS_KNOWN
        wanted = [
            WantedEntries(build_id, file.entries, frozenset(self.paths.get(build_id, ())))
            for build_id, file in sorted(code.files.items())
        ]
        owed = dict(fleet.owed_with(wanted[0].build_id if wanted else None))
        for one in wanted[1:]:
            for node, stretches in fleet.owed_with(one.build_id).items():
                owed[node] = join([*owed.get(node, ()), *stretches])
        missing = unhooked(self.windows, wanted, owed, Interval(watch.since_ns, fleet.until_ns))
        return HooksKnown(tuple(dict.fromkeys(one.node for one in missing)))


NO_KNOWN_HOOKS: Final = KnownHooks()
