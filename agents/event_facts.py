"""What a log line may say of one event, whatever becomes of the event."""

from typing import NamedTuple


class EventFacts(NamedTuple):
    """Names of an event, none of which is a private value; None where it is not known, or may not be said."""

    event_id: str | None = None
    probe_type: str | None = None
    container_id: str | None = None
    process_name: str | None = None
