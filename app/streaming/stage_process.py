"""One stage in one process: from settings to a running Faust app, and from a SIGTERM to a clean end.

Nothing starts before the topics exist with one partition count. A SIGTERM or SIGINT drains: fetching stops, work in
progress is delivered and committed, and the process ends with 0. If that takes too long, the process ends all the
same, with an exit code of its own, as after a SIGKILL. A SIGHUP reloads what the stage can reload.
"""

import asyncio
import contextlib
import logging
import os
import signal
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from app.files.folders import PRIVATE_UMASK
from app.kafka.client import KafkaUnreachableError, KafkaUnusableError, client_config
from app.kafka.group_members import group_members
from app.kafka.log_ends import topic_ids
from app.kafka.topic_watch import TopicWatch
from app.processes.garbage import collect_seldom
from app.processes.open_files import raise_file_limit
from app.processes.process_end import ExitCode, end_process
from app.settings import Settings, SettingsError
from app.streaming.delivery import BATCH_BYTES, Delivery
from app.streaming.foreign import foreign_records
from app.streaming.group_lags import GroupLags
from app.streaming.membership import Claim, claim, client_ids, disown
from app.streaming.metering import StageObserver
from app.streaming.paced_runner import PacedRunner
from app.streaming.stage_app import GroupTimes, StageApp, make_app
from app.streaming.standstill import StallLimits
from app.streaming.table import StrictTable
from app.streaming.topic_checks import await_topics, check_options
from app.streaming.watchdog import SAMPLE_SECONDS, Watchdog
from app.telemetry import metrics
from app.telemetry.http import Check, TelemetryServer
from app.telemetry.meter import Meter
from app.telemetry.metric import Process
from app.telemetry.metrics import metrics_of
from app.telemetry.repeated_lines import hold_back
from app.telemetry.surroundings import Surroundings
from app.topology import StageShape
from schemas.topics import Stage

log = logging.getLogger(__name__)

SHUTDOWN_SECONDS = 9.0
"""From SIGTERM to the end, at the latest: a supervisor's SIGKILL comes at ten."""

LAST_LOOK_SECONDS = 0.5
"""For Kafka to answer, where a shutdown is overdue: then it is not Kafka."""

ANSWER_SECONDS = 5.0

_STANDARD_INPUT = 0


class Port(Protocol):
    """Something that a stage serves to other processes."""

    def start(self) -> None:
        """Listen; blocks. Raises OperatorError, which keeps the stage from joining its group."""

    def close(self) -> None:
        """Stop listening."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StageRuntime:
    """What a stage is built from."""

    settings: Settings
    app: StageApp
    delivery: Delivery
    admin: AdminClient
    meter: Meter
    observer: StageObserver
    partitions: int
    topic_watch: TopicWatch
    record_limits: Mapping[str, int]
    """Topics (full names) that take smaller records than they were made for, and how large these may be."""
    intervals: list[PacedRunner] = field(default_factory=list)
    """Runners to flush at intervals and before partitions are given up; `attach` adds them."""
    reloads: list[Callable[[], Awaitable[None]]] = field(default_factory=list)
    """What to do on a SIGHUP; `attach` adds it."""
    ready: dict[str, Check] = field(default_factory=dict)
    """What keeps the stage from its job besides what every stage checks; `attach` adds it."""
    ports: list[Port] = field(default_factory=list)
    """What the process serves besides its metrics and its health, before it joins its group; `attach` adds it."""
    tasks: list[Callable[[], Coroutine[Any, Any, None]]] = field(default_factory=list)
    """What runs beside the agents until the process ends; `attach` adds them. One that fails ends the process."""

    def table(self, name: str, *, source_topic: str, sparse: bool = False) -> StrictTable:
        """A table of the stage whose partitions go with those of `source_topic` (full name); see `StrictTable`."""
        return StrictTable(
            self.app,
            name=name,
            partitions=self.partitions,
            source_topic=source_topic,
            delivery=self.delivery,
            admin=self.admin,
            sparse=sparse,
        )


Attach = Callable[[StageRuntime], None]
"""Attaches a stage's agents to its app."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StagePlan:
    """One stage process: which stage, with what, and what tells it from others."""

    stage: Stage
    group: str
    """Unprefixed consumer group and Faust app id."""
    attach: Attach
    topics: Sequence[str]
    """Full names of all topics that it reads, writes or recovers from, which share one partition count."""
    others: Sequence[str] = ()
    """Full names of the topics that other stages read; they have the same partition count."""
    pipeline: Sequence[StageShape] = ()
    """The stages whose lag it tells, itself among them; none where it is not part of the live pipeline."""
    output_topic: str
    """Unprefixed topic of its results, by its live name."""
    index: int | None
    """Worker number on this host; None takes a free one."""
    http_port: int
    tied: bool = False
    """Whether to stop when standard input ends: a supervisor holds its other end."""
    times: GroupTimes = field(default_factory=GroupTimes)
    limits: StallLimits = field(default_factory=StallLimits)
    sample_seconds: float = SAMPLE_SECONDS


