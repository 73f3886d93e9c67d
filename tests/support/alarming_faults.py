"""Faults that a pipeline really suffers, each with the alerts that tell of it, and what their pages lead to.

Nothing here sets a metric. A fault is done to a process, a topic, a group, a file, a connection or an agent.
"""

import json
import shutil
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Final

import urllib3
from confluent_kafka import KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient

from agents.privacy.policy_file import built_in_policy, built_in_text
from app.operators.program_version import BAKED
from schemas import topics
from schemas.topics import Stage
from tests.support.alarmed_pipeline import RATE_PER_S, AlarmedPipeline
from tests.support.fault_run import LiveAgents
from tests.support.pipeline_run import INGEST
from tests.support.prometheus import ROOT

Act = Callable[[AlarmedPipeline], None]
Lasting = Callable[[AlarmedPipeline], AbstractContextManager[None]]

OTHER_COMMIT: Final = "0123456789" * 4
_HUGE: Final = str(1 << 44)
_SKIPPED_RECORDS: Final = 500
_CONNECTIONS: Final = 600
_REBALANCES: Final = "runtime_rebalances_total"


@dataclass(frozen=True, slots=True)
class Found:
    """What the page of an alert leads to: a word that its commands print, typed for a process."""

    process: str
    word: str
    stage: str = ""
    """The alert's label; empty where it is the process's own."""

    @property
    def label(self) -> str:
        """The stage that the alert names."""
        return self.stage or (INGEST if self.process == INGEST else self.process.rpartition("-")[0])


@dataclass(frozen=True, slots=True, kw_only=True)
class AlarmingFault:
    """A fault, and the alerts that tell of it."""

    name: str
    lasts: Lasting
    """Causes it, and mends it at the end."""
    tells: Mapping[str, Found] = field(default_factory=dict)
    """By alert."""
    then: Mapping[str, Found] = field(default_factory=dict)
    """The same of alerts that tell of it when it is mended."""
    stays: frozenset[str] = frozenset()
    """Alerts that do not end when it is mended, within the time of a test."""


def _until(cause: Act, mend: Act = lambda _at: None) -> Lasting:
    """Cause it, and mend it later."""

    @contextmanager
    def lasting(at: AlarmedPipeline) -> Iterator[None]:
        try:
            cause(at)
            yield
        finally:
            mend(at)

    return lasting


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


def _lose_agent(at: AlarmedPipeline, *policies: Mapping[str, str], **next_life: int) -> None:
    at.agents.say(*policies)
    at.agents.end(signal.SIGKILL)
    if next_life:
        at.agents.start(**next_life)


@contextmanager
def _an_upgrade_half_way(at: AlarmedPipeline) -> Iterator[None]:
    """A second worker, of another program and under another policy."""
    program = at.run.folder / "other-program"
    for package in ("app", "agents", "schemas"):
        shutil.copytree(ROOT / package, program / package)
    (program / "app" / BAKED).write_text(OTHER_COMMIT, encoding="ascii")
    policy = at.run.folder / "strict.toml"
    policy.write_text(built_in_text("strict"), encoding="utf-8")
    at.add("privacy-1", within=("env", "-C", str(program)), CALLSTREAM_PRIVACY_POLICY_FILE=str(policy))
    try:
        yield
    finally:
        at.remove("privacy-1")


@contextmanager
def _a_worker_killed_again_and_again(at: AlarmedPipeline) -> Iterator[None]:
    """The other worker gets its partitions, and loses them when it is back; the second time it is back too soon."""
    at.add("privacy-1", CALLSTREAM_PRIVACY_POLICY_FILE=str(at.policy))
    try:
        at.await_scrape("privacy-1")
        before = at.run.processes["privacy-0"].metric(_REBALANCES)
        at.run.end("privacy-1", signal.SIGKILL)
        _await_rebalances(at, before + 1)
        at.start_again("privacy-1")
        _await_rebalances(at, before + 2)
        at.run.await_ready()
        at.await_scrape("privacy-1")
        at.run.end("privacy-1", signal.SIGKILL)
        at.start_again("privacy-1")
        yield
    finally:
        at.remove("privacy-1")


