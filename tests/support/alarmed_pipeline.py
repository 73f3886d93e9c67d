"""A pipeline with a real Prometheus over it: the deployed rules, made quicker, and the pages of their alerts.

Prometheus scrapes every process once a second. The rules are those of deploy/prometheus with shorter times and lower
limits, so that an alert takes seconds.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import urllib3
import yaml

from agents.privacy.policy_file import built_in_text
from app.embedded.ports import pick_free
from schemas.topics import Stage
from tests.support.breakable_broker import BreakableBroker
from tests.support.certificates import Authority
from tests.support.fault_run import LiveAgents
from tests.support.live_agent import NODE
from tests.support.pipeline_run import INGEST, PipelineRun, pipeline_run
from tests.support.prometheus import RULES, RUNBOOKS, program
from tests.support.shell_lines import shell_lines

RATE_PER_S: Final = 300
LIFE_SECONDS: Final = 2_700
QUEUE_EVENTS: Final = 1_500
"""Five seconds of events, and not Tetragon's own half a minute."""
ALERT_SECONDS: Final = 120.0
"""Two looks at the registry, with its client's own patience, on a busy machine."""

_QUICK_LIMITS: Final = {
    "callstream:limit:lag_records": "vector(50)",
    "callstream:limit:lag_seconds": "vector(5)",
    "callstream:limit:coverage_seconds": "vector(90)",
    "callstream:limit:receipt_seconds": "vector(10)",
    "callstream:limit:restarts": "vector(1)",
    "callstream:limit:rebalances": "vector(1)",
}
_QUICK_TIMES: Final = {
    "[5m]": "[15s]",
    "[10m]": "[15s]",
    "[15m]": "[45s]",
    "offset 5m": "offset 20s",
    "offset 15m": "offset 45s",
    # heartbeats vouch for what is a minute ago
    "< 600": "< 90",
}
_JOBS: Final = ("callstream-ingest", "callstream-stages")


def quick_rules() -> str:
    """The deployed rules with short times and low limits."""
    document = yaml.safe_load(RULES.read_text(encoding="utf-8"))
    for rule in (rule for group in document["groups"] for rule in group["rules"]):
        rule["expr"] = _QUICK_LIMITS.get(rule.get("record", ""), rule["expr"])
        for slow, quick in _QUICK_TIMES.items():
            rule["expr"] = rule["expr"].replace(slow, quick)
        if "for" in rule:
            rule["for"] = "2s"
    return yaml.safe_dump(document)


def commands_of(page: str) -> list[str]:
    """What a page says to type, line by line."""
    text = (RUNBOOKS / f"{page}.md").read_text(encoding="utf-8")
    return [line for line in shell_lines(text, "What to look at") if not line.startswith("#")]


