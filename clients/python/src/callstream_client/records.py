"""The records of the topics as frozen types.

Generated from the schemas in `schemas/`; do not edit. A symbol of an enum that this package does not know yet is the
enum's default, and a field that it does not know is left out, as the schemas promise.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Self


class ProbeType(StrEnum):
    """ProcessExec: a program was executed. ProcessExit: a process ended. Kprobe: entry of a kernel function or system
    call. Kretprobe: the same with its return value. Uprobe: entry of a function in user space. Uretprobe: its return.
    Tracepoint: a tracepoint of the kernel. USDT: a user-space tracepoint. Fentry, Fexit: entry and return of a kernel
    function by BPF trampoline. Lsm: a hook of a Linux security module. Unknown: what an older reader sees of a newer
    type.
    """

    UNKNOWN = "Unknown"
    PROCESS_EXEC = "ProcessExec"
    PROCESS_EXIT = "ProcessExit"
    KPROBE = "Kprobe"
    KRETPROBE = "Kretprobe"
    UPROBE = "Uprobe"
    URETPROBE = "Uretprobe"
    TRACEPOINT = "Tracepoint"
    USDT = "USDT"
    FENTRY = "Fentry"
    FEXIT = "Fexit"
    LSM = "Lsm"


class OffsetBasis(StrEnum):
    """Symbol: from the start of symbol. Module: the offset in the file. None: there is no stable offset, and offset is
    0.
    """

    NONE = "None"
    SYMBOL = "Symbol"
    MODULE = "Module"


class FrameResolution(StrEnum):
    """Exact: our index of exactly this file names the function. Inlined: the same index says that the compiler put this
    function into the next frame's. Kernel: the kernel's own table names it. KernelModule: the node's table names it and
    its kernel module. KernelTrampoline: code that the kernel made at run time. HintOnly: no index of the file;
    symbol_hint has a name that nothing confirms. ModuleOnly: no index of the file, and no name. NoSymbolTable: the file
    has no symbols. NoSymbol: the file has no symbol at the offset. Unmapped: no code of the file is at the offset.
    Vdso: the kernel's page in user space. Anonymous: memory without a file. Ambiguous: it may be one of several files.
    Unresolved: neither file nor name is known. Unknown: what an older reader sees of a newer word. Names are sure under
    Exact, Inlined, Kernel and KernelModule.
    """

    UNKNOWN = "Unknown"
    EXACT = "Exact"
    HINT_ONLY = "HintOnly"
    MODULE_ONLY = "ModuleOnly"
    NO_SYMBOL_TABLE = "NoSymbolTable"
    NO_SYMBOL = "NoSymbol"
    UNMAPPED = "Unmapped"
    ANONYMOUS = "Anonymous"
    VDSO = "Vdso"
    KERNEL = "Kernel"
    KERNEL_MODULE = "KernelModule"
    KERNEL_TRAMPOLINE = "KernelTrampoline"
    UNRESOLVED = "Unresolved"
    AMBIGUOUS = "Ambiguous"
    INLINED = "Inlined"


@dataclass(frozen=True, slots=True)
class CanonicalStackFrame:
    """One stack frame that means the same on every host; innermost frame first."""

    module: str
    """Normalized path inside the container's root, or kernel, [anon], [vdso], [memfd]."""
    symbol: str
    """Mangled name that our index or the kernel's table confirms; empty where none is known."""
    offset: int
    """Bytes from what offset_basis says."""
    is_kernel_space: bool
    """Whether it is code of the kernel or of a kernel module."""
    source_file: str | None
    """Source file without build directories; null where it is not known."""
    line_number: int | None
    """Line in source_file; null where it is not known."""
    build_id: str | None
    """Build id of the file, lower hex; null where it is not known."""
    offset_basis: OffsetBasis
    """What offset counts from."""
    resolution: FrameResolution
    """Why the frame is as good as it is."""
    symbol_hint: str | None
    """Name that the agent reported and nothing confirms."""

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> Self:
        """The record that was decoded with the schema of this type."""
        return cls(
            record["module"],
            record["symbol"],
            record["offset"],
            record["is_kernel_space"],
            record["source_file"],
            record["line_number"],
            record["build_id"],
            OffsetBasis(record["offset_basis"]),
            FrameResolution(record["resolution"]),
            record["symbol_hint"],
        )


@dataclass(frozen=True, slots=True)
class ProbeTarget:
    """The place in a module that the probe sits on; for user probes this is evidence of a call by itself."""

    module: str
    """File that the probe sits on, named as the module of a frame."""
    symbol: str
    """Function that the probe sits on; empty where it is given by offset."""
    offset: int
    """Bytes from what offset_basis says."""
    offset_basis: OffsetBasis
    """What offset counts from."""
    build_id: str | None
    """Build id of the file, lower hex; null where it is not known."""

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> Self:
        """The record that was decoded with the schema of this type."""
        return cls(
            record["module"],
            record["symbol"],
            record["offset"],
            OffsetBasis(record["offset_basis"]),
            record["build_id"],
        )


