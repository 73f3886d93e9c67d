"""Where Kafka and the registry are, and how this program shows who it is."""

import base64
import json
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final, Self

from callstream_client.errors import ClientError

OauthToken = Callable[[str], tuple[str, float] | tuple[str, float, str, dict[str, str]]]
"""Gives a token and when it ends, in seconds since the Unix epoch; librdkafka asks again before that. A name and what
some brokers want beside the token may follow."""

_VARIABLES: Final[Mapping[str, str]] = {
    "bootstrap_servers": "KAFKA_BOOTSTRAP_SERVERS",
    "registry_url": "SCHEMA_REGISTRY_URL",
    "topic_prefix": "TOPIC_PREFIX",
    "security_protocol": "KAFKA_SECURITY_PROTOCOL",
    "ssl_ca_file": "KAFKA_SSL_CA_FILE",
    "ssl_cert_file": "KAFKA_SSL_CERT_FILE",
    "ssl_key_file": "KAFKA_SSL_KEY_FILE",
    "sasl_mechanism": "KAFKA_SASL_MECHANISM",
    "sasl_username": "KAFKA_SASL_USERNAME",
    "sasl_password_file": "KAFKA_SASL_PASSWORD_FILE",
    "sasl_oauth_token_file": "KAFKA_SASL_OAUTH_TOKEN_FILE",
    "sasl_oauth_token_url": "KAFKA_SASL_OAUTH_TOKEN_URL",
    "sasl_oauth_client_id": "KAFKA_SASL_OAUTH_CLIENT_ID",
    "sasl_oauth_client_secret_file": "KAFKA_SASL_OAUTH_CLIENT_SECRET_FILE",
    "sasl_oauth_scope": "KAFKA_SASL_OAUTH_SCOPE",
    "sasl_oauth_ca_file": "KAFKA_SASL_OAUTH_CA_FILE",
    "sasl_oauth_extensions": "KAFKA_SASL_OAUTH_EXTENSIONS",
    "registry_token_file": "SCHEMA_REGISTRY_TOKEN_FILE",
    "registry_username": "SCHEMA_REGISTRY_USERNAME",
    "registry_password_file": "SCHEMA_REGISTRY_PASSWORD_FILE",
    "registry_ssl_ca_file": "SCHEMA_REGISTRY_SSL_CA_FILE",
    "registry_ssl_cert_file": "SCHEMA_REGISTRY_SSL_CERT_FILE",
    "registry_ssl_key_file": "SCHEMA_REGISTRY_SSL_KEY_FILE",
}
"""Settings of the pipeline that a reader shares, without the word that they begin with."""


_NOT_READ: Final[Mapping[str, str]] = {
    "KAFKA_SASL_AWS_REGION": "give a function that signs: Connection(oauth_token=...)",
    "SCHEMA_REGISTRY_OAUTH_TOKEN_URL": "keep a token in CALLSTREAM_SCHEMA_REGISTRY_TOKEN_FILE",
}
"""Settings of the pipeline that this package cannot follow, and what to do instead."""

