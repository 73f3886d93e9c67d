"""The simulator as a server: listening, TLS, connections, and the faults that a test wants to see.

It runs on a thread of its own, so the program that starts it may block: a test in its client, the command in waiting
for a signal. Public methods may be called from any thread and return when the event loop has done what they say.
"""

import asyncio
import socket
import ssl
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Self, TypeVar

from app.operators.errors import OperatorError
from app.simulator.address import Address, UnixAddress, listen, parse_address
from app.simulator.agent_file import AgentFile
from app.simulator.connections import Connections
from app.simulator.recording import Recording
from app.simulator.session import Offer, Session

T = TypeVar("T")

GOODBYE_SECONDS: Final = 0.5
"""How long `stop` waits for clients to read their last bytes and hang up."""


class TlsError(OperatorError):
    """Certificate, key or client CA cannot be used; `str` names the files."""

    exit_code = 1


@dataclass(frozen=True, slots=True)
class ServerTlsFiles:
    """PEM files; with `client_ca` only clients with a certificate from it get in."""

    certificate: Path
    key: Path
    client_ca: Path | None = None


class SimulatorServer:
    """Serves a recording to every client that asks, from the start, each at its own pace.

    `repeat` is the number of passes, 0 for no end; `rate_per_s` limits the events of one call. `agent` has what the
    agent says of itself. `listen_on` is HOST:PORT or unix:///PATH; after `start` the address is in `address`, and a
    stopped server starts again on the same one.
    Raises AddressError and TlsError.
    """

    def __init__(
        self,
        recording: Recording,
        listen_on: str = "127.0.0.1:0",
        *,
        rate_per_s: float | None = None,
        repeat: int = 1,
        close_at_end: bool = False,
        tls: ServerTlsFiles | None = None,
        agent: AgentFile | None = None,
    ) -> None:
        self._offer = Offer(recording, repeat, rate_per_s, close_at_end, agent)
        self._address: Address = parse_address(listen_on)
        self._tls = None if tls is None else _tls_context(tls)
        self._connections = Connections()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._ending = threading.Lock()
        self._stopping: asyncio.Event

    @property
    def address(self) -> str:
        """Where it listens, in the form in which gRPC clients take it."""
        return str(self._address)

    def start(self) -> Self:
        """Listens, and returns when clients can connect."""
        if self._thread is not None:
            raise RuntimeError("the simulator is running already")
        listener, self._address = listen(self._address)
        ready: Future[None] = Future()
        self._thread = threading.Thread(
            target=lambda: asyncio.run(self._serve(listener, ready)), name="tetragon-sim", daemon=True
        )
        self._thread.start()
        ready.result()
        return self

    def stop(self) -> None:
        """Ends all calls with UNAVAILABLE, says GOAWAY, and returns when all is closed.

        Harmless when stopped, and from two threads at once.
        """
        with self._ending:
            if self._thread is None:
                return
            self._on_loop(self._stopping.set)
            self._thread.join()
            self._thread = None
        if isinstance(self._address, UnixAddress):
            self._address.path.unlink(missing_ok=True)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    def _on_loop(self, action: Callable[[], T]) -> T:
        """Runs `action` on the event loop's thread and gives its result."""
        if self._thread is None or self._loop is None:
            raise RuntimeError("the simulator is not running")

        async def run() -> T:
            return action()

        return asyncio.run_coroutine_threadsafe(run(), self._loop).result()

    async def _serve(self, listener: socket.socket, ready: "Future[None]") -> None:
        self._loop = asyncio.get_running_loop()
        self._stopping = asyncio.Event()
        try:
            server = await self._loop.create_server(
                lambda: Session(self._offer, joined=self._connections.joined, left=self._connections.left),
                sock=listener,
                ssl=self._tls,
            )
        except BaseException as error:  # noqa: BLE001 - it belongs to the thread that waits in start()
            ready.set_exception(error)
            return
        ready.set_result(None)
        await self._stopping.wait()
        server.close()
        await self._connections.say_goodbye(GOODBYE_SECONDS)


def _tls_context(files: ServerTlsFiles) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["h2"])
    try:
        context.load_cert_chain(files.certificate, files.key)
    except (OSError, ssl.SSLError) as error:
        raise TlsError(f"cannot use certificate {files.certificate} with key {files.key}: {error}") from error
    if files.client_ca is not None:
        try:
            context.load_verify_locations(files.client_ca)
        except (OSError, ssl.SSLError) as error:
            raise TlsError(f"cannot use client CA {files.client_ca}: {error}") from error
        context.verify_mode = ssl.CERT_REQUIRED
    return context
