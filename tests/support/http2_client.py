"""A gRPC client without I/O for tests of the server side: bytes out, headers, messages and trailers in.

It is h2's client half with the peer's settings in the test's hands, so that windows and frame sizes can be made small.
"""

from dataclasses import dataclass, field
from typing import Final

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived, Event, ResponseReceived, StreamEnded, StreamReset, TrailersReceived
from h2.settings import SettingCodes

DEFAULT_WINDOW_BYTES: Final = 65_535
"""What HTTP/2 gives a connection that says nothing; RFC 9113 section 6.9.2."""


@dataclass(slots=True)
class Answer:
    """What the server has sent on one stream."""

    headers: dict[bytes, bytes] = field(default_factory=dict)
    trailers: dict[bytes, bytes] = field(default_factory=dict)
    body: bytearray = field(default_factory=bytearray)
    largest_frame_bytes: int = 0
    ended: bool = False
    reset: bool = False

    def messages(self) -> list[bytes]:
        """The length-prefixed messages that have arrived whole."""
        messages, start = [], 0
        while start + 5 <= len(self.body):
            end = start + 5 + int.from_bytes(self.body[start + 1 : start + 5], "big")
            if end > len(self.body):
                break
            messages.append(bytes(self.body[start + 5 : end]))
            start = end
        return messages


class Http2Client:
    """One connection. Windows open only by `read`."""

    def __init__(self, *, window_bytes: int = DEFAULT_WINDOW_BYTES, frame_bytes: int = 16_384) -> None:
        self.h2 = H2Connection(H2Configuration(client_side=True))
        self.h2.initiate_connection()
        self.h2.update_settings(
            {SettingCodes.INITIAL_WINDOW_SIZE: window_bytes, SettingCodes.MAX_FRAME_SIZE: frame_bytes}
        )
        self.answers: dict[int, Answer] = {}

    def call(self, path: str, body: bytes = bytes(5), **headers: str) -> int:
        """Sends a whole request and gives its stream."""
        stream_id = self.open(path, **headers)
        self.h2.send_data(stream_id, body, end_stream=True)
        return stream_id

    def open(self, path: str, method: str = "POST", content_type: str = "application/grpc") -> int:
        """Sends the headers of a request and gives its stream."""
        stream_id = self.h2.get_next_available_stream_id()
        pseudo = [(":method", method), (":scheme", "http"), (":path", path), (":authority", "test")]
        self.h2.send_headers(stream_id, [*pseudo, ("content-type", content_type), ("te", "trailers")])
        self.answers[stream_id] = Answer()
        return stream_id

    def output(self) -> bytes:
        """The bytes for the server."""
        return self.h2.data_to_send()

    def receive(self, data: bytes) -> list[Event]:
        """Takes the server's bytes."""
        events = self.h2.receive_data(data)
        for event in events:
            self._note(event)
        return events

    def read(self, stream_id: int, count: int) -> None:
        """Opens stream and connection window by `count` bytes, as a client does that has consumed them."""
        self.h2.acknowledge_received_data(count, stream_id)

    def _note(self, event: Event) -> None:
        match event:
            case ResponseReceived():
                self.answers[event.stream_id].headers |= dict(event.headers)
            case TrailersReceived():
                self.answers[event.stream_id].trailers |= dict(event.headers)
            case DataReceived():
                answer = self.answers[event.stream_id]
                answer.body += event.data
                answer.largest_frame_bytes = max(answer.largest_frame_bytes, event.flow_controlled_length)
            case StreamEnded():
                self.answers[event.stream_id].ended = True
            case StreamReset():
                self.answers[event.stream_id].reset = True
