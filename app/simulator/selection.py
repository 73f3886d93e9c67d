"""Which events a GetEvents request selects.

Tetragon's filters look at processes, pods and arguments. Here only the event type counts (`event_set` in allow and
deny lists). A request with any other condition is refused with the reason: events served without its filter would
make a test pass that proves nothing.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from google.protobuf.message import DecodeError

from app.simulator.grpc_connection import Status
from app.simulator.recording import NO_KIND
from schemas.tetragon.filters_pb2 import EventType, Filter, GetEventsRequest

_KINDS: Final = frozenset({NO_KIND, *EventType.values()})


@dataclass(frozen=True, slots=True)
class Selection:
    """The event kinds to send, by EventType number, and the number of filters in each list of the request."""

    kinds: frozenset[int]
    allow_filters: int
    deny_filters: int


@dataclass(frozen=True, slots=True)
class CallRefusal:
    """Why the call ends."""

    status: Status
    message: str


def select(request: bytes) -> Selection | CallRefusal:
    """Reads a GetEventsRequest.

    An event is selected if the allow list is empty or one of its filters names the event's type, and no filter of the
    deny list names it. A filter without conditions stands for every type.
    """
    try:
        wanted = GetEventsRequest.FromString(request)
    except DecodeError:
        return CallRefusal(Status.INTERNAL, "the request is not a GetEventsRequest")
    for name, filters in (("allow_list", wanted.allow_list), ("deny_list", wanted.deny_list)):
        for index, one in enumerate(filters):
            others = [field.name for field, _ in one.ListFields() if field.name != "event_set"]
            if others:
                return _unsupported(f"{name}[{index}] has {', '.join(others)}")
    if wanted.field_filters:
        return _unsupported(f"the request has {len(wanted.field_filters)} field_filters")
    kinds = _matched(wanted.allow_list) if wanted.allow_list else _KINDS
    return Selection(kinds - _matched(wanted.deny_list), len(wanted.allow_list), len(wanted.deny_list))


def _matched(filters: Iterable[Filter]) -> frozenset[int]:
    matched: frozenset[int] = frozenset()
    for one in filters:
        matched |= _KINDS.intersection(one.event_set) if one.event_set else _KINDS
    return matched


def _unsupported(what: str) -> CallRefusal:
    return CallRefusal(Status.INVALID_ARGUMENT, f"tetragon-sim filters by event_set only, but {what}")