@dataclass(frozen=True, slots=True)
class ProcessInfo:
    """A process, as far as the policy lets out what is known of it."""

    process_id: str
    """Opaque, the same for every event of the process; 32 lower hex digits."""
    parent_process_id: str | None
    """process_id of its parent; null where it is not known."""
    pid: int | None
    """Number of the process on its host; null where it is not known."""
    uid: int | None
    """User id under which it runs; null where it is not known, or where the policy withholds it."""
    binary: str | None
    """Path of the program; null where it is not known."""
    arguments: str | None
    """Command line behind the program's name, filtered; null where the policy withholds it."""
    cwd: str | None
    """Working directory, filtered; null where the policy withholds it."""
    start_time_ns: int | None
    """When the process began. Nanoseconds since the Unix epoch, UTC. null where it is not known."""
    auid: int | None
    """Login user id; null where the kernel has none."""
    user: str | None
    """User name, or its pseudonym."""
    flags: str | None
    """How the agent came to know the process, for example execve clone."""

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> Self:
        """The record that was decoded with the schema of this type."""
        return cls(
            record["process_id"],
            record["parent_process_id"],
            record["pid"],
            record["uid"],
            record["binary"],
            record["arguments"],
            record["cwd"],
            record["start_time_ns"],
            record["auid"],
            record["user"],
            record["flags"],
        )


@dataclass(frozen=True, slots=True)
class ThreadInfo:
    """A thread of the process."""

    tid: int
    """Number of the thread on its host."""

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> Self:
        """The record that was decoded with the schema of this type."""
        return cls(
            record["tid"],
        )


class TimestampSource(StrEnum):
    """Event: the event's own time. ProcessStart: the process's start, for an exec without a time. Receipt: the broker's
    time of receipt. Unknown: what an older reader sees of a newer source.
    """

    EVENT = "Event"
    PROCESS_START = "ProcessStart"
    RECEIPT = "Receipt"
    UNKNOWN = "Unknown"


@dataclass(frozen=True, slots=True)
class CallArgument:
    """One value that the probe read."""

    label: str | None
    """Name that the agent's policy gives the value; null where it gives none."""
    type: str
    """The agent's argument kind, for example string, int, file, sock."""
    value: str | None
    """Filtered text; null where the policy withholds it."""

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> Self:
        """The record that was decoded with the schema of this type."""
        return cls(
            record["label"],
            record["type"],
            record["value"],
        )


@dataclass(frozen=True, slots=True)
class Redaction:
    """Policy of the privacy filter, and what it removed."""

    policy_id: str
    """Digest that names the policy."""
    counts: Mapping[str, int]
    """How many values each rule removed, by the rule's name."""

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> Self:
        """The record that was decoded with the schema of this type."""
        return cls(
            record["policy_id"],
            record["counts"],
        )


@dataclass(frozen=True, slots=True)
class SourcePosition:
    """The raw record: the way back to the evidence."""

    partition: int
    """Partition of the raw record on tetragon.raw, and of this call on runtime.calls; -1: not known."""
    offset: int
    """Offset of the raw record on tetragon.raw; -1: not known."""

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> Self:
        """The record that was decoded with the schema of this type."""
        return cls(
            record["partition"],
            record["offset"],
        )


@dataclass(frozen=True, slots=True)
class RuntimeCallEvent:
    """One observed call, privacy-filtered."""

    event_id: str
    """Names the observation: 32 lower hex digits, the same on every replay."""
    timestamp_ns: int
    """Time of the event. Nanoseconds since the Unix epoch, UTC."""
    probe_type: ProbeType
    """What observed the call."""
    stack_frames: tuple[CanonicalStackFrame, ...]
    """Kernel frames, then user frames, each innermost first."""
    symbol_snapshot: str | None
    """Snapshot of the symbol store that names in stack_frames and probe_target come from, as its digest: 64 lower hex
    digits. Null if there are neither, or canonicalize has no store.
    """
    container_id: str | None
    """Id of the container, without its runtime's prefix; null outside of containers, or where the policy withholds it.
    """
    pod_name: str | None
    """Name of the Kubernetes pod; null outside of pods, or where the policy withholds it."""
    namespace: str | None
    """Kubernetes namespace of the pod, as pod_name."""
    container_name: str | None
    """Name of the container in its pod, as pod_name."""
    image_id: str | None
    """Id of the container's image, with its digest where the agent gives one, as container_id."""
    image_name: str | None
    """Name of the container's image, as container_id."""
    workload: str | None
    """Name of the Kubernetes workload that owns the pod, as pod_name."""
    workload_kind: str | None
    """Kind of that workload, for example Deployment."""
    probe_target: ProbeTarget | None
    """Where the probe sits, if the agent says so; null otherwise."""
    process: ProcessInfo
    """The process that made the call."""
    parent: ProcessInfo | None
    """The process that started it; null where it is not known."""
    node_name: str | None
    """Name of the node, as its agent names it."""
    cluster_name: str | None
    """Cluster of the node, as its agent names it; null where it names none."""
    exit_signal: str | None
    """Signal that ended the process, for example SIGKILL; null in other events than ProcessExit, or where no signal
    did.
    """
    exit_status: int | None
    """Exit code of the process; null in other events than ProcessExit."""
    ancestors: tuple[ProcessInfo, ...]
    """Processes above the parent, the nearest first, where the agent sends them."""
    thread: ThreadInfo | None
    """The thread that made the call; null where it is not known."""
    timestamp_source: TimestampSource
    """Where timestamp_ns comes from."""
    syscall: str
    """What was called, without the architecture's prefix: sys_openat, security_file_permission, subsys/event,
    provider:name. Empty where nothing was.
    """
    action: str | None
    """What the policy of the agent did, for example POST, SIGKILL, OVERRIDE; null where it did nothing."""
    return_action: str | None
    """The same at the return of the function; null where it did nothing."""
    policy_name: str | None
    """Name of the agent's policy whose probe fired; null where no policy did."""
    message: str | None
    """Message of that policy, filtered; null where it has none."""
    tags: tuple[str, ...]
    """Tags of that policy, filtered."""
    call_arguments: tuple[CallArgument, ...]
    """Arguments of the call, in the policy's order."""
    call_data: tuple[CallArgument, ...]
    """What the policy read besides the arguments."""
    return_value: CallArgument | None
    """What the function returned; null where the probe did not read it."""
    redaction: Redaction
    """What the privacy filter did to this call."""
    source: SourcePosition
    """Where the raw record is. A call that comes again has the same position, so readers leave out repetitions by it.
    """

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> Self:
        """The record that was decoded with the schema of this type."""
        return cls(
            record["event_id"],
            record["timestamp_ns"],
            ProbeType(record["probe_type"]),
            tuple(map(CanonicalStackFrame.of, record["stack_frames"])),
            record["symbol_snapshot"],
            record["container_id"],
            record["pod_name"],
            record["namespace"],
            record["container_name"],
            record["image_id"],
            record["image_name"],
            record["workload"],
            record["workload_kind"],
            None if record["probe_target"] is None else ProbeTarget.of(record["probe_target"]),
            ProcessInfo.of(record["process"]),
            None if record["parent"] is None else ProcessInfo.of(record["parent"]),
            record["node_name"],
            record["cluster_name"],
            record["exit_signal"],
            record["exit_status"],
            tuple(map(ProcessInfo.of, record["ancestors"])),
            None if record["thread"] is None else ThreadInfo.of(record["thread"]),
            TimestampSource(record["timestamp_source"]),
            record["syscall"],
            record["action"],
            record["return_action"],
            record["policy_name"],
            record["message"],
            tuple(record["tags"]),
            tuple(map(CallArgument.of, record["call_arguments"])),
            tuple(map(CallArgument.of, record["call_data"])),
            None if record["return_value"] is None else CallArgument.of(record["return_value"]),
            Redaction.of(record["redaction"]),
            SourcePosition.of(record["source"]),
        )


