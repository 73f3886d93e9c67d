"""What was probed: the policies that agents said were loaded, with the time for which they said so."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

MAX_WINDOWS: Final = 200_000
"""Of some 400 bytes: ten thousand nodes with twenty windows each."""

MOST_POLICIES: Final = 200
"""In one answer."""

_LOADED: Final = "Loaded"


@dataclass(frozen=True, slots=True)
class ShelvedWindow:
    """A stretch of time in which one node's agent said the same of one policy."""

    node: str
    cluster: str
    policy: str
    namespace: str
    state: str
    from_ns: int
    to_ns: int
    hooks: int
    loaded: int
    end: str


class ProbeShelf:
    """All windows by the key of their record; taken on one thread."""

    def __init__(self, max_windows: int = MAX_WINDOWS) -> None:
        self._windows: dict[bytes, ShelvedWindow] = {}
        self._max_windows = max_windows
        self.left_out = 0
        """Windows for which there was no room."""

    def take(self, key: bytes, window: Mapping[str, Any] | None) -> None:
        """Take the newest record of a key, decoded; None removes it."""
        if window is None:
            self._windows.pop(key, None)
        elif key in self._windows or len(self._windows) < self._max_windows:
            self._windows[key] = _shelved(window)
        else:
            self.left_out += 1

    def policies(self, from_ns: int, find: str) -> dict[str, Any]:
        """The policies that were loaded since a moment, on nodes whose name holds `find`; those on most nodes first.

        Of each node the newest word counts.
        """
        wanted = find.lower()
        newest: dict[tuple[str, str, str, str], ShelvedWindow] = {}
        for one in list(self._windows.values()):
            if one.policy and one.to_ns >= from_ns and (wanted in one.node.lower() or wanted in one.cluster.lower()):
                place = one.namespace, one.policy, one.cluster, one.node
                before = newest.get(place)
                if before is None or before.to_ns < one.to_ns:
                    newest[place] = one
        by_policy: dict[tuple[str, str], list[ShelvedWindow]] = {}
        for (namespace, policy, _, _), one in newest.items():
            by_policy.setdefault((namespace, policy), []).append(one)
        ordered = sorted(by_policy.items(), key=lambda entry: (-len(entry[1]), entry[0]))
        return {
            "policies": len(ordered),
            "left_out": self.left_out,
            "rows": [_row(*name, windows) for name, windows in ordered[:MOST_POLICIES]],
        }


def _shelved(window: Mapping[str, Any]) -> ShelvedWindow:
    hooks = window["hooks"]
    return ShelvedWindow(
        node=window["node"],
        cluster=window["cluster"],
        policy=window["policy"],
        namespace=window["namespace"],
        state=window["state"],
        from_ns=window["from_ns"],
        to_ns=window["to_ns"],
        hooks=sum(hook["count"] for hook in hooks),
        loaded=sum(hook["count"] for hook in hooks if hook["state"] == _LOADED),
        end=window["end"],
    )


def _row(namespace: str, policy: str, windows: list[ShelvedWindow]) -> dict[str, Any]:
    return {
        "namespace": namespace,
        "policy": policy,
        "nodes": len(windows),
        "states": dict(Counter(one.state for one in windows).most_common()),
        "hooks": max(one.hooks for one in windows),
        "loaded": min(one.loaded for one in windows),
        "since_ns": max(one.from_ns for one in windows),
        "until_ns": min(one.to_ns for one in windows),
    }
