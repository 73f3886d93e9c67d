"""docker-compose.yml as Compose's own library loads it. `make tools` builds the program that asks it, with Go."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support import tools

pytestmark = pytest.mark.skipif(
    tools.compose_check() is None, reason="Compose's own library is not here: `make tools` builds it with Go"
)
_ROOT = Path(__file__).parents[2]
_SERVICES: dict[str, dict[str, Any]] = yaml.safe_load((_ROOT / "docker-compose.yml").read_text())["services"]


def test_compose_itself_loads_the_project() -> None:
    """What an engine would get, by Compose's own library: every service, command, mount and secret as written here."""
    program = tools.compose_check()
    assert program is not None
    environ = {"PUBLIC_HOST": "kafka.example.org", "COMPOSE_PROFILES": "people", "PATH": os.environ["PATH"]}
    loaded = subprocess.run(
        [program, _ROOT / "docker-compose.yml"], check=False, capture_output=True, text=True, env=environ
    )
    assert loaded.returncode == 0, loaded.stderr
    project = json.loads(loaded.stdout)
    assert project["services"].keys() == _SERVICES.keys()
    for name, service in project["services"].items():
        assert service.get("command") == _SERVICES[name].get("command")
        assert service["cap_drop"] == ["ALL"]
        assert {one["source"] for one in service.get("secrets", ())} == set(_SERVICES[name].get("secrets", ()))
        mounts = [volume.split(":")[1] for volume in _SERVICES[name].get("volumes", ())]
        assert [one["target"] for one in service.get("volumes", ())] == mounts
    assert project["services"]["broker"]["environment"]["PUBLIC_HOST"] == "kafka.example.org"
    (port,) = project["services"]["broker"]["ports"]
    assert (port["host_ip"], port["published"]) == ("127.0.0.1", "9094")


def test_compose_itself_refuses_a_wrong_file(tmp_path: Path) -> None:
    """So that the check above means something: an unknown field and a secret that nobody declares are refused."""
    program = tools.compose_check()
    assert program is not None
    for more in ("helthcheck: {}", "secrets: [nowhere]"):
        file = tmp_path / "compose.yml"
        file.write_text(f"name: x\nservices:\n  a:\n    image: a:1.0.0\n    {more}\n")
        assert subprocess.run([program, file], check=False, capture_output=True).returncode == 1, more