@dataclass(frozen=True, slots=True)
class HourlyHits:
    """Hits of one hour."""

    hour: int
    """Hours since the Unix epoch."""
    hits: int
    """Hits of events of that hour."""

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> Self:
        """The record that was decoded with the schema of this type."""
        return cls(
            record["hour"],
            record["hits"],
        )


class Evidence(StrEnum):
    """Symbol: the function ran. Module: code of the file ran, and its function is not known. Binary: the file was
    executed. Unknown: what an older reader sees of a newer kind.
    """

    UNKNOWN = "Unknown"
    SYMBOL = "Symbol"
    MODULE = "Module"
    BINARY = "Binary"


@dataclass(frozen=True, slots=True)
class ImageSeen:
    """A container image in which it ran."""

    image_id: str
    """Id of the image; empty where the agent gave none."""
    image_name: str
    """Name of the image; empty where the agent gave none."""
    last_seen_ns: int
    """Time of the latest event from it. Nanoseconds since the Unix epoch, UTC."""

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> Self:
        """The record that was decoded with the schema of this type."""
        return cls(
            record["image_id"],
            record["image_name"],
            record["last_seen_ns"],
        )


@dataclass(frozen=True, slots=True)
class NamespaceSeen:
    """A Kubernetes namespace in which it ran."""

    namespace: str
    """Name of the namespace."""
    last_seen_ns: int
    """Time of the latest event from it. Nanoseconds since the Unix epoch, UTC."""

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> Self:
        """The record that was decoded with the schema of this type."""
        return cls(
            record["namespace"],
            record["last_seen_ns"],
        )


@dataclass(frozen=True, slots=True)
class WorkloadSeen:
    """A Kubernetes workload in which it ran."""

    namespace: str
    """Namespace of the workload; empty where the agent gave none."""
    kind: str
    """Kind of the workload, for example Deployment; empty where the agent gave none."""
    name: str
    """Name of the workload."""
    last_seen_ns: int
    """Time of the latest event from it. Nanoseconds since the Unix epoch, UTC."""

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> Self:
        """The record that was decoded with the schema of this type."""
        return cls(
            record["namespace"],
            record["kind"],
            record["name"],
            record["last_seen_ns"],
        )


@dataclass(frozen=True, slots=True)
class Caller:
    """A symbol that was the next outer frame."""

    symbol_id: str
    """Identity of the caller; the key of its own row."""
    hits: int
    """How often it was the caller; callers_shortfall says how much may be missing."""

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> Self:
        """The record that was decoded with the schema of this type."""
        return cls(
            record["symbol_id"],
            record["hits"],
        )


@dataclass(frozen=True, slots=True)
class CitedEvent:
    """One event and where its raw record is."""

    event_id: str
    """event_id of its call on runtime.calls."""
    partition: int
    """Partition of the raw record on tetragon.raw."""
    offset: int
    """Offset of the raw record on tetragon.raw."""
    time_ns: int
    """Time of the event. Nanoseconds since the Unix epoch, UTC."""

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> Self:
        """The record that was decoded with the schema of this type."""
        return cls(
            record["event_id"],
            record["partition"],
            record["offset"],
            record["time_ns"],
        )


@dataclass(frozen=True, slots=True)
class NamedBy:
    """A snapshot of the symbol store whose index gave hits this symbol."""

    snapshot: str
    """Digest of a snapshot of the symbol store."""
    last_seen_ns: int
    """Time of the latest hit that it named. Nanoseconds since the Unix epoch, UTC."""

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> Self:
        """The record that was decoded with the schema of this type."""
        return cls(
            record["snapshot"],
            record["last_seen_ns"],
        )