def _await_rebalances(at: AlarmedPipeline, count: float) -> None:
    at.run.wait(lambda: at.run.processes["privacy-0"].metric(_REBALANCES) >= count, 60, f"{count} rebalances")


@contextmanager
def _connections_without_a_question(at: AlarmedPipeline) -> Iterator[None]:
    with ExitStack() as opened:
        for _ in range(_CONNECTIONS):
            opened.enter_context(socket.create_connection(("127.0.0.1", at.ports[INGEST]), timeout=10))
        yield


@contextmanager
def _another_agent_of_the_name(at: AlarmedPipeline) -> Iterator[None]:
    """A second agent that says the same node of itself, and an ingest of its own."""
    folder = at.run.folder / "twin"
    folder.mkdir()
    twin = LiveAgents(folder, rate_per_s=RATE_PER_S // 10, until_s=at.agents.until_s)
    twin.start()
    try:
        at.add(f"{INGEST}-1", CALLSTREAM_DATA_DIR=str(folder), CALLSTREAM_HEARTBEAT_SECONDS="1", **twin.settings)
        yield
        at.remove(f"{INGEST}-1")
    finally:
        twin.close()


def _hang_ingest(at: AlarmedPipeline) -> None:
    """Ingest does not run until the agent's queue has overflowed."""
    at.run.await_ready()
    process = at.run.processes[INGEST]
    process.signal(signal.SIGSTOP)
    try:
        at.run.wait(lambda: _overflowed(at) > 0, 90, "the agent's queue to overflow")
    finally:
        process.signal(signal.SIGCONT)


def _overflowed(at: AlarmedPipeline) -> int:
    where = at.agents.settings["CALLSTREAM_TETRAGON_METRICS_URL"]
    page = urllib3.request("GET", where, timeout=10, retries=3).data.decode()
    name = "tetragon_notify_overflowed_events_total"
    return next(int(line.split()[1]) for line in page.splitlines() if line.startswith(name))


def _lose_what_waits(at: AlarmedPipeline) -> None:
    """Retention takes records of runtime.canonical that the privacy stage has not read."""
    at.stop("privacy-0")
    before = at.run.ends(topics.CANONICAL)
    at.run.wait(lambda: _grown(at, before) > _SKIPPED_RECORDS, 60, "records to wait")
    name = at.run.settings.name(topics.CANONICAL)
    gone = [TopicPartition(name, number, end) for number, end in at.run.ends(topics.CANONICAL).items()]
    admin = _admin(at)
    for answer in admin.delete_records(gone).values():
        answer.result(20)
    at.start_again("privacy-0")


def _grown(at: AlarmedPipeline, before: Mapping[int, int]) -> int:
    """The least that any partition of runtime.canonical has grown by."""
    return min(end - before[number] for number, end in at.run.ends(topics.CANONICAL).items())


def _lose_the_place(at: AlarmedPipeline) -> None:
    """Somebody deletes the group of the privacy stage while it is stopped."""
    at.stop("privacy-0")
    at.run.wait(partial(_group_is_deleted, at), 60, "the group to be without members")
    at.start_again("privacy-0")


def _group_is_deleted(at: AlarmedPipeline) -> bool:
    group, admin = at.run.settings.name(Stage.PRIVACY.group), _admin(at)
    try:
        for answer in admin.delete_consumer_groups([group]).values():
            answer.result(20)
    except KafkaException:
        return False
    return True


def _admin(at: AlarmedPipeline) -> AdminClient:
    return AdminClient({"bootstrap.servers": at.broker.bootstrap_servers})


@contextmanager
def _a_busy_host(at: AlarmedPipeline) -> Iterator[None]:
    """Canonicalize gets the processor in turns, as where its CPU limit is too low."""
    over = threading.Event()
    process = at.run.processes["canonicalize-0"]

    def take_turns() -> None:
        while not over.is_set():
            process.signal(signal.SIGSTOP)
            time.sleep(0.25)
            process.signal(signal.SIGCONT)
            over.wait(0.02)

    thread = threading.Thread(target=take_turns)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _write_nonsense(at: AlarmedPipeline) -> None:
    at.run.send(topics.COVERAGE, b"no record of coverage")
    at.run.send(topics.OWNERS, b"no address of a worker")


FAULTS: Final = (
    AlarmingFault(
        name="a stage is stopped",
        lasts=_until(lambda at: at.stop("privacy-0"), lambda at: at.start_again("privacy-0")),
        tells={
            "CallstreamProcessDown": Found("privacy-0", "does not answer: 127.0.0.1"),
            "CallstreamStageBehind": Found("canonicalize-0", "runtime.canonical", "privacy"),
            "CallstreamLagGrows": Found("canonicalize-0", "runtime.canonical", "privacy"),
        },
    ),
    AlarmingFault(
        name="the registry is away",
        lasts=_until(lambda at: at.broker.kill_registry(), lambda at: at.broker.restart_registry()),
        tells={"CallstreamRegistryAway": Found("privacy-0", "no schema registry answers")},
    ),
    AlarmingFault(
        name="Kafka is away and the disk is full",
        lasts=_until(lambda at: at.broker.kill_kafka(), lambda at: at.broker.restart_kafka()),
        tells={
            "CallstreamStageStuck": Found("canonicalize-0", "no Kafka broker answers"),
            "CallstreamNotReady": Found(INGEST, "no Kafka broker answers"),
            "CallstreamKafkaSlow": Found(INGEST, "no Kafka broker answers"),
            "CallstreamSpillNearLimit": Found(INGEST, "no Kafka broker answers"),
            "CallstreamSpillFull": Found(INGEST, "runtime_spill_disk_free_bytes"),
            "CallstreamEventsDropped": Found(INGEST, "no Kafka broker answers"),
            "CallstreamGapsUnpublished": Found(INGEST, "no Kafka broker answers"),
        },
        then={"CallstreamCoverageGaps": Found(INGEST, "SpillLoss")},
    ),
    AlarmingFault(
        name="the agent is away",
        lasts=_until(_lose_agent, lambda at: at.agents.start()),
        tells={
            "CallstreamStreamDown": Found(INGEST, "tetragon"),
            "CallstreamAgentMetricsUnread": Found(INGEST, "agent_metrics"),
            "CallstreamCoverageUnknown": Found(INGEST, "stream"),
        },
    ),
    AlarmingFault(
        name="another agent: newer, its clock is ahead, a policy fails, and what it sends is damaged on its way",
        lasts=_until(
            lambda at: _lose_agent(at, {"name": "tls", "state": "TP_STATE_ERROR"}, clock_ahead_s=25, strange_every=50),
            lambda at: _lose_agent(at, strange_every=0),
        ),
        tells={
            "CallstreamEventsLate": Found(INGEST, "runtime_event_receipt_delay_seconds -2"),
            "CallstreamPolicyNotLoaded": Found(INGEST, 'runtime_tracing_policies{state="Error"} 1'),
            "CallstreamUndecodable": Found(INGEST, "are not events of Tetragon"),
            "CallstreamFieldsUnknown": Found("canonicalize-0", 'field_number="60"'),
        },
    ),
    AlarmingFault(
        name="the host of ingest hangs",
        lasts=_until(_hang_ingest),
        tells={"CallstreamAgentLosesEvents": Found(INGEST, "tetragon_notify_overflowed_events_total")},
    ),
    AlarmingFault(
        name="a policy that is wrong",
        lasts=_until(_break_policy, _restore_policy),
        tells={"CallstreamPolicyRefused": Found("privacy-0", "policy.toml")},
    ),
    AlarmingFault(
        name="an upgrade stops half-way",
        lasts=_an_upgrade_half_way,
        tells={
            "CallstreamVersionsDiffer": Found("privacy-1", OTHER_COMMIT, "all"),
            "CallstreamPoliciesDiffer": Found("privacy-1", built_in_policy("strict").policy_id, "privacy"),
        },
    ),
    AlarmingFault(
        name="the kernel kills a worker again and again",
        lasts=_a_worker_killed_again_and_again,
        tells={
            "CallstreamRestartLoop": Found("privacy-1", "127.0.0.1"),
            "CallstreamWorkersComeAndGo": Found("privacy-0", _REBALANCES),
        },
    ),
    AlarmingFault(
        name="clients connect and ask nothing",
        lasts=_connections_without_a_question,
        tells={"CallstreamConnectionsCut": Found(INGEST, 'port="telemetry"')},
    ),
    AlarmingFault(
        name="a spill folder that may take more than its disk has",
        lasts=_until(lambda at: at.restart(INGEST, CALLSTREAM_SPILL_MAX_BYTES=_HUGE), lambda at: at.restart(INGEST)),
        tells={"CallstreamSpillDiskSmall": Found(INGEST, "runtime_spill_disk_free_bytes")},
    ),
    AlarmingFault(
        name="a host that is busy",
        lasts=_a_busy_host,
        tells={"CallstreamConversionSlow": Found("canonicalize-0", "runtime_event_conversion_duration_ms_bucket")},
    ),
    AlarmingFault(
        name="retention takes what a stopped stage has not read",
        lasts=_until(_lose_what_waits, lambda at: at.restart("privacy-0")),
        tells={"CallstreamRecordsSkipped": Found("privacy-0", "runtime.canonical")},
    ),
    AlarmingFault(
        name="somebody deletes the group of a stopped stage",
        lasts=_until(_lose_the_place, lambda at: at.restart("privacy-0")),
        tells={
            "CallstreamOffsetsLost": Found("privacy-0", "runtime.canonical"),
            "CallstreamSentAgain": Found("hot-symbols-0", "runtime_duplicates_skipped_total"),
        },
    ),
    AlarmingFault(
        name="a watched function runs",
        lasts=_until(_watch_what_runs),
        tells={"CallstreamWatchedSymbolHit": Found("hot-symbols-0", "CVE-2030-1")},
        stays=frozenset({"CallstreamWatchedSymbolHit"}),
    ),
    AlarmingFault(
        name="a certificate ends",
        lasts=_until(lambda _at: None),
        tells={
            "CallstreamCertificateEndsSoon": Found("hot-symbols-0", "CALLSTREAM_HOT_SYMBOLS_TLS_CERT_FILE"),
            "CallstreamCertificateEnds": Found("hot-symbols-0", "CALLSTREAM_HOT_SYMBOLS_TLS_CERT_FILE"),
        },
        stays=frozenset({"CallstreamCertificateEndsSoon", "CallstreamCertificateEnds"}),
    ),
    AlarmingFault(
        name="a raw record that is not an event",
        lasts=_until(lambda at: at.run.send(topics.RAW, b"\xff no event")),
        tells={
            "CallstreamDeadLetters": Found("canonicalize-0", "canonicalize"),
            "CallstreamDeadLettersOpen": Found("hot-symbols-0", "canonicalize", "all"),
        },
        stays=frozenset({"CallstreamDeadLettersOpen"}),
    ),
    AlarmingFault(
        name="records of others that are none",
        lasts=_until(_write_nonsense),
        tells={
            "CallstreamRecordsRefused": Found("hot-symbols-0", "runtime.coverage"),
            "CallstreamOwnersRefused": Found("hot-symbols-0", "not decoded"),
        },
    ),
    AlarmingFault(
        name="two agents have one name",
        lasts=_another_agent_of_the_name,
        tells={"CallstreamVouchedTwice": Found("hot-symbols-0", "worker-01", "hot-symbols")},
    ),
)
"""In the order of a run; the last ones leave something behind."""
