"""The embedded broker as its users see it: real processes, real signals, real files."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import urllib3
from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import (
    AclBinding,
    AclOperation,
    AclPermissionType,
    AdminClient,
    NewTopic,
    ResourcePatternType,
    ResourceType,
)

from app.embedded.failures import EmbeddedError, Failure
from app.embedded.kafka_server import Listener
from app.embedded.prepare import prepare
from schemas.topics import MAX_EVENT_BYTES, RECORD_OVERHEAD_BYTES
from tests.support.breakable_broker import BreakableBroker

pytestmark = pytest.mark.integration

_COMMAND = [sys.executable, "-m", "app", "broker"]
_SCHEMA = '{"type":"record","name":"Kept","fields":[{"name":"x","type":"int"}]}'


def _register(broker: BreakableBroker, subject: str, schema: str = _SCHEMA) -> int:
    answer = urllib3.request(
        "POST",
        f"{broker.registry_url}/subjects/{subject}/versions",
        json={"schema": schema},
        headers={"Content-Type": "application/vnd.schemaregistry.v1+json"},
    )
    assert answer.status == 200, answer.data
    return int(answer.json()["id"])


def _schema(broker: BreakableBroker, schema_id: int) -> str:
    answer = urllib3.request("GET", f"{broker.registry_url}/schemas/ids/{schema_id}")
    assert answer.status == 200, answer.data
    return str(answer.json()["schema"])


def _write(broker: BreakableBroker, topic: str, values: list[bytes], **config: int) -> None:
    failures: list[object] = []
    producer = Producer({"bootstrap.servers": broker.bootstrap_servers, "acks": "all", **config})
    for value in values:
        producer.produce(topic, value, on_delivery=lambda error, _: failures.append(error) if error else None)
    assert producer.flush(30) == 0
    assert failures == []


def _read(broker: BreakableBroker, topic: str, count: int) -> list[bytes]:
    consumer = Consumer(
        {"bootstrap.servers": broker.bootstrap_servers, "group.id": f"read-{topic}", "auto.offset.reset": "earliest"}
    )
    consumer.subscribe([topic])
    values: list[bytes] = []
    deadline = time.monotonic() + 30
    while len(values) < count and time.monotonic() < deadline:
        message = consumer.poll(0.2)
        if message is not None and message.error() is None:
            values.append(message.value() or b"")
    consumer.close()
    return values


def _create(broker: BreakableBroker, topic: str, partitions: int = 1, max_message_bytes: int = 1 << 20) -> None:
    admin = AdminClient({"bootstrap.servers": broker.bootstrap_servers})
    admin.create_topics([NewTopic(topic, partitions, 1, config={"max.message.bytes": str(max_message_bytes)})])[
        topic
    ].result(30)


def _gone(pid: int) -> bool:
    """Whether a process has ended; a zombie that init has not collected yet has ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except OSError:
        return True


def _eventually(condition: Callable[[], bool], seconds: float = 30) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.05)
    return condition()


