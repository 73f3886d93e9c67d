# mypy: disable-error-code="type-arg, no-untyped-def"
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ProbeType(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    PROBE_TYPE_UNKNOWN: _ClassVar[ProbeType]
    PROBE_TYPE_PROCESS_EXEC: _ClassVar[ProbeType]
    PROBE_TYPE_PROCESS_EXIT: _ClassVar[ProbeType]
    PROBE_TYPE_KPROBE: _ClassVar[ProbeType]
    PROBE_TYPE_KRETPROBE: _ClassVar[ProbeType]
    PROBE_TYPE_UPROBE: _ClassVar[ProbeType]
    PROBE_TYPE_URETPROBE: _ClassVar[ProbeType]
    PROBE_TYPE_TRACEPOINT: _ClassVar[ProbeType]
    PROBE_TYPE_USDT: _ClassVar[ProbeType]
    PROBE_TYPE_FENTRY: _ClassVar[ProbeType]
    PROBE_TYPE_FEXIT: _ClassVar[ProbeType]
    PROBE_TYPE_LSM: _ClassVar[ProbeType]

class TimestampSource(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    TIMESTAMP_SOURCE_EVENT: _ClassVar[TimestampSource]
    TIMESTAMP_SOURCE_PROCESS_START: _ClassVar[TimestampSource]
    TIMESTAMP_SOURCE_RECEIPT: _ClassVar[TimestampSource]
    TIMESTAMP_SOURCE_UNKNOWN: _ClassVar[TimestampSource]

class OffsetBasis(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    OFFSET_BASIS_NONE: _ClassVar[OffsetBasis]
    OFFSET_BASIS_SYMBOL: _ClassVar[OffsetBasis]
    OFFSET_BASIS_MODULE: _ClassVar[OffsetBasis]

class FrameResolution(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    FRAME_RESOLUTION_UNKNOWN: _ClassVar[FrameResolution]
    FRAME_RESOLUTION_EXACT: _ClassVar[FrameResolution]
    FRAME_RESOLUTION_HINT_ONLY: _ClassVar[FrameResolution]
    FRAME_RESOLUTION_MODULE_ONLY: _ClassVar[FrameResolution]
    FRAME_RESOLUTION_NO_SYMBOL_TABLE: _ClassVar[FrameResolution]
    FRAME_RESOLUTION_NO_SYMBOL: _ClassVar[FrameResolution]
    FRAME_RESOLUTION_UNMAPPED: _ClassVar[FrameResolution]
    FRAME_RESOLUTION_ANONYMOUS: _ClassVar[FrameResolution]
    FRAME_RESOLUTION_VDSO: _ClassVar[FrameResolution]
    FRAME_RESOLUTION_KERNEL: _ClassVar[FrameResolution]
    FRAME_RESOLUTION_KERNEL_MODULE: _ClassVar[FrameResolution]
    FRAME_RESOLUTION_KERNEL_TRAMPOLINE: _ClassVar[FrameResolution]
    FRAME_RESOLUTION_UNRESOLVED: _ClassVar[FrameResolution]
    FRAME_RESOLUTION_AMBIGUOUS: _ClassVar[FrameResolution]
    FRAME_RESOLUTION_INLINED: _ClassVar[FrameResolution]

class AtomClass(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ATOM_CLASS_TEXT: _ClassVar[AtomClass]
    ATOM_CLASS_PATH: _ClassVar[AtomClass]
    ATOM_CLASS_BUFFER: _ClassVar[AtomClass]
    ATOM_CLASS_ADDRESS: _ClassVar[AtomClass]
    ATOM_CLASS_NUMBER: _ClassVar[AtomClass]
    ATOM_CLASS_WORD: _ClassVar[AtomClass]
    ATOM_CLASS_NAME: _ClassVar[AtomClass]
PROBE_TYPE_UNKNOWN: ProbeType
PROBE_TYPE_PROCESS_EXEC: ProbeType
PROBE_TYPE_PROCESS_EXIT: ProbeType
PROBE_TYPE_KPROBE: ProbeType
PROBE_TYPE_KRETPROBE: ProbeType
PROBE_TYPE_UPROBE: ProbeType
PROBE_TYPE_URETPROBE: ProbeType
PROBE_TYPE_TRACEPOINT: ProbeType
PROBE_TYPE_USDT: ProbeType
PROBE_TYPE_FENTRY: ProbeType
PROBE_TYPE_FEXIT: ProbeType
PROBE_TYPE_LSM: ProbeType
TIMESTAMP_SOURCE_EVENT: TimestampSource
TIMESTAMP_SOURCE_PROCESS_START: TimestampSource
TIMESTAMP_SOURCE_RECEIPT: TimestampSource
TIMESTAMP_SOURCE_UNKNOWN: TimestampSource
OFFSET_BASIS_NONE: OffsetBasis
OFFSET_BASIS_SYMBOL: OffsetBasis
OFFSET_BASIS_MODULE: OffsetBasis
FRAME_RESOLUTION_UNKNOWN: FrameResolution
FRAME_RESOLUTION_EXACT: FrameResolution
FRAME_RESOLUTION_HINT_ONLY: FrameResolution
FRAME_RESOLUTION_MODULE_ONLY: FrameResolution
FRAME_RESOLUTION_NO_SYMBOL_TABLE: FrameResolution
FRAME_RESOLUTION_NO_SYMBOL: FrameResolution
FRAME_RESOLUTION_UNMAPPED: FrameResolution
FRAME_RESOLUTION_ANONYMOUS: FrameResolution
FRAME_RESOLUTION_VDSO: FrameResolution
FRAME_RESOLUTION_KERNEL: FrameResolution
FRAME_RESOLUTION_KERNEL_MODULE: FrameResolution
FRAME_RESOLUTION_KERNEL_TRAMPOLINE: FrameResolution
FRAME_RESOLUTION_UNRESOLVED: FrameResolution
FRAME_RESOLUTION_AMBIGUOUS: FrameResolution
FRAME_RESOLUTION_INLINED: FrameResolution
ATOM_CLASS_TEXT: AtomClass
ATOM_CLASS_PATH: AtomClass
ATOM_CLASS_BUFFER: AtomClass
ATOM_CLASS_ADDRESS: AtomClass
ATOM_CLASS_NUMBER: AtomClass
ATOM_CLASS_WORD: AtomClass
ATOM_CLASS_NAME: AtomClass

class CanonicalEvent(_message.Message):
    __slots__ = ("event_id", "timestamp_ns", "raw_offset", "raw_partition", "timestamp_source", "process", "workload", "tid", "parent", "ancestors", "probe", "stack", "arguments", "data", "return_value", "exit", "node")
    EVENT_ID_FIELD_NUMBER: _ClassVar[int]
    TIMESTAMP_NS_FIELD_NUMBER: _ClassVar[int]
    RAW_OFFSET_FIELD_NUMBER: _ClassVar[int]
    RAW_PARTITION_FIELD_NUMBER: _ClassVar[int]
    TIMESTAMP_SOURCE_FIELD_NUMBER: _ClassVar[int]
    PROCESS_FIELD_NUMBER: _ClassVar[int]
    WORKLOAD_FIELD_NUMBER: _ClassVar[int]
    TID_FIELD_NUMBER: _ClassVar[int]
    PARENT_FIELD_NUMBER: _ClassVar[int]
    ANCESTORS_FIELD_NUMBER: _ClassVar[int]
    PROBE_FIELD_NUMBER: _ClassVar[int]
    STACK_FIELD_NUMBER: _ClassVar[int]
    ARGUMENTS_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    RETURN_VALUE_FIELD_NUMBER: _ClassVar[int]
    EXIT_FIELD_NUMBER: _ClassVar[int]
    NODE_FIELD_NUMBER: _ClassVar[int]
    event_id: bytes
    timestamp_ns: int
    raw_offset: int
    raw_partition: int
    timestamp_source: TimestampSource
    process: CanonicalProcess
    workload: CanonicalWorkload
    tid: int
    parent: CanonicalProcess
    ancestors: _containers.RepeatedCompositeFieldContainer[CanonicalProcess]
    probe: CanonicalProbe
    stack: CanonicalStack
    arguments: _containers.RepeatedCompositeFieldContainer[CanonicalArgument]
    data: _containers.RepeatedCompositeFieldContainer[CanonicalArgument]
    return_value: CanonicalArgument
    exit: CanonicalExit
    node: CanonicalNode
    def __init__(self, event_id: _Optional[bytes] = ..., timestamp_ns: _Optional[int] = ..., raw_offset: _Optional[int] = ..., raw_partition: _Optional[int] = ..., timestamp_source: _Optional[_Union[TimestampSource, str]] = ..., process: _Optional[_Union[CanonicalProcess, _Mapping]] = ..., workload: _Optional[_Union[CanonicalWorkload, _Mapping]] = ..., tid: _Optional[int] = ..., parent: _Optional[_Union[CanonicalProcess, _Mapping]] = ..., ancestors: _Optional[_Iterable[_Union[CanonicalProcess, _Mapping]]] = ..., probe: _Optional[_Union[CanonicalProbe, _Mapping]] = ..., stack: _Optional[_Union[CanonicalStack, _Mapping]] = ..., arguments: _Optional[_Iterable[_Union[CanonicalArgument, _Mapping]]] = ..., data: _Optional[_Iterable[_Union[CanonicalArgument, _Mapping]]] = ..., return_value: _Optional[_Union[CanonicalArgument, _Mapping]] = ..., exit: _Optional[_Union[CanonicalExit, _Mapping]] = ..., node: _Optional[_Union[CanonicalNode, _Mapping]] = ...) -> None: ...

class CanonicalProcess(_message.Message):
    __slots__ = ("process_id", "parent_process_id", "pid", "uid", "binary", "arguments", "cwd", "start_time_ns", "auid", "user", "flags")
    PROCESS_ID_FIELD_NUMBER: _ClassVar[int]
    PARENT_PROCESS_ID_FIELD_NUMBER: _ClassVar[int]
    PID_FIELD_NUMBER: _ClassVar[int]
    UID_FIELD_NUMBER: _ClassVar[int]
    BINARY_FIELD_NUMBER: _ClassVar[int]
    ARGUMENTS_FIELD_NUMBER: _ClassVar[int]
    CWD_FIELD_NUMBER: _ClassVar[int]
    START_TIME_NS_FIELD_NUMBER: _ClassVar[int]
    AUID_FIELD_NUMBER: _ClassVar[int]
    USER_FIELD_NUMBER: _ClassVar[int]
    FLAGS_FIELD_NUMBER: _ClassVar[int]
    process_id: str
    parent_process_id: str
    pid: int
    uid: int
    binary: str
    arguments: str
    cwd: str
    start_time_ns: int
    auid: int
    user: str
    flags: str
    def __init__(self, process_id: _Optional[str] = ..., parent_process_id: _Optional[str] = ..., pid: _Optional[int] = ..., uid: _Optional[int] = ..., binary: _Optional[str] = ..., arguments: _Optional[str] = ..., cwd: _Optional[str] = ..., start_time_ns: _Optional[int] = ..., auid: _Optional[int] = ..., user: _Optional[str] = ..., flags: _Optional[str] = ...) -> None: ...

class CanonicalWorkload(_message.Message):
    __slots__ = ("container_id", "container_name", "pod_name", "namespace", "image_id", "image_name", "workload", "workload_kind")
    CONTAINER_ID_FIELD_NUMBER: _ClassVar[int]
    CONTAINER_NAME_FIELD_NUMBER: _ClassVar[int]
    POD_NAME_FIELD_NUMBER: _ClassVar[int]
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    IMAGE_ID_FIELD_NUMBER: _ClassVar[int]
    IMAGE_NAME_FIELD_NUMBER: _ClassVar[int]
    WORKLOAD_FIELD_NUMBER: _ClassVar[int]
    WORKLOAD_KIND_FIELD_NUMBER: _ClassVar[int]
    container_id: str
    container_name: str
    pod_name: str
    namespace: str
    image_id: str
    image_name: str
    workload: str
    workload_kind: str
    def __init__(self, container_id: _Optional[str] = ..., container_name: _Optional[str] = ..., pod_name: _Optional[str] = ..., namespace: _Optional[str] = ..., image_id: _Optional[str] = ..., image_name: _Optional[str] = ..., workload: _Optional[str] = ..., workload_kind: _Optional[str] = ...) -> None: ...

class CanonicalProbe(_message.Message):
    __slots__ = ("probe_type", "syscall", "target", "policy_name", "message", "tags", "action", "return_action")
    PROBE_TYPE_FIELD_NUMBER: _ClassVar[int]
    SYSCALL_FIELD_NUMBER: _ClassVar[int]
    TARGET_FIELD_NUMBER: _ClassVar[int]
    POLICY_NAME_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    ACTION_FIELD_NUMBER: _ClassVar[int]
    RETURN_ACTION_FIELD_NUMBER: _ClassVar[int]
    probe_type: ProbeType
    syscall: str
    target: CanonicalTarget
    policy_name: str
    message: str
    tags: _containers.RepeatedScalarFieldContainer[str]
    action: str
    return_action: str
    def __init__(self, probe_type: _Optional[_Union[ProbeType, str]] = ..., syscall: _Optional[str] = ..., target: _Optional[_Union[CanonicalTarget, _Mapping]] = ..., policy_name: _Optional[str] = ..., message: _Optional[str] = ..., tags: _Optional[_Iterable[str]] = ..., action: _Optional[str] = ..., return_action: _Optional[str] = ...) -> None: ...

class CanonicalTarget(_message.Message):
    __slots__ = ("module", "symbol", "offset", "offset_basis", "build_id")
    MODULE_FIELD_NUMBER: _ClassVar[int]
    SYMBOL_FIELD_NUMBER: _ClassVar[int]
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    OFFSET_BASIS_FIELD_NUMBER: _ClassVar[int]
    BUILD_ID_FIELD_NUMBER: _ClassVar[int]
    module: str
    symbol: str
    offset: int
    offset_basis: OffsetBasis
    build_id: str
    def __init__(self, module: _Optional[str] = ..., symbol: _Optional[str] = ..., offset: _Optional[int] = ..., offset_basis: _Optional[_Union[OffsetBasis, str]] = ..., build_id: _Optional[str] = ...) -> None: ...

class CanonicalStack(_message.Message):
    __slots__ = ("frames", "snapshot")
    FRAMES_FIELD_NUMBER: _ClassVar[int]
    SNAPSHOT_FIELD_NUMBER: _ClassVar[int]
    frames: _containers.RepeatedCompositeFieldContainer[CanonicalFrame]
    snapshot: bytes
    def __init__(self, frames: _Optional[_Iterable[_Union[CanonicalFrame, _Mapping]]] = ..., snapshot: _Optional[bytes] = ...) -> None: ...

class CanonicalFrame(_message.Message):
    __slots__ = ("module", "symbol", "offset", "is_kernel_space", "source_file", "line_number", "build_id", "offset_basis", "resolution", "symbol_hint")
    MODULE_FIELD_NUMBER: _ClassVar[int]
    SYMBOL_FIELD_NUMBER: _ClassVar[int]
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    IS_KERNEL_SPACE_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FILE_FIELD_NUMBER: _ClassVar[int]
    LINE_NUMBER_FIELD_NUMBER: _ClassVar[int]
    BUILD_ID_FIELD_NUMBER: _ClassVar[int]
    OFFSET_BASIS_FIELD_NUMBER: _ClassVar[int]
    RESOLUTION_FIELD_NUMBER: _ClassVar[int]
    SYMBOL_HINT_FIELD_NUMBER: _ClassVar[int]
    module: str
    symbol: str
    offset: int
    is_kernel_space: bool
    source_file: str
    line_number: int
    build_id: str
    offset_basis: OffsetBasis
    resolution: FrameResolution
    symbol_hint: str
    def __init__(self, module: _Optional[str] = ..., symbol: _Optional[str] = ..., offset: _Optional[int] = ..., is_kernel_space: _Optional[bool] = ..., source_file: _Optional[str] = ..., line_number: _Optional[int] = ..., build_id: _Optional[str] = ..., offset_basis: _Optional[_Union[OffsetBasis, str]] = ..., resolution: _Optional[_Union[FrameResolution, str]] = ..., symbol_hint: _Optional[str] = ...) -> None: ...

class CanonicalArgument(_message.Message):
    __slots__ = ("label", "type", "atoms")
    LABEL_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    ATOMS_FIELD_NUMBER: _ClassVar[int]
    label: str
    type: str
    atoms: _containers.RepeatedCompositeFieldContainer[CanonicalAtom]
    def __init__(self, label: _Optional[str] = ..., type: _Optional[str] = ..., atoms: _Optional[_Iterable[_Union[CanonicalAtom, _Mapping]]] = ...) -> None: ...

class CanonicalAtom(_message.Message):
    __slots__ = ("name", "atom_class", "text", "buffer")
    NAME_FIELD_NUMBER: _ClassVar[int]
    ATOM_CLASS_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    BUFFER_FIELD_NUMBER: _ClassVar[int]
    name: str
    atom_class: AtomClass
    text: str
    buffer: bytes
    def __init__(self, name: _Optional[str] = ..., atom_class: _Optional[_Union[AtomClass, str]] = ..., text: _Optional[str] = ..., buffer: _Optional[bytes] = ...) -> None: ...

class CanonicalExit(_message.Message):
    __slots__ = ("signal", "status")
    SIGNAL_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    signal: str
    status: int
    def __init__(self, signal: _Optional[str] = ..., status: _Optional[int] = ...) -> None: ...

class CanonicalNode(_message.Message):
    __slots__ = ("node_name", "cluster_name")
    NODE_NAME_FIELD_NUMBER: _ClassVar[int]
    CLUSTER_NAME_FIELD_NUMBER: _ClassVar[int]
    node_name: str
    cluster_name: str
    def __init__(self, node_name: _Optional[str] = ..., cluster_name: _Optional[str] = ...) -> None: ...
