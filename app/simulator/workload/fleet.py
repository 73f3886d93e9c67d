"""Who makes the calls of a generated load: nodes, pods and processes that stay, and commands that come and go.

A process is as the agent's cache has it: the same in every event but for its thread. Names, images and arguments are
made up; some arguments and paths hold a canary, as they would hold a secret. Everything follows from the random
number generator that is passed in.
"""

import base64
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from random import Random
from typing import Final

from app.simulator.workload.canaries import Canary, plant
from app.simulator.workload.secrets import COMMAND_LINES
from schemas.tetragon.events_pb2 import GetEventsResponse
from schemas.tetragon.process_pb2 import Process
from schemas.units import NS_PER_SECOND

NODES: Final = ("worker-01", "worker-02", "worker-03", "worker-04")
_CLUSTER: Final = "harbour-staging"
_NODE_LABELS: Final = {"kubernetes.io/arch": "amd64", "topology.kubernetes.io/zone": "north-1"}

BOOT_SECONDS: Final = 3_000_000
"""How long the nodes had been up when the load begins, in seconds; kernel times count from there, in 16 digits."""

MIN_PID: Final = 100_000
MAX_PID: Final = 999_999
"""Pids have six digits, so that one can take another's place in an encoded event."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Application:
    """A program that runs on the nodes. `namespace` is empty outside of Kubernetes; `{}` in arguments is a secret.

    `chains` names the call chains of its stacks (workload_stacks), `threads` how many threads make calls. Modules of
    one that is seen from outside have the path of the container's root on the node in front of them.
    """

    name: str
    namespace: str
    binary: str
    arguments: str
    chains: tuple[str, ...]
    kind: str = "Deployment"
    image: str = ""
    cwd: str = "/srv"
    uid: int = 1000
    threads: int = 1
    is_seen_from_outside: bool = False


_PYTHON_CHAINS: Final = ("python-tls", "python-socket", "python-sqlite", "python-file", "python-zlib")

APPLICATIONS: Final = (
    Application(
        name="orders-api",
        namespace="shop",
        binary="/usr/local/bin/python3",
        arguments="-m gunicorn orders.wsgi --bind 0.0.0.0:8080 --workers 4",
        chains=_PYTHON_CHAINS,
        image="registry.internal/shop/orders-api:2.14.1",
        threads=8,
    ),
    Application(
        name="ledger-worker",
        namespace="finance",
        binary="/usr/local/bin/python3",
        arguments="-m ledger.worker --database postgresql://ledger:{}@db.internal:5432/ledger --batch 200",
        chains=("python-sqlite", "python-file", "python-tls"),
        image="registry.internal/finance/ledger-worker:7.0.3",
        kind="StatefulSet",
        threads=4,
    ),
    Application(
        name="report-builder",
        namespace="finance",
        binary="/usr/local/bin/python3",
        arguments="/srv/report/build.py --since yesterday --out /srv/report/out",
        chains=("python-zlib", "python-file"),
        image="registry.internal/finance/report-builder:1.9.0",
        is_seen_from_outside=True,
        kind="CronJob",
        threads=2,
    ),
    Application(
        name="edge-proxy",
        namespace="ingress",
        binary="/usr/sbin/nginx",
        arguments='-g "daemon off;"',
        chains=("proxy",),
        image="registry.internal/platform/edge-proxy:1.27.4",
        kind="DaemonSet",
        cwd="/",
        uid=101,
        threads=4,
    ),
    Application(
        name="search-index",
        namespace="shop",
        binary="/usr/lib/jvm/java-21/bin/java",
        arguments="-Xmx4g -Djavax.net.ssl.trustStorePassword={} -jar /srv/search/index.jar",
        chains=("java",),
        image="registry.internal/shop/search-index:4.2.0",
        kind="StatefulSet",
        threads=12,
    ),
    Application(
        name="metrics-agent",
        namespace="platform",
        binary="/usr/local/bin/metrics-agent",
        arguments="--scrape-interval 15s --config /etc/metrics-agent/config.yaml",
        chains=("go",),
        image="registry.internal/platform/metrics-agent:0.93.2",
        kind="DaemonSet",
        uid=65534,
        threads=6,
    ),
    Application(
        name="sshd",
        namespace="",
        binary="/usr/sbin/sshd",
        arguments="-D -e",
        chains=("sshd",),
        cwd="/",
        uid=0,
    ),
    Application(
        name="shell",
        namespace="",
        binary="/bin/bash",
        arguments="/home/{}/bin/rotate-logs.sh --keep 14",
        chains=("bash",),
        cwd="/var/log",
        uid=1001,
    ),
)

_ORDINARY_COMMANDS: Final = (
    ("/usr/bin/ls", "-la /srv/report/out"),
    ("/usr/bin/grep", "-rn --include *.py retry /srv/orders"),
    ("/usr/bin/tar", "-czf /backup/orders.tar.gz -C /srv orders"),
    ("/usr/bin/find", "/var/log -name *.log -mtime +14 -delete"),
    ("/usr/bin/docker", "run --rm -p 8080:80 registry.internal/shop/orders-api:2.14.1"),
    ("/usr/bin/kubectl", "get pods -n shop -o wide"),
    ("/usr/bin/python3", "/srv/report/check.py --day 2026-01-07"),
    ("/usr/bin/ssh", "-p 2222 deploy@bastion.internal uptime"),
    ("/usr/bin/systemctl", "is-active cron"),
    ("/bin/sh", '-c "date +%s > /run/heartbeat"'),
    ("/usr/bin/git", "fetch --all --prune"),
    ("/usr/bin/sed", "-n 1,40p /etc/nginx/nginx.conf"),
)


@dataclass(frozen=True, slots=True)
class Actor:
    """A long-lived process: its message without a thread, its threads, and the node that it runs on."""

    application: Application
    process: Process
    parent: Process
    threads: tuple[int, ...]
    node: str


@dataclass(frozen=True, slots=True)
class Command:
    """A short-lived command line on a node; every run is another process, so exec_id, pid and times are not set."""

    process: Process
    parent: Process
    node: str


@dataclass(frozen=True, slots=True)
class Fleet:
    """Everybody who is in the load. `secrets` are the canaries in their arguments, by needle."""

    actors: tuple[Actor, ...]
    commands: tuple[Command, ...]
    secrets: dict[str, Canary] = field(default_factory=dict)


def fleet(rng: Random, processes: int, start_seconds: int, nodes: Sequence[str] = NODES) -> Fleet:
    """`processes` actors spread over the nodes, up before `start_seconds` (seconds since the Unix epoch)."""
    secrets: dict[str, Canary] = {}
    actors = tuple(
        _actor(rng, APPLICATIONS[index % len(APPLICATIONS)], rng.choice(nodes), start_seconds, secrets)
        for index in range(processes)
    )
    commands = [_command(rng, actors, binary, arguments) for binary, arguments in _ORDINARY_COMMANDS]
    for line in COMMAND_LINES:
        arguments = _with_secret(line.arguments, f"load.{line.program}.arguments", len(commands), secrets)
        commands.append(_command(rng, actors, f"/usr/bin/{line.program}", arguments))
    return Fleet(actors, tuple(commands), secrets)


def cluster_fields() -> GetEventsResponse:
    """The fields of every event that say which cluster it is from; they follow its time."""
    return GetEventsResponse(cluster_name=_CLUSTER, node_labels=_NODE_LABELS)


def exec_id(node: str, kernel_ns: int, pid: int) -> str:
    """Identity of an execve as Tetragon makes it: base 64 of `node:ktime:pid`."""
    return base64.b64encode(f"{node}:{kernel_ns}:{pid}".encode()).decode()


def _with_secret(arguments: str, place: str, form: int, secrets: dict[str, Canary]) -> str:
    """`arguments` with a canary where they have `{}`."""
    return arguments.format(plant(place, form, secrets)) if "{}" in arguments else arguments


def _actor(rng: Random, application: Application, node: str, start_seconds: int, secrets: dict[str, Canary]) -> Actor:
    pid = rng.randint(MIN_PID, MAX_PID - 64)
    age_seconds = rng.randint(3_600, BOOT_SECONDS // 2)
    parent = _parent(rng, application, node, start_seconds)
    process = Process(
        exec_id=exec_id(node, (BOOT_SECONDS - age_seconds) * NS_PER_SECOND + rng.randrange(NS_PER_SECOND), pid),
        pid={"value": pid},
        uid={"value": application.uid},
        cwd=application.cwd,
        binary=application.binary,
        arguments=_with_secret(application.arguments, f"load.{application.name}.arguments", 0, secrets),
        flags="execve clone",
        auid={"value": 4294967295 if application.namespace else application.uid},
        parent_exec_id=parent.exec_id,
        refcnt=1,
        in_init_tree={"value": bool(application.namespace)},
    )
    process.start_time.seconds, process.start_time.nanos = start_seconds - age_seconds, rng.randrange(1, 10**9)
    if application.namespace:
        _set_pod(process, rng, application, start_seconds - age_seconds)
        parent.pod.CopyFrom(process.pod)
        parent.docker = process.docker
    else:
        process.user.name = "root" if application.uid == 0 else "rotate"
    threads = tuple(pid + index for index in range(application.threads))
    return Actor(application, process, parent, threads, node)


def _parent(rng: Random, application: Application, node: str, start_seconds: int) -> Process:
    pid = rng.randint(MIN_PID, MAX_PID)
    parent = Process(
        exec_id=exec_id(node, rng.randint(10**9, 10**11), pid),
        pid={"value": pid},
        uid={"value": 0},
        cwd="/",
        binary="/usr/bin/containerd-shim-runc-v2" if application.namespace else "/usr/lib/systemd/systemd",
        arguments="-namespace k8s.io -address /run/containerd/containerd.sock" if application.namespace else "",
        flags="procFS auid rootcwd",
        auid={"value": 4294967295},
    )
    parent.start_time.seconds, parent.start_time.nanos = start_seconds - BOOT_SECONDS, rng.randrange(1, 10**9)
    return parent


def _set_pod(process: Process, rng: Random, application: Application, started_seconds: int) -> None:
    container = rng.randbytes(32).hex()
    pod = process.pod
    pod.namespace = application.namespace
    pod.name = f"{application.name}-{rng.randbytes(5).hex()}-{rng.randbytes(3).hex()[:5]}"
    pod.workload, pod.workload_kind = application.name, application.kind
    pod.container.id = f"containerd://{container}"
    pod.container.name = application.name
    pod.container.image.name = application.image
    pod.container.image.id = (
        f"{application.image.rpartition(':')[0]}@sha256:{sha256(application.image.encode()).hexdigest()}"
    )
    pod.container.start_time.seconds = started_seconds
    pod.container.pid.value = 1
    pod.pod_labels.update({"app": application.name, "team": application.namespace, "tier": "backend"})
    process.docker = container[:31]


def _command(rng: Random, actors: tuple[Actor, ...], binary: str, arguments: str) -> Command:
    """A command that some actor runs: it inherits the actor's pod, user and folder."""
    actor = rng.choice(actors)
    process = Process(
        uid=actor.process.uid,
        cwd=actor.process.cwd,
        binary=binary,
        arguments=arguments,
        flags="execve clone",
        auid=actor.process.auid,
        docker=actor.process.docker,
        parent_exec_id=actor.process.exec_id,
        refcnt=1,
    )
    if actor.process.HasField("pod"):
        process.pod.CopyFrom(actor.process.pod)
    return Command(process, actor.process, actor.node)
