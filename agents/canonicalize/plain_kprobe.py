"""The short way for the most frequent and largest event: a kprobe, in the layout that Tetragon's encoder writes.

Go's protobuf writes fields in ascending order. A kprobe event that is written like this is cut at its lengths into five
pieces (process, parent, arguments, all else of the body, all else of the event), and each piece is looked up as a
whole: a stack of twenty frames is one key instead of twenty. That halves what such an event costs. A process without
exec_id has an id that depends on more than its bytes, so its events take the general path.

`PlainKprobes.convert` returns what the general path (events.py) returns for the same bytes, or None; the caller must
then use the general path. A piece is remembered only after the parser has confirmed that it holds what its place says,
in the plain encoding. So a cut at a wrong place is never believed.
"""

from dataclasses import dataclass
from typing import Final, NamedTuple

from google.protobuf.message import DecodeError
from google.protobuf.timestamp_pb2 import Timestamp

from agents.canonicalize import probes
from agents.canonicalize.assemble import join_event, join_id, lineage_digest
from agents.canonicalize.fragments import ArgumentsPart, Fragments, NodePart, node_key
from agents.canonicalize.identity import ABSENT, TIME
from agents.canonicalize.modules import ModuleIndex
from agents.canonicalize.outcomes import MAX_REPEATED_PARTS, MAX_STACK_FRAMES, Canonical
from agents.canonicalize.unknown_fields import UnknownFieldCounter
from agents.memo import Memo
from schemas.canonical_head import encode_head
from schemas.canonical_pb2 import TIMESTAMP_SOURCE_EVENT
from schemas.tetragon_parts_pb2 import GetEventsResponse, ProcessKprobe
from schemas.units import timestamp_ns

# Tags (field number << 3 | 2) of GetEventsResponse.process_kprobe, node_name and time, and of ProcessKprobe's fields.
_KPROBE: Final = 9 << 3 | 2
_NODE_NAME: Final = b"\xc2\x3e"
_TIME: Final = b"\xca\x3e"
_PROCESS: Final = 1 << 3 | 2
_PARENT: Final = 2 << 3 | 2
_FUNCTION_NAME: Final = 3 << 3 | 2
_ARGUMENT: Final = 4 << 3 | 2
_RETURN: Final = 5 << 3 | 2

# Two generations of each are kept. A busy node has some thousands of distinct stacks, each with few policies, and more
# lists of arguments; with typical keys of 1.5 and 0.1 kB, and values of that size, full caches take 100 and 30 MB.
_MAX_REMAINDERS: Final = 16_384
_MAX_ARGUMENT_LISTS: Final = 65_536
_MAX_NODES: Final = 1_024


class _Cut(NamedTuple):
    """The pieces of an event. `arguments` keeps tags and lengths, `returned` does not; `node` is all after the body."""

    process: bytes
    parent: bytes | None
    function_name: bytes
    arguments: bytes
    returned: bytes | None
    remainder: bytes
    node: bytes
    time: bytes


RemainderKey = tuple[int, bytes, bool, bytes]
"""Number of the context (modules.py), function name as a field, whether a value returned, rest of the body."""


@dataclass(frozen=True, slots=True)
class _Remainder:
    """What a body holds besides its processes, arguments and return value: its digests and its fields, joined."""

    probe_and_stack_digests: bytes
    data_digest: bytes
    ancestors_digest: bytes
    ancestors: bytes
    probe_and_stack: bytes
    data: bytes
    probe_type: int
    resolutions: tuple[tuple[str, int], ...]


