"""A privacy policy as a value: which fields may leave, by probe type, and the choices for the texts in them.

A field that is not listed does not leave. A field that is not in `FIELDS` cannot be listed, so a field that a later
version adds stays inside until a policy names it. The id is a digest of the canonical form: equal ids mean that the
same fields leave under the same choices and the same generation of rules, whatever the policies are called.
"""

import hashlib
import json
from collections.abc import Hashable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from agents.privacy.redaction.choices import RedactionChoices
from agents.privacy.rules.vocabulary import word_set

RULES_VERSION: Final = 2
"""Part of every policy's id: the generation of the built-in rules.

A rule that is added or corrected keeps it. So a run that was recorded under the same policy is still proved wherever
its answers are the same; where they are not, the verification shows the call. The digest of the code in a run's
manifest says which rules it had."""

_PROCESS: Final = word_set("""
    parent_process_id pid uid binary arguments cwd start_time_ns auid user flags
""")

ARGUMENT_TYPES: Final = word_set("""
    bpf_attr bpf_cmd bpf_map bpf_prog bytes cap_effective cap_inheritable cap_permitted capability cred error
    file int kernel_cap_t linux_binprm long module net_dev path perf_event process_credentials size skb sock
    sockaddr sockaddr_un string syscall_id truncated_bytes uint user_namespace user_ns
""")
"""Kinds of argument that the canonicalize stage knows (a test compares)."""

WORKLOAD_FIELDS: Final = (
    "container_id",
    "pod_name",
    "namespace",
    "container_name",
    "image_id",
    "image_name",
    "workload",
    "workload_kind",
)
"""Where a process ran, in the order of the record."""

FIELDS: Final = frozenset(
    [f"{place}.{name}" for place in ("process", "parent", "ancestors") for name in _PROCESS]
    + [
        f"{place}.{name}"
        for place in ("call_arguments", "call_data", "return_value")
        for name in ("label", *ARGUMENT_TYPES)
    ]
    + ["stack_frames", *(f"stack_frames.{name}" for name in ("source_file", "line_number", "build_id", "symbol_hint"))]
    + ["syscall", "probe_target", "probe_target.build_id", "action", "return_action", "policy_name", "message", "tags"]
    + [*WORKLOAD_FIELDS, "exit_signal", "exit_status", "node_name", "cluster_name"]
)
"""Every field that a policy decides about, as a dotted path in RuntimeCallEvent; the rest holds ids of our own
making."""


@dataclass(frozen=True)
class Policy:
    """One policy. `allowed` has the fields for each probe type; see `policy_file` for how it is written down."""

    name: str
    allowed: tuple[tuple[str, frozenset[str]], ...]
    choices: RedactionChoices

    @cached_property
    def policy_id(self) -> str:
        """32 hex digits: SHA-256 of the canonical form, cut to 128 bits."""
        form = json.dumps(self.canonical_form(), sort_keys=True, separators=(",", ":"), ensure_ascii=True)
        return hashlib.sha256(form.encode()).hexdigest()[:32]

    def canonical_form(self) -> dict[str, Any]:
        """Everything that decides an answer, as JSON values; the policy's name is not part of it."""
        choices = self.choices
        return {
            "rules_version": RULES_VERSION,
            "allowed": {probe_type: sorted(fields) for probe_type, fields in self.allowed},
            "users": choices.users.value,
            "homes": choices.homes.value,
            "epoch": choices.epoch,
            "emails": choices.emails,
            "names": sorted(choices.names),
            "patterns": sorted([entry.rule, entry.pattern] for entry in choices.patterns),
            "credential_paths": sorted(choices.credential_paths),
            "max_text_bytes": choices.max_text_bytes,
        }

    @cached_property
    def _fields(self) -> dict[str, frozenset[str]]:
        return dict(self.allowed)

    def profile(self, probe_type: str) -> Hashable:
        """The fields of one probe type: equal for two exactly when the same fields of both may leave."""
        return self._fields.get(probe_type, frozenset())

    def allows(self, probe_type: str, field: str) -> bool:
        """Whether `field` (a dotted path in the public record, as in `process.arguments`) of that kind may leave."""
        return field in self._fields.get(probe_type, ())
