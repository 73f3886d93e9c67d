"""The field filter: parts of a canonical event become Avro bytes, field by field, and only what a policy lets through.

A field leaves if the policy allows it for this probe type *and* the engine cleared its text. A field that the public
schema does not have cannot leave at all. A field that may not leave is null, or the empty text if the schema has no
null for it. Order and form of fields are those of schemas/avro/runtime_call_event.avsc (a test reads them back with
fastavro). One `FieldFilter` serves one probe type.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Final

from agents.memo import Memo
from agents.privacy.filtered import FilteredPart, FilteredProbe, FilteredProcess
from agents.privacy.policy import WORKLOAD_FIELDS, Policy
from agents.privacy.redaction.answers import Hits, Redactor, TextAnswer, TextRefusal, merged_hits
from agents.privacy.repeated_values import TRUNCATED_FLAG
from schemas import avro_wire, canonical_pb2
from schemas.canonical_parts_pb2 import CanonicalStackParts
from schemas.canonical_pb2 import (
    CanonicalArgument,
    CanonicalAtom,
    CanonicalExit,
    CanonicalFrame,
    CanonicalNode,
    CanonicalProbe,
    CanonicalProcess,
    CanonicalTarget,
    CanonicalWorkload,
)

_MAX_FRAMES: Final = 8_192
"""Remembered frames; two generations of some 300 bytes each, for every probe type with a profile of its own."""

_MAX_FIELDS: Final = 256
"""Remembered names of fields of a place, in each of two generations; an argument's type comes from outside."""

_MAX_PLACES: Final = 16
"""The record itself and its fields that have fields of their own; there are nine."""

_MAX_REMEMBERED_FRAME_BYTES: Final = 512  # longer than the mangled names of ordinary code

_BOOLEAN: Final = (b"\x00", b"\x01")


class UnclearedError(Exception):
    """A text could not be cleared, so the event may not leave. `PrivacyFilter.filter` turns it into a value."""

    def __init__(self, refusal: TextRefusal) -> None:
        super().__init__(refusal.value)
        self.refusal = refusal


