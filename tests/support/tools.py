"""Tools that tests need beside Python packages: where they are, and how they get there.

`python -m tests.support.tools [NAME...]` installs what is missing, all of it without a name, and says of each what it
did. What is not installed here skips its tests, which say so. Tools that are not a package of this system are kept in a
folder of the user, by version, so that every checkout finds them:

- `helm` is built by Go out of its module, which takes some three minutes of a processor, once.
- `kubernetes-schemas` and `crds` are the schemas of Kubernetes and of the custom resources that the chart makes.
- `compose-check` is our own small program around Compose's library, `dsse-check` one around a DSSE library, and
  `vex-check` one around OpenVEX's.
- `asyncapi-check` is our own small program around AsyncAPI's parser, and `csaf-check` one around a validator of CSAF;
  npm fetches what their lock files pin.
- `promtool` and `prometheus` are taken out of Debian's package, so no service is installed.
- All others are packages of the system, installed by apt where this user may.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Final

HELM_VERSION: Final = "v4.3.1"
KUBERNETES_SCHEMAS: Final = ("1.37.0", "85136d018a27b50ec7fc049d902bfa5193f5976807e6c0f408e3ab6fe078cad9")
"""Version of the package kubernetes-validate, and the digest of its wheel."""

CRD_MODULES: Final[Mapping[str, tuple[str, str, tuple[str, ...]]]] = {
    "github.com/prometheus-operator/prometheus-operator@v0.94.1": (
        "h1:QEIb2wenPH+SdMN1xMf8l4Pmj00YYXXI6HlbLlQWkww=",
        "example/prometheus-operator-crd",
        ("monitoring.coreos.com_servicemonitors.yaml", "monitoring.coreos.com_prometheusrules.yaml"),
    ),
    "github.com/kedacore/keda/v2@v2.21.0": (
        "h1:R6z2HZvstK4RLUMxroNACzBj74xGxt3kG59b5Xc+Xps=",
        "config/crd/bases",
        ("keda.sh_scaledobjects.yaml",),
    ),
}
"""Go modules with the definitions of custom resources: their checksums, as in go.sum, the folder and the files."""

PACKAGES: Final[Mapping[str, str]] = {
    "addr2line": "binutils",
    "cc": "gcc",
    "chromium": "chromium",
    "fish": "fish",
    "g++": "g++",
    "gdb": "gdb",
    "ip": "iproute2",
    "openssl": "openssl",
    "unshare": "util-linux",
    "xz": "xz-utils",
    "zsh": "zsh",
}
"""Programs that tests run, and the Debian packages that have them."""


COMPOSE_CHECK: Final = Path(__file__).resolve().parent / "compose_check"
DSSE_CHECK: Final = Path(__file__).resolve().parent / "dsse_check"
VEX_CHECK: Final = Path(__file__).resolve().parent / "vex_check"
ASYNCAPI_CHECK: Final = Path(__file__).resolve().parent / "asyncapi_check"
CSAF_CHECK: Final = Path(__file__).resolve().parent / "csaf_check"


class ToolError(Exception):
    """A tool cannot be installed here; the message says why."""


def folder() -> Path:
    """Where tools are kept for this user."""
    cache = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(cache) if cache else Path.home() / ".cache") / "callstream" / "tools"


def helm() -> Path | None:
    """The pinned Helm; None if it is not installed."""
    return _there(folder() / f"helm-{HELM_VERSION}" / "helm")


def kubernetes_schemas() -> Path | None:
    """A folder of JSON schemas for each version of Kubernetes; None if they are not installed."""
    return _there(folder() / f"kubernetes-schemas-{KUBERNETES_SCHEMAS[0]}")


def crds() -> Path | None:
    """A folder with the definitions of custom resources; None if they are not installed."""
    name = hashlib.sha256(repr(sorted(CRD_MODULES.items())).encode()).hexdigest()[:12]
    return _there(folder() / f"crds-{name}")


def compose_check() -> Path | None:
    """The program of tests/support/compose_check, as its sources are now; None if it is not built."""
    return _there(_built_go(COMPOSE_CHECK) / "program")


def dsse_check() -> Path | None:
    """The program of tests/support/dsse_check, as its sources are now; None if it is not built."""
    return _there(_built_go(DSSE_CHECK) / "program")


def vex_check() -> Path | None:
    """The program of tests/support/vex_check, as its sources are now; None if it is not built."""
    return _there(_built_go(VEX_CHECK) / "program")


def _built_go(source: Path) -> Path:
    """The folder of a Go program that is built of these sources."""
    content = b"".join((source / name).read_bytes() for name in ("go.mod", "go.sum", "main.go"))
    return folder() / f"{source.name.replace('_', '-')}-{hashlib.sha256(content).hexdigest()[:12]}"


def asyncapi_check() -> Path | None:
    """The program of tests/support/asyncapi_check, for node; None if it is not installed."""
    return _there(_node_program(ASYNCAPI_CHECK) / "check.mjs")


def csaf_check() -> Path | None:
    """The program of tests/support/csaf_check, for node; None if it is not installed."""
    return _there(_node_program(CSAF_CHECK) / "check.mjs")


def _node_program(source: Path) -> Path:
    """The folder of a program for node with these sources."""
    content = b"".join((source / name).read_bytes() for name in ("package-lock.json", "check.mjs"))
    return folder() / f"{source.name.replace('_', '-')}-{hashlib.sha256(content).hexdigest()[:12]}"


def promtool() -> Path | None:
    """Prometheus' own checker of rules; None if it is not installed."""
    found = shutil.which("promtool")
    return Path(found) if found else _there(folder() / "promtool" / "promtool")


