"""An identity provider: a token endpoint over HTTPS, signed tokens, and the keys by which brokers check them."""

import base64
import json
import ssl
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote_plus

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from tests.support.certificates import Authority

CLIENT = "stage of callstream"
SECRET = "not-so-secret:-&%"
SCOPE = "kafka"
ISSUER = "https://issuer.example"
AUDIENCE = "brokers"


def _encoded(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def _number(value: int) -> str:
    return _encoded(value.to_bytes((value.bit_length() + 7) // 8))


@dataclass
class IdentityProvider:
    """Gives tokens of `seconds` to whoever knows the secret; `answer` replaces its answer, status and body."""

    authority: Authority
    keys_file: Path
    seconds: float = 30.0
    answer: tuple[int, Mapping[str, Any]] | None = None
    given: int = 0
    seen: list[dict[str, list[str]]] = field(default_factory=list)
    port: int = 0
    _key: rsa.RSAPrivateKey = field(default_factory=lambda: rsa.generate_private_key(65_537, 2_048))

    def __post_init__(self) -> None:
        numbers = self._key.public_key().public_numbers()
        key = {
            "kty": "RSA",
            "kid": "one",
            "use": "sig",
            "alg": "RS256",
            "n": _number(numbers.n),
            "e": _number(numbers.e),
        }
        self.keys_file.write_text(json.dumps({"keys": [key]}))

    @property
    def url(self) -> str:
        """The token endpoint."""
        return f"https://localhost:{self.port}/token"

    def token(self, seconds: float | None = None, scope: str = SCOPE) -> str:
        """A token that ends in so many seconds, or has ended if they are negative."""
        now = int(time.time())
        claims = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": "ingest",
            "scope": scope,
            "iat": now,
            "exp": int(now + (self.seconds if seconds is None else seconds)),
        }
        parts = [_encoded(json.dumps(one).encode()) for one in ({"alg": "RS256", "kid": "one", "typ": "JWT"}, claims)]
        signed = ".".join(parts)
        signature = self._key.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256())
        return f"{signed}.{_encoded(signature)}"

    def reply(self, login: str, form: dict[str, list[str]]) -> tuple[int, Mapping[str, Any]]:
        """What a request gets."""
        self.seen.append(form)
        if self.answer is not None:
            return self.answer
        client, _, secret = base64.b64decode(login.removeprefix("Basic ")).decode().partition(":")
        if (unquote_plus(client), unquote_plus(secret)) != (CLIENT, SECRET):
            return 401, {"error": "invalid_client"}
        if form.get("grant_type") != ["client_credentials"]:
            return 400, {"error": "unsupported_grant_type"}
        if form.get("scope", [SCOPE]) != [SCOPE]:
            return 400, {"error": "invalid_scope"}
        self.given += 1
        return 200, {"access_token": self.token(), "token_type": "Bearer", "expires_in": int(self.seconds)}

    def broker_options(self, **sessions: int) -> dict[str, str]:
        """Options of a broker whose listeners take our tokens, for sessions of so many milliseconds."""
        package = "org.apache.kafka.common.security.oauthbearer"
        options = {"sasl.enabled.mechanisms": "OAUTHBEARER"}
        for listener, session_ms in sessions.items():
            name = f"listener.name.{listener.lower()}"
            options |= {
                f"{name}.sasl.enabled.mechanisms": "OAUTHBEARER",
                f"{name}.oauthbearer.sasl.jaas.config": f"{package}.OAuthBearerLoginModule required;",
                f"{name}.oauthbearer.sasl.server.callback.handler.class": (
                    f"{package}.OAuthBearerValidatorCallbackHandler"
                ),
                f"{name}.oauthbearer.connections.max.reauth.ms": str(session_ms),
                f"{name}.sasl.oauthbearer.jwks.endpoint.url": self.keys_file.as_uri(),
                f"{name}.sasl.oauthbearer.expected.audience": AUDIENCE,
                f"{name}.sasl.oauthbearer.expected.issuer": ISSUER,
                f"{name}.sasl.oauthbearer.clock.skew.seconds": "0",
            }
        return options

    def java_options(self) -> list[str]:
        """Kafka reads keys only from addresses that are allowed here."""
        return [f"-Dorg.apache.kafka.sasl.oauthbearer.allowed.urls={self.keys_file.as_uri()}"]

    def environ(self, folder: Path) -> dict[str, str]:
        """Settings of a client that gets its tokens here."""
        secret = folder / "client-secret"
        secret.write_text(SECRET)
        return {
            "CALLSTREAM_KAFKA_SECURITY_PROTOCOL": "SASL_PLAINTEXT",
            "CALLSTREAM_KAFKA_SASL_MECHANISM": "OAUTHBEARER",
            "CALLSTREAM_KAFKA_SASL_OAUTH_TOKEN_URL": self.url,
            "CALLSTREAM_KAFKA_SASL_OAUTH_CLIENT_ID": CLIENT,
            "CALLSTREAM_KAFKA_SASL_OAUTH_CLIENT_SECRET_FILE": str(secret),
            "CALLSTREAM_KAFKA_SASL_OAUTH_SCOPE": SCOPE,
            "CALLSTREAM_KAFKA_SASL_OAUTH_CA_FILE": str(self.authority.file),
        }


@contextmanager
def identity_provider(folder: Path) -> Iterator[IdentityProvider]:
    """A provider that listens on loopback."""
    authority = Authority.create(folder, "identity")
    provider = IdentityProvider(authority, folder / "keys.json")

    class TokenEndpoint(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
            status, content = provider.reply(self.headers.get("Authorization", ""), form)
            body = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")  # librdkafka reads nothing else
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Keep the test's output clean."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), TokenEndpoint)
    pair = authority.issue("localhost")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.certificate, pair.key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    provider.port = server.server_address[1]
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    try:
        yield provider
    finally:
        server.shutdown()
        server.server_close()
