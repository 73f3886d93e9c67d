"""app/commands/tetragon_sim.py as a process of its own."""

import itertools
import json
import os
import signal
import socket
from pathlib import Path
from tempfile import TemporaryDirectory

import grpc
import pytest
from click.testing import CliRunner

from app.__main__ import cli
from app.simulator.event_files import delimited, read_events
from schemas.tetragon.events_pb2 import GetEventsResponse, ProcessExit
from tests.support.certificates import Authority
from tests.support.simulator_process import simulator_process
from tests.support.tetragon_client import channel_to, get_events, status_of

EVENTS = [GetEventsResponse(process_exit=ProcessExit(status=code)).SerializeToString() for code in range(100)]


@pytest.fixture(name="events_file")
def _events_file(tmp_path: Path) -> Path:
    path = tmp_path / "events.bin"
    path.write_bytes(b"".join(map(delimited, EVENTS)))
    return path


def test_prints_its_address_serves_and_stops_on_sigterm(events_file: Path) -> None:
    """The ready line says where and what; SIGTERM ends the calls with UNAVAILABLE and the process with 0."""
    with (
        simulator_process("--listen", "127.0.0.1:0", "--events", str(events_file)) as simulator,
        channel_to(simulator.address) as channel,
    ):
        assert simulator.ready["events"] == 100
        assert simulator.ready["kinds"] == {"process_exit": 100}
        call = get_events(channel)
        assert list(itertools.islice(call, 100)) == EVENTS

        simulator.process.send_signal(signal.SIGTERM)

        assert status_of(call)[0] is grpc.StatusCode.UNAVAILABLE
        assert simulator.process.wait(20) == 0


def test_serves_several_files_and_formats_then_closes(events_file: Path, tmp_path: Path) -> None:
    """Files may follow --events without repeating it, JSON beside protobuf; --then close ends with status OK."""
    lines = tmp_path / "tetragon.log"
    lines.write_text('{"process_throttle":{"cgroup":"c"}}\n{"test":{"arg0":"1"}}\n')
    options = ["--repeat", "2", "--rate", "5000", "--then", "close", "--listen", "127.0.0.1:0"]
    with (
        simulator_process(*options, "--events", str(events_file), str(lines)) as simulator,
        channel_to(simulator.address) as channel,
    ):
        call = get_events(channel)

        assert list(call) == [*EVENTS, *read_events([lines])] * 2
        assert call.code() is grpc.StatusCode.OK
        assert simulator.ready["kinds"] == {"process_exit": 100, "process_throttle": 1, "test": 1}


def test_serves_on_a_unix_socket(events_file: Path) -> None:
    """The address may be a unix socket, and its file goes when the process does."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "s"
        with (
            simulator_process("--listen", f"unix://{path}", "--events", str(events_file)) as simulator,
            channel_to(simulator.address) as channel,
        ):
            assert next(get_events(channel)) == EVENTS[0]
            simulator.process.terminate()
            simulator.process.wait(20)
            assert not path.exists()


def test_serves_tls(events_file: Path, tmp_path: Path) -> None:
    """Certificate, key and client CA come from files."""
    authority = Authority.create(tmp_path)
    server, client = authority.issue("server"), authority.issue("client")
    tls = ["--tls-cert", server.certificate, "--tls-key", server.key, "--tls-client-ca", authority.file]
    options = ["--listen", "127.0.0.1:0", "--events", str(events_file), *map(str, tls)]
    credentials = grpc.ssl_channel_credentials(
        authority.file.read_bytes(), client.key.read_bytes(), client.certificate.read_bytes()
    )
    with simulator_process(*options) as simulator, channel_to(simulator.address, credentials) as channel:
        assert next(get_events(channel)) == EVENTS[0]


def test_recorded_samples_reach_a_client() -> None:
    """The real recordings are served whole."""
    folder = os.environ.get("CALLSTREAM_SAMPLES_DIR")
    if not folder:
        pytest.skip("CALLSTREAM_SAMPLES_DIR is not set: the recordings are not part of the project")
    path = Path(folder) / "cilium_tetragon.jsonl"
    with (
        simulator_process("--listen", "127.0.0.1:0", "--then", "close", "--events", str(path)) as simulator,
        channel_to(simulator.address) as channel,
    ):
        assert list(get_events(channel)) == list(read_events([path]))


def test_a_port_in_use_is_named_and_the_exit_code_is_1(events_file: Path) -> None:
    """Who cannot listen says where and why."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        result = CliRunner().invoke(cli, ["tetragon-sim", "--listen", address, "--events", str(events_file)])

    assert (result.exit_code, result.output) == (
        1,
        f"callstream tetragon-sim: cannot listen on {address}: Address already in use\n",
    )