def _children_on(data_dir: Path) -> list[int]:
    """Processes whose command line names the data folder."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                line = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if str(data_dir).encode() in line and b"java" in line.split(b"\0")[0]:
                found.append(int(entry.name))
    return found


def test_servers_start_with_what_an_earlier_start_left(tmp_path: Path) -> None:
    """Java maps the files that `callstream broker --fetch-only` made, and complains of none."""
    artifacts = prepare(lambda _: None)
    with BreakableBroker(tmp_path / "data") as broker:
        for name, pid in (("kafka", broker.kafka_pid), ("registry", broker.registry_pid)):
            mapped = Path(f"/proc/{pid}/maps").read_text(encoding="utf-8")
            assert str(artifacts.start_caches / f"{name}.aot") in mapped
    for log in (tmp_path / "data" / "logs").iterdir():
        assert "aot" not in log.read_text(encoding="utf-8"), log.name


def test_an_event_of_the_greatest_size_passes(embedded: BreakableBroker, topic_prefix: str) -> None:
    """A raw event of 16 MiB is written and read back whole."""
    topic, limit = f"{topic_prefix}big", MAX_EVENT_BYTES + RECORD_OVERHEAD_BYTES
    _create(embedded, topic, max_message_bytes=limit)
    event = os.urandom(1 << 16) * (MAX_EVENT_BYTES >> 16)
    _write(embedded, topic, [event], **{"message.max.bytes": limit})
    assert _read(embedded, topic, 1) == [event]


def test_topics_are_not_made_by_writing_to_them(embedded: BreakableBroker, topic_prefix: str) -> None:
    """A misspelt topic name does not become a topic."""
    producer = Producer({"bootstrap.servers": embedded.bootstrap_servers, "message.timeout.ms": 2_000})
    errors: list[object] = []
    producer.produce(f"{topic_prefix}misspelt", b"x", on_delivery=lambda error, _: errors.append(error))
    producer.flush(10)
    assert [error is None for error in errors] == [False]
    topics = AdminClient({"bootstrap.servers": embedded.bootstrap_servers}).list_topics(timeout=10).topics
    assert f"{topic_prefix}misspelt" not in topics


def test_everything_listens_on_loopback_only(embedded: BreakableBroker) -> None:
    """No socket of either server is reachable from another machine."""
    for pid in (embedded.kafka_pid, embedded.registry_pid):
        sockets = {str(fd.readlink()) for fd in Path(f"/proc/{pid}/fd").iterdir() if fd.is_symlink()}
        listening = []
        for table in ("tcp", "tcp6"):
            for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
                fields = line.split()
                if fields[3] == "0A" and f"socket:[{fields[9]}]" in sockets:
                    listening.append(fields[1].split(":")[0])
        assert listening, f"process {pid} listens nowhere"
        assert set(listening) == {"0100007F"}, "every listening address is 127.0.0.1"


def test_records_and_schemas_survive_restart_kill_and_new_ports(tmp_path: Path) -> None:
    """The same folder brings back topics, records, schemas and their ids, however both servers ended."""
    with BreakableBroker(tmp_path / "broker") as broker:
        _create(broker, "kept", partitions=3)
        _write(broker, "kept", [b"before the restart"])
        schema_id = _register(broker, "kept-value")
        broker.restart_kafka()
        _write(broker, "kept", [b"after the restart"])
        broker.kill_kafka()
        broker.kill_registry()
        broker.restart_kafka()
        broker.restart_registry()
        assert _schema(broker, schema_id) == _SCHEMA
        first_address = broker.bootstrap_servers
    with BreakableBroker(tmp_path / "broker") as broker:
        assert broker.bootstrap_servers != first_address
        assert sorted(_read(broker, "kept", 2)) == [b"after the restart", b"before the restart"]
        assert _schema(broker, schema_id) == _SCHEMA
        assert _register(broker, "kept-value") == schema_id
        other = json.dumps({"type": "record", "name": "Other", "fields": []})
        assert _register(broker, "other-value", other) > schema_id


def test_paused_servers_answer_again_after_resume(embedded: BreakableBroker, topic_prefix: str) -> None:
    """SIGSTOP holds a write up, SIGCONT lets it through: nothing is lost, nothing reconnects."""
    topic = f"{topic_prefix}paused"
    _create(embedded, topic)
    delivered: list[object] = []
    producer = Producer({"bootstrap.servers": embedded.bootstrap_servers, "acks": "all"})
    _write(embedded, topic, [b"first"])
    embedded.pause_kafka()
    try:
        producer.produce(topic, b"second", on_delivery=lambda error, _: delivered.append(error))
        producer.flush(1)
        assert delivered == []
    finally:
        embedded.resume_kafka()
    assert producer.flush(30) == 0
    assert delivered == [None]


def test_a_listener_with_sasl_and_acls_lets_in_who_may(tmp_path: Path) -> None:
    """Extra listeners and options reach Kafka: a user without an ACL is refused, one with it is not."""
    password = "pass-" + "word"
    users = f'user_reader="{password}"'
    jaas = f"org.apache.kafka.common.security.plain.PlainLoginModule required {users};"
    options = {
        "sasl.enabled.mechanisms": "PLAIN",
        "listener.name.secure.plain.sasl.jaas.config": jaas,
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "super.users": "User:ANONYMOUS",
    }
    with BreakableBroker(
        tmp_path / "broker", kafka_properties=options, listeners=[Listener("SECURE", "SASL_PLAINTEXT")]
    ) as broker:
        _create(broker, "secret")
        secure = AdminClient(
            {
                "bootstrap.servers": broker.listener_address("SECURE"),
                "security.protocol": "SASL_PLAINTEXT",
                "sasl.mechanism": "PLAIN",
                "sasl.username": "reader",
                "sasl.password": password,
            }
        )
        assert "secret" not in secure.list_topics(timeout=10).topics
        admin = AdminClient({"bootstrap.servers": broker.bootstrap_servers})
        acl = AclBinding(
            ResourceType.TOPIC,
            "secret",
            ResourcePatternType.LITERAL,
            "User:reader",
            "*",
            AclOperation.DESCRIBE,
            AclPermissionType.ALLOW,
        )
        admin.create_acls([acl])[acl].result(10)
        assert _eventually(lambda: "secret" in secure.list_topics(timeout=10).topics)


def test_a_folder_in_use_is_refused_by_name(embedded: BreakableBroker) -> None:
    """A second broker on the same folder says which folder and which process."""
    folder = embedded.data_dir
    with pytest.raises(EmbeddedError, match=f"{folder}.*process {os.getpid()}") as caught:
        BreakableBroker(folder).start()
    assert caught.value.reason is Failure.DATA_DIR_LOCKED


def test_a_port_in_use_is_refused_with_the_option_to_change(embedded: BreakableBroker, tmp_path: Path) -> None:
    """The message has the port, who wants it and how to pick another; no file is left."""
    port = int(embedded.bootstrap_servers.rpartition(":")[2])
    with pytest.raises(EmbeddedError, match=f"port {port} .*Kafka.*--port") as caught:
        BreakableBroker(tmp_path / "second", port=port).start()
    assert caught.value.reason is Failure.PORT_IN_USE
    assert not (tmp_path / "second").exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_command_prints_one_line_and_stops_on_a_signal(tmp_path: Path, number: signal.Signals) -> None:
    """`callstream broker` prints its addresses when ready, and SIGTERM or Ctrl-C ends it with code 0."""
    arguments = ["--data-dir", str(tmp_path / "broker"), "--port", "0", "--registry-port", "0"]
    with subprocess.Popen([*_COMMAND, *arguments], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        addresses = json.loads(process.stdout.readline())
        assert addresses.keys() == {"bootstrap_servers", "schema_registry_url"}
        assert AdminClient({"bootstrap.servers": addresses["bootstrap_servers"]}).list_topics(timeout=10).brokers
        assert len(_children_on(tmp_path)) == 2
        process.send_signal(number)
        assert process.wait(30) == 0
        assert process.stdout.read() == b""
    assert _children_on(tmp_path) == []


def test_a_killed_command_leaves_no_server_behind(tmp_path: Path) -> None:
    """SIGKILL cannot be caught, so the kernel ends both servers for us, and the folder can be used again."""
    arguments = ["--data-dir", str(tmp_path / "broker"), "--port", "0", "--registry-port", "0"]
    with subprocess.Popen([*_COMMAND, *arguments], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        servers = _children_on(tmp_path)
        assert len(servers) == 2
        process.kill()
    assert _eventually(lambda: all(_gone(pid) for pid in servers))
    with BreakableBroker(tmp_path / "broker") as broker:
        broker.check_alive()


def test_a_server_that_ends_by_itself_is_reported_with_its_log(tmp_path: Path) -> None:
    """The foreground command ends with code 1 and names the server and its log file."""
    arguments = ["--data-dir", str(tmp_path / "broker"), "--port", "0", "--registry-port", "0"]
    with subprocess.Popen(
        [*_COMMAND, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        kafka = next(
            pid for pid in _children_on(tmp_path) if b"kafka.Kafka" in Path(f"/proc/{pid}/cmdline").read_bytes()
        )
        os.kill(kafka, signal.SIGKILL)
        _, notes = process.communicate(timeout=30)
        assert process.returncode == 1
        assert "kafka ended with code -9" in notes
        assert "kafka.log" in notes
    assert _children_on(tmp_path) == []


def test_a_wrong_kafka_option_is_reported_with_kafkas_own_words(tmp_path: Path) -> None:
    """A start that fails leaves nothing running and shows what Kafka said."""
    broker = BreakableBroker(tmp_path / "broker", kafka_properties={"num.io.threads": "none"})
    with pytest.raises(EmbeddedError, match=r"num\.io\.threads") as caught:
        broker.start()
    assert caught.value.reason is Failure.NOT_READY
    assert _children_on(tmp_path) == []


def test_the_command_says_what_the_machine_lacks(embedded: BreakableBroker, tmp_path: Path) -> None:
    """A port in use ends with code 2 and one line on standard error, nothing on standard output."""
    port = embedded.bootstrap_servers.rpartition(":")[2]
    arguments = ["--data-dir", str(tmp_path / "broker"), "--port", port, "--registry-port", "0"]
    done = subprocess.run([*_COMMAND, *arguments], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"callstream broker: port {port} on 127.0.0.1 is in use, and Kafka wants it")
    assert len(done.stderr.splitlines()) == 1
