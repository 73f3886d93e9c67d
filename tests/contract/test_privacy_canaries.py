"""No canary passes canonicalize and privacy: one is planted in every string and bytes field of every kind of event."""

import json
import logging
from collections import Counter
from collections.abc import Iterator

import pytest

from agents.canonicalize.events import Canonicalizer
from agents.canonicalize.stage import CanonicalizeStep
from agents.contract import StepResult
from agents.dead_letters import encode_dead_letter
from agents.privacy.calls import PrivacyFilter
from agents.privacy.policy import Policy
from agents.privacy.policy_file import built_in_policy
from agents.privacy.redaction.engine import RedactionEngine
from agents.privacy.stage import PrivacyStep
from app.simulator.workload.canaries import canaries, canary_events
from app.simulator.workload.secrets import traces
from tests.support.privacy import ConsumedRecord


def _run(policy: Policy) -> Iterator[StepResult]:
    """Every canary event through both stages."""
    canonicalize = CanonicalizeStep(Canonicalizer({}))
    privacy = PrivacyStep(PrivacyFilter(policy, RedactionEngine(policy.choices)), schema_id=1)
    for offset, event in enumerate(canary_events()):
        canonical = canonicalize([ConsumedRecord("tetragon.raw", 0, offset, event.SerializeToString())])
        yield canonical
        yield privacy([ConsumedRecord("runtime.canonical", 0, offset, out.value, out.key) for out in canonical.outputs])


@pytest.mark.parametrize("name", ["default", "strict"])
def test_no_canary_leaves_in_a_call(name: str, caplog: pytest.LogCaptureFixture) -> None:
    """Keys, values, dead letters and logs of every kind of event hold no canary, in no encoding."""
    caplog.set_level(logging.DEBUG)
    calls = 0
    for step in list(_run(built_in_policy(name)))[1::2]:
        for out in step.outputs:
            calls += 1
            assert traces((out.key or b"") + (out.value or b"")) == []
        for letter in step.dead_letters:
            assert traces(encode_dead_letter(letter, 1).value or b"") == []
    assert calls > 500
    assert traces(caplog.text.encode()) == []


def test_dead_letters_and_tallies_hold_no_canary() -> None:
    """What operators see of an event are positions and words of closed sets."""
    tallies: Counter[tuple[str, str]] = Counter()
    for step in _run(built_in_policy("default")):
        tallies.update(step.tally)
        assert traces(json.dumps([step.skipped, [repr(letter) for letter in step.dead_letters]]).encode()) == []
    assert traces(repr(tallies).encode()) == []
    assert any(rule == "token" for metric, rule in tallies if metric == "redactions")


def test_an_open_policy_lets_out_only_names_of_users_and_what_no_rule_can_read() -> None:
    """A buffer that is nothing but a secret has no form that gives it away; that is why the default keeps it in."""
    needles = {
        needle
        for step in list(_run(built_in_policy("open")))[1::2]
        for out in step.outputs
        for needle in traces(out.value or b"")
    }
    leaked = {canaries()[needle].place.rpartition(".")[2] for needle in needles if needle in canaries()}
    assert leaked <= {"name", "bytes_arg"}


def test_every_kind_of_event_is_planted() -> None:
    """A kind that is never planted would prove nothing."""
    assert {canary.place.partition(".")[0] for canary in canaries().values()} >= {
        "process_exec",
        "process_exit",
        "process_kprobe",
        "process_tracepoint",
        "process_uprobe",
        "process_usdt",
        "process_lsm",
    }
