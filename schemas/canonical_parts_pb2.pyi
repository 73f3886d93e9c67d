# mypy: disable-error-code="type-arg, no-untyped-def"
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable
from typing import ClassVar as _ClassVar, Optional as _Optional

DESCRIPTOR: _descriptor.FileDescriptor

class CanonicalEventParts(_message.Message):
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
    timestamp_source: int
    process: bytes
    workload: bytes
    tid: int
    parent: bytes
    ancestors: _containers.RepeatedScalarFieldContainer[bytes]
    probe: bytes
    stack: bytes
    arguments: _containers.RepeatedScalarFieldContainer[bytes]
    data: _containers.RepeatedScalarFieldContainer[bytes]
    return_value: bytes
    exit: bytes
    node: bytes
    def __init__(self, event_id: _Optional[bytes] = ..., timestamp_ns: _Optional[int] = ..., raw_offset: _Optional[int] = ..., raw_partition: _Optional[int] = ..., timestamp_source: _Optional[int] = ..., process: _Optional[bytes] = ..., workload: _Optional[bytes] = ..., tid: _Optional[int] = ..., parent: _Optional[bytes] = ..., ancestors: _Optional[_Iterable[bytes]] = ..., probe: _Optional[bytes] = ..., stack: _Optional[bytes] = ..., arguments: _Optional[_Iterable[bytes]] = ..., data: _Optional[_Iterable[bytes]] = ..., return_value: _Optional[bytes] = ..., exit: _Optional[bytes] = ..., node: _Optional[bytes] = ...) -> None: ...

class CanonicalStackParts(_message.Message):
    __slots__ = ("frames", "snapshot")
    FRAMES_FIELD_NUMBER: _ClassVar[int]
    SNAPSHOT_FIELD_NUMBER: _ClassVar[int]
    frames: _containers.RepeatedScalarFieldContainer[bytes]
    snapshot: bytes
    def __init__(self, frames: _Optional[_Iterable[bytes]] = ..., snapshot: _Optional[bytes] = ...) -> None: ...
