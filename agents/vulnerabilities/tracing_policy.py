"""A TracingPolicy that probes functions of one file, as a document for Tetragon; it is written, never loaded.

docs/content/en/docs/concepts/tracing-policy of cilium/tetragon has the words. A probe is bound to the very file by
`binaryDigests`: where another build lies at the path, the agent rejects the hook and says so. An agent that does not
know the word would set the probes anywhere in another build, so no policy is made for it.
"""

import enum
import re
from dataclasses import dataclass
from typing import Any, Final

from agents.probes.policy_file import generated_name
from agents.vulnerabilities.probing import ProbePlace

FIRST_AGENT_WITH_DIGESTS: Final = (1, 8)
"""`UProbeSpec.BinaryDigests` came to the main branch in July 2026, after 1.7."""

PROBE_NS: Final = 1_500
"""What one hit of a user probe takes, about: two exceptions and the agent's program. A guess until it is measured."""

_MAX_TAGS: Final = 16
_RELEASE: Final = re.compile(r"v?(\d+)\.(\d+)(?:\.\d+)?(?:[-+].*)?")


class PolicyFault(enum.StrEnum):
    """Why no policy is written."""

    OLD_AGENT = "this agent ignores binaryDigests, so the probes might stand in another build"
    UNKNOWN_AGENT = "the agent's version cannot be read"
    NO_PLACE = "no function can be probed"
    NO_DIGEST = "the file's digest is not known"
    RELATIVE_PATH = "the path does not begin at the root"


@dataclass(frozen=True, slots=True)
class PolicyRefusal:
    """No policy, and why."""

    fault: PolicyFault


@dataclass(frozen=True, slots=True)
class ProbedFile:
    """A file as the agent sees it. `sha256` is of its content; `gnu_build_id` is empty where it has no GNU note."""

    path: str
    sha256: str
    gnu_build_id: str
    places: tuple[ProbePlace, ...]


@dataclass(frozen=True, slots=True)
class PolicyOptions:
    """How to probe: at most one event a process and function in `rate_limit_s`, at most `max_probes` probes.

    `node_labels` bind the policy to nodes, for a container's file that lies at its path on one node only.
    """

    agent_version: str
    rate_limit_s: int = 60
    max_probes: int = 500
    tags: tuple[str, ...] = ()
    node_labels: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class ProbePolicy:
    """A policy's document, and what it leaves out because of the cap: the last places of the file."""

    name: str
    document: dict[str, Any]
    places: tuple[ProbePlace, ...]
    left_out: tuple[ProbePlace, ...]

    def cost_share(self, calls_per_second: float) -> float:
        """The part of one processor that the probes take, about, where these functions are called so often."""
        return calls_per_second * PROBE_NS / 1_000_000_000


def probe_policy(file: ProbedFile, options: PolicyOptions) -> ProbePolicy | PolicyRefusal:
    """The policy of a file: the same for the same file, places and options."""
    fault = _fault(file, options)
    if fault is not None:
        return PolicyRefusal(fault)
    places = tuple(sorted({place.file_offset: place for place in sorted(file.places, reverse=True)}.values()))
    kept, left_out = places[: options.max_probes], places[options.max_probes :]
    probe: dict[str, Any] = {
        "path": file.path,
        "offsets": [place.file_offset for place in kept],
        "binaryDigests": [f"sha256:{file.sha256}"] + ([f"build-id:{file.gnu_build_id}"] if file.gnu_build_id else []),
        "tags": list(options.tags[:_MAX_TAGS]),
        "selectors": [
            {"matchActions": [{"action": "Post", "rateLimit": f"{options.rate_limit_s}s", "rateLimitScope": "process"}]}
        ],
    }
    spec: dict[str, Any] = {"uprobes": [probe]}
    if options.node_labels:
        spec = {"nodeSelector": {"matchLabels": dict(sorted(options.node_labels))}, **spec}
    name = generated_name("vulnerabilities", spec)
    document = {
        "apiVersion": "cilium.io/v1alpha1",
        "kind": "TracingPolicy",
        "metadata": {"name": name},
        "spec": spec,
    }
    return ProbePolicy(name, document, kept, left_out)


def agent_release(version: str) -> tuple[int, int] | None:
    """Major and minor of an agent's version; None if the text is not a version."""
    found = _RELEASE.fullmatch(version)
    return (int(found[1]), int(found[2])) if found is not None and len(version) <= _MAX_VERSION_CHARS else None


_MAX_VERSION_CHARS: Final = 64


def _fault(file: ProbedFile, options: PolicyOptions) -> PolicyFault | None:
    release = agent_release(options.agent_version)
    if release is None:
        return PolicyFault.UNKNOWN_AGENT
    if release < FIRST_AGENT_WITH_DIGESTS:
        return PolicyFault.OLD_AGENT
    if not file.sha256:
        return PolicyFault.NO_DIGEST
    if not file.path.startswith("/"):
        return PolicyFault.RELATIVE_PATH
    return None if file.places and options.max_probes > 0 else PolicyFault.NO_PLACE
