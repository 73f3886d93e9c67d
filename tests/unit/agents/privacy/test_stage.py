"""agents/privacy/stage.py: what the privacy step counts of a batch."""

from agents.canonicalize.events import Canonicalizer
from agents.canonicalize.outcomes import Canonical
from agents.privacy.calls import PrivacyFilter
from agents.privacy.policy_file import built_in_policy
from agents.privacy.redaction.engine import INTRICATE, RedactionEngine
from agents.privacy.stage import MASKED_WHOLE_TALLY, REDACTIONS_TALLY, PrivacyStep
from app.streaming.metering import TALLIES
from app.telemetry import metrics
from schemas import topics
from tests.support.events import event, process
from tests.support.privacy import ConsumedRecord


def _canonical(number: int, arguments: str) -> ConsumedRecord:
    execution = event("process_exec", process(4000 + number, arguments=arguments))
    outcome = Canonicalizer({}).canonicalize(execution.SerializeToString(), 0, number, 0)
    assert isinstance(outcome, Canonical)
    return ConsumedRecord(topics.CANONICAL, 0, number, outcome.value)


def test_texts_that_are_masked_whole_are_counted_by_rule() -> None:
    """A batch with two of them, one secret and one ordinary line: the metric counts the two, and only them."""
    policy = built_in_policy("default")
    step = PrivacyStep(PrivacyFilter(policy, RedactionEngine(policy.choices)), schema_id=1)
    lines = ["a_key=b " * 2000, "--berth 12", "--password=hunter22", "b_key=c " * 2000]
    tally = step([_canonical(number, line) for number, line in enumerate(lines)]).tally
    assert {key: count for key, count in tally.items() if key[0] == MASKED_WHOLE_TALLY} == {
        (MASKED_WHOLE_TALLY, INTRICATE): 2
    }
    assert sum(count for (name, _), count in tally.items() if name == REDACTIONS_TALLY) > 2
    assert TALLIES[MASKED_WHOLE_TALLY] is metrics.TEXTS_MASKED_WHOLE
