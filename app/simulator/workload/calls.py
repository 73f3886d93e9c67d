"""What the policies of a generated load observe: one function for each kind of event, from an actor to an event.

Kinds are named as users see them (`kretprobe`, not "kprobe with `return`"). `POLICY_HOOKS` is the operator's map that
tells fentry, fexit and uretprobe from what they look like on the wire. Buffers and strings now and then hold a
canary.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Final

from app.simulator.workload.canaries import Canary, plant
from app.simulator.workload.fleet import Actor
from app.simulator.workload.stacks import StackMaker
from schemas.tetragon import arguments_pb2 as arguments
from schemas.tetragon.events_pb2 import GetEventsResponse, ProcessKprobe, StackTraceEntry

POLICY_HOOKS: Final[Mapping[str, str]] = {
    "trace-sends": "fentry",
    "trace-reads": "fexit",
    "watch-readline": "uretprobe",
}
"""Policy name to hook kind, as in the file that CALLSTREAM_POLICY_HOOKS_FILE names."""

_POST: Final = arguments.KPROBE_ACTION_POST
_CONTAINER_ROOT: Final = "/run/containerd/io.containerd.runtime.v2.task/k8s.io/{}/rootfs"
_PEERS: Final = ("10.42.0.17", "10.42.1.9", "10.43.0.10", "192.0.2.44", "2001:db8::17")
_FILES: Final = (
    "/srv/orders/orders/views.py",
    "/etc/nginx/nginx.conf",
    "/usr/share/zoneinfo/Europe/Oslo",
    "/var/lib/ledger/ledger.db",
    "/srv/report/out/2026-01-07.csv.gz",
    "/etc/resolv.conf",
    "/proc/self/status",
    "/srv/orders/uploads/4f1c.part",
)
_SYSTEM_CALLS: Final = (0, 1, 3, 7, 9, 17, 42, 44, 45, 202, 232, 257)
_WAYS: Final = 32
"""Distinct stacks of one application at one kernel function."""

_Stack = list[StackTraceEntry]

_SECRET_ONE_IN: Final = 8
"""Of so many buffers and strings that hold what users typed, one holds a secret."""


@dataclass(frozen=True, slots=True)
class Studio:
    """What it takes to make events: stacks, random numbers, and the canaries planted so far, by needle."""

    stacks: StackMaker
    rng: Random
    tls_path: str
    """The library whose SSL_write is probed."""
    secrets: dict[str, Canary] = field(default_factory=dict)
    _pools: dict[tuple[str, str], list[tuple[_Stack, _Stack]]] = field(default_factory=dict)

    def pool(self, actor: Actor, function: str) -> list[tuple[_Stack, _Stack]]:
        """The ways by which an application comes to a kernel function: kernel stack and user stack of each."""
        application, rng = actor.application, self.rng
        found = self._pools.setdefault((application.name, function), [])
        while len(found) < _WAYS:
            # The agent finds names only where its own image has a file of the same path.
            user = self.stacks.user(rng.choice(application.chains), hinted=bool(rng.randrange(3)))
            found.append((self.stacks.kernel(function), user))
        return found

    def typed(self, place: str, ordinary: str, secret: str) -> str:
        """What a user typed or sent: `ordinary`, or seldom `secret` with a canary where it has `{}`."""
        if self.rng.randrange(_SECRET_ONE_IN):
            return ordinary
        return secret.format(plant(place, self.rng.randrange(64), self.secrets))


def _kprobe(studio: Studio, actor: Actor, policy: str, function: str) -> tuple[GetEventsResponse, ProcessKprobe]:
    """A kprobe event with both stacks."""
    event, rng = GetEventsResponse(), studio.rng
    body = event.process_kprobe
    body.function_name, body.policy_name, body.action = function, policy, _POST
    kernel, user = rng.choice(studio.pool(actor, function))
    body.kernel_stack_trace.extend(kernel)
    body.user_stack_trace.extend(user)
    if actor.application.is_seen_from_outside:
        root = _CONTAINER_ROOT.format(actor.process.pod.container.id.rpartition("/")[2])
        for entry in body.user_stack_trace:
            entry.module = root + entry.module
    return event, body


def file_access(studio: Studio, actor: Actor) -> GetEventsResponse:
    """Kprobe on an LSM hook function, with a file and a mode."""
    event, body = _kprobe(studio, actor, "watch-file-access", "security_file_permission")
    body.args.add(label="file").file_arg.CopyFrom(
        arguments.KprobeFile(path=studio.rng.choice(_FILES), permission="-rw-r--r--")
    )
    body.args.add(label="mask", int_arg=studio.rng.choice((2, 4)))
    body.tags.extend(["observability.filesystem"])
    return event


def connection(studio: Studio, actor: Actor) -> GetEventsResponse:
    """Kprobe with a socket."""
    event, body = _kprobe(studio, actor, "watch-connections", "tcp_connect")
    body.args.add(label="socket").sock_arg.CopyFrom(_socket(studio))
    return event


def write(studio: Studio, actor: Actor) -> GetEventsResponse:
    """Kprobe on a system call, with a descriptor, a buffer and a size."""
    event, body = _kprobe(studio, actor, "watch-writes", "__x64_sys_write")
    content = studio.typed(
        "load.write.bytes", "GET /v1/orders HTTP/1.1\r\n\r\n", "POST /login HTTP/1.1\r\n\r\nuser=app&password={}"
    ).encode()
    body.args.add(int_arg=studio.rng.randint(1, 40))
    body.args.add(bytes_arg=content)
    body.args.add(size_arg=len(content))
    return event


def open_result(studio: Studio, actor: Actor) -> GetEventsResponse:
    """Return probe on a system call."""
    event, body = _kprobe(studio, actor, "watch-opens", "__x64_sys_openat")
    body.args.add(int_arg=-100)
    body.args.add(string_arg=studio.rng.choice(_FILES))
    body.args.add(int_arg=0o2000000)
    getattr(body, "return").int_arg = studio.rng.choice((3, 4, 5, 11, -2, -13))
    body.return_action = _POST
    return event


def fentry(studio: Studio, actor: Actor) -> GetEventsResponse:
    """A function entry that reports as a kprobe."""
    event, body = _kprobe(studio, actor, "trace-sends", "tcp_sendmsg")
    body.args.add().sock_arg.CopyFrom(_socket(studio))
    body.args.add(size_arg=studio.rng.choice((512, 1448, 4096)))
    return event


def fexit(studio: Studio, actor: Actor) -> GetEventsResponse:
    """A function exit that reports as a return probe."""
    event, body = _kprobe(studio, actor, "trace-reads", "vfs_read")
    body.args.add(size_arg=4096)
    getattr(body, "return").long_arg = studio.rng.choice((0, 512, 4096))
    return event


def tracepoint(studio: Studio, actor: Actor) -> GetEventsResponse:
    """raw_syscalls/sys_enter, whose first argument is the system call."""
    event = GetEventsResponse()
    body = event.process_tracepoint
    body.subsys, body.event, body.policy_name, body.action = "raw_syscalls", "sys_enter", "count-syscalls", _POST
    number = studio.rng.choice(_SYSTEM_CALLS)
    body.args.add().syscall_id.CopyFrom(arguments.SyscallId(id=number, abi="x64"))
    if actor.application.uid == 0:
        body.message = "system call of a privileged process"
    return event


def uprobe(studio: Studio, actor: Actor) -> GetEventsResponse:
    """Entry of a library function, with the buffer that it was given."""
    request = studio.typed("load.uprobe.string", "GET /v1/orders HTTP/1.1", "GET /v1/orders?access_token={} HTTP/1.1")
    event = _uprobe(studio.tls_path, "SSL_write", "watch-tls", request)
    event.process_uprobe.args.add(int_arg=len(actor.application.name))
    return event


def uretprobe(studio: Studio, actor: Actor) -> GetEventsResponse:
    """A line that somebody typed into a shell, as the return value of readline."""
    line = studio.typed("load.readline", f"tail -f /var/log/{actor.application.name}.log", "mysql -u app -p{} orders")
    return _uprobe("/bin/bash", "readline", "watch-readline", line)


def usdt(studio: Studio, actor: Actor) -> GetEventsResponse:
    """A static probe of the interpreter."""
    event = GetEventsResponse()
    body = event.process_usdt
    body.path, body.provider, body.name = actor.application.binary, "python", "function__entry"
    body.policy_name, body.action = "python-calls", _POST
    body.args.add(string_arg=studio.rng.choice(_FILES))
    body.args.add(string_arg=studio.rng.choice(("dispatch", "commit", "render", "close")))
    body.args.add(int_arg=studio.rng.randint(1, 900))
    return event


def lsm(studio: Studio, actor: Actor) -> GetEventsResponse:
    """A security hook at an execve."""
    event = GetEventsResponse()
    body = event.process_lsm
    body.function_name, body.policy_name, body.action = "bprm_check_security", "guard-exec", _POST
    body.ima_hash = "sha256:" + studio.rng.choice((b"\x5c", b"\xa7", b"\x19")).hex() * 32
    body.args.add().linux_binprm_arg.CopyFrom(
        arguments.KprobeLinuxBinprm(path=actor.application.binary, permission="-rwxr-xr-x")
    )
    return event


def _uprobe(path: str, symbol: str, policy: str, text: str) -> GetEventsResponse:
    """An event of a function in user space that was given, or that gives, a text."""
    event = GetEventsResponse()
    body = event.process_uprobe
    body.path, body.symbol, body.policy_name, body.action = path, symbol, policy, _POST
    body.args.add(string_arg=text)
    return event


def _socket(studio: Studio) -> arguments.KprobeSock:
    rng = studio.rng
    peer = rng.choice(_PEERS)
    return arguments.KprobeSock(
        family="AF_INET6" if ":" in peer else "AF_INET",
        type="SOCK_STREAM",
        protocol="IPPROTO_TCP",
        saddr="2001:db8::9" if ":" in peer else "10.42.0.9",
        sport=rng.randint(32_768, 60_999),
        daddr=peer,
        dport=rng.choice((443, 5432, 6379, 8080)),
        cookie=rng.getrandbits(48),
        state="TCP_SYN_SENT",
    )


CALLS: Final[Mapping[str, tuple[Callable[[Studio, Actor], GetEventsResponse], ...]]] = {
    "kprobe": (file_access, connection, write),
    "kretprobe": (open_result,),
    "fentry": (fentry,),
    "fexit": (fexit,),
    "tracepoint": (tracepoint,),
    "uprobe": (uprobe,),
    "uretprobe": (uretprobe,),
    "usdt": (usdt,),
    "lsm": (lsm,),
}
"""Kinds of call and the functions that make them."""
