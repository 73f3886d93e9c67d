"""What a person does at three in the morning: a real fault, the real alert of it, and the page, typed line by line."""

import json
import random
import signal
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

import pytest

from schemas import topics
from tests.support.alarmed_pipeline import AlarmedPipeline, alarmed_pipeline
from tests.support.breakable_broker import BreakableBroker
from tests.support.pipeline_run import INGEST
from tests.support.prometheus import alerts, promtool
from tests.support.run_size import run_seed, run_size

pytestmark = [pytest.mark.integration, pytest.mark.proof]

Act = Callable[[AlarmedPipeline], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """How to cause it and to mend it, and the alerts that tell of it."""

    name: str
    cause: Act
    mend: Act
    tells: Mapping[str, tuple[str, str]]
    """By alert: the process that it is about, and a word that what its page says to type must print."""
    stage: str
    then: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    """The same of alerts that tell of it when it is mended."""
    stays: frozenset[str] = field(default_factory=frozenset)
    """Alerts that do not end when it is mended, within the time of a test."""


def _watch_what_runs(at: AlarmedPipeline) -> None:
    """Watch the function of the kernel that ran most."""
    ran = at.callstream("hot-symbols", "--module", "kernel", "--top", "1", "--json")
    symbol = json.loads(ran.splitlines()[0])["symbol"]
    at.callstream("watch", "add", symbol, "--module", "kernel", "--vulnerability", "CVE-2030-1")


def _break_policy(at: AlarmedPipeline) -> None:
    at.policy.write_text("no policy")
    at.run.processes["privacy-0"].signal(signal.SIGHUP)


def _restore_policy(at: AlarmedPipeline) -> None:
    at.restore_policy()
    at.run.processes["privacy-0"].signal(signal.SIGHUP)


FAULTS: Final = (
    Fault(
        name="a stage is stopped",
        cause=lambda at: at.stop("privacy-0"),
        mend=lambda at: at.start_again("privacy-0"),
        tells={
            "CallstreamProcessDown": ("privacy-0", "does not answer: 127.0.0.1"),
            "CallstreamStageBehind": ("canonicalize-0", "runtime.canonical"),
            "CallstreamLagGrows": ("canonicalize-0", "runtime.canonical"),
        },
        stage="privacy",
    ),
    Fault(
        name="the registry is away",
        cause=lambda at: at.broker.kill_registry(),
        mend=lambda at: at.broker.restart_registry(),
        tells={"CallstreamRegistryAway": ("privacy-0", "no schema registry answers")},
        stage="privacy",
    ),
    Fault(
        name="Kafka is away and the disk is full",
        cause=lambda at: at.broker.kill_kafka(),
        mend=lambda at: at.broker.restart_kafka(),
        tells={
            "CallstreamNotReady": (INGEST, "the spill folder is full"),
            "CallstreamKafkaSlow": (INGEST, "no Kafka broker answers"),
            "CallstreamSpillNearLimit": (INGEST, "no Kafka broker answers"),
            "CallstreamSpillFull": (INGEST, "runtime_spill_disk_free_bytes"),
            "CallstreamEventsDropped": (INGEST, "no Kafka broker answers"),
            "CallstreamGapsUnpublished": (INGEST, "no Kafka broker answers"),
        },
        then={"CallstreamCoverageGaps": (INGEST, "SpillLoss")},
        stage="ingest",
    ),
    Fault(
        name="the agent is away",
        cause=lambda at: at.agents.end(signal.SIGKILL),
        mend=lambda at: at.agents.start(),
        tells={
            "CallstreamStreamDown": (INGEST, "tetragon"),
            "CallstreamAgentMetricsUnread": (INGEST, "agent_metrics"),
        },
        stage="ingest",
    ),
    Fault(
        name="a policy that is wrong",
        cause=_break_policy,
        mend=_restore_policy,
        tells={"CallstreamPolicyRefused": ("privacy-0", "policy.toml")},
        stage="privacy",
    ),
    Fault(
        name="a watched function runs",
        cause=_watch_what_runs,
        mend=lambda _at: None,
        tells={"CallstreamWatchedSymbolHit": ("hot-symbols-0", "CVE-2030-1")},
        stage="hot-symbols",
        stays=frozenset({"CallstreamWatchedSymbolHit"}),
    ),
    Fault(
        name="a certificate ends",
        cause=lambda _at: None,
        mend=lambda _at: None,
        tells={
            "CallstreamCertificateEndsSoon": ("hot-symbols-0", "CALLSTREAM_HOT_SYMBOLS_TLS_CERT_FILE"),
            "CallstreamCertificateEnds": ("hot-symbols-0", "CALLSTREAM_HOT_SYMBOLS_TLS_CERT_FILE"),
        },
        stage="hot-symbols",
        stays=frozenset({"CallstreamCertificateEndsSoon", "CallstreamCertificateEnds"}),
    ),
    Fault(
        name="a raw record that is no event",
        cause=lambda at: at.run.send(topics.RAW, b"\xff no event"),
        mend=lambda _at: None,
        tells={
            "CallstreamDeadLetters": ("canonicalize-0", "canonicalize"),
            "CallstreamDeadLettersOpen": ("hot-symbols-0", "canonicalize"),
        },
        stage="canonicalize",
        stays=frozenset({"CallstreamDeadLettersOpen"}),
    ),
    Fault(
        name="a record of coverage that is none",
        cause=lambda at: at.run.send(topics.COVERAGE, b"no record of coverage"),
        mend=lambda _at: None,
        tells={"CallstreamRecordsRefused": ("hot-symbols-0", "runtime.coverage")},
        stage="hot-symbols",
    ),
)
"""In the order of a run; the last ones leave something behind."""

_OF_ALL: Final = frozenset({"CallstreamDeadLettersOpen"})
"""Alerts about all stages together."""


_CAUSED: Final = {name for fault in FAULTS for name in (*fault.tells, *fault.then)}
_QUIET: Final = sorted(alerts().keys() - _CAUSED)
_CHANCE: Final = random.Random(run_seed())

CHOSEN: Final = FAULTS if run_size() >= 10 else (_CHANCE.choice(FAULTS),)
"""One by the seed of the run; all of them at ten times the size."""

READ: Final = _QUIET if run_size() >= 10 else [_CHANCE.choice(_QUIET)]
"""The same of the pages of alerts that no fault here causes."""


@pytest.fixture(scope="module", name="at")
def pipeline_fixture(embedded: BreakableBroker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AlarmedPipeline]:
    """One pipeline for all faults: each is mended before the next."""
    with alarmed_pipeline(embedded, f"runbooks-{uuid.uuid4().hex[:6]}.", tmp_path_factory.mktemp("runbooks")) as at:
        yield at


@pytest.mark.parametrize("fault", CHOSEN, ids=lambda fault: fault.name)
def test_the_alerts_of_a_fault_fire_and_their_pages_say_what_is_wrong(
    at: AlarmedPipeline, fault: Fault, record_property: Callable[[str, object], None]
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


@pytest.mark.parametrize("page", READ)
def test_a_page_can_be_typed_where_nothing_is_wrong(at: AlarmedPipeline, page: str) -> None:
    """The commands find what they ask for, and say so."""
    at.type_page(page, INGEST)


def _suffer(at: AlarmedPipeline, fault: Fault) -> None:
    told = {**fault.tells, **fault.then}
    for name in told.keys() - fault.stays:
        at.await_end(name)
    fault.cause(at)
    try:
        for name in fault.tells:
            _follow(at, fault, name, *fault.tells[name])
    finally:
        fault.mend(at)
    for name in fault.then:
        _follow(at, fault, name, *fault.then[name])
    for name in told.keys() - fault.stays:
        at.await_end(name)


def _follow(at: AlarmedPipeline, fault: Fault, name: str, process: str, word: str) -> None:
    """Wait for an alert, and type what its page says; `word` must be in what is printed."""
    alert = at.await_alert(name, **({} if name in _OF_ALL else {"stage": fault.stage}))
    assert not [text for text in alert["annotations"].values() if "error" in text], alert
    assert alert["annotations"]["runbook_url"] == f"docs/runbooks/{name}.md"
    printed = at.type_page(name, process)
    assert word in printed, f"the page of {name} does not lead to {word!r}:\n{printed}"
