"""Whether agents had hooks on all entries of a watched function, on all nodes that may have had its files."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Final

from agents.coverage.completeness import SILENCE_NS, Completeness, FleetAccount
from agents.hot_symbols.watch.deciding import NO_HOOKS_KNOWN, HooksKnown
from agents.hot_symbols.watch.file_places import NOWHERE, FilePlaces
from agents.hot_symbols.watch.watch import Watch
from agents.hot_symbols.watch.watched_code import WatchedCode
from agents.probes.hook_windows import NO_HOOK_WINDOWS, HookWindows, NeededHooks, WantedEntries
from agents.probes.policy_file import MAX_BRIEF_S
from agents.probes.unhooked import OwedNodes, UnhookedNodes
from schemas.units import EARLIEST_NS, NS_PER_SECOND


@dataclass(frozen=True, slots=True)
class KnownHooks:
    """The windows of all agents, and where files are known to lie, by build id."""

    windows: HookWindows = NO_HOOK_WINDOWS
    places: Mapping[str, FilePlaces] = field(default_factory=dict)


NO_KNOWN_HOOKS: Final = KnownHooks()


class FleetAnswers:
    """Coverage and hooks of all nodes for each watch.

    Agents tell later than ingest vouches. So an answer by their word ends where they told last, and others do not.
    """

    def __init__(self, account: Callable[[int], FleetAccount], until_ns: int, known: KnownHooks) -> None:
        """`account` makes the fleet's account up to a moment."""
        self._whole = self._told = account(until_ns)
        if known.windows.has_hooks:
            owing = (node for node, stretches in self._whole.owed.items() if stretches[-1].to_ns >= until_ns)
            told_ns = known.windows.told_until(SILENCE_NS, owing)  # a node that is gone tells no more
            if told_ns < until_ns:
                self._told = account(told_ns)
        self._hooks = HookAnswers(known, self._told)
        self._are_some_brief = known.windows.are_some_brief

    def expect(self, watch: Watch, forgotten_ns: int | None) -> None:
        """Say that `of_watch` will be called for this watch: for many of one file at once it costs less."""
        for account in {id(one): one for one in (self._whole, self._told)}.values():
            account.expect(watch.build_id, watch.since_ns, forgotten_ns=forgotten_ns)
        if self._are_some_brief:
            self._told.expect(watch.build_id, _before_brief(watch))

    def of_watch(
        self, watch: Watch, code: WatchedCode, ran_at: Mapping[str, FilePlaces], forgotten_ns: int | None
    ) -> tuple[Completeness, HooksKnown]:
        """For how long events are complete, and what is known of hooks meanwhile."""
        hooks = self._hooks.of_watch(watch, code, ran_at)
        if hooks.are_brief and hooks.are_loaded:
            before = self._told.since(_before_brief(watch), file=watch.build_id)
            hooks = replace(hooks, may_hide=bool(before.gaps))
        account = self._told if hooks.are_loaded else self._whole
        return account.since(watch.since_ns, forgotten_ns=forgotten_ns, file=watch.build_id), hooks


def _before_brief(watch: Watch) -> int:
    """An event since then may hide calls of the watched time."""
    return max(EARLIEST_NS, watch.since_ns - MAX_BRIEF_S * NS_PER_SECOND)


class HookAnswers:
    """Answers for all watches from what is known of hooks and of the fleet; what several watches need is made once."""

    def __init__(self, known: KnownHooks, fleet: FleetAccount) -> None:
        self._known, self._fleet = known, fleet
        self._unhooked: dict[NeededHooks | None, UnhookedNodes] = {}

    def of_watch(self, watch: Watch, code: WatchedCode, ran_at: Mapping[str, FilePlaces]) -> HooksKnown:
        """What is known of hooks on a watch's code; `ran_at` is where its files ran, by build id."""
        if not self._known.windows or not code.files or self._fleet.until_ns <= watch.since_ns:
            return NO_HOOKS_KNOWN
        worst, are_brief = None, False
        for build_id, file in sorted(code.files.items()):
            places = self._known.places.get(build_id, NOWHERE).with_more(ran_at.get(build_id, NOWHERE))
            if places.is_in_images or not places.paths:
                return HooksKnown(unplaced=build_id, is_in_images=places.is_in_images)
            needed = self._known.windows.needed(WantedEntries(build_id, file.entries, places.paths))
            are_brief = are_brief or self._known.windows.are_brief(needed)
            found = self._without(needed).since(watch.since_ns)
            if worst is None or found.nodes > worst.nodes:
                worst = found
        if worst is None or worst.example is None:
            return HooksKnown(unhooked=worst, are_brief=are_brief)
        return HooksKnown(unhooked=worst, told=self._known.windows.told_of(worst.example))

    @cached_property
    def _nodes(self) -> OwedNodes:
        return OwedNodes(self._fleet.owed, self._known.windows)

    def _without(self, needed: NeededHooks | None) -> UnhookedNodes:
        if needed not in self._unhooked:
            self._unhooked[needed] = UnhookedNodes(self._nodes, needed)
        return self._unhooked[needed]