@dataclass(frozen=True, slots=True)
class HotSymbol:
    """How often a symbol was seen on a stack or under a user probe."""

    symbol_id: str
    """The record's key: identity of the symbol, as BUILD-ID!SYMBOL, MODULE!SYMBOL, kernel!SYMBOL, kernel:MODULE!SYMBOL
    or exec:PATH; what would be ambiguous in it is percent-encoded.
    """
    module: str
    """Normalized path inside the container root; where a build id has several, the first by name."""
    build_id: str | None
    """Build id of the file, lower hex; null where it is not known, for the kernel and for an executed binary."""
    symbol: str
    """Mangled; empty: code of this module whose symbol is unknown, or an executed binary."""
    is_kernel_space: bool
    """Whether it is code of the kernel or of a kernel module."""
    hits: int
    """Frames, fired user probes and executions seen."""
    confirmed_hits: int
    """Of these, those whose symbol our index, the kernel or a probe confirms."""
    first_seen_ns: int
    """Time of the earliest event. Nanoseconds since the Unix epoch, UTC. 0 where hits is 0."""
    last_seen_ns: int
    """Time of the latest event, as first_seen_ns."""
    hourly_hits: tuple[HourlyHits, ...]
    """By hour of the event, newest 24 hours of the row."""
    image_name: str | None
    """Image in which it was seen last."""
    image_id: str | None
    """Id of that image."""
    evidence: Evidence
    """What the row is evidence of."""
    probe_hits: int
    """Of hits, those that a user probe on the symbol itself reported."""
    hits_by_resolution: Mapping[str, int]
    """Frames by FrameResolution of runtime.calls: how sure they are."""
    images: tuple[ImageSeen, ...]
    """Container images it ran in, those seen last first."""
    images_more: int
    """Different images seen besides those listed; an estimate where there were more than 32."""
    namespaces: tuple[NamespaceSeen, ...]
    """Kubernetes namespaces it ran in, those seen last first."""
    namespaces_more: int
    """Different namespaces seen besides those listed; an estimate where there were more than 32."""
    workloads: tuple[WorkloadSeen, ...]
    """Kubernetes workloads it ran in, those seen last first."""
    workloads_more: int
    """Different workloads seen besides those listed; an estimate where there were more than 32."""
    callers: tuple[Caller, ...]
    """Symbols of the next outer frames, the most frequent first."""
    callers_shortfall: int
    """What any caller's hits fall short of the truth, at most; a caller that is not listed had no more than this."""
    events: tuple[CitedEvent, ...]
    """Events that were counted: the first, the last, and the first of each of the newest three hours; the oldest first.
    callstream replay --event shows one.
    """
    snapshots: tuple[NamedBy, ...]
    """Snapshots whose index of the file gave hits this symbol, the latest first. Empty if no index did, or if the calls
    do not say which.
    """
    snapshots_more: int
    """How many more there are; an estimate beyond 32."""

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> Self:
        """The record that was decoded with the schema of this type."""
        return cls(
            record["symbol_id"],
            record["module"],
            record["build_id"],
            record["symbol"],
            record["is_kernel_space"],
            record["hits"],
            record["confirmed_hits"],
            record["first_seen_ns"],
            record["last_seen_ns"],
            tuple(map(HourlyHits.of, record["hourly_hits"])),
            record["image_name"],
            record["image_id"],
            Evidence(record["evidence"]),
            record["probe_hits"],
            record["hits_by_resolution"],
            tuple(map(ImageSeen.of, record["images"])),
            record["images_more"],
            tuple(map(NamespaceSeen.of, record["namespaces"])),
            record["namespaces_more"],
            tuple(map(WorkloadSeen.of, record["workloads"])),
            record["workloads_more"],
            tuple(map(Caller.of, record["callers"])),
            record["callers_shortfall"],
            tuple(map(CitedEvent.of, record["events"])),
            tuple(map(NamedBy.of, record["snapshots"])),
            record["snapshots_more"],
        )


class GapCause(StrEnum):
    """Heartbeat: ingest saw everything of the window. Filtered: ingest saw the stream, and a filter of its own may have
    left events out. LossesUnread: ingest saw the stream, and nobody read what the agent itself lost. These three vouch
    for the window; the last two are gaps as well, and so are all others but these six. Farewell: ingest stopped in good
    order, and nobody watches from to_ns on. Created, Booted, Retired, RetirementUndone: said_by says that the node was
    created, was booted again, or was gone for good at from_ns, or takes back what it said before of its end; it said so
    at to_ns. Followed: said_by knew all nodes of the cluster throughout the window; node is empty. Unknown: events were
    lost, and no other word fits; or what an older reader sees of a newer cause. Overflow: the buffer of ingest was
    full. Reconnect: the stream from the agent was cut. AgentRestart: the agent was restarted. Throttle: the agent
    throttled a process. Undecodable: events could not be decoded by ingest, so nothing is known of them but their
    bytes. Oversized: events were too large. AgentLoss: the agent's own counters say that it lost events. Unexplained:
    tracing policies posted more events in the kernel than ingest received, and than the agent says that it lost.
    SpillLoss: the folder on disk, to which ingest writes what waits, was full or damaged. IngestRestart: ingest did not
    run. Refused: a stage could not process an event; only in answers, never on this topic. Skipped: no stage read
    records that were there.
    """

    UNKNOWN = "Unknown"
    OVERFLOW = "Overflow"
    RECONNECT = "Reconnect"
    AGENT_RESTART = "AgentRestart"
    THROTTLE = "Throttle"
    UNDECODABLE = "Undecodable"
    OVERSIZED = "Oversized"
    AGENT_LOSS = "AgentLoss"
    SPILL_LOSS = "SpillLoss"
    INGEST_RESTART = "IngestRestart"
    HEARTBEAT = "Heartbeat"
    FILTERED = "Filtered"
    REFUSED = "Refused"
    LOSSES_UNREAD = "LossesUnread"
    SKIPPED = "Skipped"
    FAREWELL = "Farewell"
    CREATED = "Created"
    BOOTED = "Booted"
    RETIRED = "Retired"
    RETIREMENT_UNDONE = "RetirementUndone"
    FOLLOWED = "Followed"
    UNEXPLAINED = "Unexplained"


