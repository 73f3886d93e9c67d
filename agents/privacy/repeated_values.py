"""The same secret anywhere in an event: what one free text gave away as a secret goes wherever else it stands.

A parent's command line repeats a child's, and a message repeats an argument, without what gave the secret away. Free
texts are the arguments of the process, its parent and its ancestors, texts and buffers of the call, and the policy's
message and tags. Names of files, symbols, images, pods and policies stay: `--token=/usr/lib/libssl.so.3` must not erase
evidence. Nothing is remembered from one event to the next.
"""

from collections.abc import Iterator
from typing import Final, NamedTuple

from agents.privacy.redaction.answers import Cleared, Redactor, TextAnswer, without
from schemas.canonical_parts_pb2 import CanonicalEventParts
from schemas.canonical_pb2 import (
    ATOM_CLASS_BUFFER,
    ATOM_CLASS_TEXT,
    CanonicalArgument,
    CanonicalAtom,
    CanonicalProbe,
    CanonicalProcess,
)

TRUNCATED_FLAG: Final = "truncArgs"
"""Word in a process's flags: the agent cut the arguments off."""

_MAX_VALUES: Final = 16
"""Secrets of one event that are looked for elsewhere; an event has one or two."""


class Forgetful(NamedTuple):
    """A redactor that also masks `values` in free texts; every other question is the engine's."""

    engine: Redactor
    values: tuple[str, ...]

    def arguments(self, binary: str, text: str, *, truncated: bool) -> TextAnswer:
        """A command line, without the values."""
        return without(self.engine.arguments(binary, text, truncated=truncated), self.values)

    def text(self, text: str) -> TextAnswer:
        """Free text, without the values."""
        return without(self.engine.text(text), self.values)

    def buffer(self, content: bytes) -> TextAnswer:
        """Bytes of a user buffer, without the values."""
        return without(self.engine.buffer(content), self.values)

    def path(self, text: str) -> TextAnswer:
        """The engine's own answer, as for all that follow."""
        return self.engine.path(text)

    def user(self, name: str) -> TextAnswer:
        """The name of a user."""
        return self.engine.user(name)

    def name(self, text: str) -> TextAnswer:
        """The name of a pod, an image, a policy."""
        return self.engine.name(text)

    def symbol(self, text: str) -> TextAnswer:
        """The name of a function."""
        return self.engine.symbol(text)

    def system_word(self, text: str) -> TextAnswer:
        """Words of the kernel or the agent."""
        return self.engine.system_word(text)

    def address(self, text: str) -> TextAnswer:
        """A network address."""
        return self.engine.address(text)


def values_left(event: CanonicalEventParts, redactor: Redactor) -> tuple[str, ...]:
    """Secrets that one free text of the event lost and another one still has, the longest first."""
    answers = [answer for answer in _answers(event, redactor) if isinstance(answer, Cleared)]
    taken = dict.fromkeys(value for answer in answers for value in answer.taken)
    left = [value for value in taken if any(value in answer.text for answer in answers)]
    return tuple(sorted(left, key=lambda value: (-len(value), value))[:_MAX_VALUES])


def _answers(event: CanonicalEventParts, redactor: Redactor) -> Iterator[TextAnswer]:
    """What the engine says of each free text of an event."""
    for encoded in (event.process, event.parent, *event.ancestors):
        process = CanonicalProcess.FromString(encoded)
        truncated = TRUNCATED_FLAG in process.flags.split()
        if process.arguments:
            yield redactor.arguments(process.binary, process.arguments, truncated=truncated)
    probe = CanonicalProbe.FromString(event.probe)
    yield from map(redactor.text, filter(None, (probe.message, *probe.tags)))
    for encoded in (*event.arguments, *event.data, event.return_value):
        argument = CanonicalArgument.FromString(encoded)
        if argument.label:
            yield redactor.text(argument.label)
        yield from (answer for atom in argument.atoms if (answer := _of_atom(atom, redactor)) is not None)


def _of_atom(atom: CanonicalAtom, redactor: Redactor) -> TextAnswer | None:
    if atom.atom_class == ATOM_CLASS_BUFFER:
        return redactor.buffer(atom.buffer)
    return redactor.text(atom.text) if atom.atom_class == ATOM_CLASS_TEXT and atom.text else None
