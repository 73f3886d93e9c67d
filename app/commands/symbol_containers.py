"""`callstream symbols add-containers` and `init`: a symbol store that is filled on a cluster."""

import signal
import sys
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import click

from app.commands.options import FOLDER
from app.commands.symbol_records import JSON, STORE, WAIT, store_folder
from app.operators.errors import OperatorError
from app.operators.printing import echo, print_answer
from app.symbols.adding import AddOptions, FileReport, NotIndexed, add_files
from app.symbols.containers import MOUNTS, ContainerFiles, ContainerRefusal, changed_meanwhile, container_files
from app.symbols.limited_reader import LimitedReader
from app.symbols.name_maps import image_scope
from app.symbols.node_pods import NodePods
from app.symbols.snapshot import ObjectKind, is_store, read_snapshot
from app.symbols.store_writer import StoreWriter

_NOT_ALL: Final = 1
CONTAINERD: Final = "/run/containerd/io.containerd.runtime.v2.task/k8s.io"


@click.command(short_help="Make an empty store, if there is none")
@STORE
@WAIT
@JSON
def init(folder: Path | None, wait_seconds: float, as_json: bool) -> None:
    """Make an empty store, if there is none. A stage refuses a folder that is not a store.

    \b
    Exit codes:
      0  there is a store
      2  wrong options or settings, or the store cannot be used
    Example:
      callstream symbols init --store /var/lib/callstream-symbols
    """
    place = store_folder(folder)
    is_new = not is_store(place)
    if is_new:
        with StoreWriter(place, wait_seconds):
            pass
    digest = read_snapshot(place).digest
    words = "made" if is_new else "there already"
    print_answer({"store_digest": digest, "new": is_new}, [f"{words}: store {digest}"], as_json=as_json)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Round:
    """What `add-containers` works on."""

    host: Path
    runtime: Path
    node: str
    store: Path
    wait_seconds: float
    as_json: bool

    def add_new(self, pods: NodePods, seen: set[str]) -> bool:
        """Add each image that runs here and is in neither the store nor `seen`; whether all that was tried worked."""
        mounts = MOUNTS.read_bytes()
        is_whole = True
        for container, image in sorted(pods.images(self.node).items()):
            scope = image_scope(image)
            if scope in seen:
                continue
            files = container_files(self.host, self.runtime, container, mounts)
            if files is None:
                continue
            outcome = files if isinstance(files, ContainerRefusal) else self._add(container, files, scope)
            if isinstance(outcome, ContainerRefusal):
                is_whole = False
            else:
                seen.add(scope)
                is_whole &= not any(isinstance(report, NotIndexed) for report in outcome)
            self._say(container, image, outcome)
        return is_whole

    def _add(self, container: str, files: ContainerFiles, scope: str) -> list[FileReport] | ContainerRefusal:
        with StoreWriter(self.store, self.wait_seconds) as writer, LimitedReader() as reader:
            if scope in writer.snapshot.of_kind(ObjectKind.MODULES):  # another node was faster
                return []
            listed = files.image_files()
            options = AddOptions(root=files.root, scope=scope)
            reports = list(add_files(listed, options, writer, reader, lambda _: None))
            if changed_meanwhile(files, listed):
                return ContainerRefusal("it changed files while they were read")
            if container_files(self.host, self.runtime, container, MOUNTS.read_bytes()) != files:
                return ContainerRefusal("it ended while its files were read")  # half an image would count as all of it
            writer.commit()
        return reports

    def _say(self, container: str, image: str, outcome: list[FileReport] | ContainerRefusal) -> None:
        answer: dict[str, Any] = {"container": container, "image": image}
        if isinstance(outcome, ContainerRefusal):
            answer["refused"] = outcome.reason
            words = f"refused: {outcome.reason}"
        else:
            refused = Counter(one.reason.value for one in outcome if isinstance(one, NotIndexed))
            answer |= {"files": len(outcome), "not_indexed": dict(sorted(refused.items()))}
            words = f"{len(outcome)} files" + "".join(f", {count} not indexed: {why}" for why, count in refused.items())
        print_answer(answer, [f"{image}  {words}"], as_json=self.as_json)


@click.command(name="add-containers", short_help="Index the images that run on a Kubernetes node")
@click.argument("runtime", type=click.Path(path_type=Path), default=CONTAINERD)
@STORE
@click.option("--node", metavar="NAME", required=True, help="The node, as Kubernetes names it.")
@click.option("--host", type=FOLDER, default="/host", show_default=True, help="Where the node's / is mounted.")
@WAIT
@click.option(
    "--every",
    "pause_seconds",
    type=click.FloatRange(1),
    metavar="SECONDS",
    help="Look again and again, with this pause, until stopped. Default: once.",
)
@JSON
def add_containers(
    *,
    runtime: Path,
    folder: Path | None,
    node: str,
    host: Path,
    wait_seconds: float,
    pause_seconds: float | None,
    as_json: bool,
) -> None:
    """Index the images that run on this Kubernetes node, from the folders of containerd.

    RUNTIME is containerd's folder of running containers on the node. Kubernetes says which image a container
    has, so the pod's account must be allowed to list pods. An image that the store knows is left alone. Files that a
    container has changed or added are not its image's and are left out; where that is not known, the container is
    refused. With --every, what went wrong is printed and tried again.

    \b
    Exit codes:
      0  the store has every image that runs here
      1  a container or a file was refused
      2  wrong options or settings, or the store or Kubernetes cannot be used
    Example:
      callstream symbols add-containers --node worker-3 --every 300
    """
    if not runtime.is_absolute():
        raise click.UsageError(f"{runtime}: write the folder as the node has it, from / on")
    work = _Round(
        host=host.resolve(),
        runtime=runtime,
        node=node,
        store=store_folder(folder),
        wait_seconds=wait_seconds,
        as_json=as_json,
    )
    pods, seen = NodePods.of_this_pod(), set[str]()
    if pause_seconds is None:
        sys.exit(0 if work.add_new(pods, seen) else _NOT_ALL)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # the first process of a container has no default action
    while True:
        try:
            work.add_new(pods, seen)
        except OperatorError as error:
            echo(f"callstream symbols: {error}; trying again in {pause_seconds:g} s", err=True)
        time.sleep(pause_seconds)
