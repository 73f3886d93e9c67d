"""A console over a pipeline that has worked: events of every kind, symbols, watches, a dead letter; a real broker."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import urllib3
from click.testing import CliRunner

from app.__main__ import cli
from app.embedded.ports import pick_free
from app.simulator.recording import Recording
from app.simulator.server import SimulatorServer
from app.simulator.workload.binaries import mapped_binaries
from app.simulator.workload.generator import Workload, WorkloadOptions
from schemas import topics
from schemas.topics import Stage
from tests.support.pipeline_run import INGEST, PipelineRun, Servers, pipeline_run

VIEWS: Final = {
    "pipeline": "Pipeline",
    "coverage": "Coverage",
    "symbols": "Symbols",
    "flames": "Flame graph",
    "watches": "Watches",
    "vulnerabilities": "Vulnerabilities",
    "privacy": "Privacy",
    "audit": "Audit",
    "letters": "Dead letters",
}
"""The views that the page's navigation leads to, with their headings."""

EVENTS: Final = 2_000
TOKEN: Final = "token-of-the-console-scene"
READ_SECONDS: Final = 60.0
HEARTBEAT_SECONDS: Final = 120.0
"""For the first record of a node: a heartbeat comes a minute late, and a gap before it where something was lost."""


@dataclass
class Console:
    """A running `callstream console`."""

    url: str
    process: "subprocess.Popen[str]"

    @property
    def origin(self) -> str:
        """Its scheme, host and port."""
        return self.url.rstrip("/")

    def answer(self, method: str, path: str, *, token: str | None = TOKEN) -> urllib3.BaseHTTPResponse:
        """The answer to a request."""
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        return urllib3.request(method, self.url + path, headers=headers, timeout=30.0, retries=False)

    def ask(self, path: str) -> Any:
        """The document of an answer."""
        answer = self.answer("GET", path)
        assert answer.status == 200, answer.data
        return answer.json()

    def await_read(self) -> None:
        """Wait until it has read its topics."""
        deadline = time.monotonic() + READ_SECONDS
        while not (about := self.ask("api/about"))["is_read"]:
            assert time.monotonic() < deadline, about
            time.sleep(0.1)

    @property
    def rss_bytes(self) -> int:
        """The most memory that it had at a time."""
        lines = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        return 1024 * int(next(line for line in lines if line.startswith("VmHWM")).split()[1])


@contextmanager
def console(environ: Mapping[str, str], folder: Path, **more: str) -> Iterator[Console]:
    """Run a console, with further settings by field name; it ends with 0 by SIGTERM."""
    token = folder / "console-token"
    token.write_text(TOKEN)
    settings = {"console_port": "0", "console_token_file": str(token), "http_port": "0", **more}
    with (folder / "console.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "app", "console", "--json"],
            env={**os.environ, **environ, **{f"CALLSTREAM_{name.upper()}": value for name, value in settings.items()}},
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, (folder / "console.log").read_text()
        yield Console(json.loads(line)["url"], process)
        process.send_signal(signal.SIGTERM)
        assert process.wait(15) == 0
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        if process.stdout is not None:
            process.stdout.close()


@contextmanager
def console_scene(broker: Servers, prefix: str, folder: Path) -> Iterator[tuple[Console, PipelineRun]]:
    """The pipeline and its console, when all that was sent has been read."""
    store, token = folder / "symbols", folder / "worker-token"
    token.write_text(TOKEN)
    with pipeline_run(broker, prefix, folder, symbol_store_dir=str(store), heartbeat_seconds="1") as run:
        _run(run, "symbols", "add", str(mapped_binaries()["ssl"].file.resolve()))
        _run(run, "watch", "add", "do_syscall_64", "--module", "kernel", "--vulnerability", "CVE-2026-0001")
        _run(run, "watch", "add", "never_called_by_anybody", "--vulnerability", "CVE-2026-0002")
        port = pick_free(frozenset())
        of_workers = {
            "CALLSTREAM_HOT_SYMBOLS_PORT": str(port),
            "CALLSTREAM_HOT_SYMBOLS_TOKEN_FILE": str(token),
        }
        with SimulatorServer(Recording.of(list(Workload(WorkloadOptions(events=EVENTS)).events()))) as server:
            run.start(INGEST, {"CALLSTREAM_TETRAGON_ADDRESS": server.address})
            for stage in Stage:
                run.start(f"{stage.value}-0", of_workers if stage is Stage.HOT_SYMBOLS else {})
            run.await_ready()
            run.wait(lambda: sum(run.ends(topics.RAW).values()) >= EVENTS, 60, "the raw topic")
            run.send(topics.RAW, b"no event at all", partition=0)
            run.wait(lambda: run.books("--settled").exit_code == 0, 60, "the books to balance")
            addresses = ",".join(run.processes[name].http_address() for name in sorted(run.wanted))
            with console(
                run.environ | of_workers,
                folder,
                process_addresses=addresses,
                console_workers=f"127.0.0.1:{port}",
                hot_symbols_port="",
            ) as shown:
                shown.await_read()
                run.wait(lambda: _is_answered(shown), 60, "the answers to watches and the dead letter")
                run.wait(lambda: bool(shown.ask("api/nodes?from=24h")["lanes"]), HEARTBEAT_SECONDS, "the node's lane")
                yield shown, run


def _run(run: PipelineRun, *arguments: str) -> None:
    done = CliRunner().invoke(cli, arguments, env=run.environ)
    assert done.exit_code == 0, done.output


def _is_answered(shown: Console) -> bool:
    kinds, letters = shown.ask("api/watches")["kinds"], shown.ask("api/letters")["letters"]
    return bool(kinds == {"Hit": 1, "NotSeen": 1} and letters)
