"""What the filter does with one exported event: for `callstream privacy explain`, and for the console's try-out."""

import json
from typing import NamedTuple

from google.protobuf import json_format

from agents.canonicalize.events import Canonicalizer
from agents.canonicalize.outcomes import Canonical, EventRefusal
from agents.privacy.calls import CallRefused
from agents.privacy.explain import Explanation, explain
from agents.privacy.policy import Policy
from agents.privacy.redaction.engine import RedactionEngine
from app.privacy.dropped import dropped, unknown
from schemas.canonical_pb2 import CanonicalEvent
from schemas.tetragon.events_pb2 import GetEventsResponse


class ExplainedEvent(NamedTuple):
    """What happens to an event's fields, and the fields that are dropped before the filter."""

    explanation: Explanation
    dropped: list[str]


class UnexplainedEvent(NamedTuple):
    """Why an event has no explanation; it holds no value of the event."""

    reason: str
    is_refused: bool


def explained(
    line: str, number: int, canonicalizer: Canonicalizer, policy: Policy, engine: RedactionEngine
) -> ExplainedEvent | UnexplainedEvent:
    """What happens to the event in a line of Tetragon's JSON export, or why that cannot be said."""
    try:
        event = json_format.Parse(line, GetEventsResponse(), ignore_unknown_fields=True)
    except (json_format.ParseError, RecursionError):
        return UnexplainedEvent("is not a line of Tetragon's JSON export", is_refused=True)
    outcome = canonicalizer.canonicalize(event.SerializeToString(), 0, number, 0)
    match outcome:
        case Canonical():
            story = explain(policy, engine, outcome.value)
            if isinstance(story, CallRefused):
                return UnexplainedEvent(f"is refused by the filter: {story.reason}", is_refused=True)
            strange = unknown(json.loads(line), GetEventsResponse.DESCRIPTOR)
            lost = {*dropped(event, CanonicalEvent.FromString(outcome.value)), *strange}
            return ExplainedEvent(story, sorted(lost))
        case EventRefusal():
            return UnexplainedEvent(f"is refused: {outcome.reason}", is_refused=True)
        case _:
            return UnexplainedEvent(f"is not a call: {outcome}", is_refused=False)
