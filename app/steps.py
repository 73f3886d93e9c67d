"""Builds the stages' pure steps from settings: the same ones for workers, replay and tests.

Everything that decides a step's output comes in here: hook map, symbol store, privacy policy and key, schema id. So a
digest of these names a configuration.
"""

from pathlib import Path

from agents.canonicalize.events import Canonicalizer
from agents.canonicalize.probes import HookKind, PolicyHooks
from agents.canonicalize.stage import CanonicalizeStep
from agents.privacy.stage import PrivacyStep
from agents.toml_text import MAX_TOML_BYTES, parse_toml
from app.operators.errors import OperatorError
from app.operators.regular_files import read_regular_text
from app.privacy.load import load_privacy
from app.settings import Settings
from app.symbols.store import SymbolStore


class PolicyHooksError(OperatorError):
    """The map cannot be used. The message names the file, and the policy or line."""


def canonicalize_step(
    settings: Settings, snapshot: str | None = None, *, says_snapshot: bool = True
) -> CanonicalizeStep:
    """The canonicalize step. `snapshot` is the digest of a snapshot of the symbol store; None means the current one.

    Events say which one named them, except where `says_snapshot` is false, as before they did.
    Raises PolicyHooksError if the operator's map cannot be used, SymbolStoreError if the symbol store cannot.
    """
    store = None if settings.symbol_store_dir is None else SymbolStore.open(settings.symbol_store_dir, snapshot)
    said = store.digest if store is not None and says_snapshot else ""
    return CanonicalizeStep(Canonicalizer(load_policy_hooks(settings.policy_hooks_file), store, said))


def privacy_step(settings: Settings, schema_id: int, *, says_snapshot: bool = True) -> PrivacyStep:
    """The privacy step. `schema_id` is the id that the registry has for RuntimeCallEvent.

    Calls have the field `symbol_snapshot`, except where `says_snapshot` is false.
    Raises PrivacyConfigError if the policy or its key cannot be used.
    """
    return PrivacyStep(load_privacy(settings).filter(says_snapshot=says_snapshot), schema_id)


def load_policy_hooks(path: Path | None) -> PolicyHooks:
    """The operator's map from the name of a Tetragon policy to its hook kind; empty without a file.

    Raises PolicyHooksError. Events of fentry, fexit and return uprobes look the same, but the author of a policy knows
    which it is. The file is TOML, with one line for each policy:

        "file-monitoring" = "fentry"
        "readline" = "uretprobe"
    """
    if path is None:
        return {}
    try:
        content = parse_toml(read_regular_text(path, MAX_TOML_BYTES))
    except OSError as error:
        raise PolicyHooksError(f"{path}: {error.strerror or error}") from error
    except ValueError as error:
        raise PolicyHooksError(f"{path}: {error}") from error
    kinds = {kind.value: kind for kind in HookKind}
    hooks: dict[str, HookKind] = {}
    for policy, kind in content.items():
        if not isinstance(kind, str) or kind not in kinds:
            raise PolicyHooksError(f"{path}: policy {policy!r} has hook {kind!r}, which is none of {', '.join(kinds)}")
        hooks[policy] = kinds[kind]
    return hooks
