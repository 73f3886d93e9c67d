"""The Helm chart's pods as processes on a real broker: `python -m bench.chart_run`.

There is no cluster here, so this plays one: it renders the chart, puts the files of secrets where the manifests want
them, and runs each container's arguments with each container's environment, in the order of Kubernetes: the Job of
topics and rights, what runs first in each pod, the processes, then `helm test` and commands in the toolbox. The broker
is that of docker-compose.yml, with SASL over TLS and an authorizer. Only addresses, folders and ports are replaced. It
fails where a container ends otherwise than it should, is not ready, or the books do not balance. Records
bench/results/chart_run.txt.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sized
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

import urllib3

from app.embedded.ports import pick_free
from bench.figures import Row, Table, record, text_of
from tests.support.chart import Manifest, PodTemplate, pods, settings_of
from tests.support.delivery_run import Worker
from tests.support.deployed_broker import DEPLOY, DeployedBroker, deployed_broker

EVENTS: Final = 5_000
SHAPE: Final = "one_broker"
PROCESSES: Final = ("ingest", "canonicalize", "privacy", "hot-symbols")
_READY_SECONDS: Final = 180.0
_SECRETS: Final = "/etc/callstream/secrets/"


class _AgentMetrics(BaseHTTPRequestHandler):
    """An agent that lost nothing."""

    def do_GET(self) -> None:
        """Answer any path."""
        page = b"tetragon_notify_overflowed_events_total 0\ntetragon_observer_ringbuf_events_lost_total 0\n"
        self.send_response(200)
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        self.wfile.write(page)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@dataclass(slots=True)
class PlayedCluster:
    """One node with a pod of each kind."""

    deployed: DeployedBroker
    folder: Path
    metrics_port: int
    pods: dict[str, PodTemplate] = field(default_factory=lambda: {pod.component: pod for pod in pods(SHAPE)})
    ports: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for component in PROCESSES:
            self.ports[component] = pick_free(frozenset(self.ports.values()))

    def environ(self, component: str, container: Manifest) -> dict[str, str]:
        """What a container finds in its environment, with the addresses and folders of this machine."""
        found = settings_of(container)
        user = found.get("CALLSTREAM_KAFKA_SASL_USERNAME", "")
        for name, value in found.items():
            text = value if not value.startswith(_SECRETS) else str(self._secret(name, user))
            found[name] = self._here(text, component)
        if "CALLSTREAM_HTTP_PORT" in found:
            found["CALLSTREAM_HTTP_PORT"] = str(self.ports.get(component, 0))
        if "CALLSTREAM_PROCESS_ADDRESSES" in found:
            found["CALLSTREAM_PROCESS_ADDRESSES"] = ",".join(f"127.0.0.1:{port}" for port in self.ports.values())
        return {"PATH": os.environ["PATH"], "HOME": str(self.folder)} | found

    def _secret(self, setting: str, user: str) -> Path:
        return {
            "CALLSTREAM_KAFKA_SSL_CA_FILE": self.deployed.secrets / "kafka_ca",
            "CALLSTREAM_KAFKA_SASL_PASSWORD_FILE": self.deployed.password_file(user),
            "CALLSTREAM_PRIVACY_KEY_FILE": self.deployed.secrets / "privacy_key",
            "CALLSTREAM_HOT_SYMBOLS_TOKEN_FILE": self.folder / "token",
        }[setting]

    def _here(self, text: str, component: str) -> str:
        for there, here in (
            ("broker:9092", self.deployed.inner_address),
            ("http://registry:8080/apis/ccompat/v7", self.deployed.broker.registry_url),
            ("/var/lib/callstream-symbols", str(self.folder / "symbols")),
            ("/var/lib/callstream", str(self.folder / component)),
            ("/var/run/tetragon/tetragon.sock", str(self.folder / "agent.sock")),
            ("http://10.0.0.7:2112", f"http://127.0.0.1:{self.metrics_port}"),
            ("/etc/callstream/acls", str(DEPLOY / "kafka")),
            ("10.1.0.9", "127.0.0.1"),
        ):
            text = text.replace(there, here)
        return text

    def run(self, component: str, container: Manifest, *words: str) -> str:
        """Run a container's command, or another one in it, to its end; what it prints. Fails unless it exits with 0."""
        arguments = [self._here(one, component) for one in words or container["args"]]
        environ = self.environ(component, container)
        done = subprocess.run(
            [sys.executable, "-m", "app", *arguments], env=environ, check=False, capture_output=True, text=True
        )
        assert done.returncode == 0, f"{component} {arguments}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout

    def start(self, component: str) -> Worker:
        """What runs first in a pod, then its process."""
        *before, (container) = self.pods[component].containers
        for one in before:
            self.run(component, one)
        worker = Worker(
            ("app", *container["args"]), self.environ(component, container), self.folder / f"{component}.log"
        )
        worker.start()
        return worker


