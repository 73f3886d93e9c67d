"""Tries a refused event under the present settings: would the stages take it now? It runs the stages' own steps.

The steps are built from the settings as workers build them, so a trial is right if the settings are the workers'.
Nothing is written. Loader events are not read: they decide how a frame is resolved, and never whether an event is
refused.
"""

from collections.abc import Callable

from agents.contract import SourceRecord, StepResult
from app.dead_letters.inventory import RefusalKind
from app.kafka.records import Recorded
from app.settings import Settings
from app.steps import canonicalize_step, privacy_step
from schemas import topics

Trial = Callable[[SourceRecord], RefusalKind | None]
"""Why a raw record would be refused; None if it would not be."""


def trial_of(settings: Settings, call_schema_id: int) -> Trial:
    """A trial under these settings. `call_schema_id` is the registry's id of RuntimeCallEvent.

    Raises what building the steps raises: PolicyHooksError, SymbolStoreError, PrivacyConfigError.
    """
    canonicalize, privacy = canonicalize_step(settings), privacy_step(settings, call_schema_id)
    canonical_topic = settings.name(topics.CANONICAL)

    def refusal(raw: SourceRecord) -> RefusalKind | None:
        first = canonicalize([raw])
        if not first.outputs:
            return _kind(first)
        (output,) = first.outputs
        canonical = Recorded(canonical_topic, raw.partition, raw.offset, output.timestamp_ms, output.key, output.value)
        return _kind(privacy([canonical]))

    return refusal


def _kind(result: StepResult) -> RefusalKind | None:
    for letter in result.dead_letters:
        return RefusalKind(letter.stage, letter.reason, letter.error_class)
    return None
