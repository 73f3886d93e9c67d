"""What the filters of ingest do to the evidence: which events Tetragon leaves out at our request.

An event that was left out is not missing by accident, but absence is only what was watched. So a filter that may hide
an event of a probe stands in every heartbeat, and the time under it is not complete. Kinds that are not evidence of a
function's call may be chosen freely.

Some events say what the others mean, so they always come, whole: which file is which (loader), and what Tetragon itself
dropped (throttle, rate limit).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from google.protobuf import json_format

from schemas.tetragon.filters_pb2 import EventType, FieldFilter, FieldFilterAction, Filter, GetEventsRequest

ALWAYS: Final = (EventType.PROCESS_LOADER, EventType.PROCESS_THROTTLE, EventType.RATE_LIMIT_INFO)
"""Kinds that an allow list and field filters leave alone."""

_NO_EVIDENCE: Final = frozenset({EventType.UNDEF, EventType.PROCESS_EXEC, EventType.PROCESS_EXIT, EventType.TEST})
"""Kinds that show no call of a watched function: a process began, or ended."""

_EVIDENCE: Final = frozenset(EventType.values()) - _NO_EVIDENCE

_MAX_CHARS: Final = 1_000
"""Of the filters' text in a heartbeat; longer ones are cut, for every heartbeat carries it."""


@dataclass(frozen=True, slots=True)
class FiltersInForce:
    """Ingest's filters as a heartbeat says them: None as `text` without any."""

    text: str | None = None
    hide_evidence: bool = False


NO_FILTERS: Final = FiltersInForce()


def filters_in_force(request: GetEventsRequest) -> FiltersInForce:
    """What the settings' filters do, before `let_through`."""
    if request == GetEventsRequest():
        return NO_FILTERS
    text = json_format.MessageToJson(request, preserving_proto_field_name=True, indent=None)
    shown = text if len(text) <= _MAX_CHARS else f"{text[:_MAX_CHARS]}..."
    return FiltersInForce(shown, bool(_hidden(request) & _EVIDENCE or _changed(request.field_filters) & _EVIDENCE))


def let_through(request: GetEventsRequest) -> GetEventsRequest:
    """The request that is sent: with `ALWAYS` past the allow list and the field filters, where there are any."""
    sent = GetEventsRequest()
    sent.CopyFrom(request)
    if sent.allow_list:
        sent.allow_list.add(event_set=ALWAYS)
    del sent.field_filters[:]
    for one in request.field_filters:
        if (narrowed := _without_always(one)) is not None:
            sent.field_filters.append(narrowed)
    return sent


def drops(one: FieldFilter, field: str) -> bool:
    """Whether a field filter leaves `field` out, as far as its paths say."""
    paths = list(one.fields.paths)
    holds = any(field == path or field.startswith(f"{path}.") for path in paths)
    within = any(path.startswith(f"{field}.") for path in paths)
    return holds if one.action == FieldFilterAction.EXCLUDE else not holds and not within


def _hidden(request: GetEventsRequest) -> frozenset[int]:
    """Kinds of which some events do not come."""
    known = frozenset(EventType.values())
    allowed = known
    if request.allow_list:
        whole = [one for one in request.allow_list if _is_choice_of_kinds(one)]
        allowed = frozenset(ALWAYS).union(*(one.event_set for one in whole))
    return (known - allowed).union(*(frozenset(one.event_set) or known for one in request.deny_list))


def _is_choice_of_kinds(one: Filter) -> bool:
    return [field.name for field, _ in one.ListFields()] == ["event_set"]


def _changed(filters: Iterable[FieldFilter]) -> frozenset[int]:
    """Kinds of which some fields do not come."""
    return frozenset[int]().union(*(_kinds(one) - set(ALWAYS) for one in filters))


def _kinds(one: FieldFilter) -> frozenset[int]:
    """Kinds that a field filter applies to; without a set it applies to all."""
    known, chosen = frozenset(EventType.values()), frozenset[int](one.event_set)
    if not chosen:
        return known
    return known - chosen if one.invert_event_set.value else chosen


def _without_always(one: FieldFilter) -> FieldFilter | None:
    """The filter for all of its kinds but `ALWAYS`; None where none is left."""
    narrowed = FieldFilter()
    narrowed.CopyFrom(one)
    del narrowed.event_set[:]
    if not one.event_set or one.invert_event_set.value:
        narrowed.event_set.extend(sorted({*one.event_set, *ALWAYS}))
        narrowed.invert_event_set.value = True
        return narrowed
    narrowed.event_set.extend(kind for kind in one.event_set if kind not in ALWAYS)
    return narrowed if narrowed.event_set else None
