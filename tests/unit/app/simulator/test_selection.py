"""app/simulator/selection.py."""

import pytest

from app.simulator.grpc_connection import Status
from app.simulator.recording import NO_KIND
from app.simulator.selection import CallRefusal, Selection, select
from schemas.tetragon.filters_pb2 import EventType, FieldFilter, Filter, GetEventsRequest

EXEC, EXIT, KPROBE = EventType.PROCESS_EXEC, EventType.PROCESS_EXIT, EventType.PROCESS_KPROBE


def _kinds(request: GetEventsRequest) -> frozenset[int]:
    selection = select(request.SerializeToString())
    assert isinstance(selection, Selection)
    return selection.kinds


def test_without_filters_everything_is_selected() -> None:
    """The empty request takes all kinds, those unknown to the contract too."""
    assert _kinds(GetEventsRequest()) == {NO_KIND, *EventType.values()}


def test_allow_filters_add_up() -> None:
    """An event passes when any filter of the allow list has its type."""
    request = GetEventsRequest(allow_list=[Filter(event_set=[EXEC]), Filter(event_set=[EXIT, KPROBE])])

    assert _kinds(request) == {EXEC, EXIT, KPROBE}


def test_deny_filters_take_away() -> None:
    """What the deny list has is left out, allowed or not."""
    request = GetEventsRequest(allow_list=[Filter(event_set=[EXEC, EXIT])], deny_list=[Filter(event_set=[EXIT])])

    assert _kinds(request) == {EXEC}


def test_a_filter_without_conditions_has_every_type() -> None:
    """An empty filter allows all, or denies all."""
    assert _kinds(GetEventsRequest(allow_list=[Filter()])) == _kinds(GetEventsRequest())
    assert _kinds(GetEventsRequest(deny_list=[Filter()])) == frozenset()


def test_counts_of_filters_are_reported() -> None:
    """The selection says how many filters made it, which is all that a log line may say."""
    request = GetEventsRequest(allow_list=[Filter(event_set=[EXEC])] * 2, deny_list=[Filter(event_set=[EXIT])])
    selection = select(request.SerializeToString())

    assert isinstance(selection, Selection)
    assert (selection.allow_filters, selection.deny_filters) == (2, 1)


@pytest.mark.parametrize(
    ("request_message", "named"),
    [
        (
            GetEventsRequest(allow_list=[Filter(), Filter(event_set=[EXEC], binary_regex=["x"])]),
            "allow_list[1] has binary_regex",
        ),
        (GetEventsRequest(deny_list=[Filter(namespace=["x"], pid=[1])]), "deny_list[0] has namespace, pid"),
        (GetEventsRequest(field_filters=[FieldFilter()]), "1 field_filters"),
    ],
)
def test_conditions_that_are_not_applied_are_refused(request_message: GetEventsRequest, named: str) -> None:
    """A client that asks for more than event types learns which condition is not supported."""
    refusal = select(request_message.SerializeToString())

    assert isinstance(refusal, CallRefusal)
    assert refusal.status is Status.INVALID_ARGUMENT
    assert named in refusal.message


def test_bytes_that_are_no_request_are_refused() -> None:
    """A request that does not parse ends the call as it does at a real server."""
    refusal = select(b"\xff")

    assert isinstance(refusal, CallRefusal)
    assert refusal.status is Status.INTERNAL
