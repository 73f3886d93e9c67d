"""`callstream symbols add-containers` on a node: real overlays, real files, and a Kubernetes that answers over TLS."""

import json
import shutil
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from app.commands import symbol_containers
from app.symbols.adding import FileReport, add_files
from app.symbols.containers import ContainerFiles, ContainerRefusal, container_files
from app.symbols.name_maps import image_scope
from app.symbols.node_pods import NodePods, container_images
from app.symbols.snapshot import ObjectKind
from app.symbols.store import SymbolStore
from app.symbols.store_writer import StoreWriter
from tests.support.certificates import Authority

_ROOT = Path(__file__).parents[2]
_RUNTIME = "run/containerd/io.containerd.runtime.v2.task/k8s.io"
_SHOP = "registry.example/shop@sha256:" + "12" * 32
_NODE = r"""
set -e
top=$1; shift
mount -t tmpfs -o mode=755 tmpfs /run
mkdir -p /run/secrets/kubernetes.io "/$RUNTIME/shop1/rootfs" "/$RUNTIME/plain/rootfs"
ln -s "$top/account" /run/secrets/kubernetes.io/serviceaccount
mount -t overlay -o "lowerdir=$top/layer,upperdir=$top/upper,workdir=$top/work" overlay "/$RUNTIME/shop1/rootfs"
exec "$@"
"""


def _page(containers: dict[str, str], more: str = "") -> dict[str, Any]:
    statuses = [{"containerID": f"containerd://{one}", "imageID": image} for one, image in containers.items()]
    return {"items": [{"status": {"containerStatuses": statuses}}], "metadata": {"continue": more}}


class _Kubernetes(BaseHTTPRequestHandler):
    """Two pages of pods of the node n1, for who has the token."""

    def do_GET(self) -> None:
        query = parse_qs(urlsplit(self.path).query)
        if self.headers["Authorization"] != "Bearer right":
            status, answer = 403, {"message": "pods is forbidden: no right to list"}
        elif query["fieldSelector"] != ["spec.nodeName=n1"]:
            status, answer = 200, _page({})
        elif "continue" in query:
            status, answer = 200, _page({"shop1": _SHOP, "plain": "registry.example/plain@sha256:" + "ab" * 32})
        else:
            status, answer = 200, _page({"elsewhere": "registry.example/gone@sha256:" + "cd" * 32}, more="page 2")
        body = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def kubernetes(tmp_path: Path) -> Iterator[int]:
    """The port of the server, whose authority and token are in the folder `account`."""
    (tmp_path / "account").mkdir()
    authority = Authority.create(tmp_path / "account", "ca")
    pair = authority.issue("kubernetes")
    (tmp_path / "account" / "ca.pem").rename(tmp_path / "account" / "ca.crt")
    (tmp_path / "account" / "token").write_text("right\n")
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Kubernetes)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.certificate, pair.key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.server_address[1]
    server.shutdown()
    thread.join()
    server.server_close()


def _node(top: Path, port: int, *command: str) -> subprocess.CompletedProcess[str]:
    """Run a command where the node's containers are mounted."""
    script: list[str | Path] = ["unshare", "--mount", "sh", "-c", _NODE, "sh", top]
    environ = {
        "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
        "RUNTIME": _RUNTIME,
        "KUBERNETES_SERVICE_HOST": "127.0.0.1",
        "KUBERNETES_SERVICE_PORT": str(port),
        "CALLSTREAM_SYMBOL_STORE_DIR": str(top / "store"),
    }
    return subprocess.run([*script, *command], check=False, capture_output=True, text=True, env=environ, cwd=_ROOT)


@pytest.fixture
def node(tmp_path: Path, kubernetes: int) -> Path:
    """A node: a container of the image shop that has replaced one program and added one, and one without overlay."""
    for folder in ("layer/usr/bin", "upper/usr/bin", "work"):
        (tmp_path / folder).mkdir(parents=True)
    shutil.copy("/usr/bin/cat", tmp_path / "layer/usr/bin/cat")
    shutil.copy("/usr/bin/true", tmp_path / "layer/usr/bin/replaced")
    shutil.copy("/usr/bin/false", tmp_path / "upper/usr/bin/replaced")
    shutil.copy("/usr/bin/false", tmp_path / "upper/usr/bin/added")
    if _node(tmp_path, kubernetes, "true").returncode:
        pytest.skip("this user may not mount an overlay")
    return tmp_path


_ADD = (sys.executable, "-m", "app", "symbols", "add-containers", "--node", "n1", "--host", "/", "--json")


