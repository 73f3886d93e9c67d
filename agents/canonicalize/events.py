"""One raw event to one canonical event: the hot path of the stage.

An event is read through a view whose sub-messages stay undecoded (schemas/tetragon_parts_pb2), each is looked up by its
bytes (fragments.py), and the encoded parts are joined (assemble.py). The event id is a digest of the parts' digests, of
the time and of all fields that the view does not have, so it covers all that Tetragon sent and nothing that we add.

Any bytes become `Canonical`, `NotACall` or `EventRefusal`; nothing here raises on data.
"""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from google.protobuf.message import DecodeError
from google.protobuf.timestamp_pb2 import Timestamp

from agents.canonicalize import probes
from agents.canonicalize.assemble import join_event, join_id, lineage_digest
from agents.canonicalize.fragments import (
    MAX_CACHED_EVENT_BYTES,
    NO_ARGUMENTS,
    ArgumentPart,
    ArgumentsPart,
    Fragments,
    arguments_part,
    fragments_of,
    node_key,
)
from agents.canonicalize.identity import ABSENT, TIME, message_digest, unknown_digest
from agents.canonicalize.modules import ModuleIndex
from agents.canonicalize.outcomes import (
    MAX_CALL_BYTES,
    MAX_REPEATED_PARTS,
    MAX_STACK_FRAMES,
    Canonical,
    EventRefusal,
    EventRefusalReason,
    NotACall,
    Outcome,
)
from agents.canonicalize.plain_kprobe import PlainKprobes
from agents.canonicalize.probes import PolicyHooks, ProbePart
from agents.canonicalize.processes import ProcessParts
from agents.canonicalize.stacks import StackPart
from agents.canonicalize.undecoded import text_as_bytes
from agents.canonicalize.unknown_fields import NONE, UnknownFieldCounter, UnknownFields, unknown_at_top, unknown_of
from agents.memo import Memo, Uncached
from agents.symbols.lookup import SymbolSource
from schemas.canonical_head import encode_head
from schemas.canonical_pb2 import (
    TIMESTAMP_SOURCE_EVENT,
    TIMESTAMP_SOURCE_PROCESS_START,
    TIMESTAMP_SOURCE_RECEIPT,
)
from schemas.tetragon import events_pb2
from schemas.tetragon_parts_pb2 import GetEventsResponse
from schemas.units import NS_PER_MS, timestamp_ns

Position = tuple[int, int, int]
"""A raw record's partition and offset, and its Kafka timestamp in milliseconds."""


_USER_PROBES: Final = ("process_uprobe", "process_usdt")

_NOT_CALLS: Final = {
    "process_loader": NotACall.LOADER,
    "process_throttle": NotACall.THROTTLE,
    "rate_limit_info": NotACall.RATE_LIMIT,
    "test": NotACall.TEST,
}


class _BodyParts(NamedTuple):
    """What an event's body has besides its process. `extra` is the digest of what only this kind has."""

    probe: ProbePart
    stack: StackPart
    arguments: ArgumentsPart
    data: ArgumentsPart
    returned: ArgumentPart | None
    extra: bytes


class Canonicalizer:
    """Canonicalizes events under one configuration; its state is what loader events said, and caches."""

    def __init__(self, hooks: PolicyHooks, source: SymbolSource | None = None, snapshot: str = "") -> None:
        """`snapshot` is the digest of the source's snapshot, which events with names say; empty: they say none."""
        self.modules = ModuleIndex(source)
        self.unknown = UnknownFieldCounter()
        self._cached = fragments_of(hooks, self.modules, self.unknown, bytes.fromhex(snapshot), Memo)
        self._uncached = fragments_of(hooks, self.modules, self.unknown, bytes.fromhex(snapshot), Uncached)
        self._plain_kprobe = PlainKprobes(self._cached, self.modules, self.unknown).convert

    def canonicalize(self, raw: bytes | None, partition: int, offset: int, receipt_ms: int) -> Outcome:
        """What becomes of one raw event.

        `partition` and `offset` are the raw record's position, `receipt_ms` its Kafka timestamp, which stands in for
        the time of a call where Tetragon sent none.
        """
        if not raw:
            return EventRefusal(EventRefusalReason.EMPTY, None)
        if len(raw) > MAX_CALL_BYTES:
            return EventRefusal(EventRefusalReason.OVERSIZED, None)
        fragments = self._uncached
        if len(raw) <= MAX_CACHED_EVENT_BYTES:
            fragments = self._cached
            plain = self._plain_kprobe(raw, partition, offset)
            if plain is not None:
                return plain
        try:
            return _convert(raw, fragments, self, (partition, offset, receipt_ms))
        except DecodeError as error:
            return EventRefusal(_decode_refusal(raw), type(error).__name__)


