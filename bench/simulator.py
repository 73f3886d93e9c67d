"""How much tetragon-sim costs, and how much it lets a client do: `python -m bench.simulator [--seconds N]`.

Server and client are processes of their own; CPU is each process's own user and system time over the run, by the
kernel's accounting, divided by the messages of the run. A benchmark that uses the simulator is only worth something
while the server's figure is far below the client's.
"""

import argparse
import multiprocessing
import resource
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final

import grpc
import grpc.experimental

from app.simulator.recording import Recording
from app.simulator.server import ServerTlsFiles, SimulatorServer
from bench.figures import Row, Table, record, text_of
from schemas.tetragon.events_pb2 import GetEventsResponse
from tests.support.certificates import Authority

DISTINCT_EVENTS: Final = 20_000
FRAMES: Final = 12
METHOD: Final = "/tetragon.FineGuidanceSensors/GetEvents"
SINGLE_THREADED: Final = ((grpc.experimental.ChannelOptions.SingleThreadedUnaryStream, 1),)


@dataclass(frozen=True, slots=True)
class Run:
    """One way to serve and read."""

    name: str
    client_options: tuple[tuple[str, int], ...]
    listen_on: str
    rate_per_s: float | None = None
    tls: ServerTlsFiles | None = None
    root: bytes | None = None


def events() -> Iterator[bytes]:
    """Kprobe events of about 2 kB with two processes, a pod and a user stack."""
    for number in range(DISTINCT_EVENTS):
        event = GetEventsResponse(node_name="node-1")
        event.time.seconds, event.time.nanos = 1_800_000_000 + number // 1000, number % 1000
        probe = event.process_kprobe
        probe.function_name, probe.policy_name = "__x64_sys_openat", "files"
        for process in (probe.process, probe.parent):
            process.exec_id = f"bm9kZS0x{number % 500:056}"
            process.pid.value, process.uid.value = number % 500, 1000
            process.binary, process.arguments = "/usr/bin/python3.11", "--option value " * 10
            process.pod.name, process.pod.namespace = f"pod-{number % 50}", "default"
            process.pod.container.id = f"containerd://{number % 50:064}"
        probe.args.add(label="path").file_arg.path = f"/srv/data/{number}"
        for depth in range(FRAMES):
            probe.user_stack_trace.add(
                offset=4096 * depth + number % 64,
                symbol=f"some_function_of_usual_length_{(number + depth) % 1000}",
                module="/usr/lib/x86_64-linux-gnu/libpython3.11.so.1.0",
            )
        yield event.SerializeToString()


def cpu_s() -> float:
    """User and system time of this process."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def serve(pipe: Connection, run: Run) -> None:
    """The server process: it sends its address, and its CPU time on request."""
    recording = Recording.of(events())
    with SimulatorServer(recording, run.listen_on, repeat=0, rate_per_s=run.rate_per_s, tls=run.tls) as server:
        pipe.send((server.address, len(recording.payload) // len(recording)))
        while pipe.recv():
            pipe.send(cpu_s())


@contextmanager
def server_process(run: Run) -> Iterator[tuple[str, int, Callable[[], float]]]:
    """Address, mean message size, and a function that asks for the server's CPU time."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=serve, args=(theirs, run))
    process.start()

    def ask() -> float:
        ours.send(True)
        return float(ours.recv())

    address, size = ours.recv()
    try:
        yield address, size, ask
    finally:
        ours.send(False)
        process.join()


def channel(address: str, run: Run) -> Any:
    """A grpcio channel as ingest opens it."""
    options = (*run.client_options, ("grpc.max_receive_message_length", 16 * 1024 * 1024))
    if run.root is None:
        return grpc.insecure_channel(address, options)
    return grpc.secure_channel(address, grpc.ssl_channel_credentials(run.root), options)


def measure(run: Run, seconds: float) -> Row:
    """Reads for `seconds` after the first second, in which windows grow and caches warm."""
    with server_process(run) as (address, size, server_cpu_s), channel(address, run) as open_channel:
        call = open_channel.unary_stream(METHOD)(b"")
        read_until(call, time.perf_counter() + 1)
        server_before, client_before, started = server_cpu_s(), cpu_s(), time.perf_counter()
        messages = read_until(call, started + seconds)
        elapsed, client, server = time.perf_counter() - started, cpu_s() - client_before, server_cpu_s() - server_before
        call.cancel()
    return Row(
        run.name,
        {
            "messages/s": round(messages / elapsed),
            "bytes": size,
            "server µs/message": server / messages * 1e6,
            "client µs/message": client / messages * 1e6,
        },
    )


def read_until(call: Any, deadline: float) -> int:
    """Reads messages until the time has come, looking at the clock once in 64 messages."""
    messages = 0
    while messages % 64 or time.perf_counter() < deadline:
        next(call)
        messages += 1
    return messages


def main() -> None:
    """Measure, print and record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=5.0, help="length of each run")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        authority = Authority.create(Path(folder))
        pair = authority.issue("server")
        tls, root = ServerTlsFiles(pair.certificate, pair.key), authority.file.read_bytes()
        tcp = "127.0.0.1:0"
        runs = [
            Run("tcp", SINGLE_THREADED, tcp),
            Run("tcp, 20,000 a second", SINGLE_THREADED, tcp, rate_per_s=20_000),
            Run("unix socket", SINGLE_THREADED, f"unix://{folder}/socket"),
            Run("tcp, TLS", SINGLE_THREADED, tcp, tls=tls, root=root),
            Run("tcp, client's default stream", (), tcp),
        ]
        rows = [measure(run, options.seconds) for run in runs]
    tables = [Table("tetragon-sim read by a grpcio client", {"seconds": options.seconds, "frames": FRAMES}, rows)]
    record("simulator", tables)
    print("\n".join(text_of(table) for table in tables))


if __name__ == "__main__":
    main()
