"""The schema registry's REST interface, as Confluent defines it and Apicurio, Karapace and others serve it.

Every error has the registry's own reason; none has credentials, or an address with credentials. A broken connection is
tried again a few times, a refusal is not. Registering is idempotent, so it can be repeated after a lost answer. Subject
names are used as given: `Settings.name` has put the operator's prefix in front.
"""

import json
import re
import time
from collections.abc import Mapping
from enum import StrEnum
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final, Self
from urllib.parse import quote, urlsplit

import urllib3
from urllib3.exceptions import HTTPError, MaxRetryError, SSLError

from app.operators.errors import ServerError
from app.settings import Settings, variable_of
from app.tls import Diagnosis, Peer, TlsFiles, TlsVariables, tls_trouble

_TLS_SETTINGS: Final = TlsVariables(
    ca=variable_of("schema_registry_ssl_ca_file"),
    cert=variable_of("schema_registry_ssl_cert_file"),
    key=variable_of("schema_registry_ssl_key_file"),
    name_remedy=f"write the name that it is for into {variable_of('schema_registry_url')}",
    use_tls=f"write https:// in {variable_of('schema_registry_url')}",
    no_tls=f"write http:// in {variable_of('schema_registry_url')}, or use its TLS port",
)
_CONTENT_TYPE: Final = "application/vnd.schemaregistry.v1+json"
_TIMEOUT: Final = urllib3.Timeout(connect=3, read=15)
_RETRIES: Final = urllib3.Retry(
    connect=4,
    read=2,
    status=3,
    other=0,
    redirect=0,
    allowed_methods=None,  # all of them: every request made here is idempotent
    status_forcelist=(429, 502, 503, 504),
    backoff_factor=0.2,
    backoff_max=2,
    respect_retry_after_header=False,
    raise_on_status=False,
)
"""Some six seconds in all: enough for a registry that restarts, and short for one that is gone."""

_MAX_ANSWER_BYTES: Final = 4 << 20
"""Our largest schema has 10 kB; an answer of megabytes does not come from a registry."""

_ANSWER_SECONDS: Final = 20.0
"""For a whole answer. Without a limit, a registry that sends a byte now and then holds a stage for hours."""

_MAX_REASON_CHARS: Final = 600


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
    ) -> None:
        self._url = url.rstrip("/")
        self._headers = {"Accept": f"{_CONTENT_TYPE}, application/json", "Content-Type": _CONTENT_TYPE}
        if username:
            self._headers |= urllib3.make_headers(basic_auth=f"{username}:{password}")
        self._files = TlsFiles(ca_file, cert_file, key_file)
        self._http = urllib3.PoolManager(
            ca_certs=str(ca_file) if ca_file else None,
            cert_file=str(cert_file) if cert_file else None,
            key_file=str(key_file) if key_file else None,
            timeout=_TIMEOUT,
            retries=_RETRIES,
        )

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
        )

    def __repr__(self) -> str:
        return f"SchemaRegistry({self._url!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections."""
        self._http.clear()

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
        return [_bounded(str(one)) for one in messages] if isinstance(messages, list) else []

    def compatibility(self, subject: str) -> str | None:
        """Compatibility level set for the subject itself, None if it follows the registry's default."""
        answer = self._find("GET", f"/config/{_quoted(subject)}", subject)
        level = None if answer is None else answer.get("compatibilityLevel")
        return level if isinstance(level, str) else None

    def set_compatibility(self, subject: str, level: str) -> None:
        """Have the registry hold every later version of the subject to this level, such as FULL_TRANSITIVE."""
        self._ask("PUT", f"/config/{_quoted(subject)}", _named(subject), {"compatibility": level})

    def _tls_trouble(self) -> Diagnosis | None:
        """What is wrong with TLS; None if TLS is not the reason why no registry answers."""
        parts = urlsplit(self._url)
        host, uses_tls = parts.hostname or "", parts.scheme == "https"
        peer = Peer(
            f"the schema registry at {self._url}", host, parts.port or (443 if uses_tls else 80), host, _TLS_SETTINGS
        )
        found = tls_trouble(peer, self._files if uses_tls else None)
        return found if found is not None and found.misconfigured else None

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
            answer = self._http.request(
                method,
                self._url + path,
                body=json.dumps(body).encode() if body is not None else None,
                headers=self._headers,
                preload_content=False,
            )
            content = _content_of(answer)
        except HTTPError as error:
            trouble = self._tls_trouble()
            reason = _cause(error) if trouble is None else trouble.text
            raise RegistryError(
                Fault.UNREACHABLE, f"{what}: no schema registry answers at {self._url}: {reason}"
            ) from None
        if content is None:
            raise RegistryError(
                Fault.UNREACHABLE, f"{what}: {self._url} did not send its answer within {_ANSWER_SECONDS:.0f} s"
            )
        if len(content) > _MAX_ANSWER_BYTES:
            raise RegistryError(Fault.UNEXPECTED, f"{what}: the answer of {self._url} is longer than any schema")
        try:
            return answer.status, json.loads(content)
        except (ValueError, RecursionError):
            return answer.status, None


def _content_of(answer: urllib3.BaseHTTPResponse) -> bytes | None:
    """The body, or as much of it as is too long; None if it does not come in time. Raises HTTPError."""
    deadline = time.monotonic() + _ANSWER_SECONDS
    content = bytearray()
    try:
        while len(content) <= _MAX_ANSWER_BYTES:
            if time.monotonic() > deadline:
                return None
            read = answer.read1(1 << 16)
            if not read:
                answer.release_conn()
                break
            content += read
        return bytes(content)
    finally:
        if answer.connection is not None:  # not all of it was read, so the connection cannot be used again
            answer.close()


def _quoted(subject: str) -> str:
    return quote(subject, safe="")


def _named(subject: str) -> str:
    return f"subject {subject}"


def _bounded(text: str) -> str:
    return text if len(text) <= _MAX_REASON_CHARS else text[:_MAX_REASON_CHARS] + "…"


def _cause(error: HTTPError) -> str:
    """Say what broke, without the address and the library's object names that urllib3 prints."""
    root: object = error.reason if isinstance(error, MaxRetryError) and error.reason is not None else error
    text = str(root.args[-1]) if isinstance(root, Exception) and root.args else type(root).__name__
    kind = "TLS: " if isinstance(root, SSLError) else ""
    return kind + _bounded(re.sub(r"^<?\w+[^>)]*[>)]: ", "", text))


def _id_in(answer: Mapping[str, Any], subject: str) -> int:
    value = answer.get("id")
    if not isinstance(value, int):
        raise RegistryError(Fault.UNEXPECTED, f"{_named(subject)}: the registry's answer has no id")
    return value


def _refusal(what: str, status: int, answer: object) -> RegistryError:
    said = answer if isinstance(answer, dict) else {}
    reason = _bounded(str(said.get("message") or "the registry gives no reason"))
    match status:
        case 401 | 403:
            return RegistryError(Fault.NOT_ALLOWED, f"{what}: the registry does not let us in (HTTP {status})")
        # a five-digit code means that the registry knows no such thing; without it the address is wrong
        case 404 if str(said.get("error_code", "")).startswith("404") and said.get("error_code") != 404:
            return RegistryError(Fault.NOT_FOUND, f"{what}: {reason}")
        case 409 | 422:
            return RegistryError(Fault.SCHEMA_REFUSED, f"{what}: the registry refuses the schema: {reason}")
        case _:
            return RegistryError(Fault.UNEXPECTED, f"{what}: unexpected answer, HTTP {status}: {reason}")