def _convert(raw: bytes, fragments: Fragments, state: Canonicalizer, position: Position) -> Outcome:
    partition, offset, receipt_ms = position
    modules = state.modules
    event, unknown, unknown_fields = _plain_view(raw)
    kind = event.WhichOneof("event")
    if kind is None:
        state.unknown.note(unknown_fields)
        return EventRefusal(EventRefusalReason.NO_KNOWN_KIND, None)
    body: Any = getattr(event, kind)
    if kind in _NOT_CALLS:
        state.unknown.note(unknown_fields)
        _observe_loader(event, fragments, modules, (partition, offset))
        return _NOT_CALLS[kind]
    encoded_process = body.process
    if not encoded_process:
        return EventRefusal(EventRefusalReason.MISSING_PROCESS, None)
    node_part = fragments.nodes[node_key(event)]
    node = node_part.node
    process = fragments.process(encoded_process, node)
    time = _time_of(event, body, kind, process, receipt_ms)
    if kind == "process_exit":
        modules.end(partition, offset, (node, process.process_id))
    if time is None:
        return EventRefusal(EventRefusalReason.TIME_OUT_OF_RANGE, None)
    timestamp, timestamp_source, sent_time = time
    scope = (process.image_id, process.root, node, node_part.architecture)
    context = modules.context(partition, offset, process.process_id, scope, timestamp)
    if kind == "process_kprobe":
        context = modules.context_of_kernel(context, body.function_name, body.kernel_stack_trace)
    elif kind in _USER_PROBES:
        context = modules.context_of_probe(context, scope, process.mapping_since_ns)
    parts = _body_parts(body, kind, process, fragments, context)
    if isinstance(parts, EventRefusalReason):
        return EventRefusal(parts, None)
    parent = fragments.process(body.parent, node) if body.HasField("parent") else None
    ancestors = body.ancestors
    if len(ancestors) > MAX_REPEATED_PARTS:
        return EventRefusal(EventRefusalReason.TOO_MANY_PARTS, None)
    lineage = [fragments.process(encoded, node) for encoded in ancestors] if ancestors else []
    probe, stack, arguments, data, returned, extra = parts
    if unknown_fields or state.unknown.is_needed:
        seen = (process, stack, arguments, data, node_part, parent, returned, *lineage)
        state.unknown.note(unknown_fields + unknown_of(seen))
    event_id = join_id(
        (
            sent_time,
            process.digest,
            ABSENT if parent is None else parent.digest,
            probe.digest + stack.digest,
            arguments.digest,
            data.digest,
            ABSENT if returned is None else returned.digest,
            extra,
            node_part.digest,
            lineage_digest([part.digest for part in lineage]),
            unknown,
        )
    )
    if probe.last_argument_returns and arguments.arguments:
        *others, returned = arguments.arguments
        arguments = arguments_part(others)
    value = join_event(
        (
            encode_head(event_id, timestamp, timestamp_source, partition, offset),
            process.as_subject,
            b"" if parent is None else parent.as_parent,
            b"".join([part.as_ancestor for part in lineage]),
            probe.field + stack.field,
            arguments.as_arguments,
            data.as_data,
            b"" if returned is None else returned.as_return,
            probe.exit_field,
            node_part.field,
        )
    )
    return Canonical(value, event_id, probe.probe_type, stack.resolutions)


def _observe_loader(event: Any, fragments: Fragments, modules: ModuleIndex, place: tuple[int, int]) -> None:
    """Remember which build of a file a process has mapped, if the event says so."""
    body = event.process_loader
    if not body.process:
        return
    partition, offset = place
    node = fragments.nodes[node_key(event)].node
    key = (node, fragments.process(body.process, node).process_id)
    modules.observe(partition, offset, key, body.path, body.buildid)