def run_stage(settings: Settings, plan: StagePlan) -> None:
    """Run until a SIGTERM or SIGINT has drained the stage.

    Raises KafkaUnreachableError, KafkaUnusableError, TopicOptionsError, IndexTakenError, HttpError, SettingsError,
    OSError (state folder, certificates).
    Broken machinery ends the process.
    """
    os.umask(PRIVATE_UMASK)  # of what RocksDB writes, too
    raise_file_limit()
    # The standard loop: Faust's consumer thread schedules callbacks on it from outside, which it survives with a delay.
    # uvloop's ready queue can then stop and never go on; on loaded machines a stage in some dozen starts never joined.
    asyncio.run(_run(settings, plan))


async def _run(settings: Settings, plan: StagePlan) -> None:
    hold_back()
    stop, reload = _stop_on_signals(), asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, reload.set)
    if plan.tied:
        _stop_with_parent(stop)
    partitions = await asyncio.to_thread(await_topics, settings, plan.topics, stop)
    if partitions is None:
        return
    admin = AdminClient(
        client_config(settings) | {"log_level": 0}
    )  # its requests are repeated, and failures reported then
    meter = Meter(metrics_of(Process.STAGE))
    meter.set(metrics.PROCESS_INFO, 1, plan.stage.value)
    record_limits = await asyncio.to_thread(check_options, admin, plan.topics, settings.topic_prefix)
    observer = StageObserver(meter, plan.stage, topic_prefix=settings.topic_prefix, output_topic=plan.output_topic)
    claimed = await asyncio.to_thread(_claim, settings, admin, plan)
    log.info("worker %d of its group on this host", claimed.index, extra={"facts": {"stage": plan.stage.value}})
    app = make_app(settings, plan.group, index=claimed.index, partitions=partitions, times=plan.times)
    app.bind()
    app.batch_consumer.topic_ids = partial(_known_ids, admin)
    app.find_foreign = partial(foreign_records, settings, plan.topics, settings.name(plan.group))
    batch_bytes = min([BATCH_BYTES, *record_limits.values()])
    delivery = Delivery(client_config(settings, client_id=app.conf.broker_client_id, batch_size=batch_bytes))
    topic_watch = TopicWatch(admin, plan.topics, partitions, also=plan.others)
    runtime = StageRuntime(
        settings=settings,
        app=app,
        delivery=delivery,
        admin=admin,
        meter=meter,
        observer=observer,
        partitions=partitions,
        topic_watch=topic_watch,
        record_limits=record_limits,
    )
    plan.attach(runtime)
    reload.clear()  # a request from before now is met by what was just loaded
    runtime.tasks.append(partial(_reload_on_request, reload, runtime.reloads))
    observer.watch(app)
    app.batch_consumer.drain_callbacks.extend(interval.flush_now for interval in runtime.intervals)
    watchdog = Watchdog(
        app,
        admin,
        observer.lag,
        topics=topic_watch,
        holder=partial(_holder, settings, app.conf.id, app.conf.consumer_group_instance_id),
        disown=partial(disown, app.conf.datadir),
        limits=plan.limits,
        sample_seconds=plan.sample_seconds,
    )
    server = TelemetryServer(
        meter,
        alive={"event_loop": watchdog.alive},
        ready={
            "group": watchdog.in_group,
            "tables": watchdog.recovered,
            "lag": watchdog.lag_known,
            "commits": watchdog.committing,
            "topics": topic_watch.trouble,
            **runtime.ready,
        },
    )
    server.start(settings.http_host, plan.http_port)
    lags = GroupLags(settings, admin, plan.pipeline, partitions, meter)
    surroundings = Surroundings(settings, meter)
    for port in runtime.ports:
        await asyncio.to_thread(port.start)
    for looking in (watchdog, lags, surroundings):
        looking.start()
    collect_seldom()
    await _serve(app, runtime, admin, stop)
    for looking in (watchdog, lags, surroundings):
        looking.stop()
    for port in runtime.ports:
        port.close()
    server.close()
    claimed.release()


