"""The privacy try-out: what one or two policies let out of pasted events. Nothing is stored, logged or published.

The pipeline's key for pseudonyms is never used here: whoever could try names against it would learn whose they are.
"""

import threading
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from functools import lru_cache
from http import HTTPStatus
from typing import Any, Final

from agents.canonicalize.events import Canonicalizer
from agents.privacy.explain import FieldStory
from agents.privacy.matching.gate import PatternError
from agents.privacy.policy import Policy
from agents.privacy.policy_file import BUILT_IN, PolicyError, built_in_text, parse_policy
from agents.privacy.redaction.engine import RedactionEngine
from app.console.gate import QuestionError
from app.privacy.explaining import ExplainedEvent, explained

MAX_BYTES: Final = 1 << 20
"""Of a whole question: some hundred events, and two policies."""

MAX_EVENTS: Final = 200
"""In one question; more take seconds of a processor."""

_AT_ONCE: Final = 2
_KEPT_POLICIES: Final = 8


class TryOut:
    """Answers from any thread, two at once."""

    def __init__(self, hooks: Mapping[str, Any]) -> None:
        """`hooks` is the operator's map of hook kinds."""
        self._hooks = hooks
        self._places = threading.BoundedSemaphore(_AT_ONCE)
        self._policy = lru_cache(_KEPT_POLICIES)(_compiled)

    def __call__(self, document: Any) -> dict[str, Any]:
        """The answer to a question as JSON has it. Raises QuestionError."""
        match document:
            case {"events": str(events), "policies": [*policies]} if 1 <= len(policies) <= 2:
                pass
            case _:
                raise QuestionError(HTTPStatus.BAD_REQUEST, "ask with `events`, a text, and one or two `policies`")
        lines = [line for line in events.splitlines() if line.strip()]
        if not lines:
            raise QuestionError(HTTPStatus.BAD_REQUEST, "there is no event: paste a line of Tetragon's JSON export")
        if len(lines) > MAX_EVENTS:
            raise QuestionError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"at most {MAX_EVENTS} events at once")
        if not self._places.acquire(blocking=False):
            raise QuestionError(HTTPStatus.TOO_MANY_REQUESTS, "others try policies now; try again in a moment")
        try:
            compiled = [self._policy(_text_of(policy, number)) for number, policy in enumerate(policies, 1)]
            return {"policies": [_said(policy) for policy, _ in compiled], "events": list(self._told(lines, compiled))}
        finally:
            self._places.release()

    def _told(self, lines: list[str], compiled: list[tuple[Policy, RedactionEngine]]) -> Iterator[dict[str, Any]]:
        canonicalizer = Canonicalizer(self._hooks)
        for number, line in enumerate(lines, 1):
            yield {"number": number, "by_policy": [_story(line, number, canonicalizer, *one) for one in compiled]}


def built_in_policies() -> dict[str, str]:
    """The texts of the policies to choose from, by name."""
    return {name: built_in_text(name) for name in BUILT_IN}


def _text_of(policy: object, number: int) -> str:
    if not isinstance(policy, str):
        raise QuestionError(HTTPStatus.BAD_REQUEST, f"policy {number} is not text")
    return policy


def _compiled(text: str) -> tuple[Policy, RedactionEngine]:
    try:
        policy = parse_policy(text)
        return policy, RedactionEngine(policy.choices, None)
    except PolicyError as error:
        raise QuestionError(
            HTTPStatus.BAD_REQUEST, "the policy is wrong: " + "; ".join(map(str, error.problems))
        ) from None
    except PatternError as error:
        raise QuestionError(HTTPStatus.BAD_REQUEST, f"the patterns together: {error}") from None


def _said(policy: Policy) -> dict[str, Any]:
    return {"name": policy.name, "policy_id": policy.policy_id}


def _story(
    line: str, number: int, canonicalizer: Canonicalizer, policy: Policy, engine: RedactionEngine
) -> dict[str, Any]:
    found = explained(line, number, canonicalizer, policy, engine)
    if isinstance(found, ExplainedEvent):
        story = found.explanation
        return {
            "probe_type": story.probe_type,
            "event_id": story.event_id,
            "fields": [_field(one) for one in story.fields],
            "dropped": found.dropped,
        }
    return {"reason": found.reason, "is_refused": found.is_refused}


def _field(one: FieldStory) -> dict[str, Any]:
    return {**asdict(one), "fate": one.fate.value, "rules": [list(rule) for rule in one.rules]}
