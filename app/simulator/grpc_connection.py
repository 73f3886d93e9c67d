"""gRPC over one HTTP/2 connection, server side, without I/O: bytes in, bytes and calls out.

h2 does what happens rarely, or once for each stream: settings, pings, header compression, windows, stream states. DATA
frames are written here, because h2 takes 25 µs for each, and there is one for every 16 KiB of events: `send` cuts a
slice of length-prefixed messages into frames as large as the peer allows and takes their size off the windows that h2
keeps.

Calls are server-streaming: one request message, then any number of answers.
Sources: RFC 9113 (HTTP/2), gRPC's PROTOCOL-HTTP2.
"""

import contextlib
import struct
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final
from urllib.parse import quote

from h2.config import H2Configuration
from h2.connection import ConnectionState, H2Connection
from h2.events import ConnectionTerminated, DataReceived, Event, RequestReceived, StreamEnded, StreamReset
from h2.exceptions import ProtocolError, StreamClosedError, TooManyStreamsError

MAX_REQUEST_BYTES: Final = 4 * 1024 * 1024
"""The limit of a request message, which is grpc-go's default and so Tetragon's."""

_PREFIX: Final = struct.Struct(">BI")  # compressed flag, length
_FRAME_HEAD: Final = struct.Struct(">IBI")  # length in 24 bits and type DATA (0), flags, stream; RFC 9113 section 4.1
_RESPONSE: Final = [(":status", "200"), ("content-type", "application/grpc")]
_UNRESERVED: Final = "".join(chr(code) for code in range(0x20, 0x7F) if chr(code) != "%")


class Status(IntEnum):
    """gRPC's status codes."""

    OK = 0
    CANCELLED = 1
    UNKNOWN = 2
    INVALID_ARGUMENT = 3
    DEADLINE_EXCEEDED = 4
    NOT_FOUND = 5
    ALREADY_EXISTS = 6
    PERMISSION_DENIED = 7
    RESOURCE_EXHAUSTED = 8
    FAILED_PRECONDITION = 9
    ABORTED = 10
    OUT_OF_RANGE = 11
    UNIMPLEMENTED = 12
    INTERNAL = 13
    UNAVAILABLE = 14
    DATA_LOSS = 15
    UNAUTHENTICATED = 16


@dataclass(frozen=True, slots=True)
class GrpcCall:
    """A client has sent its whole request and waits for answers: `accept` or `refuse` it."""

    stream_id: int
    path: str
    request: bytes


@dataclass(frozen=True, slots=True)
class Cancelled:
    """A client gave up a call; its stream is gone."""

    stream_id: int


@dataclass(frozen=True, slots=True)
class Ended:
    """The connection can carry nothing more; write what is left in `output` and close it."""


Occurrence = GrpcCall | Cancelled | Ended


@dataclass(slots=True)
class _Request:
    path: str
    body: bytearray = field(default_factory=bytearray)


