"""`callstream console`: a page to look, search and ask why."""

import asyncio
import signal

import click

from app.console.serve import ConsolePlace, ConsoleServer
from app.operators.json_text import json_text
from app.operators.printing import echo
from app.settings import load
from app.telemetry import logs


@click.command(name="console")
@click.option("--json", "as_json", is_flag=True, help="Print where it is as a line of JSON, without the token.")
def command(*, as_json: bool) -> None:
    """Serve a page that shows the pipeline, coverage, symbols, watches, privacy, audit and dead letters.

    It only reads: public topics, /metrics of the processes, and /hot-symbols of workers. The Kafka user `console` of
    deploy/kafka/acls.toml has all rights that it needs. People show a token (CALLSTREAM_CONSOLE_TOKEN_FILE) or a
    certificate. On 127.0.0.1 it makes a token of its own if none is set, and prints the address with it.

    \b
    Exit codes:
      0  stopped by a signal
      2  wrong options or settings, or it cannot listen there
    Example:
      callstream console
      CALLSTREAM_PROCESS_ADDRESSES=127.0.0.1:9464,127.0.0.1:9465 callstream console
    """
    settings = load()
    logs.configure(settings.log_format, settings.log_level)
    server = ConsoleServer(settings)

    def announce(place: ConsolePlace) -> None:
        if as_json:
            echo(json_text({"http": str(place.address), "url": place.url}))
        elif place.is_new_token:
            echo(f"The console is at {place.opening_url}")
        else:
            how = "with the token of CALLSTREAM_CONSOLE_TOKEN_FILE"
            shown = "with your certificate" if place.token is None else how
            echo(f"The console is at {place.url}, {shown}")

    async def serve() -> None:
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        await server.run(announce, stop)

    asyncio.run(serve())