class FieldFilter:
    """Filters the parts of events of one probe type. Every method raises UnclearedError if it cannot."""

    def __init__(self, policy: Policy, redactor: Redactor, probe_type: str, *, says_snapshot: bool) -> None:
        self._policy = policy
        self._snapshot = _snapshot if says_snapshot else _no_snapshot
        self._redactor = redactor
        self._probe_type = probe_type
        self._frames = Memo(self._frame, _MAX_FRAMES)
        self._allowed = Memo(self._allowed_in, _MAX_PLACES)

    def process(self, encoded: bytes, place: str) -> FilteredProcess:
        """A `ProcessInfo`; `place` is the public field that it fills: process, parent or ancestors."""
        process = CanonicalProcess.FromString(encoded)
        redactor, part = self._redactor, self._part(place)
        flags = process.flags
        truncated = TRUNCATED_FLAG in flags and TRUNCATED_FLAG in flags.split()
        part.raw(avro_wire.text(process.process_id))
        part.id("parent_process_id", process.parent_process_id)
        part.number("pid", process.pid if process.HasField("pid") else None)
        part.number("uid", process.uid if process.HasField("uid") else None)
        part.optional("binary", process.binary, redactor.path)
        arguments = partial(redactor.arguments, process.binary, truncated=truncated)
        part.optional("arguments", process.arguments, arguments)
        part.optional("cwd", process.cwd, redactor.path)
        part.number("start_time_ns", process.start_time_ns if process.HasField("start_time_ns") else None)
        part.number("auid", process.auid if process.HasField("auid") else None)
        part.optional("user", process.user, redactor.user)
        part.optional("flags", flags, redactor.system_word)
        return FilteredProcess(part.avro(), part.hits(), process.process_id.encode())

    def workload(self, encoded: bytes) -> FilteredPart:
        """Where the process ran; empty bytes are a process outside of any container."""
        workload = CanonicalWorkload.FromString(encoded)
        part = self._part("")
        for field in WORKLOAD_FIELDS:
            part.optional(field, getattr(workload, field), self._redactor.name)
        return FilteredPart(part.avro(), part.hits())

    def probe(self, encoded: bytes) -> FilteredProbe:
        """What was probed."""
        probe = CanonicalProbe.FromString(encoded)
        redactor = self._redactor
        target, details = self._part("probe_target"), self._part("")
        if probe.HasField("target") and self._policy.allows(self._probe_type, "probe_target"):
            target.raw(avro_wire.PRESENT)
            _write_target(target, probe.target, redactor)
        else:
            target.raw(avro_wire.NULL)
        details.required("syscall", probe.syscall, redactor.symbol)
        details.optional("action", probe.action, redactor.system_word)
        details.optional("return_action", probe.return_action, redactor.system_word)
        details.optional("policy_name", probe.policy_name, redactor.name)
        details.optional("message", probe.message, redactor.text)
        details.texts("tags", list(probe.tags), redactor.text)
        return FilteredProbe(
            probe_type=probe.probe_type,
            type_avro=avro_wire.long(probe.probe_type),
            target=target.avro(),
            details=details.avro(),
            hits=merged_hits([target.hits(), details.hits()]),
        )

    def stack(self, encoded: bytes) -> FilteredPart:
        """All frames, as one sized block, so that a reader can take the whole stack at once; then what named them."""
        stack = CanonicalStackParts.FromString(encoded)
        frames, snapshot = stack.frames[:], self._snapshot(stack.snapshot)
        if not self._policy.allows(self._probe_type, "stack_frames"):
            return FilteredPart(avro_wire.END_OF_BLOCKS + snapshot, (("denied_field", 1),) if frames else ())
        avro, hits = filtered_array([self._framed(frame) for frame in frames])
        return FilteredPart(avro + snapshot, hits)

    def _framed(self, encoded: bytes) -> FilteredPart:
        """One frame: new stacks are mostly made of frames that were seen before."""
        return self._frames[encoded] if len(encoded) <= _MAX_REMEMBERED_FRAME_BYTES else self._frame(encoded)

    def _frame(self, encoded: bytes) -> FilteredPart:
        part = self._part("stack_frames")
        _write_frame(part, CanonicalFrame.FromString(encoded), self._redactor)
        return FilteredPart(part.avro(), part.hits())

    def argument(self, encoded: bytes, place: str) -> FilteredPart:
        """A `CallArgument`; `place` is call_arguments, call_data or return_value."""
        argument = CanonicalArgument.FromString(encoded)
        part = self._part(place)
        type_, atoms = argument.type, argument.atoms
        part.optional("label", argument.label, self._redactor.text)
        part.raw(avro_wire.text(part.clear(self._redactor.system_word(type_))))
        if not atoms:
            part.raw(avro_wire.NULL)
        elif not part.allowed(type_):
            part.deny()
        else:
            rendered = self._rendered(part, list(atoms))
            part.raw(avro_wire.PRESENT + avro_wire.text(rendered))
        return FilteredPart(part.avro(), part.hits())

    def exit(self, encoded: bytes) -> FilteredPart:
        """How a process ended; empty bytes are any other event."""
        ended = CanonicalExit.FromString(encoded)
        part = self._part("")
        part.optional("exit_signal", ended.signal, self._redactor.system_word)
        part.number("exit_status", ended.status if ended.HasField("status") else None)
        return FilteredPart(part.avro(), part.hits())

    def node(self, encoded: bytes) -> FilteredPart:
        """Where it was seen."""
        node = CanonicalNode.FromString(encoded)
        part = self._part("")
        part.optional("node_name", node.node_name, self._redactor.name)
        part.optional("cluster_name", node.cluster_name, self._redactor.name)
        return FilteredPart(part.avro(), part.hits())

    def _allowed_in(self, place: str) -> Memo[str, bool]:
        """Whether the policy lets a field of one place out, by its name; the empty place is the record itself."""
        prefix = f"{place}." if place else ""
        return Memo(lambda field: self._policy.allows(self._probe_type, prefix + field), _MAX_FIELDS)

    def _part(self, place: str) -> "_PartWriter":
        return _PartWriter(self._allowed[place])

    def _rendered(self, part: "_PartWriter", atoms: list[CanonicalAtom]) -> str:
        """A single unnamed atom is the value; named ones are members of a JSON object, in their own order."""
        system_word = self._redactor.system_word
        cleared = [
            (part.clear(system_word(atom.name)), part.clear(_cleared_atom(self._redactor, atom))) for atom in atoms
        ]
        if len(cleared) == 1 and not cleared[0][0]:
            return cleared[0][1]
        return json.dumps(dict(cleared), ensure_ascii=False, separators=(",", ":"))


