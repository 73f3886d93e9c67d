"""Which image each container of a node runs, as Kubernetes says to a pod.

The account of the pod must be allowed to list pods. Tetragon has its image ids from the same place, so both have the
same.
"""

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import urllib3

from app.operators.errors import OperatorError

ACCOUNT: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount")
MAX_PAGE_BYTES: Final = 64 << 20
"""Of one answer: 100 pods of at most 1.5 MB each, which is etcd's limit, are rarely half of it."""
_PAGE: Final = 100
_TIMEOUT: Final = urllib3.Timeout(connect=5.0, read=30.0)


class KubernetesError(OperatorError):
    """Kubernetes could not be asked, or gave no answer that can be used; the message says why."""


@dataclass(slots=True)
class NodePods:
    """A client of the Kubernetes that this process runs in."""

    url: str
    account: Path = ACCOUNT
    _pool: urllib3.PoolManager = field(init=False)

    def __post_init__(self) -> None:
        self._pool = urllib3.PoolManager(ca_certs=str(self.account / "ca.crt"), retries=False, timeout=_TIMEOUT)

    @classmethod
    def of_this_pod(cls, environ: Mapping[str, str] = os.environ) -> "NodePods":
        """The one that Kubernetes names to every pod. Raises KubernetesError outside of a pod."""
        host, port = environ.get("KUBERNETES_SERVICE_HOST", ""), environ.get("KUBERNETES_SERVICE_PORT", "443")
        if not host:
            raise KubernetesError("KUBERNETES_SERVICE_HOST is not set: this command runs in a pod of Kubernetes")
        return cls(f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}")

    def images(self, node: str) -> dict[str, str]:
        """Image ids by container id, of all containers of a node. Raises KubernetesError."""
        found: dict[str, str] = {}
        more = ""
        while True:
            page = self._page({"fieldSelector": f"spec.nodeName={node}", "limit": str(_PAGE), "continue": more})
            found.update(container_images(page))
            more = str(page.get("metadata", {}).get("continue") or "")
            if not more:
                return found

    def _page(self, query: Mapping[str, str]) -> dict[str, Any]:
        try:
            token = (self.account / "token").read_text().strip()  # Kubernetes renews it
            answer = self._pool.request(
                "GET",
                f"{self.url}/api/v1/pods",
                fields={name: value for name, value in query.items() if value},
                headers={"Authorization": f"Bearer {token}", "Accept": "application/json"},
                preload_content=False,
            )
            try:
                body = answer.read(MAX_PAGE_BYTES + 1)
            finally:
                answer.release_conn()
        except (OSError, urllib3.exceptions.HTTPError) as error:
            raise KubernetesError(f"Kubernetes at {self.url} cannot be asked: {error}") from error
        if answer.status != 200:
            raise KubernetesError(f"Kubernetes at {self.url} lists no pods: HTTP {answer.status}, {_reason(body)}")
        try:
            page = json.loads(body)
        except ValueError as error:
            raise KubernetesError(f"Kubernetes at {self.url} gave no JSON of at most {MAX_PAGE_BYTES} bytes") from error
        if not isinstance(page, dict) or not isinstance(page.get("items"), list):
            raise KubernetesError(f"Kubernetes at {self.url} gave no list of pods")
        return page


def container_images(page: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Container ids without the runtime's name, with image ids, of a list of pods. What has no image id is left out."""
    for pod in page["items"]:
        status = pod.get("status") or {}
        for kind in ("containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses"):
            for container in status.get(kind) or ():
                _, _, container_id = str(container.get("containerID") or "").rpartition("://")
                image_id = str(container.get("imageID") or "")
                if container_id.isalnum() and "sha256:" in image_id:
                    yield container_id, image_id


def _reason(body: bytes) -> str:
    """What Kubernetes says of itself; its answer may be anything."""
    try:
        return str(json.loads(body)["message"])[:200]
    except (ValueError, KeyError, TypeError):
        return "without a reason"
