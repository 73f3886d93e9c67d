"""A policy probes first bytes of functions in one very file, or there is none, with the reason."""

import dataclasses
import json
import os
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from agents.vulnerabilities.probing import ProbePlace
from agents.vulnerabilities.tracing_policy import (
    PolicyFault,
    PolicyOptions,
    PolicyRefusal,
    ProbedFile,
    ProbePolicy,
    probe_policy,
)

_FILE = ProbedFile(
    "/procRoot/1/root/usr/bin/server", "ab" * 32, "cd" * 20, (ProbePlace(0x2000, "b.F"), ProbePlace(0x1000, "a.F"))
)
_OPTIONS = PolicyOptions("v1.8.0", tags=("callstream", "GO-2022-0969"))
_CONTRACT = os.environ.get("CALLSTREAM_CONTRACT_DIR", "")


def _policy(file: ProbedFile = _FILE, options: PolicyOptions = _OPTIONS) -> ProbePolicy:
    policy = probe_policy(file, options)
    assert isinstance(policy, ProbePolicy)
    return policy


def test_probes_stand_on_first_bytes_and_never_on_returns() -> None:
    """As offsets in order, bound to the file by both digests, with a limit a process."""
    (probe,) = _policy().document["spec"]["uprobes"]

    assert probe == {
        "path": "/procRoot/1/root/usr/bin/server",
        "offsets": [0x1000, 0x2000],
        "binaryDigests": [f"sha256:{'ab' * 32}", f"build-id:{'cd' * 20}"],
        "tags": ["callstream", "GO-2022-0969"],
        "selectors": [{"matchActions": [{"action": "Post", "rateLimit": "60s", "rateLimitScope": "process"}]}],
    }


def test_a_file_without_a_gnu_note_has_its_content_alone() -> None:
    """Go's own id is none that the agent knows."""
    (probe,) = _policy(dataclasses.replace(_FILE, gnu_build_id="")).document["spec"]["uprobes"]

    assert probe["binaryDigests"] == [f"sha256:{'ab' * 32}"]


def test_the_same_question_has_the_same_answer() -> None:
    """Whatever the order of places; names of one place are one probe."""
    twice = (*_FILE.places[::-1], ProbePlace(0x2000, "b.Alias"))

    assert _policy(dataclasses.replace(_FILE, places=twice)).document == _policy().document


def test_another_file_path_or_place_is_another_policy() -> None:
    """So that two can be loaded beside each other."""
    others = [{"sha256": "00" * 32}, {"path": "/other"}, {"places": _FILE.places[:1]}]
    names = {_policy(dataclasses.replace(_FILE, **one)).name for one in others}  # type: ignore[arg-type]

    assert len(names | {_policy().name}) == 4


def test_what_is_over_the_cap_is_said() -> None:
    """It is left out, and not in silence."""
    policy = _policy(options=dataclasses.replace(_OPTIONS, max_probes=1))

    assert policy.document["spec"]["uprobes"][0]["offsets"] == [0x1000]
    assert policy.left_out == (ProbePlace(0x2000, "b.F"),)


@pytest.mark.parametrize(
    ("file", "options", "fault"),
    [
        (_FILE, PolicyOptions("1.7.9"), PolicyFault.OLD_AGENT),
        (_FILE, PolicyOptions("v0.11.0"), PolicyFault.OLD_AGENT),
        (_FILE, PolicyOptions("latest"), PolicyFault.UNKNOWN_AGENT),
        (_FILE, PolicyOptions("1.8.0", max_probes=0), PolicyFault.NO_PLACE),
        (dataclasses.replace(_FILE, places=()), _OPTIONS, PolicyFault.NO_PLACE),
        (dataclasses.replace(_FILE, sha256=""), _OPTIONS, PolicyFault.NO_DIGEST),
        (dataclasses.replace(_FILE, path="usr/bin/server"), _OPTIONS, PolicyFault.RELATIVE_PATH),
    ],
)
def test_a_policy_that_might_probe_something_else_is_refused(
    file: ProbedFile, options: PolicyOptions, fault: PolicyFault
) -> None:
    """With the reason."""
    assert probe_policy(file, options) == PolicyRefusal(fault)


@pytest.mark.skipif(not _CONTRACT, reason="CALLSTREAM_CONTRACT_DIR is not set: Tetragon's schema is not in the project")
@pytest.mark.parametrize("node_labels", [(), (("kubernetes.io/hostname", "node-1"),)])
def test_tetragons_own_schema_accepts_it(node_labels: tuple[tuple[str, str], ...]) -> None:
    """With and without a node."""
    schema = json.loads((Path(_CONTRACT) / "tracing_policy.schema.json").read_text())
    policy = _policy(options=dataclasses.replace(_OPTIONS, node_labels=node_labels))

    assert list(Draft202012Validator(schema).iter_errors(policy.document)) == []
    broken = {**policy.document, "spec": {"uprobes": [{"offsets": ["0x1000"]}]}}
    assert list(Draft202012Validator(schema).iter_errors(broken)) != []
