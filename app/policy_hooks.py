"""Reads the operator's map from Tetragon policy name to hook kind (`CALLSTREAM_POLICY_HOOKS_FILE`).

fentry, fexit and return uprobes cannot be told from the wire: a policy's author knows. The file is TOML, one line for
each policy:

    "file-monitoring" = "fentry"
    "readline" = "uretprobe"

This module refuses to know what the kinds mean.
"""

import tomllib
from pathlib import Path

from agents.canonicalize.probes import HookKind, PolicyHooks


class PolicyHooksError(Exception):
    """The map is not usable; the message names the file, and the policy or line."""


def load_policy_hooks(path: Path | None) -> PolicyHooks:
    """The map in `path`; empty where none is set. Raises PolicyHooksError."""
    if path is None:
        return {}
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise PolicyHooksError(f"{path}: {error}") from error
    kinds = {kind.value: kind for kind in HookKind}
    hooks: dict[str, HookKind] = {}
    for policy, kind in content.items():
        if not isinstance(kind, str) or kind not in kinds:
            raise PolicyHooksError(f"{path}: policy {policy!r} has hook {kind!r}, which is none of {', '.join(kinds)}")
        hooks[policy] = kinds[kind]
    return hooks
