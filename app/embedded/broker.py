"""The embedded broker: one Kafka node and one schema registry, started together and stopped together.

`start` returns when both serve clients, and raises when one cannot; then nothing runs. `stop` may be called at any
time, and twice.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Self

from app.embedded import kafka_server, registry_server
from app.embedded.artifacts import Artifacts, ensure
from app.embedded.data_dir import DataDir
from app.embedded.failures import EmbeddedError, Failure
from app.embedded.jvm import JavaProcess
from app.embedded.kafka_server import KafkaPorts, Listener
from app.embedded.ports import LOOPBACK, pick_free, require_free

READY_SECONDS = 90
"""It takes three seconds on an idle machine, and much longer on a busy one."""

_PORT_ATTEMPTS = 3
"""Another process may take a free port after it is chosen and before a server listens on it."""

_PORT_TAKEN = ("Address already in use", "in use by another process")


class EmbeddedBroker:
    """Kafka and the registry in one data folder.

    `port` and `registry_port` 0 mean "any free one". `kafka_properties` override the node's options and `listeners` add
    to its plain one, for tests of TLS, SASL and ACLs; `java_options` are for what Kafka reads from nowhere else.
    `report` gets a sentence about each slow step. `artifacts` are what runs: by default what was fetched, or is now.
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        port: int = 0,
        registry_port: int = 0,
        kafka_properties: Mapping[str, str] | None = None,
        listeners: Sequence[Listener] = (),
        java_options: Sequence[str] = (),
        report: Callable[[str], None] = lambda _: None,
        artifacts: Artifacts | None = None,
    ) -> None:
        self.data_dir = data_dir
        """Folder with everything that this broker keeps, its servers' logs included."""
        self._wanted = (port, registry_port)
        self._overrides = dict(kafka_properties or {})
        self._listeners = tuple(listeners)
        self._java_options = tuple(java_options)
        self._report = report
        self._artifacts = artifacts
        self._ports = KafkaPorts(0, 0, {})
        self._registry_port = 0
        self._data: DataDir | None = None
        self._open = ExitStack()
        self._kafka: JavaProcess | None = None
        self._registry: JavaProcess | None = None

    def start(self) -> None:
        """Start both and wait until they serve.

        Raises EmbeddedError with any reason of `Failure`; then nothing runs.
        """
        artifacts = self._artifacts or ensure(self._report)
        self._require_wanted_ports()
        for attempt in range(1, _PORT_ATTEMPTS + 1):
            try:
                self._choose_ports()
                self._start(artifacts)
            except BaseException as error:
                self.stop()
                port_was_taken = isinstance(error, EmbeddedError) and error.reason is Failure.PORT_IN_USE
                if not port_was_taken or attempt == _PORT_ATTEMPTS:
                    raise
            else:
                return

    def _start(self, artifacts: Artifacts) -> None:
        self._data = data = DataDir(self.data_dir, artifacts.pins)
        self._open.callback(data.close)
        spawner = self._open.enter_context(ThreadPoolExecutor(1, "embedded-spawner"))
        kafka_server.write_properties(
            data, kafka_server.properties(data, self._ports, self._listeners, self._overrides)
        )
        self._registry = JavaProcess(registry_server.server_program(data, artifacts, self._registry_port), spawner)
        self._registry.start()
        if not kafka_server.formatted(data):
            self._format(JavaProcess(kafka_server.format_program(data, artifacts), spawner))
        self._kafka = JavaProcess(kafka_server.server_program(data, artifacts, self._java_options), spawner)
        self._kafka.start()
        self._await_kafka()
        self._await_registry()

    def stop(self) -> None:
        """Stop both cleanly, or by force if that takes too long, and release the data folder."""
        processes = [process for process in (self._kafka, self._registry) if process is not None]
        for process in processes:
            process.ask_to_stop()
        for process in processes:
            process.wait_stopped()
        self._kafka = self._registry = None
        self._open.close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def bootstrap_servers(self) -> str:
        """Address of the plain listener, host:port."""
        return f"{LOOPBACK}:{self._ports.plain}"

    @property
    def registry_url(self) -> str:
        """Base URL of Confluent's REST interface."""
        return registry_server.registry_url(self._registry_port)

    def listener_address(self, name: str) -> str:
        """Address of one of `listeners`, host:port."""
        return f"{LOOPBACK}:{self._ports.extra[name]}"

    def check_alive(self) -> None:
        """Raise EmbeddedError(DIED), with the end of its log, if a server has ended by itself."""
        for process in (self._running(self._kafka), self._running(self._registry)):
            if not process.running:
                raise self._ended(process, Failure.DIED)

    def _require_wanted_ports(self) -> None:
        port, registry_port = self._wanted
        if port:
            require_free(port, "Kafka", "--port")
        if registry_port:
            require_free(registry_port, "the schema registry", "--registry-port")

    def _choose_ports(self) -> None:
        """Take the requested ports and choose the others; the controller's port is always chosen."""
        port, registry_port = self._wanted
        taken = {port, registry_port}

        def pick() -> int:
            chosen = pick_free(frozenset(taken))
            taken.add(chosen)
            return chosen

        self._registry_port = registry_port or pick()
        self._ports = KafkaPorts(port or pick(), pick(), {one.name: pick() for one in self._listeners})

    def _format(self, formatter: JavaProcess) -> None:
        formatter.start()
        formatter.wait_stopped()
        if formatter.exit_code != 0:
            raise self._ended(formatter, Failure.NOT_READY)

    def _await_kafka(self) -> None:
        assert self._data is not None
        self._await(self._running(self._kafka), kafka_server.probe(self._ports.plain, self._data.marker.cluster_id))

    def _await_registry(self) -> None:
        self._await(self._running(self._registry), partial(registry_server.serves, self._registry_port))

    def _await(self, process: JavaProcess, ready: Callable[[], bool]) -> None:
        deadline = time.monotonic() + READY_SECONDS
        while not ready():
            if not process.running or time.monotonic() > deadline:
                raise self._ended(process, Failure.NOT_READY)
            time.sleep(0.02)

    @staticmethod
    def _ended(process: JavaProcess, reason: Failure) -> EmbeddedError:
        name, code, tail = process.program.name, process.exit_code, process.log_tail()
        if any(sign in tail for sign in _PORT_TAKEN):
            reason = Failure.PORT_IN_USE
        what = f"{name} does not answer after {READY_SECONDS} s" if code is None else f"{name} ended with code {code}"
        return EmbeddedError(reason, f"{what}; {process.log_file} ends with:\n{tail}")

    @staticmethod
    def _running(process: JavaProcess | None) -> JavaProcess:
        assert process is not None, "the embedded broker is not started"
        return process
