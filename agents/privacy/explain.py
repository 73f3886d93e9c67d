"""What the filter did with one event, field by field and by which rule: for `callstream privacy explain`.

The event goes through the real filter. What left is read back from the encoded call and compared with what went in, so
an explanation shows what really happens. Every text of the canonical event is accounted for: kept, redacted by these
rules, or withheld by the policy.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, NamedTuple

from agents.privacy.calls import CallRefused, PrivacyFilter
from agents.privacy.policy import WORKLOAD_FIELDS, Policy
from agents.privacy.redaction.answers import REPEATED, Cleared, Hits, Redactor, TextAnswer
from schemas import avro_wire, canonical_pb2, records
from schemas.canonical_pb2 import CanonicalArgument, CanonicalEvent
from schemas.probe_types import PROBE_TYPES


class Fate(StrEnum):
    """What became of a field."""

    KEPT = "kept"
    REDACTED = "redacted"
    WITHHELD = "withheld"


@dataclass(frozen=True, slots=True)
class FieldStory:
    """One field of the public record: its fate, the rules that changed it, and what left of it (None: nothing)."""

    field: str
    fate: Fate
    rules: Hits
    left: str | None


@dataclass(frozen=True, slots=True)
class Explanation:
    """What became of one event's fields, in the order of the record."""

    event_id: str
    probe_type: str
    policy_id: str
    fields: tuple[FieldStory, ...]


class _EventText(NamedTuple):
    """A text of the canonical event: its public field, the question that the filter asks of it, and itself."""

    field: str
    question: str
    text: str | bytes


class _Recorder:
    """The engine, remembering its answers by question and text."""

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor
        self.hits: dict[tuple[str, str | bytes], Hits] = {}

    def __getattr__(self, question: str) -> Any:
        ask = getattr(self._redactor, question)

        def record(text: str | bytes) -> TextAnswer:
            answer: TextAnswer = ask(text)
            self.hits[question, text] = answer.hits if isinstance(answer, Cleared) else ()
            return answer

        return record

    def arguments(self, binary: str, text: str, *, truncated: bool) -> TextAnswer:
        """The engine's answer; the only question with more than a text."""
        answer = self._redactor.arguments(binary, text, truncated=truncated)
        self.hits["arguments", text] = answer.hits if isinstance(answer, Cleared) else ()
        return answer


def explain(policy: Policy, redactor: Redactor, canonical: bytes) -> Explanation | CallRefused:
    """The story of one canonical event (an encoded callstream.CanonicalEvent)."""
    recorder: Any = _Recorder(redactor)
    outcome = PrivacyFilter(policy, recorder).filter(canonical)
    if isinstance(outcome, CallRefused):
        return outcome
    event = CanonicalEvent.FromString(canonical)
    call = records.decode(records.CALL, avro_wire.schema_header(0) + outcome.body)
    stories = tuple(_story(text, call, recorder.hits) for text in _texts(event))
    return Explanation(call["event_id"], PROBE_TYPES[outcome.probe_type], policy.policy_id, stories)


def _story(text: _EventText, call: Mapping[str, Any], hits: Mapping[tuple[str, str | bytes], Hits]) -> FieldStory:
    left = value_at(call, text.field)
    rules = hits.get((text.question, text.text), ())
    if left is None or left == "":
        return FieldStory(text.field, Fate.WITHHELD, (), None)
    if not rules and text.question in {"arguments", "text"} and left != text.text:
        rules = ((REPEATED, 1),)
    return FieldStory(text.field, Fate.REDACTED if rules else Fate.KEPT, rules, str(left))


def value_at(call: Any, path: str) -> Any:
    """The value at a dotted path of a call, such as `stack_frames[2].module`; None if the path leads nowhere."""
    value = call
    for step in path.replace("[", ".[").split("."):
        if value is None:
            return None
        if step.startswith("["):
            index = int(step[1:-1])
            value = value[index] if index < len(value) else None
        else:
            value = value[step]
    return value


_PROCESS: Final = (
    ("parent_process_id", "id"),
    ("binary", "path"),
    ("arguments", "arguments"),
    ("cwd", "path"),
    ("user", "user"),
    ("flags", "system_word"),
)
_FRAME: Final = (
    ("module", "path"),
    ("symbol", "symbol"),
    ("source_file", "path"),
    ("build_id", "system_word"),
    ("symbol_hint", "symbol"),
)
_TARGET: Final = (("module", "path"), ("symbol", "symbol"), ("build_id", "system_word"))
_PROBE: Final = (
    ("syscall", "symbol"),
    ("action", "system_word"),
    ("return_action", "system_word"),
    ("policy_name", "name"),
    ("message", "text"),
)
_QUESTIONS: Final = {
    canonical_pb2.ATOM_CLASS_PATH: "path",
    canonical_pb2.ATOM_CLASS_BUFFER: "buffer",
    canonical_pb2.ATOM_CLASS_ADDRESS: "address",
    canonical_pb2.ATOM_CLASS_NUMBER: "system_word",
    canonical_pb2.ATOM_CLASS_WORD: "system_word",
    canonical_pb2.ATOM_CLASS_NAME: "name",
}


def _texts(event: CanonicalEvent) -> Iterator[_EventText]:
    """Every text of the event that is not empty, in the order of the public record."""
    yield from _field_texts("process.", event.process, _PROCESS)
    yield from _field_texts("", event.probe, _PROBE)
    for index, tag in enumerate(event.probe.tags):
        yield _EventText(f"tags[{index}]", "text", tag)
    if event.probe.HasField("target"):
        yield from _field_texts("probe_target.", event.probe.target, _TARGET)
    for index, frame in enumerate(event.stack.frames):
        yield from _field_texts(f"stack_frames[{index}].", frame, _FRAME)
    yield from _field_texts("", event.workload, tuple((name, "name") for name in WORKLOAD_FIELDS))
    if event.HasField("parent"):
        yield from _field_texts("parent.", event.parent, _PROCESS)
    for index, ancestor in enumerate(event.ancestors):
        yield from _field_texts(f"ancestors[{index}].", ancestor, _PROCESS)
    for index, argument in enumerate(event.arguments):
        yield from _argument_texts(f"call_arguments[{index}]", argument)
    for index, argument in enumerate(event.data):
        yield from _argument_texts(f"call_data[{index}]", argument)
    if event.HasField("return_value"):
        yield from _argument_texts("return_value", event.return_value)
    if event.exit.signal:
        yield _EventText("exit_signal", "system_word", event.exit.signal)
    yield from _field_texts("", event.node, (("node_name", "name"), ("cluster_name", "name")))


def _field_texts(prefix: str, message: Any, questions: tuple[tuple[str, str], ...]) -> Iterator[_EventText]:
    for name, question in questions:
        if text := getattr(message, name):
            yield _EventText(prefix + name, question, text)


def _argument_texts(place: str, argument: CanonicalArgument) -> Iterator[_EventText]:
    if argument.label:
        yield _EventText(f"{place}.label", "text", argument.label)
    for atom in argument.atoms:
        question = _QUESTIONS.get(atom.atom_class, "text")
        yield _EventText(f"{place}.value", question, atom.buffer if question == "buffer" else atom.text)
