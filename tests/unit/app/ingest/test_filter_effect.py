"""What filters do to the evidence, and what comes past them."""

import json
from typing import Any

import pytest

from app.ingest.filter_effect import NO_FILTERS, drops, filters_in_force, let_through
from app.ingest.filters import request_of
from app.settings import Settings
from schemas.tetragon.filters_pb2 import EventType, FieldFilter, FieldFilterAction, GetEventsRequest

ALL_BUT_PROCESSES = [
    name
    for name in EventType.keys()  # noqa: SIM118 - an enum wrapper, not a mapping
    if name not in {"UNDEF", "PROCESS_EXEC", "PROCESS_EXIT", "TEST"}
]
ALWAYS = [EventType.PROCESS_LOADER, EventType.PROCESS_THROTTLE, EventType.RATE_LIMIT_INFO]


def _request(allow: Any = (), deny: Any = (), fields: Any = ()) -> GetEventsRequest:
    return request_of(
        Settings(
            tetragon_allow_list=json.dumps(allow) if allow else "",
            tetragon_deny_list=json.dumps(deny) if deny else "",
            tetragon_field_filters=json.dumps(fields) if fields else "",
        )
    )


def test_without_filters_nothing_is_said() -> None:
    """Heartbeats of most deployments carry no text."""
    assert filters_in_force(GetEventsRequest()) == NO_FILTERS
    assert let_through(GetEventsRequest()) == GetEventsRequest()


@pytest.mark.parametrize(
    "filters",
    [
        {"deny": {"event_set": ["PROCESS_EXEC", "PROCESS_EXIT"]}},
        {"deny": {"event_set": ["PROCESS_EXEC"], "namespace": ["shop"]}},
        {"deny": [{"event_set": ["TEST"]}, {"event_set": ["PROCESS_EXIT"]}]},
        {"allow": {"event_set": ALL_BUT_PROCESSES}},
        {
            "allow": {
                "event_set": [one for one in ALL_BUT_PROCESSES if one not in ("PROCESS_LOADER", "PROCESS_THROTTLE")]
            }
        },
        {"allow": [{"event_set": ALL_BUT_PROCESSES}, {"binary_regex": ["^/usr/bin/"]}]},
        {"fields": {"event_set": ["PROCESS_EXEC"], "fields": "process.cwd", "action": "EXCLUDE"}},
    ],
    ids=str,
)
def test_choice_among_kinds_that_are_no_evidence_hides_nothing(filters: dict[str, Any]) -> None:
    """Whoever wants no exec events still gets every call of a probe."""
    found = filters_in_force(_request(**filters))

    assert not found.hide_evidence
    assert found.text is not None


@pytest.mark.parametrize(
    "filters",
    [
        {"deny": {"namespace": ["shop"]}},
        {"deny": {"event_set": ["PROCESS_UPROBE"], "namespace": ["shop"]}},
        {"deny": {"event_set": ["PROCESS_THROTTLE"]}},
        {"deny": {"event_set": ["PROCESS_LOADER"]}},
        {"deny": {"health_check": True}},
        {"deny": {"cel_expression": ["process_kprobe.function_name == 'tcp_connect'"]}},
        {"allow": {"event_set": ["PROCESS_EXEC", "PROCESS_KPROBE"]}},
        {"allow": {"policy_names": ["stacks"]}},
        {"allow": {"event_set": ALL_BUT_PROCESSES, "binary_regex": ["^/usr/bin/"]}},
        {"fields": {"fields": "process.binary,process.pid", "action": "INCLUDE"}},
        {
            "fields": {
                "event_set": ["PROCESS_EXEC"],
                "invert_event_set": True,
                "fields": "process.cwd",
                "action": "EXCLUDE",
            }
        },
    ],
    ids=str,
)
def test_filter_that_may_hide_a_call_is_said(filters: dict[str, Any]) -> None:
    """By process, by kind, by policy, by field: an event of a watched function may be left out."""
    assert filters_in_force(_request(**filters)).hide_evidence


def test_long_filters_are_cut() -> None:
    """Every heartbeat carries the text, so it has a limit."""
    found = filters_in_force(_request(deny={"namespace": [f"team-{number}" for number in range(1000)]}))

    assert found.text is not None
    assert len(found.text) < 1100


def test_allow_list_lets_throttle_rate_limit_and_loader_events_through() -> None:
    """They say what the other events mean: which file is which, and what Tetragon dropped."""
    sent = let_through(_request(allow={"policy_names": ["stacks"]}))

    assert [list(one.event_set) for one in sent.allow_list] == [[], ALWAYS]
    assert list(sent.allow_list[0].policy_names) == ["stacks"]


def test_deny_list_is_sent_as_it_is() -> None:
    """What the operator denies stays denied; coverage says what follows."""
    wanted = _request(deny={"event_set": ["PROCESS_THROTTLE"]})

    assert let_through(wanted) == wanted


@pytest.mark.parametrize(
    ("chosen", "inverted", "sent"),
    [
        ([], False, (ALWAYS, True)),
        (["PROCESS_EXEC"], True, ([EventType.PROCESS_EXEC, *ALWAYS], True)),
        (["PROCESS_LOADER"], True, (ALWAYS, True)),
        (["PROCESS_EXEC", "PROCESS_LOADER"], False, ([EventType.PROCESS_EXEC], False)),
        (["PROCESS_LOADER"], False, None),
    ],
)
def test_field_filters_leave_these_events_whole(
    chosen: list[str], inverted: bool, sent: tuple[list[int], bool] | None
) -> None:
    """A loader event without its build id would say nothing."""
    wanted = GetEventsRequest()
    one = wanted.field_filters.add(event_set=chosen, action=FieldFilterAction.INCLUDE)
    one.fields.paths.append("process.binary")
    one.invert_event_set.value = inverted

    found = [(list(each.event_set), each.invert_event_set.value) for each in let_through(wanted).field_filters]

    assert found == ([sent] if sent else [])


@pytest.mark.parametrize(
    ("action", "paths", "is_dropped"),
    [
        (FieldFilterAction.EXCLUDE, ["process.exec_id"], True),
        (FieldFilterAction.EXCLUDE, ["process"], True),
        (FieldFilterAction.EXCLUDE, ["process.exec"], False),
        (FieldFilterAction.INCLUDE, ["process.binary"], True),
        (FieldFilterAction.INCLUDE, ["process"], False),
        (FieldFilterAction.INCLUDE, ["process.exec_id"], False),
    ],
)
def test_fields_that_a_filter_leaves_out(action: Any, paths: list[str], is_dropped: bool) -> None:
    """Doctor names what the pipeline needs and does not get."""
    one = FieldFilter(action=action)
    one.fields.paths.extend(paths)

    assert drops(one, "process.exec_id") is is_dropped
