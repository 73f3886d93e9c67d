"""Prometheus' own tools, where this machine has them: `promtool`, and a server that evaluates the deployed rules."""

import subprocess
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from tests.support import tools

ROOT: Final = Path(__file__).parents[2]
RULES: Final = ROOT / "deploy" / "prometheus" / "rules.yml"
RUNBOOKS: Final = ROOT / "docs" / "runbooks"


def program(name: str) -> str:
    """The path of `promtool` or `prometheus`; the test is skipped where it is not installed."""
    found = {"promtool": tools.promtool, "prometheus": tools.prometheus}[name]()
    if found is None:
        pytest.skip(f"{name} is not installed: make tools NAMES={name}")
    return str(found)


def promtool(*arguments: object, text: str = "") -> subprocess.CompletedProcess[str]:
    """Run promtool to its end."""
    command = [program("promtool"), *map(str, arguments)]
    return subprocess.run(command, input=text, capture_output=True, text=True, check=False)


def alerts() -> dict[str, dict[str, Any]]:
    """The deployed alerts by name."""
    groups = yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]
    return {rule["alert"]: rule for group in groups for rule in group["rules"] if "alert" in rule}


def limits() -> dict[str, float]:
    """The limits by the names that rules use."""
    groups = yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]
    return {rule["record"]: rule["expr"] for group in groups for rule in group["rules"] if "record" in rule}