@dataclass(frozen=True, slots=True)
class SkippedOffsets:
    """Offsets of a partition that no stage will read, the next one not included."""

    topic: str
    """Without prefix."""
    partition: int
    """Partition of the topic."""
    first: int
    """First offset that is not read."""
    next: int
    """Offset after the last one that is not read."""

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> Self:
        """The record that was decoded with the schema of this type."""
        return cls(
            record["topic"],
            record["partition"],
            record["first"],
            record["next"],
        )


@dataclass(frozen=True, slots=True)
class CoverageGap:
    """A window in which a node's events are incomplete, or, with cause Heartbeat, complete. Filtered and LossesUnread
    are heartbeats too: the stream was read, but a filter of ingest left events out, or nobody read the agent's own
    losses.
    """

    node: str
    """Name of the node, as its agent names it; empty where skipped is set."""
    from_ns: int
    """Begin of the window. Nanoseconds since the Unix epoch, UTC."""
    to_ns: int
    """End of the window, not included. Nanoseconds since the Unix epoch, UTC. Where it is from_ns, the window is an
    instant: something happened then, and nobody can say for how long.
    """
    cause: GapCause
    """Why events of the window may be missing, or that they are complete."""
    events_lost: int | None
    """How many events were lost; null: unknown."""
    detail: str | None
    """Which counter or limit, or the filters in force; never event data."""
    cluster: str
    """Cluster of the node, as its agent names it; empty where it names none. Cluster and node together are the node."""
    session: str
    """Random word of the ingest process that wrote the record. Heartbeats of two sessions for one time of one node: two
    ingests at once.
    """
    skipped: SkippedOffsets | None
    """Where set, the gap is one of all nodes, and node is empty: what these records said of any node is lost."""
    boot_id: str | None
    """Of a heartbeat: the kernel's random id of the node's boot; null where ingest does not run on the node."""
    boot_ns: int | None
    """Of a heartbeat: when the node was booted. Nanoseconds since the Unix epoch, UTC; null where ingest does not run
    on the node.
    """
    ingest_version: str
    """Of a heartbeat: the version of ingest."""
    said_by: str
    """Who says what only somebody can say who knows which nodes there are: operator, or kubernetes."""

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> Self:
        """The record that was decoded with the schema of this type."""
        return cls(
            record["node"],
            record["from_ns"],
            record["to_ns"],
            GapCause(record["cause"]),
            record["events_lost"],
            record["detail"],
            record["cluster"],
            record["session"],
            None if record["skipped"] is None else SkippedOffsets.of(record["skipped"]),
            record["boot_id"],
            record["boot_ns"],
            record["ingest_version"],
            record["said_by"],
        )


class WatchAnswer(StrEnum):
    """Hit: it was executed. NeverHit: it was not, and nothing is missing. NeverEntered: its own code was not entered,
    and whether copies of it were inlined into other functions of its file is not known. NotSeen: everything else;
    reasons says why. Unknown: nobody has answered yet, or what an older reader sees of a newer answer.
    """

    UNKNOWN = "Unknown"
    HIT = "Hit"
    NEVER_HIT = "NeverHit"
    NOT_SEEN = "NotSeen"
    NEVER_ENTERED = "NeverEntered"


@dataclass(frozen=True, slots=True)
class WatchedRow:
    """One symbol that the watch means and that was hit."""

    symbol_id: str
    """Key of the row on runtime.hot-symbols."""
    module: str
    """Path of the row's file."""
    hits: int
    """Hits of the row."""
    last_seen_ns: int
    """Time of its latest event. Nanoseconds since the Unix epoch, UTC."""

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> Self:
        """The record that was decoded with the schema of this type."""
        return cls(
            record["symbol_id"],
            record["module"],
            record["hits"],
            record["last_seen_ns"],
        )


@dataclass(frozen=True, slots=True)
class RetiredNodes:
    """Nodes that are gone for good, by the word of one who may know."""

    said_by: str
    """Who says so: operator, or kubernetes."""
    nodes: int
    """How many nodes."""

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> Self:
        """The record that was decoded with the schema of this type."""
        return cls(
            record["said_by"],
            record["nodes"],
        )


@dataclass(frozen=True, slots=True)
class WatchGap:
    """A window in which events may be missing."""

    node: str
    """Empty: of no node in particular."""
    cluster: str
    """The node's, as its agent names it."""
    from_ns: int
    """Begin of the window. Nanoseconds since the Unix epoch, UTC."""
    to_ns: int
    """End of the window, not included. Nanoseconds since the Unix epoch, UTC."""
    cause: str
    """A GapCause of runtime.coverage; VouchedTwice: two ingests vouched for one node at once, so counts may be doubled,
    or the silence of an agent hidden; Unvouched: nobody said whether events are complete; Refused: a stage could not
    process an event (runtime.dead-letters); Unreadable: a record of runtime.coverage cannot be read, and may have been
    a gap of any node; TooManyNodes: runtime.coverage names more nodes than a worker keeps; Skipped: a stage never read
    what was received then; Expired: rows of that time may have expired.
    """
    events_lost: int | None
    """How many events were lost; null: nobody counted them."""

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> Self:
        """The record that was decoded with the schema of this type."""
        return cls(
            record["node"],
            record["cluster"],
            record["from_ns"],
            record["to_ns"],
            record["cause"],
            record["events_lost"],
        )


