"""app/ingest/client.py against the simulator over real sockets."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc
import pytest

from app.ingest import client as client_module
from app.ingest.client import EventStream, TetragonUnusableError
from app.ingest.link import AgentLink
from app.ingest.statuses import StreamEnd, cause_of
from app.simulator.grpc_connection import Status
from app.simulator.recording import Recording
from app.simulator.server import ServerTlsFiles as ServerFiles
from app.simulator.server import SimulatorServer
from app.tls import TlsFiles
from schemas.coverage import GapCause
from schemas.tetragon.events_pb2 import GetEventsResponse
from schemas.tetragon.filters_pb2 import EventType, GetEventsRequest
from tests.support.certificates import Authority
from tests.support.dropping_simulator import DroppingSimulator
from tests.support.watched_simulator import WatchedSimulator

EVENTS = [GetEventsResponse(node_name=f"node-{number}").SerializeToString() for number in range(3000)]
RECORDING = Recording.of(EVENTS)


class Seen:
    """What a stream handed out, and when it opened and ended."""

    def __init__(self) -> None:
        self.events: list[bytes] = []
        self.opened: list[bytes] = []
        self.ended: list[StreamEnd] = []

    def put(self, event: bytes) -> None:
        """Take an event."""
        self.events.append(event)

    def stream_opened(self, first_event: bytes) -> None:
        """Note the first event."""
        self.opened.append(first_event)

    def stream_ended(self, end: StreamEnd) -> None:
        """Note the end."""
        self.ended.append(end)


def _wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.005)


def _link(address: str, tls: TlsFiles | None = None) -> AgentLink:
    return AgentLink(address, tls, "agent" if tls else "", 600)


@contextmanager
def _running(link: AgentLink, seen: Seen, request: bytes = b"") -> Iterator[EventStream]:
    stream = EventStream(link, request, seen.put, opened=seen.stream_opened, ended=seen.stream_ended)
    failures: list[BaseException] = []

    def run() -> None:
        try:
            stream.run()
        except BaseException as error:  # noqa: BLE001 - shown to the test below
            failures.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield stream
    finally:
        stream.stop()
        thread.join(20)
    assert not thread.is_alive(), "the stream did not stop"
    assert failures == []


def test_events_arrive_untouched_and_in_order() -> None:
    """Byte for byte, undecodable ones too."""
    events = [*EVENTS, b"\xff\xff", b""]
    seen = Seen()
    with SimulatorServer(Recording.of(events)) as server, _running(_link(server.address), seen):
        _wait_for(lambda: len(seen.events) >= len(events))

    assert seen.events == events
    assert seen.opened == [events[0]]


def test_stop_ends_a_silent_stream_at_once() -> None:
    """A quiet node must not keep the process from ending; a stop is not an end to report."""
    seen = Seen()
    with SimulatorServer(RECORDING) as server, _running(_link(server.address), seen) as stream:
        _wait_for(lambda: len(seen.events) == len(EVENTS))
        started = time.monotonic()
        stream.stop()
        _wait_for(lambda: stream.trouble == "stopped")

    assert time.monotonic() - started < 5
    assert seen.ended == []


def test_restarted_server_is_found_again() -> None:
    """The end is reported before anything of the new stream arrives."""
    seen = Seen()
    with SimulatorServer(RECORDING) as server, _running(_link(server.address), seen):
        _wait_for(lambda: len(seen.events) == len(EVENTS))
        server.stop()
        _wait_for(lambda: len(seen.ended) >= 1)
        assert len(seen.events) == len(EVENTS)
        server.start()
        _wait_for(lambda: len(seen.events) == 2 * len(EVENTS))

    assert seen.ended[0].code is grpc.StatusCode.UNAVAILABLE
    assert len(seen.opened) == 2


def test_reset_connection_is_opened_again() -> None:
    """A crash of the agent says no goodbye."""
    seen = Seen()
    with DroppingSimulator(RECORDING) as server, _running(_link(server.address), seen):
        _wait_for(lambda: len(seen.events) == len(EVENTS))
        server.drop_connections()
        _wait_for(lambda: len(seen.opened) == 2)


def test_stream_that_ends_well_is_opened_again() -> None:
    """Tetragon's stream has no end; an OK is a reason to ask again, not to stop."""
    seen = Seen()
    with WatchedSimulator(RECORDING) as server, _running(_link(server.address), seen):
        _wait_for(lambda: len(seen.events) == len(EVENTS))
        server.end_calls(Status.OK)
        _wait_for(lambda: len(seen.opened) == 2)

    assert seen.ended[0].code is grpc.StatusCode.OK


def test_absent_agent_is_waited_for_with_a_reason(caplog: pytest.LogCaptureFixture) -> None:
    """Operators read where nobody listens, once, and not at every attempt."""
    seen = Seen()
    holder = socket.socket()  # bound and not listening: no other process can take the port, and nobody answers
    holder.bind(("127.0.0.1", 0))
    address = f"127.0.0.1:{holder.getsockname()[1]}"

    with holder, _running(_link(address), seen) as stream:
        reason = f"Tetragon at {address}: nothing listens there (connection refused)"
        _wait_for(lambda: len(seen.ended) >= 3 and stream.trouble == reason)
        holder.close()
        with SimulatorServer(RECORDING, listen_on=address):
            _wait_for(lambda: len(seen.events) == len(EVENTS))
            assert stream.trouble is None

    assert sum("nothing listens" in record.getMessage() for record in caplog.records) == 1


