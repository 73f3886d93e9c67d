"""Apache Kafka as one small node: broker and controller in one process, everything on loopback.

Its options suit a machine with two cores and little memory, which the pipeline shares. Kafka creates no topic on first
use. It deletes nothing by size, because that could remove records that no stage has read yet.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from app.embedded.artifacts import Artifacts
from app.embedded.data_dir import DataDir
from app.embedded.jvm import JavaProgram
from app.embedded.ports import LOOPBACK
from app.embedded.start_caches import start_options, stop_seconds
from schemas.topics import MAX_EVENT_BYTES, RECORD_OVERHEAD_BYTES

PLAIN_LISTENER = "PLAINTEXT"
_CONTROLLER_LISTENER = "CONTROLLER"
_HEAP_MIB = 768
"""Requests of 16 MiB are held whole, a few at a time, and a compressed batch is inflated to be checked: with 384 the
broker ended under an attack with such batches. It lives on 200 MB otherwise."""

_SMALL_NODE = {
    "message.max.bytes": MAX_EVENT_BYTES + RECORD_OVERHEAD_BYTES,
    "replica.fetch.max.bytes": MAX_EVENT_BYTES + RECORD_OVERHEAD_BYTES,
    "num.network.threads": 2,
    "num.io.threads": 4,
    "background.threads": 2,
    # the default of 128 MiB is taken at once, and our compacted topics have few keys
    "log.cleaner.dedupe.buffer.size": 16 << 20,
    "log.index.size.max.bytes": 2 << 20,
    "log.retention.hours": 168,
    "auto.create.topics.enable": "false",
    # one node holds the only copy of everything
    "offsets.topic.replication.factor": 1,
    "offsets.topic.num.partitions": 4,
    "transaction.state.log.replication.factor": 1,
    "transaction.state.log.min.isr": 1,
    "transaction.state.log.num.partitions": 2,
    "share.coordinator.state.topic.replication.factor": 1,
    "share.coordinator.state.topic.min.isr": 1,
    "share.coordinator.state.topic.num.partitions": 1,
    # a demo's first worker need not wait for others, and a test's killed worker is missed soon
    "group.initial.rebalance.delay.ms": 0,
    "group.min.session.timeout.ms": 1_000,
    # after a SIGKILL the controller waits for the session of the broker's former life: 9 s by default
    "broker.session.timeout.ms": 2_000,
    "broker.heartbeat.interval.ms": 250,
}


@dataclass(frozen=True, slots=True)
class Listener:
    """A listener beside the plain one; `protocol` is SSL, SASL_PLAINTEXT or SASL_SSL, `name` upper case letters."""

    name: str
    protocol: str


@dataclass(frozen=True, slots=True)
class KafkaPorts:
    """Loopback ports; `extra` by listener name."""

    plain: int
    controller: int
    extra: Mapping[str, int]


def properties(
    data: DataDir, ports: KafkaPorts, listeners: Sequence[Listener], overrides: Mapping[str, str]
) -> dict[str, str]:
    """Options of the node; `overrides` win."""
    public = [f"{PLAIN_LISTENER}://{LOOPBACK}:{ports.plain}"]
    public += [f"{one.name}://{LOOPBACK}:{ports.extra[one.name]}" for one in listeners]
    controller = f"{LOOPBACK}:{ports.controller}"
    protocols = [f"{PLAIN_LISTENER}:PLAINTEXT", f"{_CONTROLLER_LISTENER}:PLAINTEXT"]
    protocols += [f"{one.name}:{one.protocol}" for one in listeners]
    return {
        "node.id": "1",
        "process.roles": "broker,controller",
        "controller.quorum.voters": f"1@{controller}",
        "controller.listener.names": _CONTROLLER_LISTENER,
        "inter.broker.listener.name": PLAIN_LISTENER,
        "listeners": ",".join([*public, f"{_CONTROLLER_LISTENER}://{controller}"]),
        "advertised.listeners": ",".join(public),
        "listener.security.protocol.map": ",".join(protocols),
        "log.dirs": str(data.root / "kafka"),
        **{name: str(value) for name, value in _SMALL_NODE.items()},
        **overrides,
    }


def write_properties(data: DataDir, options: Mapping[str, str]) -> None:
    """Write `kafka.properties`, readable by the owner only: overrides may hold passwords."""
    path = data.root / "kafka.properties"
    path.touch(mode=0o600)
    lines = [f"{name}={_escaped(value)}\n" for name, value in sorted(options.items())]
    path.write_text("".join(lines), encoding="latin-1")


def _escaped(value: str) -> str:
    return re.sub(r"[^ -~]|\\", lambda found: f"\\u{ord(found[0]):04x}", value)


def formatted(data: DataDir) -> bool:
    """Whether the node's storage was prepared; a tool of Kafka must do that once."""
    return (data.root / "kafka" / "meta.properties").exists()


def format_program(data: DataDir, artifacts: Artifacts) -> JavaProgram:
    """Kafka's tool that prepares the storage."""
    options = ("--cluster-id", data.marker.cluster_id, "--config", str(data.root / "kafka.properties"))
    return _program(
        "kafka-format", data, artifacts, ("kafka.tools.StorageTool", "format", "--ignore-formatted", *options)
    )


def server_program(data: DataDir, artifacts: Artifacts, java_options: Sequence[str] = ()) -> JavaProgram:
    """The node itself."""
    return _program("kafka", data, artifacts, ("kafka.Kafka", str(data.root / "kafka.properties")), java_options)


def _program(
    name: str, data: DataDir, artifacts: Artifacts, main: tuple[str, ...], java_options: Sequence[str] = ()
) -> JavaProgram:
    # at `info` Kafka prints its whole configuration, passwords' names and all, and a line for every topic and segment
    log = "-Dorg.slf4j.simpleLogger."
    logging = (
        f"{log}defaultLogLevel=warn",
        f"{log}showDateTime=true",
        f"{log}dateTimeFormat=yyyy-MM-dd'T'HH:mm:ss.SSSZ",
    )
    return JavaProgram(
        name=name,
        heap_mib=_HEAP_MIB,
        arguments=(
            *start_options(artifacts, name),
            *logging,
            *java_options,
            "-cp",
            f"{artifacts.kafka_jars}/*",
            *main,
        ),
        data=data,
        stop_seconds=stop_seconds(artifacts),
    )


def probe(port: int, cluster_id: str) -> Callable[[], bool]:
    """Tells whether the node serves clients now: it names itself as an alive broker of the right cluster.

    Each call waits half a second at most.
    """
    admin = AdminClient(
        {
            "bootstrap.servers": f"{LOOPBACK}:{port}",
            "reconnect.backoff.ms": 20,
            "reconnect.backoff.max.ms": 50,
            "log_level": 0,  # refused connections are expected here
        }
    )

    def serves() -> bool:
        try:
            cluster = admin.list_topics(timeout=0.5)
        except KafkaException:
            return False
        return bool(cluster.brokers) and cluster.cluster_id == cluster_id

    return serves