class _PartWriter:
    """Collects Avro bytes and hits while a part is written."""

    __slots__ = ("_allowed", "_chunks", "_hits")

    def __init__(self, allowed: Mapping[str, bool]) -> None:
        self._allowed = allowed
        self._chunks: list[bytes] = []
        self._hits: list[Hits] = []

    def avro(self) -> bytes:
        """What was written."""
        return b"".join(self._chunks)

    def hits(self) -> Hits:
        """What was done to get there."""
        return merged_hits(self._hits)

    def raw(self, encoded: bytes) -> None:
        """Append what holds nothing private: ids of our own making, enums, numbers of frames."""
        self._chunks.append(encoded)

    def allowed(self, field: str) -> bool:
        """Whether the policy lets this field out."""
        return self._allowed[field]

    def deny(self) -> None:
        """Append a null in the place of a value, and count it."""
        self._chunks.append(avro_wire.NULL)
        self._hits.append((("denied_field", 1),))

    def clear(self, answer: TextAnswer) -> str:
        """The cleared text; raises UnclearedError for a refusal."""
        if isinstance(answer, TextRefusal):
            raise UnclearedError(answer)
        if answer.hits:
            self._hits.append(answer.hits)
        return answer.text

    def optional(self, field: str, text: str, ask: Callable[[str], TextAnswer]) -> None:
        """Append a union of null and string."""
        if not text:
            self._chunks.append(avro_wire.NULL)
        elif not self._allowed[field]:
            self.deny()
        else:
            self._chunks.append(avro_wire.optional_text(self.clear(ask(text))))

    def id(self, field: str, value: str) -> None:
        """Append an id of our own making."""
        if value and not self._allowed[field]:
            self.deny()
        else:
            self._chunks.append(avro_wire.optional_text(value))

    def required(self, field: str, text: str, ask: Callable[[str], TextAnswer]) -> None:
        """Append a string; the empty one if the policy denies it."""
        if text and not self.allowed(field):
            self._hits.append((("denied_field", 1),))
            text = ""
        self._chunks.append(avro_wire.text(self.clear(ask(text)) if text else ""))

    def number(self, field: str, value: int | None) -> None:
        """Append a union of null and long."""
        if value is not None and not self._allowed[field]:
            self.deny()
        else:
            self._chunks.append(avro_wire.optional_long(value))

    def texts(self, field: str, texts: list[str], ask: Callable[[str], TextAnswer]) -> None:
        """Append an array of strings."""
        if texts and not self.allowed(field):
            self._hits.append((("denied_field", 1),))
            texts = []
        self._chunks.append(avro_wire.sized_array([avro_wire.text(self.clear(ask(text))) for text in texts]))


def filtered_array(items: Sequence[FilteredPart]) -> FilteredPart:
    """An array of filtered items."""
    return FilteredPart(
        avro_wire.sized_array([item.avro for item in items]), merged_hits([item.hits for item in items])
    )


def _snapshot(digest: bytes) -> bytes:
    return avro_wire.optional_text(digest.hex())


def _no_snapshot(_digest: bytes) -> bytes:
    """What a call had before it said its snapshot."""
    return b""


def _write_target(part: _PartWriter, target: CanonicalTarget, redactor: Redactor) -> None:
    part.raw(avro_wire.text(part.clear(redactor.path(target.module))))
    part.raw(avro_wire.text(part.clear(redactor.symbol(target.symbol))))
    part.raw(avro_wire.long(target.offset))
    part.raw(avro_wire.long(target.offset_basis))
    part.optional("build_id", target.build_id, redactor.system_word)


def _write_frame(part: _PartWriter, frame: CanonicalFrame, redactor: Redactor) -> None:
    part.raw(avro_wire.text(part.clear(redactor.path(frame.module))))
    part.raw(avro_wire.text(part.clear(redactor.symbol(frame.symbol))))
    part.raw(avro_wire.long(frame.offset))
    part.raw(_BOOLEAN[frame.is_kernel_space])
    part.optional("source_file", frame.source_file, redactor.path)
    part.number("line_number", frame.line_number if frame.HasField("line_number") else None)
    part.optional("build_id", frame.build_id, redactor.system_word)
    part.raw(avro_wire.long(frame.offset_basis))
    part.raw(avro_wire.long(frame.resolution))
    part.optional("symbol_hint", frame.symbol_hint, redactor.symbol)


def _cleared_atom(redactor: Redactor, atom: CanonicalAtom) -> TextAnswer:
    """The engine's answer for an atom, by its class; a class of a newer writer is treated as free text."""
    match atom.atom_class:
        case canonical_pb2.ATOM_CLASS_PATH:
            return redactor.path(atom.text)
        case canonical_pb2.ATOM_CLASS_BUFFER:
            return redactor.buffer(atom.buffer)
        case canonical_pb2.ATOM_CLASS_ADDRESS:
            return redactor.address(atom.text)
        case canonical_pb2.ATOM_CLASS_NUMBER | canonical_pb2.ATOM_CLASS_WORD:
            return redactor.system_word(atom.text)
        case canonical_pb2.ATOM_CLASS_NAME:
            return redactor.name(atom.text)
        case _:
            return redactor.text(atom.text)