_TOKEN_SECONDS: Final = 60.0
"""How long a token counts that does not say when it ends."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """How to reach the topics. Passwords are read from their files when a client is made, and are never shown."""

    bootstrap_servers: str = "localhost:9092"
    registry_url: str = "http://localhost:8081/apis/ccompat/v7"
    """With the path under which it serves Confluent's interface; several addresses are separated by commas."""
    topic_prefix: str = ""
    security_protocol: str = "PLAINTEXT"
    """PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL."""
    ssl_ca_file: str | None = None
    ssl_cert_file: str | None = None
    ssl_key_file: str | None = None
    sasl_mechanism: str = "SCRAM-SHA-512"
    sasl_username: str = ""
    sasl_password_file: str | None = None
    oauth_token: OauthToken | None = field(default=None, repr=False)
    """For the mechanism OAUTHBEARER, in place of a file or an identity provider."""
    sasl_oauth_token_file: str | None = None
    """Its first line is the token; somebody else renews it."""
    sasl_oauth_token_url: str = ""
    """Of the identity provider, which gives tokens for client credentials."""
    sasl_oauth_client_id: str = ""
    sasl_oauth_client_secret_file: str | None = None
    sasl_oauth_scope: str = ""
    sasl_oauth_ca_file: str | None = None
    sasl_oauth_extensions: str = ""
    registry_token_file: str | None = None
    """A bearer token, which somebody renews."""
    registry_username: str = ""
    registry_password_file: str | None = None
    registry_ssl_ca_file: str | None = None
    registry_ssl_cert_file: str | None = None
    registry_ssl_key_file: str | None = None
    patience_s: float = 60.0
    """How long a broker may be away when reading begins, and the registry whenever it is asked."""
    buffer_bytes: int = 64 << 20
    """Fetched records that may wait; a single record may be larger."""
    more: Mapping[str, Any] = field(default_factory=dict, repr=False)
    """Further options of librdkafka; they win."""

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None, **more: Any) -> Self:
        """From the pipeline's own settings, `CALLSTREAM_...`; those that are not set keep their defaults.

        Raises ClientError if one is set that this package cannot follow.
        """
        environ = os.environ if environ is None else environ
        for variable, instead in _NOT_READ.items():
            if environ.get(f"CALLSTREAM_{variable}"):
                raise ClientError(f"CALLSTREAM_{variable} is for the pipeline's processes; {instead}")
        found = {name: environ.get(f"CALLSTREAM_{variable}") for name, variable in _VARIABLES.items()}
        values: dict[str, Any] = {name: value for name, value in found.items() if value}
        return cls(**{**values, **more})

    def topic(self, name: str) -> str:
        """The topic's name on this cluster."""
        return self.topic_prefix + name

    def consumer_options(self, group: str) -> dict[str, Any]:
        """Options of a consumer. Raises ClientError if a password cannot be read."""
        options: dict[str, Any] = {
            "bootstrap.servers": self.bootstrap_servers,
            "security.protocol": self.security_protocol,
            "client.id": "callstream-client",
            "group.id": group,
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
            "isolation.level": "read_committed",  # what an aborted transaction wrote is nobody's
            "auto.offset.reset": "error",  # deleted records are reported, not skipped
            "queued.max.messages.kbytes": max(1, self.buffer_bytes >> 10),
            "fetch.max.bytes": max(20 << 20, self.buffer_bytes // 2),  # the largest record has 17 MiB
            "reconnect.backoff.max.ms": 2_000,
            "socket.keepalive.enable": True,
        }
        files = {"ca": self.ssl_ca_file, "certificate": self.ssl_cert_file, "key": self.ssl_key_file}
        options |= {f"ssl.{name}.location": path for name, path in files.items() if path is not None}
        if self.security_protocol.startswith("SASL_"):
            options |= {"sasl.mechanism": self.sasl_mechanism, **self._login()}
        return options | dict(self.more)

    def _login(self) -> dict[str, Any]:
        if self.oauth_token is not None:
            return {"oauth_cb": self.oauth_token}
        if self.sasl_oauth_token_file is not None:
            return {"oauth_cb": partial(_token_in, self.sasl_oauth_token_file, self._extensions())}
        if self.sasl_oauth_token_url:
            found = {
                "sasl.oauthbearer.token.endpoint.url": self.sasl_oauth_token_url,
                "sasl.oauthbearer.client.id": self.sasl_oauth_client_id,
                "sasl.oauthbearer.client.secret": secret_in(self.sasl_oauth_client_secret_file),
                "sasl.oauthbearer.scope": self.sasl_oauth_scope,
                "sasl.oauthbearer.extensions": self.sasl_oauth_extensions,
                "https.ca.location": self.sasl_oauth_ca_file,
            }
            return {"sasl.oauthbearer.method": "oidc"} | {name: value for name, value in found.items() if value}
        return {"sasl.username": self.sasl_username, "sasl.password": secret_in(self.sasl_password_file)}

    def _extensions(self) -> dict[str, str]:
        pairs = (one.partition("=") for one in self.sasl_oauth_extensions.split(",") if one)
        return {name.strip(): value.strip() for name, _, value in pairs}


def _token_in(path: str, extensions: dict[str, str], _config: str) -> tuple[str, float, str, dict[str, str]]:
    """The token in a file, when it ends, no name, and what goes with it. A JWT says itself when it ends."""
    token = secret_in(path).partition("\n")[0].strip()
    try:
        claims = token.split(".")[1]
        ends = float(json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))["exp"])
    except (LookupError, ValueError, TypeError):
        ends = time.time() + _TOKEN_SECONDS
    return token, ends, "", extensions


def secret_in(path: str | None) -> str:
    """A password without its line end; empty without a file. Raises ClientError."""
    if path is None:
        return ""
    try:
        return Path(path).read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, ValueError) as error:
        raise ClientError(f"the password file {path} cannot be read: {type(error).__name__}") from None