def test_status_that_waiting_cannot_cure_ends_with_a_message() -> None:
    """The simulator refuses filters that it does not apply, as Tetragon does those that it cannot compile."""
    request = GetEventsRequest()
    request.allow_list.add(binary_regex=["x"])
    seen = Seen()
    with SimulatorServer(RECORDING) as server:
        stream = EventStream(
            _link(server.address),
            request.SerializeToString(),
            seen.put,
            opened=seen.stream_opened,
            ended=seen.stream_ended,
        )

        with pytest.raises(TetragonUnusableError, match=r"answers INVALID_ARGUMENT .*CALLSTREAM_TETRAGON_ALLOW_LIST"):
            stream.run()

    assert seen.events == []


def test_unknown_after_success_is_tried_again() -> None:
    """A handler of the agent that failed is not a wrong filter."""
    seen = Seen()
    with WatchedSimulator(RECORDING) as server, _running(_link(server.address), seen):
        _wait_for(lambda: len(seen.events) == len(EVENTS))
        server.end_calls(Status.UNKNOWN, "context deadline")
        _wait_for(lambda: len(seen.opened) == 2)


def test_filters_reach_the_server() -> None:
    """The request is sent as it was built."""
    request = GetEventsRequest()
    request.deny_list.add(event_set=[EventType.PROCESS_EXEC])
    exec_event = GetEventsResponse()
    exec_event.process_exec.process.exec_id = "x"
    exit_event = GetEventsResponse()
    exit_event.process_exit.process.exec_id = "x"
    wanted = exit_event.SerializeToString()
    recording = Recording.of([exec_event.SerializeToString(), wanted])
    seen = Seen()
    with SimulatorServer(recording) as server, _running(_link(server.address), seen, request.SerializeToString()):
        _wait_for(lambda: len(seen.events) == 1)

    assert seen.events == [wanted]


def test_oversized_event_ends_the_stream_and_only_that() -> None:
    """More than 16 MiB: gRPC ends the stream, the cause is known, and reading goes on."""
    recording = Recording.of([EVENTS[0], b"\x00" * ((16 << 20) + 1)])
    seen = Seen()
    with SimulatorServer(recording) as server, _running(_link(server.address), seen):
        _wait_for(lambda: len(seen.ended) >= 1)
        _wait_for(lambda: len(seen.opened) >= 2)

    assert cause_of(seen.ended[0]) is GapCause.OVERSIZED


def test_largest_event_arrives() -> None:
    """Exactly 16 MiB pass."""
    largest = b"\x00" * (16 << 20)
    seen = Seen()
    with SimulatorServer(Recording.of([largest])) as server, _running(_link(server.address), seen):
        _wait_for(lambda: len(seen.events) == 1)

    assert seen.events == [largest]


def test_silent_stream_answers_and_a_lost_one_does_not() -> None:
    """A quiet node is told from a dead link by a question on the same connection."""
    seen = Seen()
    with SimulatorServer(Recording.of([])) as server, _running(_link(server.address), seen) as stream:
        _wait_for(lambda: stream.answers(5))
        assert stream.trouble is None
        server.stop()
        _wait_for(lambda: len(seen.ended) >= 1)
        assert not stream.answers(5)
        assert stream.trouble is not None


def test_question_is_not_answered_after_the_stop() -> None:
    """The keeper may ask at any time."""
    seen = Seen()
    with SimulatorServer(RECORDING) as server:
        with _running(_link(server.address), seen) as stream:
            _wait_for(lambda: len(seen.events) == len(EVENTS))
        assert not stream.answers(1)


def test_wrong_tls_at_the_start_ends_with_the_mistake(tmp_path: Path) -> None:
    """The UNAVAILABLE of gRPC is taken apart: here a certificate for another name."""
    authority = Authority.create(tmp_path)
    pair = authority.issue("agent")
    files = TlsFiles(authority.file, None, None)
    with SimulatorServer(RECORDING, tls=ServerFiles(pair.certificate, pair.key)) as server:
        link = AgentLink(server.address, files, "wrong.example", 600)
        seen = Seen()
        stream = EventStream(link, b"", seen.put, opened=seen.stream_opened, ended=seen.stream_ended)

        with pytest.raises(TetragonUnusableError, match=r"not for 'wrong.example'"):
            stream.run()


def test_renewed_certificates_are_used_without_a_restart(tmp_path: Path) -> None:
    """Authority and client certificate are replaced in place; the next connection uses the new ones."""
    (tmp_path / "old").mkdir()
    (tmp_path / "new").mkdir()
    old, new = Authority.create(tmp_path / "old"), Authority.create(tmp_path / "new")
    old_server, new_server = old.issue("agent"), new.issue("agent")
    ours = old.issue("us")
    files = TlsFiles(old.file, ours.certificate, ours.key)
    seen = Seen()
    first = SimulatorServer(RECORDING, tls=ServerFiles(old_server.certificate, old_server.key, old.file))
    first.start()
    address = first.address

    with _running(_link(address, files), seen):
        _wait_for(lambda: len(seen.opened) == 1)
        first.stop()
        renewed = new.issue("us")
        for target, source in (
            (old.file, new.file),
            (ours.certificate, renewed.certificate),
            (ours.key, renewed.key),
        ):
            target.write_bytes(source.read_bytes())
        with SimulatorServer(RECORDING, address, tls=ServerFiles(new_server.certificate, new_server.key, new.file)):
            _wait_for(lambda: len(seen.opened) == 2)


def test_same_trouble_is_told_again_after_a_while(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A log that was rotated still says why nothing arrives."""
    monkeypatch.setattr(client_module, "_REPEAT_LOG_SECONDS", 0.0)
    seen = Seen()
    with _running(_link("127.0.0.1:1"), seen):
        _wait_for(lambda: len(seen.ended) >= 3)

    assert sum("nothing listens" in record.getMessage() for record in caplog.records) >= 2
