"""A Kubernetes API of nodes for tests: real HTTPS with a service account's token, lists in pages, watches in chunks.

Objects have the form of a v1.31 API server's answers, cut to what identifies a node; fields that nobody reads are there
too, so that a reader has to pass over them.
"""

import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.support.certificates import Authority

TOKEN = "service-account-token"
_PAGE = 2


def node_object(name: str, created: str, boot_id: str = "b-1", version: str = "100") -> dict[str, Any]:
    """A Node as the API has it."""
    return {
        "metadata": {
            "name": name,
            "uid": f"uid-{name}-{created}",
            "resourceVersion": version,
            "creationTimestamp": created,
            "labels": {"kubernetes.io/arch": "amd64", "kubernetes.io/hostname": name},
        },
        "spec": {"podCIDR": "10.244.1.0/24", "providerID": f"kind://docker/kind/{name}"},
        "status": {
            "conditions": [{"type": "Ready", "status": "True", "reason": "KubeletReady"}],
            "nodeInfo": {"bootID": boot_id, "machineID": "m", "kernelVersion": "6.8.0", "architecture": "amd64"},
        },
    }


@dataclass
class FakeApi:
    """What the API has: `nodes` for lists, and for each watch in turn what it sends.

    A watch is a list of changes, after which it ends in good order; a status number instead refuses it; a change that
    is a text is sent as it is, and then the connection breaks.
    """

    nodes: list[dict[str, Any]] = field(default_factory=list)
    watches: list[list[dict[str, Any] | str] | int] = field(default_factory=list)
    asked: list[dict[str, str]] = field(default_factory=list)
    quiet: threading.Event = field(default_factory=threading.Event)
    """Set when a watch was asked for and no more are there; that watch is refused by 503."""

    def page(self, start: int) -> dict[str, Any]:
        """A page of the list."""
        rest = len(self.nodes) - start - _PAGE
        metadata = {"resourceVersion": "1000"} | ({"continue": str(start + _PAGE)} if rest > 0 else {})
        items = self.nodes[start : start + _PAGE]
        return {"kind": "NodeList", "apiVersion": "v1", "metadata": metadata, "items": items}


@contextmanager
def kubernetes_api(folder: Path, api: FakeApi) -> Iterator[tuple[str, Path, Path]]:
    """Serves the API on loopback; gives its address, the file of its CA, and that of the token."""
    authority = Authority.create(folder, "cluster-ca")
    pair = authority.issue("kubernetes")
    token = folder / "token"
    token.write_text(f"{TOKEN}\n", encoding="ascii")

    class Handler(BaseHTTPRequestHandler):
        """Answers for the nodes."""

        protocol_version = "HTTP/1.1"

        def log_message(self, *_: Any) -> None:
            """Nothing."""

        def do_GET(self) -> None:
            """A list or a watch."""
            parts = urlsplit(self.path)
            query = {name: found[0] for name, found in parse_qs(parts.query).items()}
            api.asked.append(query)
            if self.headers["Authorization"] != f"Bearer {TOKEN}" or parts.path != "/api/v1/nodes":
                self._whole(403, {"kind": "Status", "reason": "Forbidden", "code": 403})
            elif "watch" not in query:
                self._whole(200, api.page(int(query.get("continue", "0"))))
            elif not api.watches:
                api.quiet.set()
                self._whole(503, {"kind": "Status", "code": 503})
            else:
                self._watch(api.watches.pop(0))

        def _whole(self, status: int, document: dict[str, Any]) -> None:
            content = json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def _watch(self, changes: list[dict[str, Any] | str] | int) -> None:
            if isinstance(changes, int):
                self._whole(changes, {"kind": "Status", "code": changes})
                return
            self.send_response(200)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            for change in changes:
                content = change.encode() if isinstance(change, str) else json.dumps(change).encode() + b"\n"
                self.wfile.write(f"{len(content):x}\r\n".encode() + content + b"\r\n")
                if isinstance(change, str):
                    self.close_connection = True
                    return
            self.wfile.write(b"0\r\n\r\n")

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.certificate, pair.key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield f"https://127.0.0.1:{server.server_address[1]}", authority.file, token
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
