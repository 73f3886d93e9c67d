"""An agent that does what no Tetragon does: a real gRPC server over HTTP/2, byte by byte as a test wants it."""

import select
import socket
import struct
import threading
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import Final, Self

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import RequestReceived, StreamEnded
from h2.exceptions import ProtocolError

_RESPONSE: Final = [(":status", "200"), ("content-type", "application/grpc")]
_GET_EVENTS: Final = b"/tetragon.FineGuidanceSensors/GetEvents"
_FRAME_BYTES: Final = 16_384
_POLL_SECONDS: Final = 0.01

Play = Callable[[int], Iterable[bytes | float]]
"""What the answer to the n-th GetEvents call is: pieces of its body, and seconds to wait between them."""


def message(content: bytes, *, compressed: bool = False) -> bytes:
    """One message, with its prefix."""
    return struct.pack(">BI", compressed, len(content)) + content


def bomb(inflated_mib: int) -> bytes:
    """A compressed message of zeros, a thousandth of what it inflates to."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    mebibyte = bytes(1 << 20)
    parts = [packer.compress(mebibyte) for _ in range(inflated_mib)]
    return message(b"".join([*parts, packer.flush()]), compressed=True)


class HostileAgent:
    """Listens from `with` on; each call of GetEvents plays, and then ends with `status`, or stays open without one."""

    def __init__(
        self, play: Play, *, encoding: str | None = None, status: tuple[int, str] | None = None, is_mute: bool = False
    ) -> None:
        """`is_mute`: it takes connections and says nothing, not even its settings."""
        self._play, self._encoding, self._status, self._is_mute = play, encoding, status, is_mute
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._ended = threading.Event()
        self._threads: list[threading.Thread] = []
        self.calls = 0

    @property
    def address(self) -> str:
        """Where it listens."""
        host, port = self._listener.getsockname()
        return f"{host}:{port}"

    def __enter__(self) -> Self:
        self._begin(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._listener.close()
        for thread in self._threads:
            thread.join(10)

    def _begin(self, work: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=work, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        self._listener.settimeout(0.1)
        while not self._ended.is_set():
            with suppress(TimeoutError, OSError):
                connection, _ = self._listener.accept()
                self._begin(self._serve, connection)

    def _serve(self, connection: socket.socket) -> None:
        with connection, suppress(OSError, ProtocolError):
            if self._is_mute:
                self._ended.wait()
                return
            _Connection(self, connection).run()

    def ended(self) -> bool:
        """Whether the test is over."""
        return self._ended.is_set()

    def answer(self) -> Iterator[bytes | float]:
        """What the next call of GetEvents gets."""
        self.calls += 1
        yield from self._play(self.calls)

    def headers(self) -> list[tuple[str, str]]:
        """Of the answer to GetEvents."""
        return _RESPONSE + ([("grpc-encoding", self._encoding)] if self._encoding else [])

    def trailers(self) -> list[tuple[str, str]] | None:
        """Of the answer to GetEvents; None where it stays open."""
        if self._status is None:
            return None
        return [("grpc-status", str(self._status[0])), ("grpc-message", self._status[1])]


class _Connection:
    def __init__(self, agent: HostileAgent, connection: socket.socket) -> None:
        self._agent, self._socket = agent, connection
        self._h2 = H2Connection(H2Configuration(client_side=False, header_encoding=None))
        self._paths: dict[int, bytes] = {}
        self._asked: list[int] = []

    def run(self) -> None:
        self._h2.initiate_connection()
        while not self._agent.ended():
            self._exchange(0.05)
            while self._asked:
                self._respond(self._asked.pop(0))

    def _exchange(self, seconds: float) -> None:
        """Write what is to be written, and take what comes within the time."""
        self._socket.sendall(self._h2.data_to_send())
        readable, _, _ = select.select([self._socket], [], [], seconds)
        if readable:
            data = self._socket.recv(65_536)
            if not data:
                raise OSError
            for event in self._h2.receive_data(data):
                if isinstance(event, RequestReceived):
                    self._paths[event.stream_id] = dict(event.headers)[b":path"]
                elif isinstance(event, StreamEnded):
                    self._asked.append(event.stream_id)
            self._socket.sendall(self._h2.data_to_send())

    def _respond(self, stream: int) -> None:
        if self._paths[stream] != _GET_EVENTS:
            self._h2.send_headers(stream, _RESPONSE)
            self._h2.send_data(stream, message(b""))
            self._h2.send_headers(stream, [("grpc-status", "0")], end_stream=True)
            return
        self._h2.send_headers(stream, self._agent.headers())
        for piece in self._agent.answer():
            if isinstance(piece, float):
                self._exchange(piece)
            else:
                self._send(stream, piece)
        trailers = self._agent.trailers()
        if trailers is not None:
            self._h2.send_headers(stream, trailers, end_stream=True)

    def _send(self, stream: int, piece: bytes) -> None:
        while piece:
            room = min(self._h2.local_flow_control_window(stream), _FRAME_BYTES)
            if room <= 0:
                self._exchange(_POLL_SECONDS)
                continue
            self._h2.send_data(stream, piece[:room])
            piece = piece[room:]
            self._exchange(0.0)
