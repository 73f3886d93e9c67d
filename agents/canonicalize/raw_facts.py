"""What a log line may say of a raw event. No policy has cleared it yet, so it names neither process nor container."""

from google.protobuf.message import DecodeError

from agents.event_facts import EventFacts
from schemas.probe_types import EVENT_LABELS
from schemas.tetragon.events_pb2 import GetEventsResponse


def raw_facts(raw: bytes | None) -> EventFacts:
    """The kind of a raw event under which it is counted, if it can be read."""
    try:
        kind = GetEventsResponse.FromString(raw or b"").WhichOneof("event")
    except DecodeError:
        return EventFacts()
    return EventFacts(probe_type=None if kind is None else EVENT_LABELS.get(kind))
