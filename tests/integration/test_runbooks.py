"""What a person does at three in the morning: a real fault, the real alert of it, and the page, typed line by line."""

import random
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from typing import Final

import pytest

from tests.support.alarmed_pipeline import AlarmedPipeline, alarmed_pipeline
from tests.support.alarming_faults import FAULTS, AlarmingFault, Found
from tests.support.breakable_broker import BreakableBroker
from tests.support.pipeline_run import INGEST
from tests.support.prometheus import promtool
from tests.support.run_size import run_seed, run_size

pytestmark = [pytest.mark.integration, pytest.mark.proof]

CHOSEN: Final = FAULTS if run_size() >= 10 else (random.Random(run_seed()).choice(FAULTS),)
"""One by the seed of the run; all of them at ten times the size."""


@pytest.fixture(scope="module", name="at")
def pipeline_fixture(embedded: BreakableBroker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AlarmedPipeline]:
    """One pipeline for all faults: each is mended before the next."""
    with alarmed_pipeline(embedded, f"runbooks-{uuid.uuid4().hex[:6]}.", tmp_path_factory.mktemp("runbooks")) as at:
        yield at


@pytest.mark.parametrize("fault", CHOSEN, ids=lambda fault: fault.name)
def test_the_alerts_of_a_fault_fire_and_their_pages_say_what_is_wrong(
    at: AlarmedPipeline, fault: AlarmingFault, record_property: Callable[[str, object], None]
) -> None:
    """A real Prometheus tells of it, what the page says to type shows it, and the alerts end when it is mended."""
    began = time.monotonic()
    _suffer(at, fault)
    record_property("alerts", len(fault.tells) + len(fault.then))
    record_property("from fault to end, s", round(time.monotonic() - began))


def test_prometheus_finds_nothing_in_the_metrics_of_any_process(at: AlarmedPipeline) -> None:
    """But for the unit in the one name that is fixed."""
    for name, process in at.run.processes.items():
        done = promtool("check", "metrics", text=process.get("/metrics")[1])
        found = [line for line in (done.stdout + done.stderr).splitlines() if line]
        fixed = ["runtime_event_conversion_duration_ms metric names should not contain abbreviated units"]
        assert found == ([] if name == INGEST else fixed), (name, found)


def _suffer(at: AlarmedPipeline, fault: AlarmingFault) -> None:
    ends = (fault.tells.keys() | fault.then.keys()) - fault.stays
    for name in ends:
        at.await_end(name)
    with fault.lasts(at):
        _follow(at, fault.tells)
    _follow(at, fault.then)
    for name in ends:
        at.await_end(name)


def _follow(at: AlarmedPipeline, told: Mapping[str, Found]) -> None:
    """Wait for each alert, and type what its page says; the word that it leads to must be in what is printed."""
    for name, found in told.items():
        alert = at.await_alert(name, stage=found.label)
        assert not [text for text in alert["annotations"].values() if "error" in text], alert
        assert alert["annotations"]["runbook_url"] == f"docs/runbooks/{name}.md"
        printed = at.type_page(name, found.process)
        assert found.word in printed, f"the page of {name} does not lead to {found.word!r}:\n{printed}"