class WatchReasonKind(StrEnum):
    """SharedCode: its code has other names. SeveralCodes: several functions of the file have the name. AuthorsWord:
    that every call is probed is the author's word. HooksLoaded: its hooks were loaded all the time, by the agents'
    word. Unhooked: when they were not. UnknownCopies: whether it was inlined is not known. Unconfirmed: hits that
    nothing confirms. MayBeIt: hits in a file that may be this one. UnnamedCode: hits without a function. UnnamedEntry:
    a probe fired on a function that nothing names. UnknownFile: code ran in a file at the path whose build is not
    known. NotHooked: nothing says that every call is probed. NoStore: no symbol store. NoFileNamed: the watch names no
    file. NotPlaced: no map has the file. NoIndex: no index of a file. AmbiguousBuildId: two files have the build id.
    NoSuchName: the file has no such function. InlinedInto: it runs inside others. ChosenAtRunTime: an IFUNC.
    OlderSnapshot: named by an index that is not in use any more. NotVouched, Gap: coverage. Missing: how much
    node-time. ReportedNodes: nobody says that there were no other nodes. RetiredNodes: nodes that are gone, and by
    whose word. Unknown: what an older reader sees of a newer reason.
    """

    UNKNOWN = "Unknown"
    SHARED_CODE = "SharedCode"
    SEVERAL_CODES = "SeveralCodes"
    AUTHORS_WORD = "AuthorsWord"
    UNKNOWN_COPIES = "UnknownCopies"
    UNCONFIRMED = "Unconfirmed"
    MAY_BE_IT = "MayBeIt"
    UNNAMED_CODE = "UnnamedCode"
    UNNAMED_ENTRY = "UnnamedEntry"
    UNKNOWN_FILE = "UnknownFile"
    NOT_HOOKED = "NotHooked"
    NO_STORE = "NoStore"
    NO_FILE_NAMED = "NoFileNamed"
    NOT_PLACED = "NotPlaced"
    NO_INDEX = "NoIndex"
    AMBIGUOUS_BUILD_ID = "AmbiguousBuildId"
    NO_SUCH_NAME = "NoSuchName"
    INLINED_INTO = "InlinedInto"
    CHOSEN_AT_RUN_TIME = "ChosenAtRunTime"
    OLDER_SNAPSHOT = "OlderSnapshot"
    NOT_VOUCHED = "NotVouched"
    GAP = "Gap"
    MISSING = "Missing"
    REPORTED_NODES = "ReportedNodes"
    RETIRED_NODES = "RetiredNodes"
    HOOKS_LOADED = "HooksLoaded"
    UNHOOKED = "Unhooked"


@dataclass(frozen=True, slots=True)
class WatchReason:
    """One reason for the answer."""

    reason: WatchReasonKind
    """The reason as a word, for programs."""
    words: str
    """The reason as a sentence, for people."""
    about: tuple[str, ...]
    """The file, then the functions or the cause; or node and cause of a Gap. The first eight."""

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> Self:
        """The record that was decoded with the schema of this type."""
        return cls(
            WatchReasonKind(record["reason"]),
            record["words"],
            tuple(record["about"]),
        )


@dataclass(frozen=True, slots=True)
class WatchedImage:
    """A container image in which it was hit."""

    image_id: str
    """Id of the image; empty where the agent gave none."""
    image_name: str
    """Name of the image; empty where the agent gave none."""
    last_seen_ns: int
    """Time of the latest hit in it. Nanoseconds since the Unix epoch, UTC."""
    confirmed: bool
    """Whether one of the hits in it is sure. False if the rows cannot tell which of their hits were in it."""

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> Self:
        """The record that was decoded with the schema of this type."""
        return cls(
            record["image_id"],
            record["image_name"],
            record["last_seen_ns"],
            record["confirmed"],
        )


@dataclass(frozen=True, slots=True)
class WatchedEvent:
    """One event that was a hit, and where its raw record is."""

    event_id: str
    """event_id of its call on runtime.calls."""
    partition: int
    """Partition of the raw record on tetragon.raw."""
    offset: int
    """Offset of the raw record on tetragon.raw."""
    time_ns: int
    """Time of the event. Nanoseconds since the Unix epoch, UTC."""

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> Self:
        """The record that was decoded with the schema of this type."""
        return cls(
            record["event_id"],
            record["partition"],
            record["offset"],
            record["time_ns"],
        )