def prometheus() -> Path | None:
    """Prometheus itself, to evaluate rules over real processes; None if it is not installed."""
    found = shutil.which("prometheus")
    return Path(found) if found else _there(folder() / "prometheus" / "prometheus")


def _there(path: Path) -> Path | None:
    return path if path.exists() else None


def _run(*command: str | Path, cwd: Path | None = None, **environ: str) -> str:
    """The output of a command. Raises ToolError with its last words."""
    try:
        done = subprocess.run(
            command, cwd=cwd, check=False, capture_output=True, text=True, env={**os.environ, **environ}
        )
    except OSError as error:
        raise ToolError(f"{command[0]}: {error.strerror}") from error
    if done.returncode != 0:
        raise ToolError(f"{command[0]}: {(done.stderr or done.stdout).strip()[-400:]}")
    return done.stdout


def _kept(target: Path, make: Callable[[Path], None]) -> None:
    """Make a tool's folder beside its place and move it there, so that it is whole or not there."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".new-", dir=target.parent) as scratch:
        made = Path(scratch) / "made"
        made.mkdir()
        make(made)
        if not target.exists():  # another process may have been faster
            made.rename(target)


def _install_helm() -> None:
    def build(made: Path) -> None:
        package = f"helm.sh/helm/v4/cmd/helm@{HELM_VERSION}"
        flags = "-trimpath -buildvcs=false"
        go = ("go", "install", "-ldflags=-s -w", package)
        _run(*go, GOBIN=str(made), CGO_ENABLED="0", GOTOOLCHAIN="local", GOFLAGS=flags)

    _kept(folder() / f"helm-{HELM_VERSION}", build)


def _install_kubernetes_schemas() -> None:
    version, digest = KUBERNETES_SCHEMAS

    def unpack(made: Path) -> None:
        (made / "lock").write_text(f"kubernetes-validate=={version} --hash=sha256:{digest}\n")
        pip = (sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps")
        _run(*pip, "--no-compile", "--require-hashes", "--target", made / "all", "-r", made / "lock")
        schemas = made / "all" / "kubernetes_validate" / "kubernetes-json-schema"
        for one in schemas.glob("*-local-strict"):
            one.rename(made / one.name.removesuffix("-local-strict"))
        shutil.rmtree(made / "all")

    _kept(folder() / f"kubernetes-schemas-{version}", unpack)


def _install_crds() -> None:
    name = hashlib.sha256(repr(sorted(CRD_MODULES.items())).encode()).hexdigest()[:12]

    def fetch(made: Path) -> None:
        for module, (checksum, place, names) in CRD_MODULES.items():
            # outside of any module, so that no go.mod of a checkout has a say
            said = json.loads(_run("go", "mod", "download", "-json", module, cwd=made, GOTOOLCHAIN="local"))
            if said["Sum"] != checksum:
                raise ToolError(f"{module} has another checksum than the pinned one: {said['Sum']}")
            for file in names:
                shutil.copyfile(Path(said["Dir"]) / place / file, made / file)

    _kept(folder() / f"crds-{name}", fetch)


def _install_go_program(source: Path) -> None:
    def build(made: Path) -> None:
        go = ("go", "build", "-trimpath", "-ldflags=-s -w", "-o", made / "program", ".")
        _run(*go, cwd=source, CGO_ENABLED="0", GOTOOLCHAIN="local", GOFLAGS="-mod=readonly -buildvcs=false")

    _kept(_built_go(source), build)


def _install_node_program(source: Path) -> None:
    def fetch(made: Path) -> None:
        for name in ("package.json", "package-lock.json", "check.mjs"):
            shutil.copyfile(source / name, made / name)
        _run("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", cwd=made)

    _kept(_node_program(source), fetch)


def _install_of_prometheus(program: str) -> None:
    def unpack(made: Path) -> None:
        _run("apt-get", "download", "--quiet", "prometheus", cwd=made)
        (package,) = made.glob("prometheus_*.deb")
        _run("dpkg-deb", "--extract", package, made / "all")
        (made / "all" / "usr" / "bin" / program).rename(made / program)
        shutil.rmtree(made / "all")
        package.unlink()

    _kept(folder() / program, unpack)


def _install_packages(names: Iterable[str]) -> None:
    wanted = sorted({PACKAGES[name] for name in names})
    if os.geteuid() != 0:
        raise ToolError(f"only root may install packages: apt-get install {' '.join(wanted)}")
    _run("apt-get", "install", "--yes", "--quiet", "--no-install-recommends", *wanted, DEBIAN_FRONTEND="noninteractive")


_OWN: Final[Mapping[str, tuple[Callable[[], Path | None], Callable[[], None]]]] = {
    "helm": (helm, _install_helm),
    "kubernetes-schemas": (kubernetes_schemas, _install_kubernetes_schemas),
    "crds": (crds, _install_crds),
    "compose-check": (compose_check, partial(_install_go_program, COMPOSE_CHECK)),
    "dsse-check": (dsse_check, partial(_install_go_program, DSSE_CHECK)),
    "vex-check": (vex_check, partial(_install_go_program, VEX_CHECK)),
    "asyncapi-check": (asyncapi_check, partial(_install_node_program, ASYNCAPI_CHECK)),
    "csaf-check": (csaf_check, partial(_install_node_program, CSAF_CHECK)),
    "promtool": (promtool, partial(_install_of_prometheus, "promtool")),
    "prometheus": (prometheus, partial(_install_of_prometheus, "prometheus")),
}


def install(wanted: Iterable[str]) -> dict[str, str]:
    """Install what is missing; says of each tool what became of it. One that cannot be had keeps no other away."""
    outcomes: dict[str, str] = {}
    missing = [name for name in wanted if not (_OWN[name][0]() if name in _OWN else shutil.which(name))]
    if any(name in {*PACKAGES, "promtool", "prometheus"} for name in missing) and os.geteuid() == 0:
        try:
            _run("apt-get", "update", "--quiet")
        except ToolError as error:
            outcomes["apt-get update"] = f"not done: {error}"
    for name in missing:
        try:
            if name in _OWN:
                _OWN[name][1]()
            else:
                _install_packages([name])
        except (ToolError, OSError, ValueError, KeyError) as error:
            outcomes[name] = f"not installed: {error}"
        else:
            outcomes[name] = "installed"
    return outcomes


if __name__ == "__main__":
    named = sys.argv[1:]
    unknown = set(named) - _OWN.keys() - PACKAGES.keys()
    if unknown:
        sys.exit(f"no such tool: {', '.join(sorted(unknown))}")
    for tool, outcome in install(named or [*_OWN, *PACKAGES]).items():
        print(f"{tool}: {outcome}")  # noqa: T201 - it is what this prints
