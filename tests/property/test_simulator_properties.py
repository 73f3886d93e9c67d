"""app/simulator: what holds for every recording, every client and every file."""

from collections.abc import Callable
from pathlib import Path

import pytest
from google.protobuf import json_format
from hypothesis import given, reject
from hypothesis import strategies as st

from app.simulator.event_files import EventFileError, delimited, read_events
from app.simulator.grpc_connection import Ended, GrpcConnection
from app.simulator.playback import Playback
from app.simulator.recording import Recording
from schemas.tetragon.events_pb2 import GetEventsResponse
from tests.support.http2_client import Http2Client
from tests.support.messages import messages

EVENTS = st.lists(st.binary(max_size=300), max_size=12)

Writer = Callable[[bytes], Path]


@pytest.fixture(name="write", scope="module")
def _write(tmp_path_factory: pytest.TempPathFactory) -> Writer:
    path = tmp_path_factory.mktemp("events") / "file"

    def write(content: bytes) -> Path:
        path.write_bytes(content)
        return path

    return write


@given(EVENTS, st.integers(1, 3), st.lists(st.integers(-10, 400), min_size=1, max_size=20))
def test_any_sequence_of_rooms_gives_the_same_bytes(events: list[bytes], repeat: int, rooms: list[int]) -> None:
    """However a client's windows open, it gets the recording, whole passes of it, and nothing else."""
    recording = Recording.of(events)
    playback = Playback(recording, repeat=repeat)
    taken, turn = bytearray(), 0
    while not playback.finished:
        room = rooms[turn % len(rooms)] if turn < 1000 else 1_000_000
        piece = playback.take(room, 0.0)
        assert len(piece) <= max(room, 0)
        taken += piece
        turn += 1

    assert bytes(taken) == bytes(recording.payload) * repeat
    assert playback.events_taken == len(events) * repeat


@given(EVENTS, st.lists(st.floats(0, 3), min_size=1, max_size=20), st.floats(0.5, 1000))
def test_a_rate_is_never_exceeded_and_always_reached(events: list[bytes], steps: list[float], rate: float) -> None:
    """At any moment exactly the events are out that are due by then."""
    playback = Playback(Recording.of(events), repeat=2, rate_per_s=rate)
    now = 0.0
    for step in steps:
        now += step
        while playback.take(1_000_000, now):
            pass
        assert playback.events_taken == min(int(now * rate), 2 * len(events))


@given(EVENTS, st.integers(1, 70_000), st.integers(16_384, 40_000))
def test_messages_arrive_whole_whatever_the_windows(events: list[bytes], window_bytes: int, frame_bytes: int) -> None:
    """A client of any window and frame size reads the messages that were recorded."""
    client, server = Http2Client(window_bytes=window_bytes, frame_bytes=frame_bytes), GrpcConnection()
    stream_id = client.call("/s/m")
    server.receive(client.output())
    client.receive(server.output())
    server.accept(stream_id)
    playback = Playback(Recording.of(events))
    while piece := playback.take(server.room(stream_id), 0.0):
        server.send(stream_id, piece)
        client.receive(server.output())
        client.read(stream_id, len(piece))
        server.receive(client.output())

    assert playback.finished
    assert client.answers[stream_id].messages() == events


@given(st.binary(max_size=200), st.integers(0, 200), st.integers(0, 255))
def test_no_bytes_from_a_client_break_the_server(noise: bytes, at: int, flip: int) -> None:
    """Noise, and a valid conversation with one byte changed, end in GOAWAY or in nothing, never in an exception."""
    client = Http2Client()
    client.call("/tetragon.FineGuidanceSensors/GetEvents")
    valid = bytearray(client.output())
    valid[at % len(valid)] ^= flip

    for data in (noise, bytes(valid), bytes(valid) + noise):
        server = GrpcConnection()
        ended = Ended() in server.receive(data)
        assert server.output() or not ended


@given(events=EVENTS)
def test_delimited_files_give_back_what_was_written(write: Writer, events: list[bytes]) -> None:
    """Reading what `delimited` wrote is the identity, for messages of the contract."""
    known = [GetEventsResponse(node_name=event.hex()).SerializeToString() for event in events]

    assert list(read_events([write(b"".join(map(delimited, known)))])) == known


@given(event=messages(GetEventsResponse))
def test_export_lines_give_back_the_event(write: Writer, event: GetEventsResponse) -> None:
    """An event that was exported as Tetragon does it is read back equal."""
    event.process_exec.process.pid.value = 0
    try:
        line = json_format.MessageToJson(event, preserving_proto_field_name=True, indent=None)
    except json_format.SerializeToJsonError:  # a time beyond the year 9999 cannot be exported
        reject()

    [read] = read_events([write(line.encode())])

    assert GetEventsResponse.FromString(read) == event


@given(content=st.binary(max_size=300) | st.text(max_size=100).map(lambda text: ('{"' + text).encode()))
def test_any_file_is_read_or_refused(write: Writer, content: bytes) -> None:
    """No content of a file leads to an error that does not name the file."""
    path = write(content)
    try:
        list(read_events([path]))
    except EventFileError as error:
        assert str(error).startswith(f"{path}: ")  # noqa: PT017 - both outcomes are right, and one has a form
