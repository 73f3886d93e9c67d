"""What to open at the agent: the link, and the request for its events."""

import hashlib
from dataclasses import dataclass

from app.ingest.filter_effect import let_through
from app.ingest.filters import request_of
from app.ingest.link import AgentLink, link_of
from app.settings import Settings, SettingsError
from schemas.tetragon.filters_pb2 import GetEventsRequest


@dataclass(frozen=True, slots=True)
class Opening:
    """How to reach the agent and what to ask it for."""

    link: AgentLink
    wanted: GetEventsRequest
    """What the settings want."""
    request: bytes
    """What is sent: the wanted events and those that coverage needs."""

    @property
    def digest(self) -> str:
        """Of the request; two streams with one digest have the same events."""
        return hashlib.sha256(self.request).hexdigest()


def opening_of(settings: Settings) -> Opening:
    """Everything about Tetragon in the settings, with all errors in one SettingsError."""
    errors: list[str] = []
    link, wanted = None, GetEventsRequest()
    try:
        link = link_of(settings)
    except SettingsError as error:
        errors += error.errors
    try:
        wanted = request_of(settings)
    except SettingsError as error:
        errors += error.errors
    if errors or link is None:
        raise SettingsError(errors)
    return Opening(link, wanted, let_through(wanted).SerializeToString(deterministic=True))
