"""What a log line may say of a canonical event that the filter refused: only what the policy would let out of it."""

from google.protobuf.message import DecodeError

from agents.event_facts import EventFacts
from agents.privacy.policy import Policy
from agents.privacy.redaction.answers import Cleared, Redactor
from schemas.canonical_pb2 import CanonicalEvent
from schemas.probe_types import PROBE_TYPES


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