class GrpcConnection:
    """The protocol of one connection."""

    def __init__(self) -> None:
        self._h2 = H2Connection(H2Configuration(client_side=False))
        self._h2.initiate_connection()
        self._requests: dict[int, _Request] = {}
        self._output: list[bytes | memoryview] = []

    def receive(self, data: bytes) -> list[Occurrence]:
        """Takes the peer's bytes and returns what they ask for.

        A peer that breaks the protocol is sent an error, and the answer is `Ended`. What arrives after either side has
        closed the connection is ignored.
        """
        if self._h2.state_machine.state is ConnectionState.CLOSED:
            return []
        try:
            events = self._h2.receive_data(data)
        except ProtocolError:
            return [Ended()]
        return [occurrence for event in events if (occurrence := self._occurrence(event)) is not None]

    def output(self) -> bytes:
        """Takes the bytes that are to be written now."""
        self._collect()
        data = b"".join(self._output)
        self._output.clear()
        return data

    def accept(self, stream_id: int) -> None:
        """Begins the answer to a call."""
        self._send_headers(stream_id, _RESPONSE, end_stream=False)

    def refuse(self, stream_id: int, status: Status, message: str) -> None:
        """Ends a call that was not accepted."""
        self._send_headers(stream_id, [*_RESPONSE, *_trailers(status, message)], end_stream=True)

    def finish(self, stream_id: int, status: Status, message: str) -> None:
        """Ends a call that was accepted."""
        self._send_headers(stream_id, _trailers(status, message), end_stream=True)

    def room(self, stream_id: int) -> int:
        """Bytes that the peer's flow control lets through on this stream now; not above zero if none."""
        return self._h2.local_flow_control_window(stream_id)

    def send(self, stream_id: int, messages: memoryview) -> None:
        """Sends a slice of length-prefixed messages, which may begin and end inside one; `room` must hold it."""
        self._collect()  # response headers go out before the first answer
        size, largest = len(messages), self._h2.max_outbound_frame_size
        full_head = _FRAME_HEAD.pack(largest << 8, 0, stream_id)
        whole = size - size % largest
        for start in range(0, whole, largest):
            self._output += (full_head, messages[start : start + largest])
        if whole < size:
            self._output += (_FRAME_HEAD.pack(size - whole << 8, 0, stream_id), messages[whole:])
        self._h2.outbound_flow_control_window -= size
        self._h2.streams[stream_id].outbound_flow_control_window -= size

    def go_away(self) -> None:
        """Tells the peer that this connection takes no more calls."""
        self._h2.close_connection()

    def _send_headers(self, stream_id: int, headers: list[tuple[str, str]], *, end_stream: bool) -> None:
        # The reset of a stream may stand behind its request in the same bytes; there is nobody left to answer then. If
        # h2 has forgotten the stream, it takes the answer for a stream of our own, and gRPC's clients allow none.
        with contextlib.suppress(StreamClosedError, TooManyStreamsError):
            self._h2.send_headers(stream_id, headers, end_stream=end_stream)

    def _collect(self) -> None:
        if pending := self._h2.data_to_send():
            self._output.append(pending)

    def _occurrence(self, event: Event) -> Occurrence | None:
        match event:
            case RequestReceived():
                self._begin(event)
            case DataReceived():
                self._h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                self._append(event)
            case StreamEnded():
                return self._complete(event.stream_id)
            case StreamReset():
                self._requests.pop(event.stream_id, None)
                return Cancelled(event.stream_id)
            case ConnectionTerminated():
                return Ended()
        return None

    def _begin(self, event: RequestReceived) -> None:
        headers = dict(event.headers)
        if headers.get(b":method") != b"POST" or not headers.get(b"content-type", b"").startswith(b"application/grpc"):
            self._send_headers(event.stream_id, [(":status", "415")], end_stream=True)
            return
        self._requests[event.stream_id] = _Request(headers.get(b":path", b"").decode("latin-1"))

    def _append(self, event: DataReceived) -> None:
        request = self._requests.get(event.stream_id)
        if request is None:
            return
        request.body += event.data
        if len(request.body) > _PREFIX.size + MAX_REQUEST_BYTES:
            del self._requests[event.stream_id]
            self.refuse(event.stream_id, Status.RESOURCE_EXHAUSTED, f"a request may have {MAX_REQUEST_BYTES} bytes")

    def _complete(self, stream_id: int) -> GrpcCall | None:
        request = self._requests.pop(stream_id, None)
        if request is None:
            return None
        if len(request.body) >= _PREFIX.size:
            compressed, length = _PREFIX.unpack_from(request.body)
            if compressed:
                self.refuse(stream_id, Status.UNIMPLEMENTED, "compressed requests are not supported")
                return None
            if length == len(request.body) - _PREFIX.size:
                return GrpcCall(stream_id, request.path, bytes(request.body[_PREFIX.size :]))
        self.refuse(stream_id, Status.INTERNAL, "the request is not exactly one message")
        return None


def _trailers(status: Status, message: str) -> list[tuple[str, str]]:
    trailers = [("grpc-status", str(int(status)))]
    if message:
        trailers.append(("grpc-message", quote(message, safe=_UNRESERVED)))
    return trailers
