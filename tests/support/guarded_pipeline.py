"""A pipeline on a broker with SCRAM and an authorizer, with the rights of deploy/kafka/acls.toml and no others."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from click.testing import CliRunner
from confluent_kafka import Consumer, KafkaException, Producer
from confluent_kafka.admin import (
    AdminClient,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialUpsertion,
)

from app.__main__ import cli
from app.embedded.broker import EmbeddedBroker
from app.embedded.kafka_server import Listener
from app.simulator.recording import Recording
from app.simulator.server import SimulatorServer
from app.simulator.workload.generator import Workload, WorkloadOptions
from schemas import topics
from schemas.topics import Stage
from tests.support.pipeline_run import INGEST, PipelineRun, pipeline_run

FILE: Final = Path(__file__).parents[2] / "deploy" / "kafka" / "acls.toml"
EVENTS = 2_000
PEOPLE = ("operator", "auditor", "admin")
USERS = (INGEST, *(stage.value for stage in Stage), *PEOPLE, "console", "reader", "reprocessor", "stranger")
LOGIN = "org.apache.kafka.common.security.scram.ScramLoginModule required;"


def _password(user: str) -> str:
    return f"word-of-{user}"


@dataclass(frozen=True, slots=True)
class GuardedPipeline:
    """A pipeline on a broker that lets in users with a password, and does as the file says."""

    broker: EmbeddedBroker
    run: PipelineRun
    answers: list[tuple[int, dict[str, Any]]] = field(default_factory=list)
    """Of `topics allow --check`, `topics allow` and again `topics allow --check`, before anything was started."""

    def settings(self, user: str) -> dict[str, str]:
        """What a process of ours has to know to be this user."""
        file = self.run.folder / f"password-{user}"
        file.write_text(_password(user))
        return {
            "CALLSTREAM_KAFKA_BOOTSTRAP_SERVERS": self.broker.listener_address("SCRAM"),
            "CALLSTREAM_KAFKA_SECURITY_PROTOCOL": "SASL_PLAINTEXT",
            "CALLSTREAM_KAFKA_SASL_MECHANISM": "SCRAM-SHA-512",
            "CALLSTREAM_KAFKA_SASL_USERNAME": user,
            "CALLSTREAM_KAFKA_SASL_PASSWORD_FILE": str(file),
        }

    def client(self, user: str) -> dict[str, Any]:
        """Somebody else's program as this user."""
        return {
            "bootstrap.servers": self.broker.listener_address("SCRAM"),
            "security.protocol": "SASL_PLAINTEXT",
            "sasl.mechanism": "SCRAM-SHA-512",
            "sasl.username": user,
            "sasl.password": _password(user),
            "log_level": 0,
        }

    def read(self, user: str, topic: str, group: str) -> bytes | int | None:
        """First record of a topic, given by its unprefixed name, or the code of the error that stands for it."""
        consumer = Consumer({**self.client(user), "group.id": group, "auto.offset.reset": "earliest"})
        try:
            consumer.subscribe([self.run.settings.name(topic)])
            message = consumer.poll(20)
            if message is None:
                return None
            error = message.error()
            return message.value() if error is None else error.code()
        except KafkaException as error:
            return int(error.args[0].code())
        finally:
            consumer.close()

    def write(self, user: str, topic: str) -> int:
        """The code of the error with which a record is refused; 0 where it is not."""
        codes: list[int] = []
        producer = Producer({**self.client(user), "message.timeout.ms": 5_000})
        producer.produce(
            self.run.settings.name(topic),
            b"forged",
            on_delivery=lambda error, _: codes.append(0 if error is None else error.code()),
        )
        producer.flush(15)
        return codes[0]

    def allow(self, *options: str) -> tuple[int, dict[str, Any]]:
        """Apply or check the file."""
        asked = CliRunner().invoke(cli, ["topics", "allow", str(FILE), "--json", *options], env=self.run.environ)
        return asked.exit_code, json.loads(asked.stdout)


@contextmanager
def guarded_pipeline(folder: Path) -> Iterator[GuardedPipeline]:
    """The whole pipeline has run, every process as a user of its own; its first answers to the file are kept."""
    options = {
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "allow.everyone.if.no.acl.found": "false",
        "super.users": "User:ANONYMOUS",  # who comes in on the plain listener: the broker itself, and this test
        "sasl.enabled.mechanisms": "SCRAM-SHA-512",
        "listener.name.scram.sasl.enabled.mechanisms": "SCRAM-SHA-512",
        "listener.name.scram.scram-sha-512.sasl.jaas.config": LOGIN,
    }
    listeners = [Listener("SCRAM", "SASL_PLAINTEXT")]
    with (
        EmbeddedBroker(folder / "broker", kafka_properties=options, listeners=listeners) as broker,
        pipeline_run(broker, "guarded.", folder) as run,
    ):
        admin = AdminClient({"bootstrap.servers": broker.bootstrap_servers})
        info = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, 4096)
        wanted = [UserScramCredentialUpsertion(user, info, _password(user).encode()) for user in USERS]
        for answer in admin.alter_user_scram_credentials([*wanted]).values():
            answer.result()
        guarded = GuardedPipeline(broker, run)
        guarded.answers.extend(guarded.allow(*how) for how in (("--check",), (), ("--check",)))
        events = list(Workload(WorkloadOptions(events=EVENTS)).events())
        with SimulatorServer(Recording.of(events)) as server:
            run.start(INGEST, guarded.settings(INGEST) | {"CALLSTREAM_TETRAGON_ADDRESS": server.address})
            for stage in Stage:
                run.start(f"{stage.value}-0", guarded.settings(stage.value))
            run.await_ready()
            run.wait(lambda: sum(run.ends(topics.RAW).values()) >= EVENTS, 60, "the raw topic")
            run.wait(lambda: run.books("--settled").exit_code == 0, 60, "the books to balance")
        yield guarded
