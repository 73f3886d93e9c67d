"""What a log line may say of a canonical event that was refused or came late: only what the policy lets out of it."""

from collections.abc import Sequence

from google.protobuf.message import DecodeError

from agents.contract import SourceRecord
from agents.event_facts import EventFacts
from agents.privacy.policy import Policy
from agents.privacy.redaction.answers import Cleared, Redactor
from schemas.canonical_head import TIMESTAMP_AT
from schemas.canonical_parts_pb2 import CanonicalEventParts
from schemas.canonical_pb2 import CanonicalEvent
from schemas.probe_types import PROBE_TYPES
from schemas.units import NS_PER_MS


def canonical_facts(policy: Policy, redactor: Redactor, canonical: bytes | None) -> EventFacts:
    """The names of an event under a policy.

    The name of the process is the end of the binary's path as it would leave; None if it may not leave, or is refused.
    """
    try:
        event = CanonicalEvent.FromString(canonical or b"")
    except DecodeError:
        return EventFacts()
    number = event.probe.probe_type
    if not event.event_id or not 0 <= number < len(PROBE_TYPES):
        return EventFacts()
    probe_type = PROBE_TYPES[number]
    container = binary = None
    if policy.allows(probe_type, "container_id"):
        container = redactor.name(event.workload.container_id)
    if policy.allows(probe_type, "process.binary"):
        binary = redactor.path(event.process.binary)
    return EventFacts(
        event_id=event.event_id.hex(),
        probe_type=probe_type,
        container_id=(container.text or None) if isinstance(container, Cleared) else None,
        process_name=(binary.text.rpartition("/")[2] or None) if isinstance(binary, Cleared) else None,
    )


def late_events(records: Sequence[SourceRecord], lateness_ns: int) -> list[SourceRecord]:
    """Canonical events that were received more than `lateness_ns` after they happened."""
    # Every event is looked at, so none is decoded for that: its time stands at one place of its head.
    place, number = slice(TIMESTAMP_AT, TIMESTAMP_AT + 8), int.from_bytes
    suspects = [
        record
        for record in records
        if number((record.value or b"")[place], "little") < record.timestamp * NS_PER_MS - lateness_ns
    ]
    return [record for record in suspects if _is_before(record, record.timestamp * NS_PER_MS - lateness_ns)]


def _is_before(record: SourceRecord, time_ns: int) -> bool:
    try:
        event = CanonicalEventParts.FromString(record.value or b"")
    except DecodeError:
        return False
    return bool(event.event_id) and 0 < event.timestamp_ns < time_ns