def _body_parts(
    body: Any, kind: str, process: ProcessParts, fragments: Fragments, context: int
) -> _BodyParts | EventRefusalReason:
    """Look up what the kind of event has: its probe, stack, arguments, data and return value."""
    stack = fragments.no_frames if kind in _USER_PROBES else fragments.no_stack
    returned: ArgumentPart | None = None
    extra = ABSENT
    arguments: Sequence[bytes] = ()
    data: Sequence[bytes] = ()
    match kind:
        case "process_kprobe":
            # Slices, because upb copies one in C and iterates at three times the cost.
            kernel, user = tuple(body.kernel_stack_trace[:]), tuple(body.user_stack_trace[:])
            if len(kernel) + len(user) > MAX_STACK_FRAMES:
                return EventRefusalReason.TOO_MANY_FRAMES
            if kernel or user:
                stack = fragments.stacks[context, kernel, user]
            arguments, data = body.args, body.data
            if body.HasField("return"):
                returned = fragments.arguments[getattr(body, "return")]
            key = probes.kprobe_key(body, returns=returned is not None)
        case "process_exec":
            key = probes.exec_key(process.flags)
        case "process_exit":
            key = probes.exit_key(body)
            extra = message_digest(Timestamp.FromString(body.time)) if body.HasField("time") else ABSENT
        case "process_tracepoint":
            arguments, key = body.args, probes.tracepoint_key(body)
        case "process_uprobe":
            arguments, data, key = body.args, body.data, probes.uprobe_key(body)
        case "process_lsm":
            arguments, key = body.args, probes.lsm_key(body)
        case _:
            arguments, key = body.args, probes.usdt_key(body)
    if len(arguments) > MAX_REPEATED_PARTS or len(data) > MAX_REPEATED_PARTS:
        return EventRefusalReason.TOO_MANY_PARTS
    return _BodyParts(
        fragments.probes[context, key],
        stack,
        fragments.argument_lists[tuple(arguments[:])] if arguments else NO_ARGUMENTS,
        fragments.argument_lists[tuple(data[:])] if data else NO_ARGUMENTS,
        returned,
        extra,
    )


def _plain_view(raw: bytes) -> tuple[GetEventsResponse, bytes, UnknownFields]:
    """The event as a view, a digest of the fields that the contract does not have, and which fields these are.

    The digest is empty if there are none. Those of sub-messages, which stay bytes, are not among them.

    The view takes the last of two pieces of a singular sub-message where protobuf merges them, and keeps map entries
    and numbers as they were written. An encoding whose size is not that of the plain one is therefore parsed in full
    and written again first; Tetragon's own never is.
    """
    event = GetEventsResponse.FromString(raw)
    event.DiscardUnknownFields()
    if event.ByteSize() == len(raw):
        return event, b"", NONE
    full = events_pb2.GetEventsResponse.FromString(raw)
    event = GetEventsResponse.FromString(full.SerializeToString(deterministic=True))
    event.DiscardUnknownFields()
    kind = full.WhichOneof("event")
    body = full if kind is None else getattr(full, kind)
    unknown = unknown_digest(full, body, full.time)
    if unknown == _NOTHING_UNKNOWN:
        return event, b"", NONE
    return event, unknown, unknown_at_top(full, *(() if body is full else (body,)), full.time)


_NOTHING_UNKNOWN: Final = unknown_digest(*[events_pb2.GetEventsResponse()] * 3)


def _time_of(event: Any, body: Any, kind: str, process: ProcessParts, receipt_ms: int) -> tuple[int, int, bytes] | None:
    """Timestamp, its source, and the event's time as sent in fixed-width bytes; None where the time sent is invalid."""
    if event.HasField("time"):
        time = event.time
        seconds, nanos = time.seconds, time.nanos
        timestamp = timestamp_ns(seconds, nanos)
        return None if timestamp is None else (timestamp, TIMESTAMP_SOURCE_EVENT, TIME.pack(True, seconds, nanos))
    sent = TIME.pack(False, 0, 0)
    if kind == "process_exit" and body.HasField("time"):
        inner = Timestamp.FromString(body.time)
        timestamp = timestamp_ns(inner.seconds, inner.nanos)
        return None if timestamp is None else (timestamp, TIMESTAMP_SOURCE_EVENT, sent)
    if kind == "process_exec" and process.start_time_ns is not None:
        return process.start_time_ns, TIMESTAMP_SOURCE_PROCESS_START, sent
    return receipt_ms * NS_PER_MS, TIMESTAMP_SOURCE_RECEIPT, sent


def _decode_refusal(raw: bytes) -> EventRefusalReason:
    """Why an event does not parse: text that is not UTF-8, or bytes that are not such a message."""
    try:
        _BYTES_FOR_TEXT.FromString(raw)
    except DecodeError:
        return EventRefusalReason.MALFORMED
    return EventRefusalReason.INVALID_UTF8


_BYTES_FOR_TEXT: Final = text_as_bytes(events_pb2.GetEventsResponse)
