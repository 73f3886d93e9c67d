"""The Python environment of the image, made as deploy/Dockerfile makes it, and its bill of materials.

`python -m tests.support.image_environment` writes deploy/sbom.cdx.json. The file follows from requirements.lock alone:
it has no time, no address and no random number, so the same lock gives the same bytes.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parents[2]
REVISION: Final = "0123456789" * 4
"""The commit that the build is told."""
BILL: Final = ROOT / "deploy" / "sbom.cdx.json"


def make_image_environment(folder: Path) -> Path:
    """A new environment with the packages of the image's lock, without pip; returns its Python."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    python = folder / "bin" / "python"
    _install(python, "--require-hashes", "-r", ROOT / "requirements.lock")
    return python


def install_program(python: Path, scratch: Path) -> None:
    """Install the program out of what .dockerignore lets into the build; `scratch` is a new folder for that.

    No C compiler is found, so the program is plain Python: tests/contract/test_compiled.py is about the compiled one.
    """
    for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines():
        if line.startswith("!"):
            source, target = ROOT / line[1:], scratch / line[1:]
            target.parent.mkdir(parents=True, exist_ok=True)
            if source.is_dir():
                shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(source, target)
    building: list[str | Path] = [sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check"]
    building += ["--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", scratch / "wheels", scratch]
    environ = {"CALLSTREAM_BUILD_COMMIT": REVISION, "CC": str(scratch / "no-compiler")}
    subprocess.run(building, check=True, env=os.environ | environ)
    _install(python, "--no-deps", "--no-index", *(scratch / "wheels").glob("*.whl"))


def _install(python: Path, *what: str | Path) -> None:
    pip: list[str | Path] = [sys.executable, "-m", "pip", "--python", python, "install"]
    subprocess.run([*pip, "--quiet", "--disable-pip-version-check", "--no-compile", *what], check=True)


def packages_of(python: Path) -> dict[str, str]:
    """Names, in lower case and with '-', and versions of the packages that an environment has."""
    code = "import importlib.metadata as m, json; print(json.dumps([[d.name, d.version] for d in m.distributions()]))"
    found = json.loads(subprocess.run([python, "-c", code], check=True, capture_output=True).stdout)
    return {name.lower().replace("_", "-").replace(".", "-"): version for name, version in found}


def bill_of_materials(python: Path) -> str:
    """What an environment holds, as CycloneDX: names, versions, licences, and what needs what."""
    command: list[str | Path] = [
        sys.executable,
        "-m",
        "cyclonedx_py",
        "environment",
        "--pyproject",
        ROOT / "pyproject.toml",
    ]
    command += ["--mc-type", "application", "--output-reproducible", python]
    made: dict[str, Any] = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    tools = made["metadata"].pop("tools")
    made["metadata"]["tools"] = {
        "components": [{key: tool[key] for key in ("type", "name", "version")} for tool in tools["components"]]
    }
    for component in (*made["components"], made["metadata"]["component"]):
        component.pop("externalReferences", None)  # home pages, which change without the package
        component.pop("description", None)
    return json.dumps(made, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="callstream-image-") as scratch:
        BILL.write_text(bill_of_materials(make_image_environment(Path(scratch) / "env")), encoding="utf-8")
