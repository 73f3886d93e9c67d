"""What the field filter asks the redaction engine: one method for each kind of text, and the answers it may get.

An answer is a text that may leave, with counts by rule, or a refusal; never an exception. It depends only on the text,
on the policy and, for arguments, on the program.
"""

from collections.abc import Iterable
from enum import StrEnum
from typing import Final, NamedTuple, Protocol

from agents.privacy.matching.masks import REDACTED

Hits = tuple[tuple[str, int], ...]
"""Redactions by rule, in the order of rule names."""


def merged_hits(many: Iterable[Hits]) -> Hits:
    """Sums of several counts by rule, in the order of rule names."""
    some = [hits for hits in many if hits]
    if len(some) < 2:
        return some[0] if some else ()
    counts: dict[str, int] = {}
    for hits in some:
        for rule, count in hits:
            counts[rule] = counts.get(rule, 0) + count
    return tuple(sorted(counts.items()))


class Cleared(NamedTuple):
    """A text that may leave, what was done to it, and the secrets that it lost, if others may repeat them."""

    text: str
    hits: Hits
    taken: tuple[str, ...] = ()


class TextRefusal(StrEnum):
    """Why a text, or a part, cannot be cleared; the event goes to the dead letters by position."""

    TOO_LONG = "field_too_long"
    INVALID_TEXT = "invalid_text"
    ENGINE_FAILURE = "engine_failure"
    UNKNOWN_KIND = "unknown_kind"  # an enum value of a newer canonicalize stage


TextAnswer = Cleared | TextRefusal

MASKED_WHOLE: Final = ("address", "intricate")
"""Rules that leave nothing of a text: one that is too intricate to look at, and one that should be an address."""

REPEATED: Final = "repeated"
"""The rule that masks what another one took as a secret elsewhere."""


def without(answer: TextAnswer, values: Iterable[str]) -> TextAnswer:
    """An answer whose text has lost `values`, too."""
    if isinstance(answer, TextRefusal) or not any(value in answer.text for value in values):
        return answer
    text, count = answer.text, 0
    for value in values:
        count += text.count(value)
        text = text.replace(value, REDACTED)
    return Cleared(text, merged_hits([answer.hits, ((REPEATED, count),)]), answer.taken)


class Redactor(Protocol):
    """The engine under one policy."""

    def arguments(self, binary: str, text: str, *, truncated: bool) -> TextAnswer:
        """A command line, as Tetragon joins it; `binary` is the unfiltered path of its program."""

    def path(self, text: str) -> TextAnswer:
        """A path of the file system, or of a socket."""

    def text(self, text: str) -> TextAnswer:
        """Free text: a string argument, a message, a tag."""

    def buffer(self, content: bytes) -> TextAnswer:
        """Bytes of a user buffer."""

    def user(self, name: str) -> TextAnswer:
        """A user's name."""

    def name(self, text: str) -> TextAnswer:
        """The name of a pod, an image, a policy, a node or a kernel module: people choose it."""

    def symbol(self, text: str) -> TextAnswer:
        """The name of a function, mangled or not."""

    def system_word(self, text: str) -> TextAnswer:
        """Words of the kernel's or the agent's own vocabulary."""

    def address(self, text: str) -> TextAnswer:
        """A network address."""
