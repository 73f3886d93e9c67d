"""The Kubernetes API's Node objects: the whole list, and its changes from there on, with a service account.

The list is read in pages. A watch goes on from the list's resource version, and from where the last one ended. If the
API no longer has that version (410), a new list is needed. The token is read again for each request, because it is
exchanged while a pod runs.
"""

import json
from collections.abc import Iterator
from datetime import datetime
from enum import Enum
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import urlencode

import urllib3
from urllib3.exceptions import HTTPError
from urllib3.util import Retry, Timeout

from app.nodes.cluster_nodes import ClusterNode
from app.operators.errors import OperatorError, ServerError
from schemas.units import NS_PER_SECOND

ACCOUNT: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount")
"""Where a pod finds its token and the API's certificate authority."""

WATCH_SECONDS: Final = 30
"""The API ends a watch after that time. By then, all that happened before has come."""

_PAGE: Final = 500
_CONNECT_SECONDS: Final = 10.0
_READ_SECONDS: Final = WATCH_SECONDS + 20.0
_MAX_PAGE_BYTES: Final = 256 << 20
_MAX_CHANGE_BYTES: Final = 8 << 20
"""Of one change: an object in Kubernetes' own store has 1.5 MiB at most."""


class KubernetesRefusedError(OperatorError):
    """The API refuses us, or answers otherwise than it should; the message says what it says."""


class KubernetesAwayError(ServerError):
    """The API does not answer now."""


class ListOverError(Exception):
    """The API no longer knows where we were; only a new list tells what happened since."""


class ChangeKind(Enum):
    """What a change says; the values are the API's words."""

    ADDED = "ADDED"
    MODIFIED = "MODIFIED"
    DELETED = "DELETED"
    BOOKMARK = "BOOKMARK"


class NodeChange(NamedTuple):
    """One change of the list, and the version of the list behind it. A bookmark has no node."""

    kind: ChangeKind
    node: ClusterNode | None
    version: str


class NodesApi:
    """Reads nodes from one API server. Its methods block."""

    def __init__(self, url: str, ca_file: Path | None, token_file: Path | None) -> None:
        """The CA is that of the API's certificate; None takes the system's authorities."""
        self._url = url.rstrip("/")
        self._token_file = token_file
        self._pool = urllib3.PoolManager(
            ca_certs=str(ca_file) if ca_file is not None else None,
            cert_reqs="CERT_REQUIRED",
            timeout=Timeout(connect=_CONNECT_SECONDS, read=_READ_SECONDS),
            retries=Retry(total=False, redirect=False),
        )

    def list(self) -> tuple[list[ClusterNode], str]:
        """All nodes, and the version of this list.

        Raises KubernetesRefusedError and KubernetesAwayError, and ListOverError where a page comes too late.
        """
        found: list[ClusterNode] = []
        page: dict[str, Any] = {"limit": _PAGE}
        while True:
            try:
                response = self._get(page)
                document = _object(response.read(_MAX_PAGE_BYTES, decode_content=True))
            except HTTPError as error:
                raise KubernetesAwayError(f"{self._url}: {error}") from None
            found += [_node(item) for item in _items(document)]
            metadata = document.get("metadata") or {}
            if not metadata.get("continue"):
                return found, str(metadata.get("resourceVersion", ""))
            page["continue"] = metadata["continue"]

    def changes(self, version: str) -> Iterator[NodeChange]:
        """Changes behind a version, until the API ends the watch. Raises what `list` raises."""
        asked = {
            "watch": "1",
            "resourceVersion": version,
            "allowWatchBookmarks": "true",
            "timeoutSeconds": WATCH_SECONDS,
        }
        response = None
        try:
            response = self._get(asked)
            for line in _lines(response):
                yield _change(_object(line))
        except HTTPError as error:
            raise KubernetesAwayError(f"{self._url}: {error}") from None
        finally:
            if response is not None:
                response.release_conn()
                response.close()

    def _get(self, query: dict[str, Any]) -> urllib3.BaseHTTPResponse:
        headers = {"Accept": "application/json"}
        if self._token_file is not None:
            try:
                headers["Authorization"] = f"Bearer {self._token_file.read_text(encoding='ascii').strip()}"
            except (OSError, UnicodeDecodeError):
                raise KubernetesRefusedError(f"{self._token_file}: the token cannot be read") from None
        url = f"{self._url}/api/v1/nodes?{urlencode(query)}"
        response = self._pool.request("GET", url, headers=headers, preload_content=False)
        if response.status == HTTPStatus.OK:
            return response
        response.close()
        if response.status == HTTPStatus.GONE:
            raise ListOverError
        words = f"{self._url} answers {response.status} to a question for its nodes"
        if response.status >= HTTPStatus.INTERNAL_SERVER_ERROR or response.status == HTTPStatus.TOO_MANY_REQUESTS:
            raise KubernetesAwayError(words)
        raise KubernetesRefusedError(f"{words}; the service account needs `list` and `watch` of `nodes`")


def _lines(response: urllib3.BaseHTTPResponse) -> Iterator[bytes]:
    """Whole lines as they come; what follows the last one is half a change, which the next watch brings."""
    rest = b""
    for chunk in response.stream(1 << 16, decode_content=True):
        *lines, rest = (rest + chunk).split(b"\n")
        yield from (line for line in lines if line.strip())
        if len(rest) > _MAX_CHANGE_BYTES:
            raise KubernetesRefusedError("the API sends a change of more than 8 MiB")


def _object(content: bytes) -> dict[str, Any]:
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        raise KubernetesRefusedError("the API sends what is not JSON") from None
    if not isinstance(found, dict):
        raise KubernetesRefusedError("the API sends what is not an object")
    return found


def _items(document: dict[str, Any]) -> list[Any]:
    if document.get("kind") != "NodeList" or not isinstance(document.get("items"), list):
        raise KubernetesRefusedError(f"the API sends a {document.get('kind')!r} and no list of nodes")
    return list(document["items"])


def _change(document: dict[str, Any]) -> NodeChange:
    kind, item = document.get("type"), document.get("object")
    if not isinstance(item, dict):
        raise KubernetesRefusedError("the API sends a change without an object")
    if kind == "ERROR":
        if item.get("code") == HTTPStatus.GONE:
            raise ListOverError
        raise KubernetesAwayError(f"the API ends the watch: {item.get('reason')!r}")
    try:
        known = ChangeKind(kind)
    except ValueError:
        raise KubernetesRefusedError(f"the API sends a change of the kind {kind!r}") from None
    version = str((item.get("metadata") or {}).get("resourceVersion", ""))
    return NodeChange(known, None if known is ChangeKind.BOOKMARK else _node(item), version)


def _node(item: Any) -> ClusterNode:
    try:
        metadata = item["metadata"]
        name, created = metadata["name"], datetime.fromisoformat(metadata["creationTimestamp"])
        boot_id = item.get("status", {}).get("nodeInfo", {}).get("bootID", "")
    except (KeyError, TypeError, ValueError, AttributeError):
        raise KubernetesRefusedError("the API sends a node without a name or the time of its creation") from None
    if not isinstance(name, str) or not isinstance(boot_id, str) or created.tzinfo is None:
        raise KubernetesRefusedError("the API sends a node whose name, boot or creation is something else")
    return ClusterNode(name, int(created.timestamp()) * NS_PER_SECOND, boot_id)