async def _serve(app: StageApp, runtime: StageRuntime, admin: AdminClient, stop: asyncio.Event) -> None:
    """Start the app, wait for the signal, stop the app."""
    starting = asyncio.ensure_future(app.start())
    flushing = [asyncio.ensure_future(interval.run()) for interval in runtime.intervals]
    flushing += [asyncio.ensure_future(task()) for task in runtime.tasks]
    for task in (starting, *flushing):
        task.add_done_callback(partial(_end_on_error, app))
    await stop.wait()
    began = time.monotonic()
    overdue = threading.Timer(SHUTDOWN_SECONDS, _end_overdue, (admin,))
    overdue.daemon = True
    overdue.start()
    log.info("draining")
    await app.stop()
    for task in (starting, *flushing):
        task.cancel()
    overdue.cancel()
    log.info("drained", extra={"facts": {"seconds": round(time.monotonic() - began, 3)}})


def _end_overdue(admin: AdminClient) -> None:
    """End a shutdown that takes too long, by the code that says whose fault it is."""
    try:
        admin.list_topics(timeout=LAST_LOOK_SECONDS)
    except KafkaException as error:
        why = error.args[0].name()
        end_process(ExitCode.UNAVAILABLE, f"no broker answers a shutdown ({why}); what was not committed is done again")
    end_process(ExitCode.DRAIN_OVERDUE, f"the shutdown took more than {SHUTDOWN_SECONDS} s")


def _claim(settings: Settings, admin: AdminClient, plan: StagePlan) -> Claim:
    cluster = str(admin.list_topics(timeout=ANSWER_SECONDS).cluster_id)
    return claim(settings, plan.group, plan.index, cluster, partial(client_ids, settings, settings.name(plan.group)))


def _holder(settings: Settings, group: str, member: str) -> str | None:
    """Id of the member that has our name in the group; None if there is none, or nobody can say.

    The files for TLS and SASL are read each time, and may be missing while they are renewed.
    """
    try:
        members = group_members(settings, group)
    except (KafkaUnreachableError, KafkaUnusableError, SettingsError, OSError) as error:
        log.warning("whether another process is in the group under our name is not known: %s", error)
        return None
    return next((one.member_id for one in members if one.name == member), None)


def _known_ids(admin: AdminClient, names: set[str]) -> dict[str, str]:
    """Ids of topics; empty when the broker does not answer: the next assignment tries again."""
    try:
        return topic_ids(admin, names)
    except KafkaException as error:
        log.warning("the broker did not answer the ids of topics: %s", error.args[0].name())
        return {}


def _end_on_error(app: StageApp, task: "asyncio.Future[None]") -> None:
    error = None if task.cancelled() else task.exception()
    if error is not None:
        app.end_by_cause(error)
        app.blame_foreign(error)
        app.fail(ExitCode.FRAMEWORK_CRASHED, f"{type(error).__name__} while starting, flushing or reloading")


def _stop_on_signals() -> asyncio.Event:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    # Faust's own worker opens a debugger on SIGUSR2 and prints stacks on SIGUSR1; the default would end the process.
    for number in (signal.SIGUSR1, signal.SIGUSR2):
        signal.signal(number, signal.SIG_IGN)
    return stop


async def _reload_on_request(request: asyncio.Event, reloads: Sequence[Callable[[], Awaitable[None]]]) -> None:
    """One reload after another."""
    while await request.wait():
        request.clear()
        if not reloads:
            log.info("there is nothing to reload in this stage")
        for reload in reloads:
            await reload()


def _stop_with_parent(stop: asyncio.Event) -> None:
    loop = asyncio.get_running_loop()

    def wait_for_the_end() -> None:
        # Not through sys.stdin: a thread that waits with its lock makes the interpreter's own shutdown abort.
        while os.read(_STANDARD_INPUT, 4096):
            pass
        with contextlib.suppress(RuntimeError):  # the loop may be closed by then
            loop.call_soon_threadsafe(stop.set)

    threading.Thread(target=wait_for_the_end, name="parent", daemon=True).start()
