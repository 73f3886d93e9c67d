"""The caches of the canonicalize stage: an encoded sub-message, as it came, to what it contributes to an event.

What is cached depends on configuration and on its key alone (for stacks and probes: the bytes and a context of
modules), so a hit and a miss give the same result. Large events are not cached, which bounds what one entry can hold.
docs/decisions/memoized-fragments.md says why the stage works on sub-messages instead of events.
"""

from dataclasses import dataclass
from typing import Any, Final

from agents.canonicalize.arguments import canonical_argument
from agents.canonicalize.identity import digest, digest_and_unknown
from agents.canonicalize.modules import ModuleIndex
from agents.canonicalize.probes import PolicyHooks, ProbeKey, ProbePart, probe_part
from agents.canonicalize.processes import ProcessParts, process_parts
from agents.canonicalize.stacks import FrameKey, FramePart, StackKey, StackPart, empty_stack, frame_part, stack_part
from agents.canonicalize.unknown_fields import NONE, UnknownFieldCounter, UnknownFields
from agents.memo import Lookup
from schemas import proto_wire
from schemas.canonical_pb2 import CanonicalEvent, CanonicalNode
from schemas.node import NodeId
from schemas.tetragon.arguments_pb2 import KprobeArgument
from schemas.tetragon.events_pb2 import GetEventsResponse

MAX_CACHED_EVENT_BYTES: Final = 16_384
"""Eight times the mean event of measurements; bounds the key and value of every cache entry below."""

# Two generations of each are kept. A busy node has some thousands of processes (with a variant a thread) and of
# distinct stacks; frames and arguments vary more and are small. Typical entries of 2, 3 and 0.3 kB make
# these some 100, 100 and 40 MB each when full.
_MAX_PROCESSES: Final = 16_384
_MAX_PROCESSES_WITHOUT_EXEC_ID: Final = 1_024  # what ran before the agent did
_MAX_STACKS: Final = 16_384
_MAX_FRAMES: Final = 65_536
_MAX_ARGUMENTS: Final = 65_536
_MAX_PROBES: Final = 4_096
_MAX_NODES: Final = 1_024
_FRAME_KEY_BYTES: Final = 128  # of the key around the entry

_ARCHITECTURE_LABEL: Final = "kubernetes.io/arch"


@dataclass(frozen=True, slots=True)
class ArgumentPart:
    """An argument as each field that it can be, and the digest of the message as sent."""

    digest: bytes
    as_argument: bytes
    as_data: bytes
    as_return: bytes
    unknown: UnknownFields = NONE


@dataclass(frozen=True, slots=True)
class ArgumentsPart:
    """A list of arguments: one digest for it, its fields as arguments and as data, and the arguments one by one."""

    digest: bytes
    as_arguments: bytes
    as_data: bytes
    arguments: tuple[ArgumentPart, ...]
    unknown: UnknownFields = NONE


NO_ARGUMENTS: Final = ArgumentsPart(digest(b""), b"", b"", ())


@dataclass(frozen=True, slots=True)
class NodePart:
    """The node as a field of the event, and the digest of node name, cluster, labels and aggregation as sent.

    `node` says which it is, with names within their limits; `architecture` is empty where no label says it.
    """

    node: NodeId
    architecture: str
    digest: bytes
    field: bytes
    unknown: UnknownFields = NONE


NodeKey = tuple[str, str, tuple[bytes, ...], bytes | None]
"""`node_name`, `cluster_name`, encoded entries of `node_labels`, encoded `aggregation_info`."""


@dataclass(frozen=True, slots=True)
class Fragments:
    """Where an event's parts are looked up."""

    processes: Lookup[bytes, ProcessParts]
    """Without the id of a process that has no exec_id; `process` has every id."""
    processes_without_exec_id: Lookup[tuple[bytes, NodeId], ProcessParts]
    stacks: Lookup[StackKey, StackPart]
    arguments: Lookup[bytes, ArgumentPart]
    argument_lists: Lookup[tuple[bytes, ...], ArgumentsPart]
    probes: Lookup[tuple[int, ProbeKey], ProbePart]
    nodes: Lookup[NodeKey, NodePart]
    no_stack: StackPart
    no_frames: StackPart
    """Of an event without frames whose probe's target was named."""

    def process(self, encoded: bytes, node: NodeId) -> ProcessParts:
        """A process of a node."""
        parts = self.processes[encoded]
        return parts if parts.process_id else self.processes_without_exec_id[encoded, node]


