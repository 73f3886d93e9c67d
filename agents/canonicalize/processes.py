"""Who did it: a `Process` message becomes the process, workload and thread fields of an event.

`exec_id` is base64 of "node:ktime:pid" and so holds the host name. It never leaves this module; a digest of it does.
Environment variables, capabilities, namespaces and labels go no further than the raw topic. What Tetragon sends as
"unset" (auid 4294967295, empty text) is absent here.
"""

from dataclasses import dataclass
from typing import Final

from agents.canonicalize.identity import digest, digest_and_unknown
from agents.canonicalize.unknown_fields import UnknownFields
from agents.symbols.lookup import RootOwner
from schemas import proto_wire
from schemas.canonical_pb2 import CanonicalEvent, CanonicalProcess, CanonicalWorkload
from schemas.node import NodeId
from schemas.tetragon.process_pb2 import Process
from schemas.units import timestamp_ns

AUID_UNSET: Final = 0xFFFF_FFFF
"""The kernel's INVALID_UID: the process did not come from a login."""

_PROCESS_DOMAIN: Final = b"callstream.process\x00"


@dataclass(frozen=True, slots=True)
class ProcessParts:
    """What one encoded `Process` contributes to an event.

    `as_subject` holds process, workload and thread as fields of the event; `as_parent` and `as_ancestor` are the
    process as those fields. `digest` names the message as sent. `process_id` is empty where it needs the node.
    `start_time_ns` is None where it was not sent. `flags` are Tetragon's words for how it came to know the process.
    `image_id` is empty outside of containers, and where Tetragon did not name the image of one. `root` says whose files
    the process sees. `is_plain`: it has its id and no field that this version does not know.
    """

    digest: bytes
    process_id: str
    as_subject: bytes
    as_parent: bytes
    as_ancestor: bytes
    start_time_ns: int | None
    flags: str
    image_id: str
    root: RootOwner
    unknown: UnknownFields
    is_plain: bool

    @property
    def mapping_since_ns(self) -> int | None:
        """Since when it may have mapped files: since it began to run its program; None where that is not known.

        A process that only forked has its parent's files. Of one that is older than the agent nobody knows.
        """
        return self.start_time_ns if {"execve", "execveat"} & set(self.flags.split()) else None


def process_parts(encoded: bytes, node: NodeId | None = None) -> ProcessParts:
    """Parse and canonicalize one `tetragon.Process`; without the node the id of a process without exec_id is empty.

    Raises google.protobuf.message.DecodeError where the bytes are not a Process.
    """
    process = Process.FromString(encoded)
    canonical = _canonical_process(process, node)
    content = canonical.SerializeToString(deterministic=True)
    subject = proto_wire.field(CanonicalEvent.PROCESS_FIELD_NUMBER, content)
    workload = _workload(process)
    if workload.ByteSize():
        subject += proto_wire.field(CanonicalEvent.WORKLOAD_FIELD_NUMBER, workload)
    if process.HasField("tid"):
        subject += proto_wire.number_field(CanonicalEvent.TID_FIELD_NUMBER, process.tid.value)
    found, unknown = digest_and_unknown(process)
    return ProcessParts(
        digest=found,
        process_id=canonical.process_id,
        as_subject=subject,
        as_parent=proto_wire.field(CanonicalEvent.PARENT_FIELD_NUMBER, content),
        as_ancestor=proto_wire.field(CanonicalEvent.ANCESTORS_FIELD_NUMBER, content),
        start_time_ns=canonical.start_time_ns if canonical.HasField("start_time_ns") else None,
        flags=process.flags,
        image_id=workload.image_id,
        root=_root_owner(process, is_contained=bool(workload.ByteSize())),
        unknown=unknown,
        is_plain=bool(canonical.process_id) and not unknown,
    )


def process_id(process: Process, node: NodeId | None) -> str:
    """Opaque id of a process: 32 lower hex digits, the same in every event of it.

    Where Tetragon knows the pid only (flags `unknown`), it is made of the pid, the start time and the node, because
    every node has such a pid; it is empty where the node is not given either.
    """
    if process.exec_id:
        return _opaque(process.exec_id)
    if node is None:
        return ""
    start = process.start_time
    return _opaque(f"\x00{process.pid.value}:{start.seconds}:{start.nanos}:{node}")


def _root_owner(process: Process, *, is_contained: bool) -> RootOwner:
    """Whose files a process sees. Any field may say that it is in a container; that it is not, only its namespace.

    Tetragon often knows no container of a process that is in one, so silence says nothing.
    """
    in_container = is_contained or process.in_init_tree.value
    in_host = process.ns.mnt.is_host
    if in_container == in_host:
        return RootOwner.UNKNOWN
    return RootOwner.HOST if in_host else RootOwner.CONTAINER


def _opaque(identity: str) -> str:
    return digest(_PROCESS_DOMAIN + identity.encode()).hex()


def _canonical_process(process: Process, node: NodeId | None) -> CanonicalProcess:
    canonical = CanonicalProcess(
        process_id=process_id(process, node),
        binary=process.binary,
        arguments=process.arguments,
        cwd=process.cwd,
        user=process.user.name,
        flags=process.flags,
    )
    if process.parent_exec_id:
        canonical.parent_process_id = _opaque(process.parent_exec_id)
    if process.HasField("pid"):
        canonical.pid = process.pid.value
    if process.HasField("uid"):
        canonical.uid = process.uid.value
    if process.HasField("auid") and process.auid.value != AUID_UNSET:
        canonical.auid = process.auid.value
    if process.HasField("start_time"):
        start_time_ns = timestamp_ns(process.start_time.seconds, process.start_time.nanos)
        if start_time_ns is not None:
            canonical.start_time_ns = start_time_ns
    return canonical


def _workload(process: Process) -> CanonicalWorkload:
    pod, container = process.pod, process.pod.container
    return CanonicalWorkload(
        # `docker` is the first 31 characters of the id and all there is without Kubernetes metadata.
        container_id=container.id.rpartition("://")[2] or process.docker,
        container_name=container.name,
        pod_name=pod.name,
        namespace=pod.namespace,
        image_id=container.image.id,
        image_name=container.image.name,
        workload=pod.workload,
        workload_kind=pod.workload_kind,
    )
