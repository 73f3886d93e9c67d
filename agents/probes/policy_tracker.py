"""Turns what an agent answers from time to time into windows: from when to when a policy was seen the same.

A window begins with the first answer that says so and ends with the last one. Between two windows nobody knows, and so
it is after an answer that did not come for long, and after the end of the stream, because an agent that was started
again may give the same id to another loading.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from agents.probes.policy_seen import PolicySeen, fell
from schemas.probes import WindowEnd


@dataclass(frozen=True, slots=True)
class PolicyWindow:
    """A policy was seen like this in all answers from `from_ns` to `to_ns`; its counters are those of the last one.

    `end` says why it grows no more.
    """

    policy: PolicySeen
    from_ns: int
    to_ns: int
    end: WindowEnd = WindowEnd.OPEN


class PolicyTracker:
    """The policies of one agent, as one ingest sees them. Not locked."""

    def __init__(self, max_silence_ns: int, going_on: Iterable[PolicyWindow] = ()) -> None:
        """`max_silence_ns`: what lies between two answers at most for a window to go on.

        `going_on` are windows of an ingest whose stream overlapped with ours.
        """
        self._max_silence_ns = max_silence_ns
        self._open = {window.policy.key: window for window in going_on}
        self._loaded_as = {key: window.policy for key, window in self._open.items()}

    @property
    def open_windows(self) -> list[PolicyWindow]:
        """Windows that the next answer may lengthen, in the order of their policies."""
        return [window for _, window in sorted(self._open.items())]

    def answered(self, asked_ns: int, answered_ns: int, policies: Iterable[PolicySeen]) -> list[PolicyWindow]:
        """Take an answer that came between two times; returns the windows that changed, those that are over first.

        What it says was so at some moment in between. So a window begins with the end of that time, and grows to its
        beginning.
        """
        seen = {key: self._as_loaded(policy) for key, policy in _each_once(policies).items()}
        over: list[PolicyWindow] = []
        grown: list[PolicyWindow] = []
        for key, window in sorted(self._open.items()):
            end = self._end(window, seen.get(key), asked_ns)
            if end is not None:
                over.append(replace(window, end=end))
                del self._open[key]
        for key, policy in sorted(seen.items()):
            before = self._open.get(key)
            from_ns, to_ns = (answered_ns, answered_ns) if before is None else (before.from_ns, asked_ns)
            self._open[key] = PolicyWindow(policy, from_ns, to_ns)
            grown.append(self._open[key])
        return over + grown

    def _as_loaded(self, policy: PolicySeen) -> PolicySeen:
        """The policy, without the digest of a file that was changed after the agent loaded it: it has the one before.

        That outlives the stream, for an agent may go on with what it has.
        """
        before = self._loaded_as.get(policy.key)
        self._loaded_as[policy.key] = policy
        if before is None or before.policy_id != policy.policy_id or fell(before.counters, policy.counters):
            return policy
        if before.spec_digest in {None, policy.spec_digest}:
            return policy
        self._loaded_as[policy.key] = replace(policy, spec_digest=before.spec_digest)
        return replace(policy, spec_digest=None)

    def ended(self, end: WindowEnd = WindowEnd.STREAM_ENDED) -> list[PolicyWindow]:
        """The stream is over, so no window goes on; returns those that were open."""
        over = [replace(window, end=end) for window in self.open_windows]
        self._open.clear()
        return over

    def _end(self, window: PolicyWindow, policy: PolicySeen | None, asked_ns: int) -> WindowEnd | None:
        if asked_ns < window.to_ns:
            return WindowEnd.CLOCK_SET
        if asked_ns - window.to_ns > self._max_silence_ns:
            return WindowEnd.UNASKED
        if policy is None:
            return WindowEnd.GONE
        if policy.goes_on_from(window.policy):
            return None
        before = window.policy
        is_same = replace(policy, policy_id=before.policy_id, counters=before.counters) == before
        return WindowEnd.RELOADED if is_same or policy.policy_id != before.policy_id else WindowEnd.CHANGED


def _each_once(policies: Iterable[PolicySeen]) -> dict[tuple[str, str, str], PolicySeen]:
    """The policies by their key, without those that an answer has twice: nobody knows which of the two is meant."""
    seen: dict[tuple[str, str, str], PolicySeen] = {}
    twice = set()
    for policy in policies:
        if policy.key in seen:
            twice.add(policy.key)
        seen[policy.key] = policy
    return {key: policy for key, policy in seen.items() if key not in twice}
