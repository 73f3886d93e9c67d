from typing import Any

import pytest

from app.ingest.filters import request_of
from app.settings import Settings, SettingsError
from schemas.tetragon.filters_pb2 import EventType, FieldFilterAction, GetEventsRequest


def _errors(**values: Any) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        request_of(Settings(**values))
    return caught.value.errors


def test_no_filters_ask_for_everything() -> None:
    """Without settings the request is empty."""
    assert request_of(Settings()) == GetEventsRequest()


def test_filters_are_read_from_json() -> None:
    """Lists, enums by name and wrapper values arrive as in Tetragon's own option files."""
    request = request_of(
        Settings(
            tetragon_allow_list='[{"event_set": ["PROCESS_EXEC", "PROCESS_KPROBE"], "namespace": ["shop"]}]',
            tetragon_deny_list='[{"health_check": true}, {"binaryRegex": ["^/usr/bin/runc$"]}]',
        )
    )

    (allow,) = request.allow_list
    assert list(allow.event_set) == [EventType.PROCESS_EXEC, EventType.PROCESS_KPROBE]
    assert list(allow.namespace) == ["shop"]
    assert request.deny_list[0].health_check.value is True
    assert list(request.deny_list[1].binary_regex) == ["^/usr/bin/runc$"]


@pytest.mark.parametrize(
    "text",
    [
        '{"pid": [1]}{"pid": [2]}',
        '{"pid": [1]}\n{"pid": [2]}',
        '[{"pid": [1]}, {"pid": [2]}]',
        '{"pid": [1]}, {"pid": [2]}',
    ],
)
def test_objects_may_stand_alone_in_a_list_or_one_after_another(text: str) -> None:
    """Tetragon's Helm values put one object on a line; a list is what one would expect; both are taken."""
    request = request_of(Settings(tetragon_deny_list=text))

    assert [list(one.pid) for one in request.deny_list] == [[1], [2]]


@pytest.mark.parametrize(
    "fields",
    ['"process.exec_id,parent.exec_id"', '"process.execId, parent.execId"', '["process.exec_id","parent.exec_id"]'],
)
def test_field_paths_in_every_form(fields: str) -> None:
    """Text with commas, a list, snake_case and camelCase mean the same."""
    text = f'{{"fields": {fields}, "action": "EXCLUDE", "invert_event_set": false}}'

    (one,) = request_of(Settings(tetragon_field_filters=text)).field_filters

    assert list(one.fields.paths) == ["process.exec_id", "parent.exec_id"]
    assert one.action == FieldFilterAction.EXCLUDE


def test_map_keys_may_end_a_path() -> None:
    """Pod labels are a map; a single label can be left out."""
    text = '{"fields": "process.pod.pod_labels.app", "action": "EXCLUDE"}'

    assert request_of(Settings(tetragon_field_filters=text)).field_filters


def test_all_errors_are_told_at_once_by_name() -> None:
    """An operator corrects everything in one go."""
    errors = _errors(
        tetragon_allow_list='[{"binary_regex": ["(", "ok"]}, {"binary": ["x"]}, 7]',
        tetragon_deny_list='{"pid": ',
        tetragon_field_filters=(
            '[{"fields": "process.exe_id"}, {"event_set": ["PROCESS_EXIT"], "fields": "function_name"}]'
        ),
    )

    text = "\n".join(errors)
    assert "CALLSTREAM_TETRAGON_ALLOW_LIST[0].binary_regex[0] is not an RE2 pattern: missing )" in text
    assert "CALLSTREAM_TETRAGON_ALLOW_LIST[1] is not a tetragon.Filter" in text
    assert "CALLSTREAM_TETRAGON_ALLOW_LIST[2] is not a JSON object" in text
    assert "CALLSTREAM_TETRAGON_DENY_LIST is not JSON" in text
    assert "CALLSTREAM_TETRAGON_FIELD_FILTERS[0].fields: 'process.exe_id' is not a field of any event" in text
    assert "CALLSTREAM_TETRAGON_FIELD_FILTERS[1].fields: 'function_name' is not a field of PROCESS_EXIT" in text
    assert len(errors) == 6


@pytest.mark.parametrize("pattern", ["(?=x)", r"(a)\\1"])
def test_pattern_that_only_a_backtracking_engine_takes_is_refused(pattern: str) -> None:
    """Tetragon compiles with RE2, so look-aheads and back-references fail there, with no hint at which filter."""
    (error,) = _errors(tetragon_allow_list=f'{{"pod_regex": ["{pattern}"]}}')

    assert "CALLSTREAM_TETRAGON_ALLOW_LIST[0].pod_regex[0] is not an RE2 pattern" in error


def test_empty_filter_is_refused() -> None:
    """An empty object in the deny list would drop everything in silence."""
    assert _errors(tetragon_deny_list="[{}]") == [
        "CALLSTREAM_TETRAGON_DENY_LIST[0] is empty, which would match every event"
    ]


def test_field_filter_without_fields_is_refused() -> None:
    """Including nothing would leave empty events."""
    assert _errors(tetragon_field_filters='{"event_set": ["PROCESS_EXEC"]}') == [
        "CALLSTREAM_TETRAGON_FIELD_FILTERS[0].fields names no field"
    ]