@dataclass(frozen=True, slots=True)
class WatchedSymbol:
    """What is known of a watched symbol since it is watched; there from the first moment on."""

    watch_id: str
    """The record's key: BUILD-ID!SYMBOL, MODULE!SYMBOL, or !SYMBOL where any file is meant."""
    symbol: str
    """Symbol that is watched, as the watch names it."""
    module: str | None
    """As the watch names it."""
    build_id: str | None
    """Build id of the file, as the watch names it; null: the watch names none."""
    vulnerability: str | None
    """The first of vulnerabilities."""
    since_ns: int
    """Begin of the watch. Nanoseconds since the Unix epoch, UTC."""
    answer: WatchAnswer
    """Whether the symbol was executed."""
    hits: int
    """Of all symbols that the watch means, also from before the watch began."""
    hits_may_be_doubled: bool
    """Two ingests vouched for one node at once since the watch began, so some events may be counted twice."""
    confirmed_hits: int
    """Of these, those whose symbol our index, the kernel or a probe confirms."""
    first_seen_ns: int
    """Time of an event, Unix epoch, UTC; 0 where hits is 0."""
    last_seen_ns: int
    """As first_seen_ns."""
    symbols: tuple[WatchedRow, ...]
    """The symbols that it means and that were hit, those with most hits first."""
    symbols_more: int
    """How many there are besides those listed."""
    kept_since_ns: int
    """Since when rows that answer it do not expire, Unix epoch, UTC; what was hit long before may be forgotten."""
    ambiguous_hits: int
    """Hits that may be of the symbol and that nothing can tell: code of its file whose function is unknown, or the
    symbol in a file that may be this one. Where every call is probed, code without a name does not matter.
    """
    complete_ns: int
    """Nanoseconds since the watch began in which the events of all nodes are complete that had the file, or may have
    had it. A length, not a point in time.
    """
    complete_until_ns: int
    """Up to when all nodes have been vouched for, Unix epoch, UTC; 0: nobody vouches. No gap: complete_ns is
    complete_until_ns - since_ns.
    """
    nodes: int
    """Nodes that owed an account for any of it."""
    watched_ms: int
    """Milliseconds of all nodes together since the watch began for which nothing is missing, rounded down."""
    missing_ms: int
    """Milliseconds of all nodes together for which a node owed an account and events may be missing, rounded up. A time
    counts once for each node, whatever its causes; a gap of all nodes counts on every node.
    """
    placed_nodes: int
    """Nodes on which the watched file was placed, or may have been. Where no build id is watched: all nodes."""
    placed_watched_ms: int
    """As watched_ms, of the times in which the file was placed on a node, or may have been."""
    placed_missing_ms: int
    """As missing_ms, of these times. They decide: NeverHit needs 0, and no gaps."""
    sighted_nodes: int | None
    """Nodes on which a process was seen to map the watched file, by runtime.placements. It may have run on others all
    the same. null: no build id is watched, or the topic is not read yet.
    """
    sighted_watched_ms: int | None
    """As watched_ms, of these nodes, since the file was first seen there."""
    sighted_missing_ms: int | None
    """As missing_ms, of these times. They decide nothing."""
    events_lost: int | None
    """Events that counters of losses say for these times; null: a loss has no number, or no worker has answered."""
    every_node_known: bool
    """Somebody who may know (callstream nodes follow) knew all nodes of each cluster for all of the time. If not, the
    answer is about the nodes that reported.
    """
    retired: tuple[RetiredNodes, ...]
    """Nodes that are gone since the watch began, by whose word it is."""
    gaps: tuple[WatchGap, ...]
    """Windows in which events may be missing on nodes that had the file, or may have had it; the longest first."""
    gaps_more: int
    """How many there are besides those listed."""
    vulnerabilities: tuple[str, ...]
    """What it is watched for."""
    every_call_probed: bool
    """The word of the watch's author that a probe fires whenever any code of the function is entered."""
    reasons: tuple[WatchReason, ...]
    """Why the answer is what it is."""
    reasons_more: int
    """How many there are besides those listed."""
    snapshot: str | None
    """Digest of the symbol store's snapshot that says which code the watch means; null: the worker has no store."""
    images: tuple[WatchedImage, ...]
    """Images it was hit in, those seen last first."""
    images_more: int
    """How many there are besides those listed; an estimate where a row has more than 32."""
    events: tuple[WatchedEvent, ...]
    """Events that were hits: the first and the newest ones, the oldest first. callstream replay --event shows one."""
    named_by: tuple[str, ...]
    """Digests of the snapshots whose indexes gave hits their names, at most 16; see HotSymbol.snapshots."""

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> Self:
        """The record that was decoded with the schema of this type."""
        return cls(
            record["watch_id"],
            record["symbol"],
            record["module"],
            record["build_id"],
            record["vulnerability"],
            record["since_ns"],
            WatchAnswer(record["answer"]),
            record["hits"],
            record["hits_may_be_doubled"],
            record["confirmed_hits"],
            record["first_seen_ns"],
            record["last_seen_ns"],
            tuple(map(WatchedRow.of, record["symbols"])),
            record["symbols_more"],
            record["kept_since_ns"],
            record["ambiguous_hits"],
            record["complete_ns"],
            record["complete_until_ns"],
            record["nodes"],
            record["watched_ms"],
            record["missing_ms"],
            record["placed_nodes"],
            record["placed_watched_ms"],
            record["placed_missing_ms"],
            record["sighted_nodes"],
            record["sighted_watched_ms"],
            record["sighted_missing_ms"],
            record["events_lost"],
            record["every_node_known"],
            tuple(map(RetiredNodes.of, record["retired"])),
            tuple(map(WatchGap.of, record["gaps"])),
            record["gaps_more"],
            tuple(record["vulnerabilities"]),
            record["every_call_probed"],
            tuple(map(WatchReason.of, record["reasons"])),
            record["reasons_more"],
            record["snapshot"],
            tuple(map(WatchedImage.of, record["images"])),
            record["images_more"],
            tuple(map(WatchedEvent.of, record["events"])),
            tuple(record["named_by"]),
        )


class AgentAnswer(StrEnum):
    """Answered: the agent told of its policies. Unimplemented: it does not know the call. Refused: it does not let us
    ask. Unknown: what an older reader sees of a newer one.
    """

    UNKNOWN = "Unknown"
    ANSWERED = "Answered"
    UNIMPLEMENTED = "Unimplemented"
    REFUSED = "Refused"


