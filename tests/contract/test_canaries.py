"""No secret leaves: the load with its canaries through both stages that stand before the public topics."""

from typing import NamedTuple

import pytest

from agents.contract import StepResult
from agents.privacy.calls import PrivacyFilter
from agents.privacy.stage import PrivacyStep
from app import steps
from app.settings import from_env
from app.simulator.workload.canaries import FORMS, canary_events
from app.simulator.workload.generator import Workload, WorkloadOptions
from app.simulator.workload.secrets import traces
from schemas import topics
from tests.support.open_policy import OpenPolicy, OpenRedactor


class _Record(NamedTuple):
    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None


class _Passed(NamedTuple):
    """A load, and what each stage made of it."""

    workload: Workload
    canonical: StepResult
    calls: StepResult


@pytest.fixture(name="passed", scope="module")
def _passed() -> _Passed:
    """A load up to its last canary event, and as many of a fleet's ordinary ones: loader events put canaries off."""
    planted = len(canary_events())
    workload = Workload(WorkloadOptions(events=3 * planted, canary_share=0.5))
    events: list[bytes] = []
    for event in workload.events():
        events.append(event)
        if workload.kinds["canary"] == planted:
            break
    settings = from_env({})
    records = [_Record(topics.RAW, 0, offset, 0, b"", event) for offset, event in enumerate(events)]
    canonical = steps.canonicalize_step(settings)(records)
    records = [_Record(topics.CANONICAL, 0, offset, 0, b"", out.value) for offset, out in enumerate(canonical.outputs)]
    return _Passed(workload, canonical, steps.privacy_step(settings, schema_id=1)(records))


def test_canaries_reach_the_privacy_stage(passed: _Passed) -> None:
    """Most secrets are in the restricted topic, so their absence after it is the filter's doing."""
    assert passed.workload.kinds["canary"] == len(canary_events())
    assert sum(bool(traces(out.value or b"")) for out in passed.canonical.outputs) > 9 * FORMS


def test_canaries_would_be_found_if_they_left(passed: _Passed) -> None:
    """Through a filter that lets everything through, the same events leak from hundreds of places."""
    open_stage = PrivacyStep(PrivacyFilter(OpenPolicy(), OpenRedactor()), 1)
    records = [
        _Record(topics.CANONICAL, 0, offset, 0, b"", out.value) for offset, out in enumerate(passed.canonical.outputs)
    ]
    leaks = {leak for out in open_stage(records).outputs for leak in passed.workload.leaks(out.value or b"")}

    assert len({leak.partition(" (form")[0] for leak in leaks}) > 300


def test_no_event_with_a_canary_is_refused(passed: _Passed) -> None:
    """Secrets are redacted inside events that leave, not avoided by dead letters."""
    assert passed.canonical.dead_letters == []
    assert passed.calls.dead_letters == []
    assert len(passed.calls.outputs) == len(passed.canonical.outputs)


def test_no_canary_is_in_a_public_record(passed: _Passed) -> None:
    """Neither a call nor its key holds a secret from any field of any kind of event, in any form or encoding."""
    leaks = {
        leak for out in passed.calls.outputs for leak in passed.workload.leaks((out.key or b"") + (out.value or b""))
    }

    assert leaks == set()
