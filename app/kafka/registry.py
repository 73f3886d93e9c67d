"""The schema registry's REST interface, as Confluent defines it and Apicurio, Karapace and others serve it.

Every error has the registry's own reason; none has credentials, or an address with credentials. Registering is
idempotent, so it can be repeated after a lost answer. Subject names are used as given: `Settings.name` has put the
operator's prefix in front.
"""

from collections.abc import Mapping
from enum import StrEnum
from functools import lru_cache, partial
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final, Self
from urllib.parse import quote

import urllib3

from app.kafka.registry_link import LinkError, RegistryAccess, RegistryLink
from app.logins.answers import bounded
from app.logins.client_credentials import OauthClient, OauthVariables
from app.logins.source import TokenSource
from app.logins.token import TokenError
from app.logins.token_file import read_token_file
from app.operators.errors import ServerError
from app.settings import Settings, variable_of
from app.tls import TlsFiles

_OAUTH_VARIABLES: Final = OauthVariables(
    token_url=variable_of("schema_registry_oauth_token_url"),
    client_id=variable_of("schema_registry_oauth_client_id"),
    client_secret_file=variable_of("schema_registry_oauth_client_secret_file"),
    scope=variable_of("schema_registry_oauth_scope"),
    ca_file=variable_of("schema_registry_oauth_ca_file"),
)
_SOURCES_KEPT: Final = 16
"""A process has one; tests have more."""


class Fault(StrEnum):
    """Why the registry did not do what was requested."""

    UNREACHABLE = "unreachable"
    NOT_ALLOWED = "not-allowed"
    NOT_FOUND = "not-found"
    SCHEMA_REFUSED = "schema-refused"
    UNEXPECTED = "unexpected"


class RegistryError(ServerError):
    """The registry does not answer, or it refused. The message names the subject or id and has its reason."""

    def __init__(self, fault: Fault, message: str) -> None:
        super().__init__(message)
        self.fault = fault


class SchemaRegistry:
    """A client of one registry; close it, or use it as a context, to give its connections back."""

    def __init__(
        self,
        url: str,
        *,
        ca_file: Path | None = None,
        cert_file: Path | None = None,
        key_file: Path | None = None,
        username: str = "",
        password: str = "",
        tokens: TokenSource | None = None,
    ) -> None:
        """`url` may be several, separated by commas. With `tokens`, each request has a token, and else the password."""
        self._urls = tuple(one.rstrip("/") for one in url.split(","))
        basic = urllib3.make_headers(basic_auth=f"{username}:{password}") if username else {}

        def login() -> Mapping[str, str]:
            return basic if tokens is None else {"Authorization": f"Bearer {tokens.token().value}"}

        self._link = RegistryLink(RegistryAccess(self._urls, TlsFiles(ca_file, cert_file, key_file), login))

    @classmethod
    def from_settings(cls, settings: Settings) -> "SchemaRegistry":
        """Client for the registry that the settings name; reads the password file."""
        password_file = settings.schema_registry_password_file
        return cls(
            settings.schema_registry_url,
            ca_file=settings.schema_registry_ssl_ca_file,
            cert_file=settings.schema_registry_ssl_cert_file,
            key_file=settings.schema_registry_ssl_key_file,
            username=settings.schema_registry_username,
            password=password_file.read_text(encoding="utf-8").rstrip("\r\n") if password_file else "",
            tokens=registry_tokens(settings),
        )

    def __repr__(self) -> str:
        return f"SchemaRegistry({','.join(self._urls)!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections."""
        self._link.close()

    def register(self, subject: str, schema: str) -> int:
        """Register a schema, given as JSON text, as the subject's newest version, and return its id.

        A schema that the subject has already keeps its id. Raises RegistryError; SCHEMA_REFUSED with the registry's
        reason where the schema is wrong or incompatible.
        """
        answer = self._ask("POST", f"/subjects/{_quoted(subject)}/versions", _named(subject), {"schema": schema})
        return _id_in(answer, subject)

    def id_of(self, subject: str, schema: str) -> int | None:
        """Id of exactly this schema under the subject, None if it is not registered there."""
        answer = self._find("POST", f"/subjects/{_quoted(subject)}", subject, {"schema": schema})
        return None if answer is None else _id_in(answer, subject)

    def schema(self, schema_id: int) -> str:
        """Text of the schema with this id; raises RegistryError(NOT_FOUND) if there is none."""
        what = f"schema id {schema_id}"
        answer = self._ask("GET", f"/schemas/ids/{schema_id}", what)
        text = answer.get("schema")
        if not isinstance(text, str):
            raise RegistryError(Fault.UNEXPECTED, f"{what}: the registry's answer has no schema")
        return text

    def versions(self, subject: str) -> list[int]:
        """Numbers of the subject's versions; none where the registry does not have the subject."""
        status, answer = self._exchange("GET", f"/subjects/{_quoted(subject)}/versions", _named(subject), None)
        if status == HTTPStatus.OK and isinstance(answer, list):
            return [number for number in answer if isinstance(number, int)]
        refusal = _refusal(_named(subject), status, answer)
        if refusal.fault is Fault.NOT_FOUND:
            return []
        raise refusal

    def version(self, subject: str, number: int) -> tuple[int, str]:
        """Schema id and text of one version of the subject; raises RegistryError(NOT_FOUND) if there is none."""
        answer = self._ask("GET", f"/subjects/{_quoted(subject)}/versions/{number}", _named(subject))
        text = answer.get("schema")
        if not isinstance(text, str):
            raise RegistryError(Fault.UNEXPECTED, f"{_named(subject)}: the registry's answer has no schema")
        return _id_in(answer, subject), text

    def incompatibilities(self, subject: str, schema: str) -> list[str] | None:
        """Why the subject would not take this schema: [] if the registry does not say, None if it would take it.

        A subject without versions takes any schema.
        """
        path = f"/compatibility/subjects/{_quoted(subject)}/versions?verbose=true"
        answer = self._find("POST", path, subject, {"schema": schema})
        if answer is None or answer.get("is_compatible") is True:
            return None
        messages = answer.get("messages")
        return [bounded(str(one)) for one in messages] if isinstance(messages, list) else []

    def compatibility(self, subject: str) -> str | None:
        """Compatibility level set for the subject itself, None if it follows the registry's default."""
        answer = self._find("GET", f"/config/{_quoted(subject)}", subject)
        level = None if answer is None else answer.get("compatibilityLevel")
        return level if isinstance(level, str) else None

    def set_compatibility(self, subject: str, level: str) -> None:
        """Have the registry hold every later version of the subject to this level, such as FULL_TRANSITIVE."""
        self._ask("PUT", f"/config/{_quoted(subject)}", _named(subject), {"compatibility": level})

    def _find(
        self, method: str, path: str, subject: str, body: Mapping[str, str] | None = None
    ) -> dict[str, Any] | None:
        """The answer to a question about a subject; None if the registry does not have it."""
        try:
            return self._ask(method, path, _named(subject), body)
        except RegistryError as error:
            if error.fault is Fault.NOT_FOUND:
                return None
            raise

    def _ask(self, method: str, path: str, what: str, body: Mapping[str, str] | None = None) -> dict[str, Any]:
        """Send one request; returns the decoded answer. Raises RegistryError if it is not a JSON object."""
        status, decoded = self._exchange(method, path, what, body)
        if status == HTTPStatus.OK and isinstance(decoded, dict):
            return decoded
        raise _refusal(what, status, decoded)

    def _exchange(self, method: str, path: str, what: str, body: Mapping[str, str] | None) -> tuple[int, object]:
        """Send one request; returns the status and the decoded answer, None if that is not JSON."""
        try:
            return self._link.exchange(method, path, body)
        except LinkError as error:
            raise RegistryError(Fault.UNREACHABLE if error.away else Fault.UNEXPECTED, f"{what}: {error}") from None
        except TokenError as error:
            raise RegistryError(Fault.UNREACHABLE if error.passing else Fault.NOT_ALLOWED, str(error)) from None


