"""Two hosts on one machine: network namespaces with host names of their own and a cable between them.

Each reaches the machine's loopback at chosen ports, where the test's broker and registry listen, and nothing else.
"""

import contextlib
import ctypes
import os
import shutil
import socket
import subprocess
import threading
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

_CLONE_NEWNET = 0x40000000
_LIBC = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True, slots=True)
class NetworkHost:
    """A network namespace, its address on the cable, and its host name."""

    namespace: str
    address: str
    name: str

    @property
    def within(self) -> list[str]:
        """A command that runs another one there, in its place."""
        script = 'hostname "$0" && exec "$@"'
        return ["ip", "netns", "exec", self.namespace, "unshare", "--uts", "sh", "-c", script, self.name]

    @contextlib.contextmanager
    def entered(self) -> Iterator[None]:
        """Sockets that this thread makes meanwhile belong to the host."""
        with Path("/proc/thread-self/ns/net").open() as home, Path(f"/run/netns/{self.namespace}").open() as there:
            _enter(there.fileno())
            try:
                yield
            finally:
                _enter(home.fileno())

    def forward(self, port: int) -> socket.socket:
        """Lead the host's loopback at a port to that of the machine, until the socket is closed."""
        with self.entered():
            listening = socket.create_server(("127.0.0.1", port))
        threading.Thread(target=_forward, args=(listening, port), daemon=True).start()
        return listening


def why_not() -> str | None:
    """Why this machine cannot have two hosts; None if it can."""
    missing = [tool for tool in ("ip", "unshare") if shutil.which(tool) is None]
    if missing:
        return f"no {missing[0]} here"
    probe = f"callstream-{uuid.uuid4().hex[:6]}"
    made = subprocess.run(["ip", "netns", "add", probe], capture_output=True, text=True, check=False)
    if made.returncode:
        return f"network namespaces cannot be made: {made.stderr.strip()}"
    subprocess.run(["ip", "netns", "del", probe], check=True)
    return None


@contextlib.contextmanager
def two_hosts(ports: Sequence[int]) -> Iterator[tuple[NetworkHost, NetworkHost]]:
    """Two hosts that reach the machine's loopback at these ports; whatever runs there must have ended before."""
    mark = uuid.uuid4().hex[:6]
    hosts = tuple(NetworkHost(f"cs-{mark}-{n}", f"10.77.0.{n}", f"host-{n}") for n in (1, 2))
    with contextlib.ExitStack() as stack:
        for host in hosts:
            _ip("netns", "add", host.namespace)
            stack.callback(_ip, "netns", "del", host.namespace)
        ends = [f"cs{mark}{n}" for n in (1, 2)]
        _ip(
            "link",
            "add",
            ends[0],
            "netns",
            hosts[0].namespace,
            "type",
            "veth",
            "peer",
            ends[1],
            "netns",
            hosts[1].namespace,
        )
        for host, end in zip(hosts, ends, strict=True):
            _ip("-n", host.namespace, "address", "add", f"{host.address}/24", "dev", end)
            for link in ("lo", end):
                _ip("-n", host.namespace, "link", "set", link, "up")
            for port in ports:
                stack.callback(host.forward(port).close)
        yield hosts[0], hosts[1]


def _enter(namespace: int) -> None:
    if _LIBC.setns(namespace, _CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True)


def _forward(listening: socket.socket, port: int) -> None:
    while True:
        try:
            near, _ = listening.accept()
            far = socket.create_connection(("127.0.0.1", port))
        except OSError:
            return
        for source, sink in ((near, far), (far, near)):
            threading.Thread(target=_copy, args=(source, sink), daemon=True).start()


def _copy(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while part := source.recv(1 << 16):
            sink.sendall(part)
    for one in (source, sink):
        with contextlib.suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)
