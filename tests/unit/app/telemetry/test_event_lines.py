"""Lines about single events: the four names, the place, and at most one a second and reason."""

import logging

import pytest

from agents.event_facts import EventFacts
from app.telemetry.event_lines import EventLines
from app.telemetry.logs import EventNote


def test_a_flood_of_refusals_is_one_line_a_second_and_reason(caplog: pytest.LogCaptureFixture) -> None:
    """What is held back is counted in the next line, and its facts are not even read."""
    now = 100.0
    read = []

    def facts() -> EventFacts:
        read.append(now)
        return EventFacts("ab" * 16, "Kprobe", "c1", "curl")

    lines = EventLines("an event is refused", clock=lambda: now)
    with caplog.at_level(logging.WARNING):
        for _ in range(1_000):
            lines.say("field_too_long", facts, {"offset": 7})
        lines.say("empty", EventFacts, {"offset": 8})
        now += 1.0
        lines.say("field_too_long", facts, {"offset": 9})

    said = [(record.getMessage(), vars(record)["event"], vars(record)["facts"]) for record in caplog.records]
    note = EventNote("ab" * 16, "Kprobe", "c1", "curl")
    assert said == [
        ("an event is refused: field_too_long", note, {"reason": "field_too_long", "offset": 7}),
        ("an event is refused: empty", EventNote(None, None), {"reason": "empty", "offset": 8}),
        (
            "an event is refused: field_too_long",
            note,
            {"reason": "field_too_long", "offset": 9, "moreBefore": 999},
        ),
    ]
    assert len(read) == 2
