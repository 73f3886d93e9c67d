"""Builders of Tetragon events for tests: a plausible whole from the few fields that a test is about.

Names, ids and times are made up and fixed, so two tests that build the same event build the same bytes.
"""

import base64
from collections.abc import Iterable, Sequence
from typing import Any, Final

from schemas.tetragon.arguments_pb2 import KPROBE_ACTION_POST, KprobeArgument
from schemas.tetragon.events_pb2 import GetEventsResponse, StackTraceEntry
from schemas.tetragon.process_pb2 import Process

NODE: Final = "quay-7"
EVENT_NS: Final = 1_767_787_201_250_000_123
"""2026-01-07 12:00:01.250000123 UTC."""

CONTAINER: Final = "5f2c6a1be09d47738c40f1b2a6d3e95b7c8d10f4e2a3b6c5d8e7f90a1b2c3d4e"


def exec_id(pid: int, *, node: str = NODE) -> str:
    """Identity of a process as Tetragon makes it."""
    return base64.b64encode(f"{node}:81234567{pid:06d}:{pid}".encode()).decode()


def process(pid: int = 4182, *, parent: int = 3999, **fields: Any) -> Process:
    """A process outside of containers; `fields` are those of the message, wrappers as plain numbers."""
    found = Process(
        exec_id=exec_id(pid),
        pid={"value": pid},
        uid={"value": 1000},
        cwd="/srv/harbour",
        binary="/usr/bin/tidewatch",
        arguments="--berth 12 --interval 30s",
        flags="execve clone",
        auid={"value": 4294967295},
        parent_exec_id=exec_id(parent),
        refcnt=1,
    )
    found.start_time.seconds, found.start_time.nanos = 1_767_787_190, 40_000_000
    for name, value in fields.items():
        _set(found, name, value)
    return found


def pod_process(pid: int = 4182, **fields: Any) -> Process:
    """A process of a Kubernetes pod."""
    found = process(pid, docker=CONTAINER[:31], **fields)
    pod = found.pod
    pod.namespace, pod.name, pod.uid = "harbour", "tidewatch-6c9d7f5b4-x2m8q", "0b7e5c1d-3f7a-4e51-9f0c-3f4c2a1d9e77"
    pod.workload, pod.workload_kind = "tidewatch", "Deployment"
    pod.container.id = f"containerd://{CONTAINER}"
    pod.container.name = "tidewatch"
    pod.container.image.id = "registry.harbour.example/ops/tidewatch@sha256:" + "3d" * 32
    pod.container.image.name = "registry.harbour.example/ops/tidewatch:3.1.4"
    pod.container.start_time.seconds = 1_767_787_189
    pod.container.pid.value = 7
    pod.pod_labels.update({"app": "tidewatch", "shift": "night"})
    pod.pod_annotations.update({"harbour.example/owner": "ops"})
    return found


def event(kind: str, who: Process | None = None, **fields: Any) -> GetEventsResponse:
    """An event of a kind, with its process and parent, and fields of its body."""
    found = GetEventsResponse(node_name=NODE)
    body = getattr(found, kind)
    body.SetInParent()
    if "process" in body.DESCRIPTOR.fields_by_name:
        body.process.CopyFrom(who if who is not None else process())
        body.parent.CopyFrom(process(3999, parent=1, binary="/usr/sbin/harbourd", arguments="--foreground"))
    for name, value in fields.items():
        _set(body, name, value)
    found.time.FromNanoseconds(EVENT_NS)
    return found


def kprobe(
    function: str = "security_file_permission",
    *,
    who: Process | None = None,
    args: Sequence[KprobeArgument] = (),
    returned: KprobeArgument | None = None,
    kernel: Iterable[StackTraceEntry] = (),
    user: Iterable[StackTraceEntry] = (),
    **fields: Any,
) -> GetEventsResponse:
    """A kprobe event; a return probe where `returned` is given."""
    found = event("process_kprobe", who, function_name=function, args=args, **fields)
    body = found.process_kprobe
    body.action = body.action or KPROBE_ACTION_POST
    if returned is not None:
        getattr(body, "return").CopyFrom(returned)
    body.kernel_stack_trace.extend(kernel)
    body.user_stack_trace.extend(user)
    return found


def kernel_frame(symbol: str, offset: int = 0, *, address: int = 0) -> StackTraceEntry:
    """An entry of a kernel stack; `offset` counts from the symbol."""
    return StackTraceEntry(symbol=symbol, offset=offset, address=address)


def user_frame(module: str, offset: int, symbol: str = "", *, address: int = 0) -> StackTraceEntry:
    """An entry of a user stack; `offset` is a file offset."""
    return StackTraceEntry(module=module, offset=offset, symbol=symbol, address=address)


def _set(message: Any, name: str, value: Any) -> None:
    field = message.DESCRIPTOR.fields_by_name[name]
    if field.is_repeated:
        getattr(message, name).extend(value)
    elif field.message_type is None:
        setattr(message, name, value)
    elif field.message_type.full_name.startswith("google.protobuf.") and not hasattr(value, "DESCRIPTOR"):
        getattr(message, name).value = value
    else:
        getattr(message, name).CopyFrom(value)