class PolicyState(StrEnum):
    """Enabled: all of it is loaded. PartiallyEnabled: some hooks are. Disabled: it is there, and its hooks are not.
    LoadError, Error: loading it, or something later, failed. Loading, Unloading: on its way. Skipped: it is not for
    this node. Unknown: the agent does not say, or a word that is not known here.
    """

    UNKNOWN = "Unknown"
    ENABLED = "Enabled"
    DISABLED = "Disabled"
    LOAD_ERROR = "LoadError"
    ERROR = "Error"
    LOADING = "Loading"
    UNLOADING = "Unloading"
    SKIPPED = "Skipped"
    PARTIALLY_ENABLED = "PartiallyEnabled"


class SeenHookState(StrEnum):
    """Loaded: the hook is set. DigestRejected: the file at its path is not the one that the policy means. CallNotFound,
    PartialCallNotFound: the kernel has not the function, or not all of them. Unknown: the agent does not say, or a word
    that is not known here.
    """

    UNKNOWN = "Unknown"
    LOADED = "Loaded"
    DIGEST_REJECTED = "DigestRejected"
    CALL_NOT_FOUND = "CallNotFound"
    PARTIAL_CALL_NOT_FOUND = "PartialCallNotFound"


@dataclass(frozen=True, slots=True)
class SeenHooks:
    """Hooks that follow each other in a section of the policy and have one state."""

    section: str
    """Section of the policy, such as uprobes."""
    first: int
    """Place of the first of them in the section, from 0."""
    count: int
    """How many they are."""
    state: SeenHookState
    """What the agent calls their state."""

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> Self:
        """The record that was decoded with the schema of this type."""
        return cls(
            record["section"],
            record["first"],
            record["count"],
            SeenHookState(record["state"]),
        )


class WindowEnd(StrEnum):
    """Open: the window may grow. Reloaded: the policy has another number, or a counter fell. Changed: its state, that
    of a hook, or the operator's file is another one. Gone: the agent has it no more. Unasked: no answer came for too
    long. ClockSet: the node's clock went back. StreamEnded: the stream of events ended, so the agent may be another
    one. Unknown: what an older reader sees of a newer one.
    """

    UNKNOWN = "Unknown"
    OPEN = "Open"
    RELOADED = "Reloaded"
    CHANGED = "Changed"
    GONE = "Gone"
    UNASKED = "Unasked"
    CLOCK_SET = "ClockSet"
    STREAM_ENDED = "StreamEnded"


@dataclass(frozen=True, slots=True)
class ProbeWindow:
    """From when to when a node's agent said the same of a tracing policy, or of itself where policy is empty. A window
    grows under its key; between two windows nobody knows.
    """

    node: str
    """Name of the node, as its agent names it."""
    cluster: str
    """Cluster of the node, as its agent names it; empty where it names none. Cluster and node together are the node."""
    session: str
    """Random word of the ingest process that asked."""
    from_ns: int
    """When the first answer was there that said so. Nanoseconds since the Unix epoch, UTC."""
    to_ns: int
    """When the last answer was asked for that said so, not included. Nanoseconds since the Unix epoch, UTC. Where it is
    from_ns, there was one answer.
    """
    answer: AgentAnswer
    """What became of the question; of a policy always Answered."""
    agent_version: str
    """Version of the agent; empty where it does not say."""
    policy: str
    """Name of the policy; empty where the window is of the agent itself."""
    namespace: str
    """Namespace of the policy; empty for one of the whole cluster."""
    domain: str
    """Domain of the policy in the agent; empty where it has none."""
    policy_id: int
    """The agent's number of this loading of the policy: another one each time that it is added."""
    state: PolicyState
    """What the agent calls the policy's state."""
    hooks: tuple[SeenHooks, ...]
    """Hooks that the agent tells of. Older agents tell of none, and none tells of hooks other than kprobes, fentries
    and uprobes.
    """
    counters: Mapping[str, int]
    """What the kernel counted of the whole policy at the end of the window, by the agent's own names, such as post."""
    spec_digest: str | None
    """SHA-256 of the spec in the file that the operator supplied under the policy's name, in hex digits; null where
    there was none.
    """
    end: WindowEnd
    """Why the window grows no more."""

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> Self:
        """The record that was decoded with the schema of this type."""
        return cls(
            record["node"],
            record["cluster"],
            record["session"],
            record["from_ns"],
            record["to_ns"],
            AgentAnswer(record["answer"]),
            record["agent_version"],
            record["policy"],
            record["namespace"],
            record["domain"],
            record["policy_id"],
            PolicyState(record["state"]),
            tuple(map(SeenHooks.of, record["hooks"])),
            record["counters"],
            record["spec_digest"],
            WindowEnd(record["end"]),
        )


@dataclass(frozen=True, slots=True)
class FilePlacement:
    """From when to when a node's agent told that processes mapped a file of one build. It grows under its key.
    Processes keep what they have mapped, so the file may be in use after to_ns; where there is no record of a file,
    nobody knows.
    """

    node: str
    """Name of the node, as its agent names it."""
    cluster: str
    """Cluster of the node, as its agent names it; empty where it names none. Cluster and node together are the node."""
    session: str
    """Random word of the ingest process that saw it."""
    build_id: str
    """GNU build id of the file, in lower hex digits, as the kernel read it when the file was mapped."""
    from_ns: int
    """When the first loader event that says so was received. Nanoseconds since the Unix epoch, UTC."""
    to_ns: int
    """When the last one was received before the record was written. A record is written at most once a day while it
    only grows. Nanoseconds since the Unix epoch, UTC.
    """

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> Self:
        """The record that was decoded with the schema of this type."""
        return cls(
            record["node"],
            record["cluster"],
            record["session"],
            record["build_id"],
            record["from_ns"],
            record["to_ns"],
        )