def fragments_of(
    hooks: PolicyHooks, modules: ModuleIndex, unknown: UnknownFieldCounter, snapshot: bytes, remember: Any
) -> Fragments:
    """Where parts are looked up; `remember` is Memo, or Uncached for events above MAX_CACHED_EVENT_BYTES.

    What has names says the `snapshot` that they are of, as a part of the stack: it costs an event nothing.
    """
    watching = unknown.watching
    frames: Lookup[FrameKey, FramePart] = remember(
        lambda key: frame_part(key[1], key[2], modules.resolver(key[0])), _MAX_FRAMES, weigh=_frame_bytes
    )

    def stack(key: StackKey) -> StackPart:
        return stack_part(key, frames, snapshot)

    arguments: Lookup[bytes, ArgumentPart] = remember(watching(argument_part), _MAX_ARGUMENTS)
    return Fragments(
        processes=remember(watching(process_parts), _MAX_PROCESSES),
        processes_without_exec_id=remember(lambda key: process_parts(*key), _MAX_PROCESSES_WITHOUT_EXEC_ID),
        stacks=remember(watching(stack), _MAX_STACKS),
        arguments=arguments,
        argument_lists=remember(lambda encoded: arguments_part([arguments[one] for one in encoded]), _MAX_ARGUMENTS),
        probes=remember(lambda key: probe_part(key[1], hooks, modules.resolver(key[0])), _MAX_PROBES),
        nodes=remember(watching(node_part), _MAX_NODES),
        no_stack=empty_stack(b""),
        no_frames=empty_stack(snapshot),
    )


def _frame_bytes(key: FrameKey) -> int:
    return len(key[2]) + _FRAME_KEY_BYTES


def argument_part(encoded: bytes) -> ArgumentPart:
    """Parse and canonicalize one `KprobeArgument`; raises DecodeError where the bytes are not one."""
    argument = KprobeArgument.FromString(encoded)
    content = canonical_argument(argument).SerializeToString(deterministic=True)
    found, unknown = digest_and_unknown(argument)
    return ArgumentPart(
        digest=found,
        as_argument=proto_wire.field(CanonicalEvent.ARGUMENTS_FIELD_NUMBER, content),
        as_data=proto_wire.field(CanonicalEvent.DATA_FIELD_NUMBER, content),
        as_return=proto_wire.field(CanonicalEvent.RETURN_VALUE_FIELD_NUMBER, content),
        unknown=unknown,
    )


def arguments_part(arguments: list[ArgumentPart]) -> ArgumentsPart:
    """Put a list together from its arguments."""
    return ArgumentsPart(
        digest=digest(b"".join([one.digest for one in arguments])),
        as_arguments=b"".join([one.as_argument for one in arguments]),
        as_data=b"".join([one.as_data for one in arguments]),
        arguments=tuple(arguments),
        unknown=tuple(name for one in arguments for name in one.unknown),
    )


def node_key(event: Any) -> NodeKey:
    """Key of where an event was seen, from the view schemas.tetragon_parts_pb2.GetEventsResponse."""
    labels = event.node_labels
    aggregation = event.aggregation_info if event.HasField("aggregation_info") else None
    return event.node_name, event.cluster_name, tuple(labels) if labels else (), aggregation


def node_part(key: NodeKey) -> NodePart:
    """Canonicalize where an event was seen; raises DecodeError where a label is not a map entry."""
    node_name, cluster_name, labels, aggregation = key
    sent = GetEventsResponse(node_name=node_name, cluster_name=cluster_name)
    for entry in labels:
        sent.MergeFromString(proto_wire.field(GetEventsResponse.NODE_LABELS_FIELD_NUMBER, entry))
    if aggregation is not None:
        sent.aggregation_info.MergeFromString(aggregation)
    found, unknown = digest_and_unknown(sent)
    node = CanonicalNode(node_name=node_name, cluster_name=cluster_name)
    content = node.SerializeToString(deterministic=True)
    return NodePart(
        node=NodeId(cluster_name, node_name).within_limits(),
        architecture=sent.node_labels.get(_ARCHITECTURE_LABEL, ""),
        digest=found,
        unknown=unknown,
        field=proto_wire.field(CanonicalEvent.NODE_FIELD_NUMBER, content) if content else b"",
    )
