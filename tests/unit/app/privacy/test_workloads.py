"""app/privacy/workloads.py: which programs put secrets into arguments, by counts alone."""

from typing import Any

from app.privacy.workloads import WorkloadSecrets, secrets_by_workload


def _call(namespace: str | None, binary: str, arguments: str | None) -> dict[str, Any]:
    return {"namespace": namespace, "workload": "web", "process": {"binary": binary, "arguments": arguments}}


def test_programs_with_secrets_are_counted_those_with_most_first() -> None:
    """A program without a secret is not named, and no argument is."""
    calls = [
        _call("shop", "/usr/bin/mysql", "-uroot -p[redacted] db"),
        _call("shop", "/usr/bin/mysql", "-uroot -p[redacted] db"),
        _call("shop", "/usr/bin/mysql", "--version"),
        _call(None, "/usr/bin/curl", "-u a:[redacted] https://h"),
        _call("shop", "/usr/bin/ls", "-l ~/x"),
        _call("shop", "/usr/bin/id", None),
    ]
    assert secrets_by_workload(calls) == [
        WorkloadSecrets("shop", "web", "/usr/bin/mysql", 3, 2),
        WorkloadSecrets("", "web", "/usr/bin/curl", 1, 1),
    ]
