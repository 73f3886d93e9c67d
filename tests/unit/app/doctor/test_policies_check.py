"""app/doctor/policies_check.py: what the agent tells of policies, over a real connection."""

import json
from pathlib import Path
from typing import Any

import pytest

from app.doctor.findings import CheckVerdict
from app.doctor.policies_check import check_policies
from app.ingest.link import link_of, open_channel
from app.settings import Settings
from app.simulator.agent_file import AgentFile
from app.simulator.recording import Recording
from app.simulator.server import SimulatorServer

HOOK = {"section": "uprobes", "state": "STATUS_LOADED"}
TLS = {"id": "1", "name": "tls", "state": "TP_STATE_ENABLED", "hookStatuses": [HOOK]}


def _findings(folder: Path, said: dict[str, Any]) -> list[tuple[CheckVerdict, str]]:
    """What is said with one policy in the folder, and a file that is none."""
    policies = folder / "policies"
    policies.mkdir()
    policy = {"kind": "TracingPolicy", "metadata": {"name": "tls"}, "spec": {}}
    (policies / "tls.json").write_text(json.dumps(policy))
    (policies / "wrong.yaml").write_text("kind: Pod")
    (folder / "agent.json").write_text(json.dumps(said))
    with SimulatorServer(Recording.of([]), agent=AgentFile(folder / "agent.json")) as server:
        settings = Settings(tetragon_address=server.address, tracing_policies_dir=policies)
        with open_channel(link_of(settings)) as channel:
            return [(one.verdict, one.what) for one in check_policies(settings, channel)]


@pytest.mark.parametrize(
    ("said", "what"),
    [
        ({"policies": [TLS, TLS | {"name": "mine"}]}, "no file says what these policies hook: mine"),
        ({"policies": [TLS | {"state": "TP_STATE_LOAD_ERROR"}]}, "these policies failed to load: tls"),
        ({"policies": [TLS | {"hookStatuses": []}]}, "the agent tells no state of any hook"),
        (
            {"policies": [TLS | {"hookStatuses": [HOOK | {"state": "STATUS_DIGEST_REJECTED"}]}]},
            "hooks of these policies are not loaded: tls",
        ),
        ({"policies": []}, "the agent does not have these policies of the folder: tls"),
        ({"status": "UNIMPLEMENTED"}, "the agent is too old to tell of its tracing policies"),
        ({"status": "PERMISSION_DENIED"}, "does not tell of its tracing policies: PERMISSION_DENIED"),
    ],
)
def test_what_keeps_a_hook_from_counting_is_a_warning(tmp_path: Path, said: dict[str, Any], what: str) -> None:
    """Each with what to do; a file that is not a policy is named besides."""
    first, *found = [text for verdict, text in _findings(tmp_path, said) if verdict is CheckVerdict.WARN]

    assert (
        first == "a tracing policy is not used: wrong.yaml: kind is not one of TracingPolicy, TracingPolicyNamespaced"
    )
    assert len(found) == 1
    assert what in found[0]


@pytest.mark.parametrize(
    ("error", "shown"),
    [
        ("open /procRoot/1/root/app:\n no such file", " (open /procRoot/1/root/app: no such file)"),
        ("x" * 300, f" ({'x' * 200}…)"),
        (" \n", ""),
    ],
    ids=["whole", "long", "blank"],
)
def test_a_policy_that_failed_to_load_is_named_with_the_agents_error(tmp_path: Path, error: str, shown: str) -> None:
    """On one line, and not more of it than fits there."""
    failed = TLS | {"state": "TP_STATE_LOAD_ERROR", "error": error}
    found = [text for verdict, text in _findings(tmp_path, {"policies": [failed]}) if verdict is CheckVerdict.WARN]

    assert found[1:] == [f"these policies failed to load: tls{shown}"]


def test_policies_that_are_loaded_as_their_files_say_are_fine(tmp_path: Path) -> None:
    """Nothing is to do."""
    found = [text for verdict, text in _findings(tmp_path, {"policies": [TLS]}) if verdict is CheckVerdict.OK]

    assert found == ["the agent has 1 tracing policies, and 1 are in files here"]
