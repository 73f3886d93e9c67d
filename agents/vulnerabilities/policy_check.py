"""Which functions of a file a TracingPolicy of somebody's own can answer for, and why not the others.

A policy answers for a function if a hook stands on its first byte in this very file, on every process, and posts. All
else is a reason: a hook of some workloads or nodes only, on the return, with a filter, or one that may stand in another
build of the file.
"""

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from agents.probes.policy_file import is_brief_rate
from agents.vulnerabilities.probing import ProbePlace
from agents.vulnerabilities.tracing_policy import ProbedFile


class HookLimit(enum.StrEnum):
    """Why a policy cannot answer whether a function was entered."""

    NO_HOOK = "no hook stands on its first byte"
    NAMESPACED = "the policy is of one namespace, and agents reject user probes in it"
    SOME_WORKLOADS = "the policy selects workloads"
    SOME_NODES = "the policy selects nodes"
    RETURN = "the hook is on the return, which crashes Go and does not see calls that never return"
    FILTERED = "the hook has a filter"
    NOT_POSTED = "the hook posts no event for some calls"
    RATE = "the hook posts too seldom: its rate limit is longer than a minute"
    NOT_BOUND = "nothing binds the hook to this build of the file"
    OTHER_BUILD = "the hook is bound to another build of the file"


_PLACES: Final = ("podSelector", "containerSelector", "hostSelector")
_SILENT: Final = frozenset(("nopost",))


@dataclass(frozen=True, slots=True)
class PlaceAnswer:
    """A place, and why the policy cannot answer for it; no reason if it can."""

    place: ProbePlace
    reasons: tuple[HookLimit, ...]


def check_policy(document: Any, file: ProbedFile, addresses: Mapping[int, int]) -> tuple[PlaceAnswer, ...]:
    """For each place of a file, whether the policy answers for it; of several hooks the best one counts.

    `addresses` are those of the places, for hooks that have addresses instead of offsets.
    """
    spec = _object(_object(document).get("spec"))
    of_policy = _of_policy(_object(document), spec)
    hooks = [hook for hook in map(_object, _list(spec.get("uprobes"))) if hook.get("path") == file.path]
    answers = []
    for place in file.places:
        found = [_of_hook(hook, file) for hook in hooks if _stands_on(hook, place, addresses)]
        best = min(found, key=lambda reasons: (len(reasons), sorted(reasons)), default={HookLimit.NO_HOOK})
        answers.append(PlaceAnswer(place, tuple(sorted(best | of_policy))))
    return tuple(answers)


def _of_policy(document: dict[str, Any], spec: dict[str, Any]) -> set[HookLimit]:
    """Reasons that hold for all hooks. An empty selector of pods still leaves the host out."""
    reasons = set()
    if document.get("kind") == "TracingPolicyNamespaced":
        reasons.add(HookLimit.NAMESPACED)
    if any(spec.get(name) is not None for name in _PLACES):
        reasons.add(HookLimit.SOME_WORKLOADS)
    if spec.get("nodeSelector"):
        reasons.add(HookLimit.SOME_NODES)
    return reasons


def _stands_on(hook: dict[str, Any], place: ProbePlace, addresses: Mapping[int, int]) -> bool:
    return (
        place.file_offset in _list(hook.get("offsets"))
        or addresses.get(place.file_offset) in _list(hook.get("addrs"))
        or place.symbol in _list(hook.get("symbols"))
    )


def _of_hook(hook: dict[str, Any], file: ProbedFile) -> set[HookLimit]:
    reasons = set()
    if hook.get("return"):
        reasons.add(HookLimit.RETURN)
    digests = _list(hook.get("binaryDigests"))
    known = {f"sha256:{file.sha256}"} | ({f"build-id:{file.gnu_build_id}"} if file.gnu_build_id else set())
    if not digests:
        reasons.add(HookLimit.NOT_BOUND)
    elif not known & {one for one in digests if isinstance(one, str)}:
        reasons.add(HookLimit.OTHER_BUILD)
    return reasons | _of_selectors([_object(one) for one in _list(hook.get("selectors"))])


def _of_selectors(selectors: list[dict[str, Any]]) -> set[HookLimit]:
    """The first selector that takes a call decides what becomes of it; what none takes makes no event."""
    reasons = set()
    for selector in selectors:
        if _is_silent(selector):
            reasons.add(HookLimit.NOT_POSTED)
        if _is_slow(selector):
            reasons.add(HookLimit.RATE)
        if _is_open(selector):
            return reasons
    return reasons | {HookLimit.FILTERED} if selectors else reasons


def _is_open(selector: dict[str, Any]) -> bool:
    """Whether a selector takes every call: it may act, but asks for nothing."""
    return not any(value for name, value in selector.items() if name != "label" and not name.endswith("Actions"))


def _is_slow(selector: dict[str, Any]) -> bool:
    actions = map(_object, _list(selector.get("matchActions")))
    limits = [action["rateLimit"] for action in actions if action.get("rateLimit")]
    return not all(map(is_brief_rate, limits))


def _is_silent(selector: dict[str, Any]) -> bool:
    actions = [str(_object(one).get("action", "")).lower() for one in _list(selector.get("matchActions"))]
    return bool(_SILENT & set(actions))


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
