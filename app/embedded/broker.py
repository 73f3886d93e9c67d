"""The embedded broker: one Kafka node and one schema registry, started together and stopped together.

`start` returns when both serve clients, and raises when one cannot; then nothing runs. `stop` may be called at any
time, and twice.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from app.embedded import kafka_server, registry_server
from app.embedded.artifacts import ensure
from app.embedded.data_dir import DataDir
from app.embedded.failures import EmbeddedError, Failure
from app.embedded.jvm import JavaProcess, Spawner
from app.embedded.kafka_server import KafkaPorts, KafkaProbe, Listener
from app.embedded.ports import LOOPBACK, pick_free, require_free
from app.embedded.registry_server import RegistryProbe

READY_SECONDS = 90
"""It takes three seconds on an idle machine, and much longer on a busy one."""

_PORT_ATTEMPTS = 3
"""Another process may take a free port after it is chosen and before a server listens on it."""

_PORT_TAKEN = ("Address already in use", "in use by another process")


class EmbeddedBroker:
    """Kafka and the registry in one data folder.

    `port` and `registry_port` 0 mean "any free one". `kafka_properties` override the node's options and `listeners` add
    to its plain one, for tests of TLS, SASL and ACLs. `report` gets a sentence about each slow step.
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        port: int = 0,
        registry_port: int = 0,
        kafka_properties: Mapping[str, str] | None = None,
        listeners: Sequence[Listener] = (),
        report: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._data_dir = data_dir
        self._wanted = (port, registry_port)
        self._overrides = dict(kafka_properties or {})
        self._listeners = tuple(listeners)
        self._report = report
        self._ports = KafkaPorts(0, 0, {})
        self._registry_port = 0
        self._data: DataDir | None = None
        self._spawner: Spawner | None = None
        self._kafka: JavaProcess | None = None
        self._registry: JavaProcess | None = None

    def start(self) -> None:
        """Start both and wait until they serve.

        Raises EmbeddedError with any reason of `Failure`; then nothing runs.
        """
        artifacts = ensure(self._report)
        self._require_wanted_ports()
        for attempt in range(1, _PORT_ATTEMPTS + 1):
            try:
                self._choose_ports()
                self._data = DataDir(self._data_dir, artifacts.pins)
                self._spawner = Spawner()
                options = kafka_server.properties(self._data, self._ports, self._listeners, self._overrides)
                kafka_server.write_properties(self._data, options)
                self._registry = JavaProcess(registry_server.server_program(self._data, artifacts, self._registry_port))
                self._spawn(self._registry)
                if not kafka_server.formatted(self._data):
                    self._format(JavaProcess(kafka_server.format_program(self._data, artifacts)))
                self._kafka = JavaProcess(kafka_server.server_program(self._data, artifacts))
                self._spawn(self._kafka)
                self._await_kafka()
                self._await_registry()
            except EmbeddedError as error:
                self.stop()
                if error.reason is not Failure.PORT_IN_USE or attempt == _PORT_ATTEMPTS:
                    raise
            except BaseException:
                self.stop()
                raise
            else:
                return

    def stop(self) -> None:
        """Stop both cleanly, or by force if that takes too long, and release the data folder."""
        processes = [process for process in (self._kafka, self._registry) if process is not None]
        for process in processes:
            process.ask_to_stop()
        for process in processes:
            process.wait_stopped()
        self._kafka = self._registry = None
        if self._spawner is not None:
            self._spawner.close()
            self._spawner = None
        if self._data is not None:
            self._data.close()
            self._data = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def data_dir(self) -> Path:
        """Folder with everything that this broker keeps, its servers' logs included."""
        return self._data_dir

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

    @property
    def kafka_pid(self) -> int:
        """Process id of Kafka."""
        return self._running(self._kafka).pid

    @property
    def registry_pid(self) -> int:
        """Process id of the registry."""
        return self._running(self._registry).pid

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

    def _spawn(self, process: JavaProcess) -> None:
        assert self._spawner is not None
        assert self._data is not None
        self._spawner.start(process, (self._data.descriptor,))

    def _format(self, formatter: JavaProcess) -> None:
        self._spawn(formatter)
        formatter.wait_stopped()
        if formatter.exit_code != 0:
            raise self._ended(formatter, Failure.NOT_READY)

    def _await_kafka(self) -> None:
        assert self._data is not None
        self._await(self._running(self._kafka), KafkaProbe(self._ports.plain, self._data.marker.cluster_id).ready)

    def _await_registry(self) -> None:
        self._await(self._running(self._registry), RegistryProbe(self._registry_port).ready)

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
        return EmbeddedError(reason, f"{what}; {process.program.log_file} ends with:\n{tail}")

    @staticmethod
    def _running(process: JavaProcess | None) -> JavaProcess:
        assert process is not None, "the embedded broker is not started"
        return process