def test_an_images_files_are_added_and_what_its_container_changed_is_not(node: Path, kubernetes: int) -> None:
    """The map holds what the image has, by its digest; changed and added files are nobody's; a bare root is refused."""
    done = _node(node, kubernetes, *_ADD)

    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [row["image"].split("@")[0] for row in rows] == ["registry.example/plain", "registry.example/shop"], (
        done.stderr
    )
    assert rows[0]["refused"] == "its root is not an overlay that is mounted here"
    assert (rows[1]["files"], rows[1]["not_indexed"]) == (1, {})
    assert done.returncode == 1
    store = SymbolStore.open(node / "store")
    maps = store.snapshot.of_kind(ObjectKind.MODULES)
    assert maps.keys() == {image_scope(_SHOP)}
    assert store.read_module_map(maps[image_scope(_SHOP)]).keys() == {"/usr/bin/cat"}

    again = _node(node, kubernetes, *_ADD)
    assert [json.loads(line).get("files") for line in again.stdout.splitlines()] == [None, 0]
    assert SymbolStore.open(node / "store").digest == store.digest


def test_who_may_not_list_pods_is_told_so(node: Path, kubernetes: int) -> None:
    """The message has Kubernetes' own words, and the store stays as it was."""
    (node / "account" / "token").write_text("wrong")

    done = _node(node, kubernetes, *_ADD)

    assert done.returncode == 2
    assert "HTTP 403, pods is forbidden: no right to list" in done.stderr
    assert not (node / "store").exists()


@pytest.mark.parametrize("kind", ["ends", "changes"])
def test_an_image_is_added_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    """A container that ends or writes while its files are read leaves the store as it was, and is tried again later."""
    root, changes = tmp_path / "root", tmp_path / "changes"
    root.mkdir()
    changes.mkdir()
    shutil.copy("/usr/bin/cat", root / "cat")
    files = ContainerFiles(root, changes)
    answers = iter([files, None if kind == "ends" else files])
    monkeypatch.setattr(symbol_containers, "container_files", lambda *_: next(answers))

    def add_and_change(*them: Any) -> Iterator[FileReport]:
        yield from add_files(*them)
        shutil.copy(root / "cat", changes / "cat")

    if kind == "changes":
        monkeypatch.setattr(symbol_containers, "add_files", add_and_change)
    work = symbol_containers._Round(
        host=tmp_path, runtime=Path("/r"), node="n1", store=tmp_path / "store", wait_seconds=0, as_json=True
    )
    pods = NodePods("https://localhost:1", tmp_path)
    monkeypatch.setattr(NodePods, "images", lambda *_: {"c1": _SHOP})
    seen: set[str] = set()

    assert not work.add_new(pods, seen)

    assert not seen
    assert not SymbolStore.open(tmp_path / "store").snapshot.entries


def test_changes_that_are_not_mounted_here_refuse_the_container(tmp_path: Path) -> None:
    """Without the upper folder nobody can tell what the container changed."""
    root = tmp_path / _RUNTIME / "c" / "rootfs"
    root.mkdir(parents=True)
    mounts = f"36 35 98:0 / {root} rw - overlay overlay rw,lowerdir=/l,upperdir=/var/lib/a\\040b/fs,workdir=/w\n"

    found = container_files(tmp_path, Path("/") / _RUNTIME, "c", mounts.encode())

    assert found == ContainerRefusal("/var/lib/a b/fs, where its changes lie, is not mounted here")


def test_containers_without_an_image_digest_are_left_out() -> None:
    """An id that names no content, a container that has not started, and a name with a path in it say nothing."""
    page = _page({"a1": _SHOP, "b2": "shop:latest", "../etc": _SHOP, "": _SHOP})
    page["items"] += [{}, {"status": {"initContainerStatuses": [{"containerID": "cri-o://c3", "imageID": _SHOP}]}}]

    assert dict(container_images(page)) == {"a1": _SHOP, "c3": _SHOP}


def test_a_store_is_made_once_and_writers_wait_for_each_other(tmp_path: Path) -> None:
    """`init` leaves a store as it is; with --wait a second writer goes on as soon as the first one has ended."""
    command: list[str | Path] = [
        sys.executable,
        "-m",
        "app",
        "symbols",
        "init",
        "--json",
        "--store",
        tmp_path / "store",
    ]
    first, second = (json.loads(subprocess.run(command, check=True, capture_output=True).stdout) for _ in range(2))
    assert (first["new"], second["new"], first["store_digest"] == second["store_digest"]) == (True, False, True)

    adding: list[str | Path] = [
        sys.executable,
        "-m",
        "app",
        "symbols",
        "add",
        "/usr/bin/true",
        "--store",
        tmp_path / "store",
    ]
    with StoreWriter(tmp_path / "store"):
        assert subprocess.run(command, check=False, capture_output=True).returncode == 0
        refused = subprocess.run(adding, check=False, capture_output=True, text=True)
        assert (refused.returncode, "is being written by another process" in refused.stderr) == (2, True)
        waiting = subprocess.Popen([*adding, "--wait", "60"], stdout=subprocess.PIPE)
        with pytest.raises(subprocess.TimeoutExpired):
            waiting.wait(2)
    waiting.communicate()
    assert waiting.returncode == 0
