"""Builds the stages' pure steps from settings: the same ones for workers, replay and tests.

Rules: everything that decides a step's output comes in here and nowhere else (hook map, symbol store, privacy policy
and key, schema id), so that a digest of these names a configuration. This module refuses to know Kafka and Faust.
"""

import tomllib
from pathlib import Path

from agents.canonicalize.events import Canonicalizer
from agents.canonicalize.probes import HookKind, PolicyHooks
from agents.canonicalize.stage import CanonicalizeStep
from agents.privacy.stage import PrivacyStep
from app.operators.errors import OperatorError
from app.privacy.load import load_privacy
from app.settings import Settings
from app.symbols.store import SymbolStore


class PolicyHooksError(OperatorError):
    """The map is not usable; the message names the file, and the policy or line."""


def canonicalize_step(settings: Settings, snapshot: str | None = None) -> CanonicalizeStep:
    """The canonicalize step; where there is a symbol store, with its snapshot of that digest, or the current one.

    Raises PolicyHooksError where the operator's map is not usable, SymbolStoreError where the store is not.
    """
    store = None if settings.symbol_store_dir is None else SymbolStore.open(settings.symbol_store_dir, snapshot)
    return CanonicalizeStep(Canonicalizer(load_policy_hooks(settings.policy_hooks_file), store))


def privacy_step(settings: Settings, schema_id: int) -> PrivacyStep:
    """The privacy step; `schema_id` is the registry's for RuntimeCallEvent.

    Raises PrivacyConfigError where the policy or its key is not usable.
    """
    return PrivacyStep(load_privacy(settings).filter(), schema_id)


def load_policy_hooks(path: Path | None) -> PolicyHooks:
    """The operator's map from Tetragon policy name to hook kind; empty without a file. Raises PolicyHooksError.

    fentry, fexit and return uprobes cannot be told apart on the wire, but a policy's author knows. The file is TOML,
    with one line for each policy:

        "file-monitoring" = "fentry"
        "readline" = "uretprobe"
    """
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
