"""A privacy policy and an engine that let everything through: for tests of layout and speed, never for privacy."""

from collections.abc import Hashable

from agents.privacy.policy import Policy
from agents.privacy.redaction.answers import Cleared, TextAnswer
from agents.privacy.redaction.choices import RedactionChoices


class OpenPolicy(Policy):
    """Allows every field, also one that no policy can list."""

    def __init__(self) -> None:
        super().__init__("open", (), RedactionChoices())

    def profile(self, _probe_type: str) -> Hashable:
        """One profile for all."""
        return 0

    def allows(self, _probe_type: str, _field: str) -> bool:
        """Everything may leave."""
        return True


class OpenRedactor:
    """Clears every text as it is."""

    def arguments(self, _binary: str, text: str, *, truncated: bool) -> TextAnswer:  # noqa: ARG002 - the engine's signature
        """The same text."""
        return Cleared(text, ())

    def path(self, text: str) -> TextAnswer:
        """The same text."""
        return Cleared(text, ())

    def buffer(self, content: bytes) -> TextAnswer:
        """Hexadecimal digits."""
        return Cleared(content.hex(), ())

    text = user = name = symbol = system_word = address = path