@contextmanager
def played_cluster(folder: Path) -> Iterator[PlayedCluster]:
    """A node with an agent that has events, and a broker that nobody has used."""
    (folder / "token").write_text("a-token-of-this-run-only")
    metrics = ThreadingHTTPServer(("127.0.0.1", 0), _AgentMetrics)
    threading.Thread(target=metrics.serve_forever, daemon=True).start()
    events = folder / "events.bin"
    program = [sys.executable, "-m", "app"]
    making = [*program, "workload", "--events", str(EVENTS), "--out", str(events)]
    subprocess.run(making, check=True, capture_output=True)
    serving = [*program, "tetragon-sim", "--listen", f"unix://{folder / 'agent.sock'}", "--events", str(events)]
    with (
        deployed_broker(folder) as deployed,
        subprocess.Popen(serving, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as agent,
    ):
        try:
            yield PlayedCluster(deployed, folder, metrics.server_address[1])
        finally:
            agent.terminate()
            metrics.shutdown()
            metrics.server_close()


def install(cluster: PlayedCluster) -> dict[str, float | str]:
    """Install the chart, let it work, test it and stop it; the figures."""
    began = time.monotonic()
    for container in cluster.pods["topics"].containers:
        cluster.run("topics", container)
    installed = time.monotonic()
    workers = {component: cluster.start(component) for component in PROCESSES}
    try:
        ready = _await(lambda: _unready(cluster, workers), "not ready", workers)
        toolbox = cluster.pods["toolbox"].containers[0]
        _await(lambda: _unfinished(cluster, toolbox), "not counted", workers)
        counted = time.monotonic()
        tested = cluster.run("test", cluster.pods["test"].containers[0])
        seen: dict[str, Any] = json.loads(cluster.run("toolbox", toolbox, "top", "--json"))
        assert not seen["unread"], seen["unread"]
        cluster.run("toolbox", toolbox, "books")
        cluster.run("toolbox", toolbox, "doctor", "kafka", "topics", "registry", "coverage")
    finally:
        codes = {
            name: one.end(signal.SIGTERM, within_seconds=60.0) for name, one in workers.items() if one.exit_code is None
        }
    assert codes == dict.fromkeys(PROCESSES, 0), codes
    return {
        "events": EVENTS,
        "topics s": installed - began,
        "ready s": ready,
        "counted s": counted - installed,
        "helm test": tested.splitlines()[-1].replace(", ", " "),
    }


def _unready(cluster: PlayedCluster, workers: Mapping[str, Worker]) -> dict[str, str]:
    """Processes that do not do their job, and why."""
    found = {}
    for component, worker in workers.items():
        assert worker.exit_code is None, f"{component} ended with {worker.exit_code}\n{worker.log_tail()}"
        try:
            answer = urllib3.request("GET", f"http://127.0.0.1:{cluster.ports[component]}/readyz", retries=False)
        except urllib3.exceptions.HTTPError:
            found[component] = "does not serve yet"
        else:
            if answer.status != 200:
                found[component] = answer.data.decode()
    return found


def _unfinished(cluster: PlayedCluster, toolbox: Manifest) -> set[str]:
    rows = json.loads(cluster.run("toolbox", toolbox, "top", "--json"))["processes"]
    return {row["process"] for row in rows if row["process"] != "ingest" and row["lag_records"] != 0}


def _await(waiting: Callable[[], Sized], what: str, workers: Mapping[str, Worker]) -> float:
    """Wait until nothing is waited for; the seconds that it took."""
    began = time.monotonic()
    while left := waiting():
        tails = "\n".join(one.log_tail() for one in workers.values())
        assert time.monotonic() - began < _READY_SECONDS, f"{what}: {left}\n{tails}"
        time.sleep(0.5)
    return time.monotonic() - began


def main() -> None:
    """Run, print and record."""
    with tempfile.TemporaryDirectory(prefix="callstream-chart-") as folder, played_cluster(Path(folder)) as cluster:
        figures = install(cluster)
    note = "the chart's own arguments and settings, as processes; SASL over TLS, one Kafka user a process"
    table = Table("The Helm chart's pods on a real broker", {"shape": SHAPE}, [Row("install", figures)], note)
    record("chart_run", [table])
    print(text_of(table))


if __name__ == "__main__":
    main()