@lru_cache(maxsize=_SOURCES_KEPT)
def registry_tokens(settings: Settings) -> TokenSource | None:
    """Where the registry's tokens come from, one source for all clients of a process; None for any other login."""
    if (file := settings.schema_registry_token_file) is not None:
        return TokenSource(partial(read_token_file, file, variable_of("schema_registry_token_file")))
    if (secret := settings.schema_registry_oauth_client_secret_file) is not None:
        client = OauthClient(
            token_url=settings.schema_registry_oauth_token_url,
            client_id=settings.schema_registry_oauth_client_id,
            client_secret_file=secret,
            scope=settings.schema_registry_oauth_scope,
            ca_file=settings.schema_registry_oauth_ca_file,
            variables=_OAUTH_VARIABLES,
        )
        return TokenSource(client.fetch)
    return None


def _quoted(subject: str) -> str:
    return quote(subject, safe="")


def _named(subject: str) -> str:
    return f"subject {subject}"


def _id_in(answer: Mapping[str, Any], subject: str) -> int:
    value = answer.get("id")
    if not isinstance(value, int):
        raise RegistryError(Fault.UNEXPECTED, f"{_named(subject)}: the registry's answer has no id")
    return value


def _refusal(what: str, status: int, answer: object) -> RegistryError:
    said = answer if isinstance(answer, dict) else {}
    reason = bounded(str(said.get("message") or "the registry gives no reason"))
    match status:
        case 401 | 403:
            settings = ("schema_registry_username", "schema_registry_token_file", "schema_registry_oauth_token_url")
            see = ", ".join(map(variable_of, settings))
            return RegistryError(
                Fault.NOT_ALLOWED, f"{what}: the registry does not let us in (HTTP {status}); see {see}"
            )
        case 404:  # with a five-digit code; the link refuses others, where the address is wrong
            return RegistryError(Fault.NOT_FOUND, f"{what}: {reason}")
        case 409 | 422:
            return RegistryError(Fault.SCHEMA_REFUSED, f"{what}: the registry refuses the schema: {reason}")
        case _:
            return RegistryError(Fault.UNEXPECTED, f"{what}: unexpected answer, HTTP {status}: {reason}")
