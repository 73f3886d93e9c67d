"""What a log line says of a refused event: only what the policy lets out."""

from dataclasses import replace

import pytest

from agents.event_facts import EventFacts
from agents.privacy.canonical_facts import canonical_facts, late_events
from agents.privacy.policy import Policy
from agents.privacy.policy_file import built_in_policy
from agents.privacy.redaction.engine import RedactionEngine
from app.kafka.records import Recorded
from schemas.canonical_pb2 import CanonicalEvent
from schemas.probe_types import PROBE_TYPES


def _event(binary: str, container_id: str = "c1d2e3f4") -> bytes:
    event = CanonicalEvent(event_id=bytes(16))
    event.probe.probe_type = PROBE_TYPES.index("Kprobe")  # type: ignore[assignment]  # an index is the enum's number
    event.process.binary = binary
    event.workload.container_id = container_id
    return event.SerializeToString()


def _facts(policy: Policy, canonical: bytes | None) -> EventFacts:
    return canonical_facts(policy, RedactionEngine(policy.choices, None), canonical)


def test_an_event_has_its_four_names() -> None:
    """The process by the end of its path."""
    assert _facts(built_in_policy("default"), _event("/usr/bin/curl")) == EventFacts(
        "0" * 32, "Kprobe", "c1d2e3f4", "curl"
    )


@pytest.mark.parametrize(
    "binary", ["/home/alice", "/opt/token=hunter2hunter2", "/x/AKIAIOSFODNN7EXAMPLE", "a" * 1_000_000]
)
def test_a_name_that_would_not_leave_is_not_said(binary: str) -> None:
    """Names of people, secrets and refused texts are redacted or left out."""
    name = _facts(built_in_policy("default"), _event(binary)).process_name

    assert name is None or not any(secret in name for secret in ("alice", "hunter2", "AKIA", "aaaa"))


def test_a_field_that_may_not_leave_is_not_said() -> None:
    """Under a policy without binary and container."""
    policy = built_in_policy("default")
    less = replace(
        policy, allowed=tuple((kind, fields - {"process.binary", "container_id"}) for kind, fields in policy.allowed)
    )

    assert _facts(less, _event("/usr/bin/curl")) == EventFacts("0" * 32, "Kprobe", None, None)


@pytest.mark.parametrize("canonical", [None, b"", b"no protobuf", b"\x0a\x00"])
def test_what_is_no_event_has_no_names(canonical: bytes | None) -> None:
    """The line has its position still."""
    assert _facts(built_in_policy("default"), canonical) == EventFacts()


def test_events_that_were_received_long_after_they_happened_are_late() -> None:
    """By the times of event and receipt alone; what is not an event is not late."""
    happened_ns = 1_700_000_000_000_000_000
    event = CanonicalEvent(event_id=bytes(range(16)), timestamp_ns=happened_ns, raw_offset=7).SerializeToString()
    timeless = CanonicalEvent(event_id=bytes(16), raw_offset=1).SerializeToString()
    values = {0: event, 60_000: event, 60_001: event, 90_000: event, 100_000: timeless, 110_000: None, 120_000: b"x"}
    records = [
        Recorded("t", 0, number, happened_ns // 1_000_000 + after_ms, None, value)
        for number, (after_ms, value) in enumerate(values.items())
    ]
    assert [one.offset for one in late_events(records, 60_000_000_000)] == [2, 3]
