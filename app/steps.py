"""Builds the stages' pure steps from settings: the same ones for workers, replay and tests.

Rules: everything that decides a step's output comes in here and nowhere else (hook map, symbol store, privacy policy
and key, schema id), so that a digest of these names a configuration. This module refuses to know Kafka and Faust.
"""

from agents.canonicalize.events import Canonicalizer
from agents.canonicalize.stage import CanonicalizeStep
from agents.privacy.stage import PrivacyStep
from app.policy_hooks import load_policy_hooks
from app.privacy.load import load_privacy
from app.settings import Settings
from app.symbols.store import SymbolStore


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
