"""`callstream tetragon-sim`: serves recorded events on Tetragon's gRPC API, in the foreground."""

import signal
import threading
from collections import Counter
from pathlib import Path
from typing import Final

import click

from app.commands.options import EXISTING_FILE
from app.operators.json_text import json_text
from app.operators.printing import echo
from app.progress import Progress
from app.simulator.address import AddressError, parse_address
from app.simulator.agent_file import AgentFile
from app.simulator.event_files import EventFileError, read_events
from app.simulator.recording import Recording
from app.simulator.server import ServerTlsFiles, SimulatorServer
from app.telemetry.logs import configure
from schemas.tetragon.filters_pb2 import EventType

_MAX_NAMED: Final = 20
"""Lines without an event that are named; of further ones only the number is said."""


def _check_address(_context: click.Context, _parameter: click.Parameter, text: str) -> str:
    try:
        parse_address(text)
    except AddressError as error:
        raise click.BadParameter(str(error)) from None
    return text


@click.command(name="tetragon-sim")
@click.option(
    "--listen",
    "listen_on",
    metavar="ADDRESS",
    default="localhost:54321",
    show_default=True,
    callback=_check_address,
    help="HOST:PORT (port 0 picks a free one) or unix:///PATH.",
)
@click.option(
    "--events", type=EXISTING_FILE, multiple=True, required=True, help="File to serve; more files may follow."
)
@click.argument("more_events", type=EXISTING_FILE, nargs=-1, metavar="[FILE]...")
@click.option(
    "--rate",
    "rate_per_s",
    type=click.FloatRange(0, min_open=True),
    help="Events a second for each call. Default: as fast as the client reads.",
)
@click.option(
    "--repeat",
    type=click.IntRange(0),
    default=1,
    show_default=True,
    help="How often a call gets all events; 0 for no end.",
)
@click.option(
    "--then",
    type=click.Choice(["hold", "close"]),
    default="hold",
    show_default=True,
    help="After the last event: hold the stream open, like an idle agent, or end it with status OK.",
)
@click.option(
    "--agent",
    "agent_file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="JSON file with what the agent says of itself: info, policies, or a status. It is read for each question.",
)
@click.option("--tls-cert", type=EXISTING_FILE, help="Serve TLS with this certificate (PEM).")
@click.option("--tls-key", type=EXISTING_FILE, help="The certificate's key (PEM).")
@click.option("--tls-client-ca", type=EXISTING_FILE, help="Accept only clients with a certificate from this CA (PEM).")
def command(
    *,
    listen_on: str,
    events: tuple[Path, ...],
    more_events: tuple[Path, ...],
    rate_per_s: float | None,
    repeat: int,
    then: str,
    agent_file: Path | None,
    tls_cert: Path | None,
    tls_key: Path | None,
    tls_client_ca: Path | None,
) -> None:
    """Serve recorded events as a Tetragon agent does, for demos, tests and benchmarks.

    Files hold Tetragon's JSON export or length-delimited protobuf, gzipped or not. The export may be indented, an
    array, or have a container runtime's prefix; a line that is not an event is named and left out. Events are sent as
    they were recorded, with their times, and every client gets all of them from the first. When clients can connect,
    the command prints one line of JSON with its address. SIGTERM or Ctrl-C ends the calls with UNAVAILABLE, as an agent
    does when it shuts down. Of a client's filters only event_set is applied; a call with another filter is refused.
    With --agent, ListTracingPolicies and GetInfo are answered, too.

    \b
    Exit codes:
      0  stopped by a signal
      1  there are no events, a file cannot be read to its end, or the address or the TLS files cannot be used
      2  wrong options
    Example:
      callstream tetragon-sim --listen 127.0.0.1:0 --events tetragon.log --rate 1000 --repeat 0
      {"address": "127.0.0.1:40211", "events": 50, "kinds": {"process_exec": 22, "process_exit": 28}}
    """
    unread: list[EventFileError] = []
    with Progress() as progress:
        found = read_events((*events, *more_events), unread.append)
        recording = Recording.of(progress.each(found, "events read"))
    for one in unread[:_MAX_NAMED]:
        echo(f"callstream tetragon-sim: {one}", err=True)
    if len(unread) > _MAX_NAMED:
        echo(f"callstream tetragon-sim: and {len(unread) - _MAX_NAMED} lines more that are not events", err=True)
    if not len(recording):
        raise EventFileError(f"no events in {', '.join(map(str, (*events, *more_events)))}")
    server = SimulatorServer(
        recording,
        listen_on,
        rate_per_s=rate_per_s,
        repeat=repeat,
        close_at_end=then == "close",
        tls=_tls_files(listen_on, tls_cert, tls_key, tls_client_ca),
        agent=None if agent_file is None else AgentFile(agent_file),
    )
    _serve(server, recording)


def _serve(server: SimulatorServer, recording: Recording) -> None:
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    with server:
        configure("text", "INFO")
        echo(json_text({"address": server.address, "events": len(recording), "kinds": _kinds(recording)}))
        stop.wait()


def _kinds(recording: Recording) -> dict[str, int]:
    """How many events of each kind there are; `undef` counts events of an unknown kind."""
    return {EventType.Name(kind).lower(): count for kind, count in sorted(Counter(recording.kinds).items())}


def _tls_files(listen_on: str, cert: Path | None, key: Path | None, client_ca: Path | None) -> ServerTlsFiles | None:
    if cert is None and key is None and client_ca is None:
        return None
    if cert is None or key is None:
        raise click.UsageError("TLS needs both --tls-cert and --tls-key")
    if listen_on.startswith("unix:"):
        raise click.UsageError("TLS is for TCP addresses; Tetragon's unix socket has none")
    return ServerTlsFiles(cert, key, client_ca)
