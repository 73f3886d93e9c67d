"""The Python environment of the image, made as deploy/Dockerfile makes it, and its bill of materials.

`python -m tests.support.image_environment` writes deploy/sbom.cdx.json. The file follows from requirements.lock alone:
it has no time, no address and no random number, so the same lock gives the same bytes.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parents[2]
BILL: Final = ROOT / "deploy" / "sbom.cdx.json"


def make_image_environment(folder: Path) -> Path:
    """A new environment with the image's packages, without pip; returns its Python."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    python = folder / "bin" / "python"
    pip: list[str | Path] = [
        sys.executable,
        "-m",
        "pip",
        "--python",
        python,
        "install",
        "--quiet",
        "--disable-pip-version-check",
    ]
    subprocess.run([*pip, "--no-compile", "--require-hashes", "-r", ROOT / "requirements.lock"], check=True)
    return python


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
