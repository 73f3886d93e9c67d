"""Whether the present configuration would take an event that was refused: the stages' own steps, without the stages.

Rules: steps are built from the settings as workers build them, so a trial is as good as the settings are the same;
nothing is written. What loader events said is not known here: it grades frames and refuses no event. This module
refuses to know where records come from.
"""

from collections.abc import Callable

from agents.contract import SourceRecord, StepResult
from app.dead_letters.inventory import RefusalKind
from app.kafka.records import Recorded
from app.settings import Settings
from app.steps import canonicalize_step, privacy_step
from schemas import topics

Trial = Callable[[SourceRecord], RefusalKind | None]
"""Why a raw record would be refused; None where it would not be."""


def trial_of(settings: Settings, call_schema_id: int) -> Trial:
    """A trial under these settings. `call_schema_id` is the registry's for RuntimeCallEvent.

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
