"""The broker of docker-compose.yml on this machine: its options and users, and secrets made by its script."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from app.embedded.broker import EmbeddedBroker
from app.embedded.kafka_server import Listener

DEPLOY: Final = Path(__file__).resolve().parents[2] / "deploy"
_WHERE: Final = {"node.id", "process.roles", "log.dirs", "inter.broker.listener.name"}
"""Options that say where a broker is, not what it allows; the embedded broker has its own."""


def _options(secrets: Path) -> dict[str, str]:
    """The committed options, less addresses, with the secrets where they are here."""
    lines = (DEPLOY / "kafka" / "server.properties").read_text().splitlines()
    pairs = (line.split("=", 1) for line in lines if line and not line.startswith("#"))
    return {
        name: value.replace("/run/secrets", str(secrets))
        for name, value in pairs
        if name not in _WHERE
        and "listeners" not in name.split(".")
        and not name.startswith(("controller.", "listener.s"))
    }


@dataclass(frozen=True, slots=True)
class DeployedBroker:
    """A broker that knows the users of the deployment."""

    broker: EmbeddedBroker
    secrets: Path

    @property
    def inner_address(self) -> str:
        """Where the processes of the deployment connect."""
        return self.broker.listener_address("PIPELINE")

    def password_file(self, user: str) -> Path:
        """The file with a user's password."""
        return self.secrets / f"kafka_{user.replace('-', '_')}_password"

    def client(self, user: str, listener: str) -> dict[str, str]:
        """What somebody else's program has to know to be this user."""
        return {
            "bootstrap.servers": self.broker.listener_address(listener),
            "security.protocol": "SASL_SSL",
            "ssl.ca.location": str(self.secrets / "kafka_ca"),
            "sasl.mechanism": "PLAIN",
            "sasl.username": user,
            "sasl.password": self.password_file(user).read_text(),
        }

    def settings(self, user: str) -> dict[str, str]:
        """Environment of a container of this user, with this broker's addresses."""
        return {
            "CALLSTREAM_KAFKA_BOOTSTRAP_SERVERS": self.inner_address,
            "CALLSTREAM_KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
            "CALLSTREAM_KAFKA_SSL_CA_FILE": str(self.secrets / "kafka_ca"),
            "CALLSTREAM_KAFKA_SASL_MECHANISM": "PLAIN",
            "CALLSTREAM_KAFKA_SASL_USERNAME": user,
            "CALLSTREAM_KAFKA_SASL_PASSWORD_FILE": str(self.password_file(user)),
            "CALLSTREAM_SCHEMA_REGISTRY_URL": self.broker.registry_url,
        }


@contextmanager
def deployed_broker(folder: Path) -> Iterator[DeployedBroker]:
    """Make secrets and start the broker with them, in a new folder; it has no topics."""
    secrets = folder / "secrets"
    subprocess.run([str(DEPLOY / "make-secrets.sh"), str(secrets), "127.0.0.1"], check=True, timeout=60)
    listeners = [Listener("PIPELINE", "SASL_SSL"), Listener("READERS", "SASL_SSL")]
    with EmbeddedBroker(folder / "broker", kafka_properties=_options(secrets), listeners=listeners) as broker:
        yield DeployedBroker(broker, secrets)