def test_a_broken_file_is_named_and_the_exit_code_is_1(events_file: Path, tmp_path: Path) -> None:
    """A file that cannot be read to its end is not served in part."""
    broken = tmp_path / "broken"
    broken.write_bytes(delimited(EVENTS[0]) + b"\x05abc")
    result = CliRunner().invoke(
        cli, ["tetragon-sim", "--listen", "127.0.0.1:0", "--events", str(events_file), str(broken)]
    )

    assert result.exit_code == 1
    assert result.output.startswith(f"callstream tetragon-sim: {broken}: entry 2 at byte ")


def test_lines_that_are_no_events_are_named_and_the_others_served(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Rotation cut a line, and a log line stands before it: two lines on standard error, two events on the stream."""
    lines = tmp_path / "tetragon.log"
    lines.write_text('level=info msg=started\n{"process_exec":{}}\n{"process_exec":\n{"process_exit":{}}\n')
    with simulator_process("--listen", "127.0.0.1:0", "--events", str(lines)) as simulator:
        assert simulator.ready["kinds"] == {"process_exec": 1, "process_exit": 1}

    said = capfd.readouterr().err
    assert f"{lines}: line 1: is not JSON" in said
    assert f"{lines}: line 3: is not JSON" in said


def test_files_without_events_are_refused(tmp_path: Path) -> None:
    """A simulator that would never send anything is a mistake of the caller."""
    empty = tmp_path / "empty"
    empty.touch()
    result = CliRunner().invoke(cli, ["tetragon-sim", "--listen", "127.0.0.1:0", "--events", str(empty)])

    assert (result.exit_code, result.output) == (1, f"callstream tetragon-sim: no events in {empty}\n")


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (["--listen", "nowhere"], "nowhere: is neither HOST:PORT nor unix:///absolute/path"),
        (["--rate", "0"], "--rate"),
        (["--repeat", "-1"], "--repeat"),
        (["--tls-cert", __file__], "both --tls-cert and --tls-key"),
        (["--tls-client-ca", __file__], "both --tls-cert and --tls-key"),
        (["--listen", "unix:///s", "--tls-cert", __file__, "--tls-key", __file__], "TLS is for TCP addresses"),
        (["/no/such/file"], "/no/such/file"),
    ],
)
def test_wrong_options_exit_with_2(events_file: Path, options: list[str], problem: str) -> None:
    """A mistake on the command line is named, and nothing is started."""
    result = CliRunner().invoke(cli, ["tetragon-sim", "--events", str(events_file), *options])

    assert result.exit_code == 2
    assert problem in result.output


def test_help_has_an_example_that_is_true(events_file: Path) -> None:
    """The line of JSON in --help has the keys of the line that is printed."""
    text = CliRunner().invoke(cli, ["tetragon-sim", "--help"]).output
    example = next(json.loads(line) for line in map(str.strip, text.splitlines()) if line.startswith("{"))
    with simulator_process("--listen", "127.0.0.1:0", "--events", str(events_file)) as simulator:
        assert example.keys() == simulator.ready.keys()