class PlainKprobes:
    """Kprobe events the short way, with the part caches of the general path and its own for whole pieces."""

    def __init__(self, fragments: Fragments, modules: ModuleIndex, unknown: UnknownFieldCounter) -> None:
        self._fragments = fragments
        self._processes = fragments.processes
        self._note_unknown = unknown.note
        self._returns = fragments.arguments
        self._context = modules.context
        self._context_of_kernel = modules.context_of_kernel
        self._remainders: Memo[RemainderKey, _Remainder | None] = Memo(self._remainder, _MAX_REMAINDERS)
        self._arguments: Memo[bytes, ArgumentsPart | None] = Memo(self._argument_list, _MAX_ARGUMENT_LISTS)
        self._nodes: Memo[bytes, NodePart | None] = Memo(self._node, _MAX_NODES)

    def convert(self, raw: bytes, partition: int, offset: int) -> Canonical | None:
        """The canonical event of a plain kprobe, or None if the bytes are anything else."""
        try:
            cut = _cut(raw)
            return None if cut is None else self._joined(cut, partition, offset)
        except (DecodeError, IndexError):  # the general path says what is wrong with it
            return None

    def _joined(self, cut: _Cut, partition: int, offset: int) -> Canonical | None:
        encoded_process, encoded_parent, function_name, encoded_arguments, encoded_return, rest, node, time = cut
        process = self._processes[encoded_process]
        parent = None if encoded_parent is None else self._processes[encoded_parent]
        node_part = self._nodes[node]
        arguments = self._arguments[encoded_arguments]
        sent = Timestamp.FromString(time)
        seconds, nanos = sent.seconds, sent.nanos
        timestamp = timestamp_ns(seconds, nanos)
        if node_part is None or arguments is None or timestamp is None or sent.ByteSize() != len(time):
            return None
        is_plain = process.is_plain and (parent is None or parent.is_plain)
        if not is_plain and not (process.process_id and (parent is None or parent.process_id)):
            return None
        scope = (process.image_id, process.root, node_part.node, node_part.architecture)
        context = self._context(partition, offset, process.process_id, scope, timestamp)
        remainder = self._remainders[context, function_name, encoded_return is not None, rest]
        if remainder is None:
            return None
        returned = None if encoded_return is None else self._returns[encoded_return]
        if returned is not None and returned.unknown:
            return None
        if not is_plain:
            self._note_unknown(process.unknown if parent is None else process.unknown + parent.unknown)
        event_id = join_id(
            (
                TIME.pack(True, seconds, nanos),
                process.digest,
                ABSENT if parent is None else parent.digest,
                remainder.probe_and_stack_digests,
                arguments.digest,
                remainder.data_digest,
                ABSENT if returned is None else returned.digest,
                ABSENT,
                node_part.digest,
                remainder.ancestors_digest,
                b"",
            )
        )
        value = join_event(
            (
                encode_head(event_id, timestamp, TIMESTAMP_SOURCE_EVENT, partition, offset),
                process.as_subject,
                b"" if parent is None else parent.as_parent,
                remainder.ancestors,
                remainder.probe_and_stack,
                arguments.as_arguments,
                remainder.data,
                b"" if returned is None else returned.as_return,
                b"",
                node_part.field,
            )
        )
        return Canonical(value, event_id, remainder.probe_type, remainder.resolutions)

    def _remainder(self, key: RemainderKey) -> _Remainder | None:
        context, function_name, returns, rest = key
        body = ProcessKprobe.FromString(function_name + rest)
        body.DiscardUnknownFields()
        misplaced = body.HasField("process") or body.HasField("parent") or body.args or body.HasField("return")
        if misplaced or body.ByteSize() != len(function_name) + len(rest):
            return None
        kernel, user = tuple(body.kernel_stack_trace[:]), tuple(body.user_stack_trace[:])
        if len(kernel) + len(user) > MAX_STACK_FRAMES or max(len(body.data), len(body.ancestors)) > MAX_REPEATED_PARTS:
            return None
        fragments = self._fragments
        context = self._context_of_kernel(context, body.function_name, kernel)
        probe = fragments.probes[context, probes.kprobe_key(body, returns=returns)]
        stack = fragments.stacks[context, kernel, user] if kernel or user else fragments.no_stack
        data = fragments.argument_lists[tuple(body.data[:])]
        lineage = [self._processes[encoded] for encoded in body.ancestors]
        if stack.unknown or data.unknown or not all(one.is_plain for one in lineage):
            return None
        return _Remainder(
            probe_and_stack_digests=probe.digest + stack.digest,
            data_digest=data.digest,
            ancestors_digest=lineage_digest([one.digest for one in lineage]),
            ancestors=b"".join([one.as_ancestor for one in lineage]),
            probe_and_stack=probe.field + stack.field,
            data=data.as_data,
            probe_type=probe.probe_type,
            resolutions=stack.resolutions,
        )

    def _argument_list(self, encoded: bytes) -> ArgumentsPart | None:
        body = ProcessKprobe.FromString(encoded)
        arguments = tuple(body.args[:])
        if ProcessKprobe(args=arguments).ByteSize() != len(encoded) or len(arguments) > MAX_REPEATED_PARTS:
            return None
        found = self._fragments.argument_lists[arguments]
        return None if found.unknown else found

    def _node(self, encoded: bytes) -> NodePart | None:
        event = GetEventsResponse.FromString(encoded)
        event.DiscardUnknownFields()
        if event.WhichOneof("event") or event.HasField("time") or event.ByteSize() != len(encoded):
            return None
        found = self._fragments.nodes[node_key(event)]
        return None if found.unknown else found


def _cut(raw: bytes) -> _Cut | None:
    """Cut an event at its lengths; None where it is not a plain kprobe. Raises IndexError where it ends early."""
    if raw[0] != _KPROBE or raw[1] < 0x80 or raw[2] > 0x7F:  # a body has between 128 and 16,383 bytes
        return None
    at = 3 + (raw[1] & 0x7F | raw[2] << 7)
    body_end = at
    # After the body: node name and time, then the rest. Both have lengths of one byte.
    name_bytes = raw[at + 2]
    name_end = at + 3 + name_bytes
    time_bytes = raw[name_end + 2]
    time_end = name_end + 3 + time_bytes
    if raw[at : at + 2] != _NODE_NAME or raw[name_end : name_end + 2] != _TIME or raw[3] != _PROCESS:
        return None
    if name_bytes > 0x7F or time_bytes > 0x7F or time_end > len(raw):
        return None
    begin, at = _content(raw, 4)
    process, parent = raw[begin:at], None
    if raw[at] == _PARENT:
        begin, at = _content(raw, at + 1)
        parent = raw[begin:at]
    function_begin = at
    if raw[at] == _FUNCTION_NAME:
        at = _content(raw, at + 1)[1]
    function_end = at
    while raw[at] == _ARGUMENT:
        size = raw[at + 1]
        at = at + 2 + size if size < 0x80 else _content(raw, at + 1)[1]
    arguments_end, returned = at, None
    if raw[at] == _RETURN:
        begin, at = _content(raw, at + 1)
        returned = raw[begin:at]
    if at > body_end or not process:
        return None
    return _Cut(
        process,
        parent,
        raw[function_begin:function_end],
        raw[function_end:arguments_end],
        returned,
        raw[at:body_end],
        raw[body_end:name_end] + raw[time_end:],
        raw[name_end + 3 : time_end],
    )


def _content(raw: bytes, at: int) -> tuple[int, int]:
    """Begin and end of the content whose length, in one or two bytes, stands at `at`."""
    size = raw[at]
    if size < 0x80:
        return at + 1, at + 1 + size
    return at + 2, at + 2 + (size & 0x7F | raw[at + 1] << 7)
