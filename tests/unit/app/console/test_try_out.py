"""The privacy try-out."""

import json
from http import HTTPStatus
from typing import Any

import pytest

from app.console.gate import QuestionError
from app.console.try_out import MAX_EVENTS, TryOut, built_in_policies

SECRET = "s3cr3t-Pa55w0rd-of-alice"
EVENT = json.dumps(
    {
        "process_exec": {
            "process": {
                "exec_id": "bjE6MToy",
                "pid": 42,
                "cwd": "/home/alice",
                "binary": "/usr/bin/curl",
                "arguments": f"--password {SECRET} https://example.org",
                "start_time": "2026-01-31T12:00:00Z",
            }
        },
        "node_name": "worker-3",
        "time": "2026-01-31T12:00:00Z",
    }
)


def _fields(story: dict[str, Any]) -> dict[str, tuple[str, str | None]]:
    return {one["field"]: (one["fate"], one["left"]) for one in story["fields"]}


def test_an_event_is_explained_field_by_field() -> None:
    """What leaves, by which rule, and under which policy."""
    found = TryOut({})({"events": EVENT, "policies": [built_in_policies()["default"]]})
    ((story,),) = [event["by_policy"] for event in found["events"]]
    fields = _fields(story)
    assert fields["process.binary"] == ("kept", "/usr/bin/curl")
    fate, left = fields["process.arguments"]
    assert fate == "redacted"
    assert SECRET not in json.dumps(found)
    assert left is not None
    assert "--password" in left
    assert found["policies"][0]["name"] == "default"


def test_two_policies_are_tried_side_by_side() -> None:
    """Over the same events, in the order in which they were given."""
    policies = built_in_policies()
    found = TryOut({})({"events": f"{EVENT}\n\n{EVENT}\n", "policies": [policies["default"], policies["strict"]]})
    assert [one["name"] for one in found["policies"]] == ["default", "strict"]
    assert [event["number"] for event in found["events"]] == [1, 2]
    default, strict = (_fields(story) for story in found["events"][0]["by_policy"])
    assert default != strict


def test_what_is_no_event_says_so_beside_the_others() -> None:
    """Without any of its text."""
    found = TryOut({})({"events": f"{SECRET}\n{EVENT}", "policies": [built_in_policies()["default"]]})
    refused, explained = (event["by_policy"][0] for event in found["events"])
    assert refused == {"reason": "is not a line of Tetragon's JSON export", "is_refused": True}
    assert "fields" in explained
    assert SECRET not in json.dumps(found)


@pytest.mark.parametrize(
    ("question", "status", "said"),
    [
        (None, HTTPStatus.BAD_REQUEST, "one or two"),
        ({"events": EVENT, "policies": []}, HTTPStatus.BAD_REQUEST, "one or two"),
        ({"events": EVENT, "policies": ["", "", ""]}, HTTPStatus.BAD_REQUEST, "one or two"),
        ({"events": EVENT, "policies": [5]}, HTTPStatus.BAD_REQUEST, "is not text"),
        ({"events": EVENT, "policies": ["what is this"]}, HTTPStatus.BAD_REQUEST, "the policy is wrong"),
        ({"events": " \n ", "policies": ["x"]}, HTTPStatus.BAD_REQUEST, "there is no event"),
        ({"events": "{}\n" * (MAX_EVENTS + 1), "policies": ["x"]}, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "at most"),
    ],
)
def test_a_question_that_cannot_be_tried_says_why(question: Any, status: HTTPStatus, said: str) -> None:
    """With what to write instead."""
    with pytest.raises(QuestionError, match=said) as refused:
        TryOut({})(question)
    assert refused.value.status is status