@dataclass
class AlarmedPipeline:
    """Ingest, all stages, a live agent, and Prometheus."""

    run: PipelineRun
    broker: BreakableBroker
    agents: LiveAgents
    ports: dict[str, int]
    prometheus: str
    own: Mapping[str, Mapping[str, str]]
    """What each process has set for itself."""

    def firing(self) -> dict[str, list[dict[str, Any]]]:
        """The alerts that fire, by name."""
        answer = urllib3.request("GET", f"http://{self.prometheus}/api/v1/alerts", timeout=10, retries=3)
        found: dict[str, list[dict[str, Any]]] = {}
        for alert in answer.json()["data"]["alerts"]:
            if alert["state"] == "firing":
                found.setdefault(alert["labels"]["alertname"], []).append(alert)
        return found

    def await_alert(self, name: str, **labels: str) -> dict[str, Any]:
        """The alert with these labels, when it fires."""
        deadline = time.monotonic() + ALERT_SECONDS
        while True:
            firing = self.firing()
            for alert in firing.get(name, []):
                if labels.items() <= alert["labels"].items():
                    return alert
            self.run.tend()
            assert time.monotonic() < deadline, f"{name} {labels} does not fire; {sorted(firing)} do\n{self.run.logs()}"
            time.sleep(0.5)

    def await_end(self, name: str, seconds: float = ALERT_SECONDS) -> None:
        """Wait until no alert of the name fires."""
        deadline = time.monotonic() + seconds
        while (still := self.firing().get(name)) is not None:
            self.run.tend()
            assert time.monotonic() < deadline, f"{name} does not end: {still}\n{self.run.logs()}"
            time.sleep(0.5)

    @property
    def environ(self) -> dict[str, str]:
        """What an operator of this pipeline has set."""
        addresses = ",".join(f"127.0.0.1:{port}" for port in self.ports.values())
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        policy = {"CALLSTREAM_PRIVACY_POLICY_FILE": str(self.policy)}
        return (
            self.run.environ | self.agents.settings | policy | {"CALLSTREAM_PROCESS_ADDRESSES": addresses, "PATH": path}
        )

    @property
    def policy(self) -> Path:
        """The policy's file."""
        return self.run.folder / "policy.toml"

    def restore_policy(self) -> None:
        """Write a policy that is right."""
        self.policy.write_text(built_in_text("default"), encoding="utf-8")

    def callstream(self, *arguments: str) -> str:
        """Run a command that must go well; what it printed."""
        command = [sys.executable, "-m", "app", *arguments]
        done = subprocess.run(command, env=self.environ, capture_output=True, text=True, check=False, timeout=180)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def stop(self, name: str) -> None:
        """Stop a process as its operator does."""
        self.run.end(name, signal.SIGTERM)

    def start_again(self, name: str) -> None:
        """Start a process that was stopped."""
        self.run.start(name)

    def restart(self, name: str, **settings: str) -> None:
        """Stop a process, and start it with further settings by variable; without any, with those it had at first."""
        self.run.end(name, signal.SIGTERM)
        self.run.start(name, self._with_port(name, {**self.own.get(name, {}), **settings}))
        self.run.await_ready(120)

    def add(self, name: str, *, within: Sequence[str] = (), **settings: str) -> None:
        """Start one more process, which Prometheus finds, and wait until it is ready."""
        self.ports[name] = pick_free(frozenset(self.ports.values()))
        self.run.start(name, self._with_port(name, settings), within=within)
        _write_targets(self.run.folder, self.ports)
        self.run.await_ready(120)

    def remove(self, name: str) -> None:
        """End a process that was added, and let Prometheus forget it."""
        self.run.wanted.discard(name)
        self.run.processes.pop(name).kill()
        del self.ports[name]
        _write_targets(self.run.folder, self.ports)

    def await_scrape(self, name: str) -> None:
        """Wait until Prometheus knows of the present life of a process."""
        started = self.run.processes[name].metric("process_start_time_seconds")
        query = f'process_start_time_seconds{{instance="127.0.0.1:{self.ports[name]}"}} == {started!r}'
        self.run.wait(lambda: bool(self._ask(query)), 60, f"Prometheus to see {name}")

    def _ask(self, query: str) -> list[Any]:
        where = f"http://{self.prometheus}/api/v1/query"
        answer = urllib3.request("GET", where, fields={"query": query}, timeout=10, retries=3).json()
        found: list[Any] = answer["data"]["result"]
        return found

    def _with_port(self, name: str, settings: Mapping[str, str]) -> dict[str, str]:
        return {**settings, "CALLSTREAM_HTTP_PORT": str(self.ports[name])}

    def type_page(self, page: str, process: str) -> str:
        """Type what a page says about an alert of a process; what was printed. Fails for a command that is wrong.

        All that was typed and printed is in the folder's typed.txt.
        """
        environ = self.environ | {"INSTANCE": f"127.0.0.1:{self.ports[process]}", "NODE": NODE}
        printed = []
        for command in commands_of(page):
            line = ["bash", "-c", command]
            done = subprocess.run(line, env=environ, capture_output=True, text=True, check=False, timeout=180)
            said = done.stdout + done.stderr
            with (self.run.folder / "typed.txt").open("a", encoding="utf-8") as typed:
                typed.write(f"{page}$ {command}  -> {done.returncode}\n{said}\n")
            assert "Usage:" not in said, said
            assert "Traceback" not in said, said
            # 7 is curl's: nobody answers
            assert done.returncode in {0, 1, 2, 3, 7}, f"{command} ended with {done.returncode}: {said}"
            printed.append(said)
        return "\n".join(printed)


