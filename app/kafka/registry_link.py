"""Requests to a schema registry: its addresses, who we are to it, and what to do when one address does not answer.

A broken connection is tried again a few times, a refusal is not. With several addresses of one registry, the next is
asked when one does not answer, and the one that answered is asked first from then on. An answer that no registry gives
means that the address lacks its path: then the usual paths are tried, and the error names the one that answers.
"""

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final
from urllib.parse import urlsplit

import urllib3
from urllib3.exceptions import HTTPError

from app.logins import answers
from app.logins.answers import cause_of, content_of
from app.settings import variable_of
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
    redirect=False,
    allowed_methods=None,  # all of them: every request made here is idempotent
    status_forcelist=(429, 502, 503, 504),
    backoff_factor=0.2,
    backoff_max=2,
    respect_retry_after_header=False,
    raise_on_status=False,
)
"""Some six seconds in all: enough for a registry that restarts, and short for one that is gone."""

_ONCE: Final = urllib3.Retry(connect=0, read=1, status=0, other=0, redirect=False, allowed_methods=None)
"""Where there is another address to ask; one more for a connection that was idle for too long."""

_ROUNDS: Final = 3
"""Through all addresses, where there are several."""

_PAUSE_SECONDS: Final = 1.0
"""Between two rounds."""

_AWAY: Final = frozenset({429, 502, 503, 504})

_MAX_ANSWER_BYTES: Final = 4 << 20
"""Our largest schema has 10 kB; an answer of megabytes does not come from a registry."""

_PATHS: Final[Mapping[str, str]] = {
    "": "Confluent, Karapace, Redpanda",
    "/apis/ccompat/v7": "Apicurio from 2.5 on",
    "/apis/ccompat/v6": "Apicurio before 2.5",
}
"""Where registries serve Confluent's interface."""


@dataclass(frozen=True, slots=True)
class RegistryAccess:
    """Addresses of one registry, and who we are to it. `login` gives headers for each request."""

    urls: tuple[str, ...]
    files: TlsFiles
    login: Callable[[], Mapping[str, str]]


class LinkError(Exception):
    """No answer that can be used; the message has the address. `away` means that none came at all."""

    def __init__(self, message: str, *, away: bool) -> None:
        super().__init__(message)
        self.away = away


class RegistryLink:
    """Asks a registry. Close it to give its connections back."""

    def __init__(self, access: RegistryAccess) -> None:
        self._access = access
        self._first = 0
        files = access.files
        self._http = urllib3.PoolManager(
            ca_certs=str(files.ca) if files.ca else None,
            cert_file=str(files.cert) if files.cert else None,
            key_file=str(files.key) if files.key else None,
            timeout=_TIMEOUT,
            retries=_RETRIES,
        )

    def close(self) -> None:
        """Close all connections."""
        self._http.clear()

    def exchange(self, method: str, path: str, body: Mapping[str, str] | None) -> tuple[int, object]:
        """Send one request; returns the status and the decoded answer, None if that is not JSON.

        Raises LinkError, and what `login` raises.
        """
        urls = self._access.urls
        if len(urls) == 1:
            return self._asked(urls[0], method, path, body, _RETRIES)
        failures: dict[str, str] = {}
        for round_ in range(_ROUNDS):
            time.sleep(_PAUSE_SECONDS if round_ else 0)
            for number in range(len(urls)):
                at = (self._first + number) % len(urls)
                try:
                    answer = self._asked(urls[at], method, path, body, _ONCE)
                except LinkError as error:
                    if not error.away:
                        raise
                    failures[urls[at]] = str(error)
                    continue
                if answer[0] not in _AWAY:
                    self._first = at
                    return answer
                failures[urls[at]] = f"{urls[at]} answers HTTP {answer[0]}"
        raise LinkError("; ".join(failures.values()), away=True)

    def _asked(
        self, url: str, method: str, path: str, body: Mapping[str, str] | None, retries: urllib3.Retry
    ) -> tuple[int, object]:
        headers = {
            "Accept": f"{_CONTENT_TYPE}, application/json",
            "Content-Type": _CONTENT_TYPE,
            **self._access.login(),
        }
        try:
            answer = self._http.request(
                method,
                url + path,
                body=json.dumps(body).encode() if body is not None else None,
                headers=headers,
                preload_content=False,
                retries=retries,
            )
            content = content_of(answer, _MAX_ANSWER_BYTES)
        except HTTPError as error:
            trouble = self._tls_trouble(url)
            reason = cause_of(error) if trouble is None else trouble.text
            raise LinkError(f"no schema registry answers at {url}: {reason}", away=True) from None
        if content is None:
            message = f"{url} did not send its answer within {answers.ANSWER_SECONDS:.0f} s"
            raise LinkError(message, away=True)
        if len(content) > _MAX_ANSWER_BYTES:
            raise LinkError(f"the answer of {url} is longer than any schema", away=False)
        try:
            decoded: object = json.loads(content)
        except (ValueError, RecursionError):
            decoded = None
        if _is_no_registry(answer.status, decoded):
            raise LinkError(self._wrong_address(url, answer.status), away=False)
        return answer.status, decoded

    def _wrong_address(self, url: str, status: int) -> str:
        """What is said of an address where no registry is: the usual path that answers there, or all of them."""
        parts = urlsplit(url)
        origin = f"{parts.scheme}://{parts.netloc}"
        said = f"{url} answers as no schema registry does (HTTP {status})"
        for path in _PATHS:
            if origin + path != url and self._answers(origin + path):
                return f"{said}; one answers at {origin}{path}: set {variable_of('schema_registry_url')}={origin}{path}"
        usual = "; ".join(f"{origin}{path} ({makers})" for path, makers in _PATHS.items())
        return f"{said}; usual addresses are {usual}"

    def _answers(self, url: str) -> bool:
        """Whether a registry is there, by its list of subjects."""
        try:
            answer = self._http.request(
                "GET", f"{url}/subjects", headers=dict(self._access.login()), preload_content=False, retries=_ONCE
            )
            content = content_of(answer, _MAX_ANSWER_BYTES)
            found = json.loads(content or b"")
        except (HTTPError, ValueError, RecursionError):
            return False
        return answer.status == HTTPStatus.OK and isinstance(found, list)

    def _tls_trouble(self, url: str) -> Diagnosis | None:
        """What is wrong with TLS; None if TLS is not the reason why no registry answers."""
        parts = urlsplit(url)
        host, uses_tls = parts.hostname or "", parts.scheme == "https"
        port = parts.port or (443 if uses_tls else 80)
        peer = Peer(f"the schema registry at {url}", host, port, host, _TLS_SETTINGS)
        found = tls_trouble(peer, self._access.files if uses_tls else None)
        return found if found is not None and found.misconfigured else None


def _is_no_registry(status: int, decoded: object) -> bool:
    """Whether an answer is a web server's that knows nothing of schemas. A registry's own errors have five digits."""
    match status:
        case HTTPStatus.OK:
            return decoded is None
        case 301 | 302 | 303 | 307 | 308 | 405:
            return True
        case 404:
            code = decoded.get("error_code") if isinstance(decoded, dict) else None
            return code == HTTPStatus.NOT_FOUND or not str(code).startswith("404")
        case _:
            return False
