"""Three Kafka nodes on loopback, as a deployment has them: three copies of everything, two of which must be in sync.

Each node can be killed, paused, stopped and started alone, on its ports and data. The schema registry is another one's:
it keeps nothing in Kafka.
"""

import os
import shutil
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Final, Self

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from app.embedded import kafka_server
from app.embedded.artifacts import ensure
from app.embedded.data_dir import DataDir
from app.embedded.jvm import JavaProcess
from app.embedded.kafka_server import KafkaPorts
from app.embedded.ports import LOOPBACK, pick_free

NODES: Final = 3
READY_SECONDS: Final = 120.0
_MARKER: Final = "callstream-broker.json"

_COPIES: Final = {
    "default.replication.factor": str(NODES),
    "min.insync.replicas": "2",
    "offsets.topic.replication.factor": str(NODES),
    "transaction.state.log.replication.factor": str(NODES),
    "transaction.state.log.min.isr": "2",
    "share.coordinator.state.topic.replication.factor": str(NODES),
    "share.coordinator.state.topic.min.isr": "2",
    "replica.lag.time.max.ms": "4000",  # so long a paused node counts as in sync; the default is half a minute
}


class ThreeBrokers:
    """A cluster for one test; it is what `pipeline_run` needs of a broker."""

    def __init__(self, folder: Path, registry_url: str) -> None:
        self._registry_url = registry_url
        self._folder = folder
        self._open = ExitStack()
        self._ports: list[KafkaPorts] = []
        self._nodes: list[JavaProcess] = []

    @property
    def registry_url(self) -> str:
        """The other one's."""
        return self._registry_url

    @property
    def bootstrap_servers(self) -> str:
        """Addresses of all nodes."""
        return ",".join(f"{LOOPBACK}:{ports.plain}" for ports in self._ports)

    def __enter__(self) -> Self:
        taken: set[int] = set()
        for _ in range(2 * NODES):
            taken.add(pick_free(frozenset(taken)))
        free = sorted(taken)
        self._ports = [KafkaPorts(free[2 * node], free[2 * node + 1], {}) for node in range(NODES)]
        try:
            self._start()
        except BaseException:
            self.stop_all()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop_all()

    def stop_all(self) -> None:
        """End all nodes."""
        for node in self._nodes:
            node.kill()
        self._nodes = []
        self._open.close()

    def _start(self) -> None:
        artifacts = ensure(lambda _: None)
        spawner = self._open.enter_context(ThreadPoolExecutor(1, "three-brokers"))
        voters = ",".join(f"{node + 1}@{LOOPBACK}:{ports.controller}" for node, ports in enumerate(self._ports))
        for node, ports in enumerate(self._ports):
            root = self._folder / f"node-{node + 1}"
            root.mkdir(parents=True)
            if node:  # all are of one cluster
                shutil.copy(self._folder / "node-1" / _MARKER, root / _MARKER)
            data = DataDir(root, artifacts.pins)
            self._open.callback(data.close)
            own = {"node.id": str(node + 1), "controller.quorum.voters": voters, **_COPIES}
            kafka_server.write_properties(data, kafka_server.properties(data, ports, (), own))
            formatter = JavaProcess(kafka_server.format_program(data, artifacts), spawner)
            formatter.start()
            formatter.wait_stopped()
            assert formatter.exit_code == 0, formatter.log_tail()
            process = JavaProcess(kafka_server.server_program(data, artifacts), spawner)
            process.start()
            self._nodes.append(process)
        self.await_whole()

    def kill(self, node: int) -> None:
        """SIGKILL node 1, 2 or 3."""
        self._nodes[node - 1].kill()

    def stop(self, node: int) -> None:
        """Stop a node as an operator does: its leaderships move first."""
        self._nodes[node - 1].ask_to_stop()
        self._nodes[node - 1].wait_stopped()

    def start(self, node: int) -> None:
        """Start a node again."""
        self._nodes[node - 1].start()

    def pause(self, node: int) -> None:
        """SIGSTOP: connections stay open and nothing answers."""
        os.kill(self._nodes[node - 1].pid, signal.SIGSTOP)

    def resume(self, node: int) -> None:
        """SIGCONT."""
        os.kill(self._nodes[node - 1].pid, signal.SIGCONT)

    def await_whole(self) -> None:
        """Wait until all nodes are there and every partition has all its copies in sync."""
        admin = AdminClient({"bootstrap.servers": self.bootstrap_servers, "log_level": 0})
        deadline = time.monotonic() + READY_SECONDS
        while not _is_whole(admin):
            logs = "\n".join(node.log_tail() for node in self._nodes)
            assert time.monotonic() < deadline, f"the cluster is not whole\n{logs}"
            time.sleep(0.2)


def _is_whole(admin: AdminClient) -> bool:
    try:
        found = admin.list_topics(timeout=2.0)
    except KafkaException:
        return False
    partitions = [one for topic in found.topics.values() for one in topic.partitions.values()]
    return len(found.brokers) == NODES and all(len(one.isrs) == len(one.replicas) for one in partitions)
