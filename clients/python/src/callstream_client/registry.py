"""The versions of one subject, by schema id.

A record is decoded only with a version of its own topic's subject: whoever may register a schema somewhere must not
choose what a reader does. An id that is unknown is looked up again after a minute, so garbage costs few requests.
"""

import json
import time
from collections import deque
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote

import fastavro
import urllib3
from urllib3.exceptions import HTTPError

from callstream_client.connection import Connection, secret_in
from callstream_client.errors import RegistryError

_TIMEOUT: Final = urllib3.Timeout(connect=3, read=15)
_PAUSE_SECONDS: Final = 1.0
_REFUSED_SECONDS: Final = 60.0
_MAX_REFUSED: Final = 1_024
"""Unknown ids that are remembered; the oldest goes first."""
_NOT_FOUND: Final = 404
_SERVER_ERRORS: Final = 500
_MAX_ANSWER_BYTES: Final = 4 << 20
_USUAL: Final = "; the path is usually /apis/ccompat/v7 (Apicurio) or none (Confluent)"


class SubjectVersions:
    """Schemas of a subject as fastavro has them."""

    def __init__(self, connection: Connection, subject: str, record: str) -> None:
        """`record` is the full name that a version must have."""
        self._urls = deque(url.strip().rstrip("/") for url in connection.registry_url.split(",") if url.strip())
        self._token_file = connection.registry_token_file
        self._patience_s = connection.patience_s
        self._subject = subject
        self._record = record
        self._known: dict[int, Any] = {}
        self._numbers: set[int] = set()
        self._refused: dict[int, float] = {}
        """Until when each of them is not asked for."""
        self._headers = {"Accept": "application/vnd.schemaregistry.v1+json, application/json"}
        if connection.registry_username:
            password = secret_in(connection.registry_password_file)
            self._headers |= urllib3.make_headers(basic_auth=f"{connection.registry_username}:{password}")
        self._http = urllib3.PoolManager(
            ca_certs=connection.registry_ssl_ca_file,
            cert_file=connection.registry_ssl_cert_file,
            key_file=connection.registry_ssl_key_file,
            timeout=_TIMEOUT,
            retries=False,
        )

    def schema(self, schema_id: int) -> Any | None:
        """The version with this id; None if the subject has none. Raises RegistryError."""
        if schema_id in self._known:
            return self._known[schema_id]
        if time.monotonic() < self._refused.get(schema_id, 0.0):
            return None
        self._read_versions()
        if schema_id not in self._known:
            self._refused[schema_id] = time.monotonic() + _REFUSED_SECONDS
            if len(self._refused) > _MAX_REFUSED:
                del self._refused[next(iter(self._refused))]
        return self._known.get(schema_id)

    def close(self) -> None:
        """Close all connections."""
        self._http.clear()

    def _read_versions(self) -> None:
        path = f"/subjects/{quote(self._subject, safe='')}/versions"
        numbers = self._get(path)
        if not isinstance(numbers, list):
            return
        for number in numbers:
            if number in self._numbers:
                continue
            version = self._get(f"{path}/{int(number)}")
            if isinstance(version, Mapping):
                self._add(version)
                self._numbers.add(number)

    def _add(self, version: Mapping[str, Any]) -> None:
        try:
            parsed: Any = fastavro.parse_schema(json.loads(version["schema"]))
            if parsed["name"] == self._record:
                self._known[int(version["id"])] = parsed
        except Exception:  # noqa: BLE001 - a text that is no schema makes fastavro raise anything; its id stays unknown
            return

    def _get(self, path: str) -> Any:
        """An answer as JSON; None where there is nothing. Waits while the registry is away. Raises RegistryError."""
        deadline = time.monotonic() + self._patience_s
        while True:
            try:
                answer = self._http.request("GET", self._urls[0] + path, headers=self._sent(), preload_content=False)
                body = answer.read(_MAX_ANSWER_BYTES)
                answer.release_conn()
                status = answer.status
            except HTTPError as error:
                status, body, problem = _SERVER_ERRORS, b"", type(error).__name__
            else:
                problem = f"HTTP {status}"
            if status == _NOT_FOUND and _is_of_a_registry(body):
                return None
            if status < 300:
                return _json(body, path)
            if status < _SERVER_ERRORS or time.monotonic() > deadline:
                raise RegistryError(f"the schema registry does not give {path}: {problem}{_USUAL}")
            self._urls.rotate(-1)
            time.sleep(_PAUSE_SECONDS / len(self._urls))

    def _sent(self) -> dict[str, str]:
        if self._token_file is None:
            return self._headers
        return self._headers | {"Authorization": f"Bearer {secret_in(self._token_file).strip()}"}


def _is_of_a_registry(body: bytes) -> bool:
    """Whether a 404 says that there is no such subject; any other web server says that there is no such page."""
    try:
        answer = json.loads(body)
    except ValueError:
        return False
    return isinstance(answer, Mapping) and "error_code" in answer


def _json(body: bytes, path: str) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        raise RegistryError(f"what answers for {path} is no schema registry") from None