def _write_targets(folder: Path, ports: Mapping[str, int]) -> None:
    """Tell Prometheus which processes there are."""
    for job in _JOBS:
        of_job = [port for name, port in ports.items() if name.startswith(INGEST) == (job == _JOBS[0])]
        content = json.dumps([{"targets": [f"127.0.0.1:{port}" for port in of_job]}])
        (folder / "targets.new").write_text(content, encoding="utf-8")
        (folder / "targets.new").rename(folder / f"{job}.json")


def _config(folder: Path, ports: Mapping[str, int]) -> Path:
    (folder / "rules.yml").write_text(quick_rules(), encoding="utf-8")
    _write_targets(folder, ports)
    config = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s", "scrape_timeout": "1s"},
        "rule_files": [str(folder / "rules.yml")],
        "scrape_configs": [
            {"job_name": job, "file_sd_configs": [{"files": [str(folder / f"{job}.json")], "refresh_interval": "1s"}]}
            for job in _JOBS
        ],
    }
    path = folder / "prometheus.yml"
    path.write_text(yaml.safe_dump(config), encoding="utf-8")
    return path


@contextmanager
def _prometheus(folder: Path, ports: Mapping[str, int]) -> Iterator[str]:
    address = f"127.0.0.1:{pick_free(frozenset(ports.values()))}"
    command = [program("prometheus"), f"--config.file={_config(folder, ports)}", f"--web.listen-address={address}"]
    with (folder / "prometheus.log").open("wb") as log:
        process = subprocess.Popen([*command, f"--storage.tsdb.path={folder / 'tsdb'}"], stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                if urllib3.request("GET", f"http://{address}/-/ready", retries=False).status == 200:
                    break
            except urllib3.exceptions.HTTPError:
                pass
            assert process.poll() is None, (folder / "prometheus.log").read_text()
            assert time.monotonic() < deadline, "Prometheus does not start"
            time.sleep(0.2)
        yield address
    finally:
        process.terminate()
        process.wait(20)


def _ports() -> dict[str, int]:
    ports: dict[str, int] = {}
    for name in (INGEST, *(f"{stage.value}-0" for stage in Stage)):
        ports[name] = pick_free(frozenset(ports.values()))
    return ports


@contextmanager
def alarmed_pipeline(broker: BreakableBroker, prefix: str, folder: Path) -> Iterator[AlarmedPipeline]:
    """Everything started and ready; a certificate of it ends in a day. Kills everything at the end."""
    program("prometheus")
    ports = _ports()
    pair = Authority.create(folder).issue("worker")
    (folder / "token").write_text("a-token-of-this-test")
    (folder / "policy.toml").write_text(built_in_text("default"), encoding="utf-8")
    agents = LiveAgents(
        folder, rate_per_s=RATE_PER_S, until_s=int(time.time()) + LIFE_SECONDS, queue_events=QUEUE_EVENTS
    )
    own = {
        INGEST: agents.settings
        | {
            "CALLSTREAM_SPILL_DIR": str(folder / "spill"),
            "CALLSTREAM_SPILL_MAX_BYTES": str(4 << 20),
            "CALLSTREAM_BUFFER_MAX_BYTES": str(1 << 20),
            "CALLSTREAM_OVERLOAD_GRACE_MS": "200",
            "CALLSTREAM_HEARTBEAT_SECONDS": "1",
            "CALLSTREAM_POLICY_POLL_SECONDS": "1",
        },
        "privacy-0": {"CALLSTREAM_PRIVACY_POLICY_FILE": str(folder / "policy.toml")},
        "hot-symbols-0": {
            "CALLSTREAM_HOT_SYMBOLS_PORT": "0",
            "CALLSTREAM_HOT_SYMBOLS_TOKEN_FILE": str(folder / "token"),
            "CALLSTREAM_HOT_SYMBOLS_TLS_CERT_FILE": str(pair.certificate),
            "CALLSTREAM_HOT_SYMBOLS_TLS_KEY_FILE": str(pair.key),
        },
    }
    with pipeline_run(broker, prefix, folder) as run, _prometheus(folder, ports) as prometheus:
        agents.say()
        agents.start()
        try:
            for name, port in ports.items():
                run.start(name, own.get(name, {}) | {"CALLSTREAM_HTTP_PORT": str(port)})
            run.await_ready(180)
            yield AlarmedPipeline(run, broker, agents, ports, prometheus, own)
        finally:
            agents.close()
