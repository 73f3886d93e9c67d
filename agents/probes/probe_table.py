"""What the records of runtime.probes say, kept by window: what a worker needs to know which code had hooks.

Whoever may write the topic may name any number of windows, so only the first ones are kept; beyond that hooks are
missing, which is no claim that something never ran.
"""

from collections.abc import Mapping
from typing import Final

from agents.probes.hook_windows import FileEntries, HookWindows
from agents.probes.policy_file import TracingPolicy
from agents.probes.policy_seen import PolicySeen
from agents.probes.policy_tracker import PolicyWindow
from schemas.probes import ProbeWindow

MAX_WINDOWS: Final = 200_000
"""At some 500 bytes each: ten policies on 10,000 nodes, and as many windows that are over."""


class ProbeTable:
    """The newest record of each window, by partition and key."""

    def __init__(self, max_windows: int = MAX_WINDOWS) -> None:
        self._max_windows = max_windows
        self._windows: dict[tuple[int, bytes], ProbeWindow] = {}
        self.left_out = False
        """Whether there was a window that is not kept."""

    def take(self, partition: int, key: bytes, window: ProbeWindow | None) -> bool:
        """Take a record, or the end of one; returns whether that changes what is known."""
        place = partition, key
        if window is None:
            return self._windows.pop(place, None) is not None
        if place not in self._windows and len(self._windows) >= self._max_windows:
            self.left_out = True
            return False
        before, self._windows[place] = self._windows.get(place), window
        return window != before

    def hook_windows(self, policies: Mapping[str, TracingPolicy], files: Mapping[str, FileEntries]) -> HookWindows:
        """When hooks were loaded, with the policies by the digest of their spec and the files by build id."""
        found = HookWindows()
        for window in self._windows.values():
            seen = PolicySeen(
                name=window.policy,
                namespace=window.namespace,
                domain=window.domain,
                policy_id=window.policy_id,
                state=window.state,
                hooks=window.hooks,
                spec_digest=window.spec_digest,
            )
            policy = policies.get(window.spec_digest or "") if window.policy else None
            found.add(window.node_id, PolicyWindow(seen, window.from_ns, window.to_ns), policy, files)
        return found
