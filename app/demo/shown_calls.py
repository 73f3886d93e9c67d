"""Which calls the demonstration shows: a few, each for a reason. The same records give the same choice."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

Call = Mapping[str, Any]


def _has_true_names(call: Call) -> bool:
    return [frame["resolution"] for frame in call["stack_frames"]].count("Exact") > 5


def _is_redacted(call: Call) -> bool:
    return bool(call["redaction"]["counts"])


_REASONS: Final[tuple[Callable[[Call], bool], ...]] = (
    lambda call: call["probe_type"] == "ProcessExec" and _is_redacted(call),
    lambda call: call["probe_type"] == "Kprobe" and _has_true_names(call),
    lambda call: call["probe_type"] == "Fentry" and _has_true_names(call),
    lambda call: call["probe_type"] == "Uretprobe" and _is_redacted(call),
    lambda call: call["probe_type"] == "Tracepoint",
)
"""A command line without its password, stacks with names, what only the operator's hook map tells, and a typed line."""


def worth_showing(records: Iterable[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    """Of decoded records of the calls topic, the first for each reason; canary events show nothing but masks."""
    wanted = list(_REASONS)
    for record in records:
        call = record["value"]
        if len(call["call_data"]) or len(call["ancestors"]):
            continue  # only canary events have these in the load
        for reason in wanted:
            if reason(call):
                wanted.remove(reason)
                yield record
                break
        if not wanted:
            return
