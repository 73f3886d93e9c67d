"""The privacy stage's step, with a policy that can be exchanged while it runs.

A policy or a key that cannot be used changes nothing and is logged. One that can is in force from the next batch on;
a batch is always under one policy. Every event carries the policy's id, and every result the configuration's digest,
for the audit trail.
"""

import asyncio
import logging
from collections.abc import Sequence

from agents.contract import SourceRecord, StepResult
from agents.event_facts import EventFacts
from agents.privacy.canonical_facts import canonical_facts
from agents.privacy.stage import PrivacyStep
from app.evidence.configuration import privacy_digest
from app.privacy.load import Privacy, lacks_key, load_privacy, reloaded
from app.settings import Settings
from app.telemetry import metrics, state_metrics
from app.telemetry.meter import Meter

log = logging.getLogger(__name__)


class PolicyInForce:
    """A step over batches of `runtime.canonical`, under the policy and the key that the settings' files hold.

    Raises PrivacyConfigError where they cannot be used at the start.
    """

    def __init__(self, settings: Settings, schema_id: int) -> None:
        self._settings = settings
        self._schema_id = schema_id
        self._put_in_force(load_privacy(settings), "privacy policy in force")

    @property
    def configuration(self) -> str:
        """Digest of what decides the output now."""
        return self._configuration

    def __call__(self, records: Sequence[SourceRecord]) -> StepResult:
        """Filter one batch."""
        result = self._step(records)
        result.configuration = self._configuration
        return result

    def facts(self, record: SourceRecord) -> EventFacts:
        """What a log line may say of a record's event, under the policy that is in force."""
        return canonical_facts(self._privacy.policy, self._privacy.engine, record.value)

    async def reload(self, meter: Meter) -> None:
        """Read the files again, and use what they hold if it can be used."""
        found, refusal = await asyncio.to_thread(reloaded, self._privacy, self._settings)
        if refusal is not None:
            meter.add(metrics.POLICY_RELOADS, 1, "refused")
            log.error("the privacy policy was not reloaded, the old one stays: %s", refusal, extra=_facts(found))
            return
        meter.add(metrics.POLICY_RELOADS, 1, "applied")
        same = privacy_digest(found) == self._configuration
        self._put_in_force(found, "privacy policy reloaded, " + ("it is the same" if same else "another one"))
        self.tell(meter)

    def tell(self, meter: Meter) -> None:
        """Publish the id of the policy that is in force."""
        meter.replace(state_metrics.POLICY_INFO, {(self._privacy.policy.policy_id,): 1})

    def _put_in_force(self, privacy: Privacy, how: str) -> None:
        self._privacy = privacy
        self._configuration = privacy_digest(privacy)
        self._step = PrivacyStep(privacy.filter(), self._schema_id)
        log.info(how, extra=_facts(privacy))
        if lacks_key(privacy):
            log.warning("the privacy policy asks for pseudonyms and there is no key: users and home owners are masked")


def _facts(privacy: Privacy) -> dict[str, object]:
    return {"facts": {"policyId": privacy.policy.policy_id, "policyName": privacy.policy.name, "keyId": privacy.key_id}}
